//go:build pcsc && vpcd

package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/purselane/purselane/simulator/vpcd"
	"github.com/purselane/purselane/terminal/reader/pcsc/pcsctest"
)

// pcscHand is a virtual reader of a real pcscd.
type pcscHand struct {
	t     *testing.T
	at    pcsctest.Slot
	out   func()
	since time.Time // the field is empty
}

func (h *pcscHand) lane() string { return fmt.Sprintf("kind: pcsc, reader: %q", h.at.Name) }

func (h *pcscHand) put(card vpcd.Card) {
	<-time.After(time.Until(h.since.Add(vpcd.AwayTime)))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = vpcd.Slot{Addr: h.at.Addr}.Run(ctx, card)
	}()
	h.out = func() { cancel(); <-done }
}

// take waits until the driver has seen that the card is gone: a terminal that starts sooner is told of a card that is no more, and asks for it again.
func (h *pcscHand) take() {
	if h.out != nil {
		h.out()
		h.out, h.since = nil, time.Now()
		pcsctest.Empty(h.t, h.at.Name)
	}
}

// TestPCSCKilledAtEveryCommand leaves an exclusive handle behind, which pcscd has to take back.
func TestPCSCKilledAtEveryCommand(t *testing.T) {
	pcsctest.Private(t)
	killedAtEveryCommand(t, func(t *testing.T) hand {
		at, _ := pcsctest.Pair(t)
		h := &pcscHand{t: t, at: at}
		t.Cleanup(h.take)
		return h
	})
}
