package edge_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/inproc"
	"github.com/purselane/purselane/terminal/tap"
)

func TestTwoCardsAreToldToBeOne(t *testing.T) {
	door := inproc.New("door")
	one, other := newCard(t, 1, 10_00, nil), newCard(t, 2, 10_00, nil)
	door.Present(one)
	door.Present(other)
	w := newWorld(t, func(cfg *edge.Config) { cfg.Lanes[bus].Reader = door })
	stop := w.run()
	e := w.next()
	require.Equal(t, tap.OneCardPlease, e.Result.Outcome)
	require.Equal(t, "amber", e.Pattern.Light)
	door.Withdraw()
	door.Present(one)
	require.Equal(t, tap.Granted, w.next().Result.Outcome)
	door.Withdraw()
	require.NoError(t, stop())
	require.Len(t, w.records(), 1)
}

// TestAReaderThatFailsEndsNobodyElse breaks one door's reader. The other door sells on, and the broken one is opened again.
func TestAReaderThatFailsEndsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken, good, renewed := &brokenReader{}, inproc.New("good"), inproc.New("renewed")
		var tries atomic.Int32
		w := newWorld(t, func(cfg *edge.Config) {
			cfg.Lanes[bus].Reader = broken
			cfg.Lanes[bus].Reopen = func() (reader.Reader, error) {
				if tries.Add(1) < 4 {
					return nil, errBroken
				}
				return renewed, nil
			}
			cfg.Lanes[bus2].Reader = good
		})
		stop := w.run()
		e := w.next()
		require.ErrorIs(t, e.Err, errBroken)
		require.Equal(t, bus, e.Lane)
		require.Equal(t, tap.OutOfService, e.Result.Outcome)
		good.Present(newCard(t, 1, 10_00, nil))
		e = w.next()
		require.Equal(t, bus2, e.Lane)
		require.Equal(t, tap.Granted, e.Result.Outcome)
		time.Sleep(time.Minute)
		require.EqualValues(t, 4, tries.Load())
		e = w.next()
		require.True(t, e.Ready, "it is told before anyone comes")
		require.Equal(t, bus, e.Lane)
		renewed.Present(newCard(t, 2, 10_00, nil))
		e = w.next()
		require.Equal(t, bus, e.Lane)
		require.Equal(t, tap.Granted, e.Result.Outcome)
		require.NoError(t, w.Failure(), "a reader is not the terminal")
		require.NoError(t, stop())
	})
}

var errBroken = errors.New("reader is broken")

type brokenReader struct{}

func (*brokenReader) Name() string                              { return "broken" }
func (*brokenReader) Wait(context.Context) (reader.Card, error) { return nil, errBroken }
func (*brokenReader) Close() error                              { return nil }

// TestHowACardIsLeft looks at what the reader is told to do with the card.
func TestHowACardIsLeft(t *testing.T) {
	paid, poor := newCard(t, 1, 10_00, nil), newCard(t, 2, 0, nil)
	door := &spyReader{Reader: inproc.New("door"), closed: make(chan reader.Disposition, 10)}
	w := newWorld(t, func(cfg *edge.Config) { cfg.Lanes[bus].Reader = door })
	stop := w.run()
	for _, c := range []struct {
		card *epcard.Card
		want reader.Disposition
	}{{paid, reader.Leave}, {poor, reader.Reset}} {
		door.Present(c.card)
		require.Equal(t, c.want, <-door.closed)
		door.Withdraw()
	}
	require.NoError(t, stop())
}

type spyReader struct {
	*inproc.Reader
	closed chan reader.Disposition
}

func (s *spyReader) Wait(ctx context.Context) (reader.Card, error) {
	c, err := s.Reader.Wait(ctx)
	if err != nil {
		return nil, err
	}
	return &spyCard{c, s.closed}, nil
}

type spyCard struct {
	reader.Card
	closed chan reader.Disposition
}

func (c *spyCard) Close(d reader.Disposition) error {
	err := c.Card.Close(d)
	c.closed <- d
	return err
}

// TestAVisitInProgressIsFinished stops the terminal while a card is at the DEBIT.
func TestAVisitInProgressIsFinished(t *testing.T) {
	door := inproc.New("door")
	w := newWorld(t, func(cfg *edge.Config) { cfg.Lanes[bus].Reader = door })
	card := newCard(t, 1, 10_00, nil)
	held := &heldCard{Card: card, at: make(chan struct{}), on: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	door.Present(held)
	<-held.at
	cancel()
	close(held.on)
	require.NoError(t, <-done)
	require.Equal(t, tap.Granted, w.next().Result.Outcome)
	require.Len(t, w.records(), 1)
	open, err := w.Journal().OpenIntents()
	require.NoError(t, err)
	require.Empty(t, open)
}

// TestDamageEndsRun damages the journal under a running terminal: it must be opened again, and Run says so.
func TestDamageEndsRun(t *testing.T) {
	door := inproc.New("door")
	var damaged atomic.Bool
	w := newWorld(t, func(cfg *edge.Config) {
		cfg.Lanes[bus].Reader = door
		cfg.Journal.Fault = func(string) error {
			if damaged.Load() {
				return journal.ErrDamaged
			}
			return nil
		}
	})
	done := make(chan error, 1)
	go func() { done <- w.Run(context.Background()) }()
	damaged.Store(true)
	card := newCard(t, 1, 10_00, nil)
	door.Present(card)
	require.Equal(t, tap.OutOfService, w.next().Result.Outcome)
	require.ErrorIs(t, <-done, journal.ErrDamaged)
	require.Equal(t, 10_00, int(card.Balance().Minor()))
}

// heldCard says when DEBIT came and waits with it.
type heldCard struct {
	*epcard.Card
	at, on chan struct{}
}

func (h *heldCard) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if command[1] == 0x54 {
		close(h.at)
		<-h.on
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return h.Card.Transmit(ctx, command)
}
