package edge_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/inproc"
	"github.com/purselane/purselane/terminal/tap"
)

// activating is how long an activating reader takes from the card in the field to the session.
const activating = 35 * time.Millisecond

type activatingReader struct{ reader.Reader }

func (r activatingReader) Wait(ctx context.Context) (reader.Card, error) {
	c, err := r.Reader.Wait(ctx)
	if err == nil {
		time.Sleep(activating)
	}
	return c, err
}

// blindReader does not tell when it saw a card.
type blindReader struct{ reader.Reader }

func (r blindReader) Wait(ctx context.Context) (reader.Card, error) {
	c, err := r.Reader.Wait(ctx)
	return struct{ reader.Card }{c}, err
}

func TestHowLongAReaderTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door, pad, blind := inproc.New("door"), inproc.New("pad"), inproc.New("blind")
		w := newWorld(t, func(cfg *edge.Config) {
			cfg.Lanes[bus].Reader, cfg.Lanes[till].Reader = activatingReader{door}, activatingReader{pad}
			cfg.Lanes[bus2].Reader = blindReader{blind}
		})
		stop := w.run()
		names := func(e edge.Event) (out []string) {
			for _, p := range e.Phases.List() {
				out = append(out, p.Name)
			}
			return out
		}

		time.Sleep(time.Minute)
		door.Present(newCard(t, 1, 10_00, nil))
		e := w.next()
		require.Equal(t, tap.Granted, e.Result.Outcome)
		require.Equal(t, activating, e.Phases.Detect)
		require.Contains(t, names(e), "detect")

		// A card that lies at a till before anything is sold.
		pad.Present(newCard(t, 2, 10_00, nil))
		time.Sleep(time.Hour)
		go func() { _, _ = w.Charge(t.Context(), till, money.Minor(1_00), "r-1") }()
		e = w.next()
		require.Equal(t, tap.Granted, e.Result.Outcome)
		require.Equal(t, activating, e.Phases.Detect, "nobody waited for it before")

		blind.Present(newCard(t, 3, 10_00, nil))
		e = w.next()
		require.Equal(t, tap.Granted, e.Result.Outcome)
		require.NotContains(t, names(e), "detect")
		for _, r := range []*inproc.Reader{door, pad, blind} {
			r.Withdraw()
		}
		require.NoError(t, stop())
	})
}
