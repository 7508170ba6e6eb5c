package intake_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/keys"
)

func TestRunPostsWhatIsAcceptedUntilItIsStopped(t *testing.T) {
	s := start(t, store.Options{})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.pipe.Run(ctx) }()
	s.send("bus-1", tap{tap: 1, card: 1, before: 10_00, amount: 2_00})
	require.Eventually(t, func() bool { return s.card(1).Shadow.String() == "8.00" }, 10*time.Second, time.Millisecond)
	stop()
	require.ErrorIs(t, <-ended, context.Canceled)
}

// sick is an HSM that does not answer.
type sick struct{ *keys.Soft }

var errSick = errors.New("the device does not answer")

func (sick) TAC(context.Context, keys.Card, []byte) ([4]byte, error) { return [4]byte{}, errSick }

func TestAnHSMThatDoesNotAnswerDecidesNothing(t *testing.T) {
	s := start(t, store.Options{})
	s.send("bus-1", tap{tap: 1, card: 1, before: 10_00, amount: 2_00})
	ill, err := intake.New(s.store, sick{s.hsm}, s.clock, intake.Options{TokenKey: tokenKey, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	_, err = ill.Step(s.ctx)
	require.ErrorIs(t, err, errSick)
	require.Equal(t, "/", s.label("bus-1", 1), "it waits")
	s.drain()
	require.Equal(t, "8.00", s.card(1).Shadow.String())
}

func TestAPipelineRefusesWhatItCannotRunWith(t *testing.T) {
	s := start(t, store.Options{})
	for name, o := range map[string]intake.Options{
		"no token key":      {},
		"a short token key": {TokenKey: []byte("short")},
		"a negative group":  {TokenKey: tokenKey, Group: -1},
	} {
		_, err := intake.New(s.store, s.hsm, s.clock, o)
		require.Error(t, err, name)
	}
}
