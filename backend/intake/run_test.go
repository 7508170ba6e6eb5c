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
type sick struct{ keys.HSM }

var errSick = errors.New("the device does not answer")

func (sick) TAC(context.Context, keys.Card, []byte) ([4]byte, error) { return [4]byte{}, errSick }

// half is an HSM that answers many at a time, and only those before the third.
type half struct{ *keys.Soft }

func (h half) TACs(ctx context.Context, all []keys.TACRequest) []keys.TACAnswer {
	out := h.Soft.TACs(ctx, all)
	for i := range out {
		if i >= 2 {
			out[i] = keys.TACAnswer{Err: errSick}
		}
	}
	return out
}

func TestAnHSMThatDoesNotAnswerDecidesNothing(t *testing.T) {
	s := start(t, store.Options{})
	var taps []tap
	for i := range uint16(3) {
		taps = append(taps, tap{tap: uint64(i) + 1, card: 1, counter: i, before: 10_00 - int64(i)*1_00, amount: 1_00})
	}
	s.send("bus-1", taps...)
	for name, hsm := range map[string]keys.HSM{"one by one": sick{s.hsm}, "at once": half{s.hsm}} {
		ill, err := intake.New(s.store, hsm, s.clock, intake.Options{TokenKey: tokenKey, Workers: 1, Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		_, err = ill.Step(s.ctx)
		require.ErrorIs(t, err, errSick, name)
		require.ErrorContains(t, err, "record bus-1/7/", name)
		for seq := range uint64(3) {
			require.Equal(t, "/", s.label("bus-1", seq+1), "%s: it waits", name)
		}
	}
	s.drain()
	require.Equal(t, "7.00", s.card(1).Shadow.String())
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
