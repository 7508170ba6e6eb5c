//go:build pcsc && vpcd

package edge_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/vpcd"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/pcsc"
	"github.com/purselane/purselane/terminal/reader/pcsc/pcsctest"
	"github.com/purselane/purselane/terminal/tap"
)

// TestPCSCTerminal runs a terminal over a real pcscd: a card pulled at DEBIT and presented again, and a PSAM that is taken out of its
// slot and put back.
func TestPCSCTerminal(t *testing.T) {
	t.Parallel()
	first, second := pcsctest.Pair(t)
	door, slot := first.Name, second.Name
	open := func(name string) reader.Reader {
		r, err := pcsc.Open(pcsc.Options{Name: name})
		require.NoError(t, err)
		t.Cleanup(func() { r.Close() })
		return r
	}
	plug := func(c vpcd.Card, addr string) (out func()) {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = vpcd.Slot{Addr: addr}.Run(ctx, c)
		}()
		out = func() { cancel(); <-done }
		t.Cleanup(out)
		return out
	}
	away := func(name string) {
		<-time.After(vpcd.AwayTime)
		pcsctest.Empty(t, name)
	}
	cardAt, samAt := first.Addr, second.Addr

	chip, _ := newPSAM(t)
	samOut := plug(chip, samAt)
	sam, err := edge.OpenPSAM(t.Context(), open(slot), ep.PSAMTUnion)
	require.NoError(t, err)
	w := newWorld(t, func(cfg *edge.Config) {
		cfg.SAM = sam
		cfg.Lanes[bus].Reader = open(door)
	})
	stop := w.run()

	card := newCard(t, 1, 10_00, nil)
	out := plug(epcard.Present(card, epcard.Tear{At: commandOf(t, 0x54), After: true}), cardAt)
	require.Equal(t, tap.PresentAgain, w.next().Result.Outcome)
	require.Equal(t, money.Minor(8_00), card.Balance())
	out()
	away(door)
	out = plug(card, cardAt)
	require.Equal(t, tap.RecoveredGranted, w.next().Result.Outcome)
	out()
	away(door)

	samOut()
	away(slot)
	other := newCard(t, 2, 10_00, nil)
	out = plug(other, cardAt)
	require.Equal(t, tap.OutOfService, w.next().Result.Outcome)
	out()
	away(door)
	require.Equal(t, money.Minor(10_00), other.Balance())
	plug(chip, samAt)
	for e := w.next(); !e.Ready; {
		e = w.next() // out of service, on all lanes
	}
	out = plug(other, cardAt)
	require.Equal(t, tap.Granted, w.next().Result.Outcome)
	require.Equal(t, money.Minor(8_00), other.Balance())
	out()
	require.NoError(t, stop())
	require.NoError(t, w.Journal().Verify())
}
