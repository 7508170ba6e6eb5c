//go:build pcsc && vpcd

package edge_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/simulator/vpcd"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/pcsc"
	"github.com/purselane/purselane/terminal/reader/pcsc/pcsctest"
)

// pcscHand is a virtual reader of a real pcscd.
type pcscHand struct {
	t     *testing.T
	at    pcsctest.Slot
	r     reader.Reader
	out   func()    // takes the card out; nil: there is none
	since time.Time // the field is empty
}

func newPCSC(t *testing.T, at pcsctest.Slot, timeout time.Duration) *pcscHand {
	r, err := pcsc.Open(pcsc.Options{Name: at.Name, Timeout: timeout})
	require.NoError(t, err)
	h := &pcscHand{t: t, at: at, r: r}
	t.Cleanup(func() {
		require.NoError(t, r.Close())
		h.take()
	})
	return h
}

func newPCSCPair(t *testing.T) (one, other *pcscHand) {
	first, second := pcsctest.Pair(t)
	return newPCSC(t, first, 0), newPCSC(t, second, 0)
}

func (h *pcscHand) reader() reader.Reader { return h.r }

// put waits until the driver has seen that the last card is gone: else it takes this one for that one.
func (h *pcscHand) put(card vpcd.Card) {
	<-time.After(time.Until(h.since.Add(vpcd.AwayTime)))
	pcsctest.Empty(h.t, h.at.Name)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = vpcd.Slot{Addr: h.at.Addr}.Run(ctx, card)
	}()
	h.out = func() { cancel(); <-done }
}

func (h *pcscHand) take() {
	if h.out != nil {
		h.out()
		h.out, h.since = nil, time.Now()
	}
}

// TestPCSCPulledAtEveryCommand has both readers of a door behind PC/SC. A card that leaves in the middle of a command is told there as no
// error and no bytes.
func TestPCSCPulledAtEveryCommand(t *testing.T) {
	pcsctest.Private(t)
	t.Parallel()
	pulledAtEveryCommand(t, "response of 0 bytes", func(t *testing.T) (one, other hand) { return newPCSCPair(t) })
}
