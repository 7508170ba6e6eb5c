//go:build linux

package pn532_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/pn532"
	"github.com/purselane/purselane/simulator/psam"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/journal"
	driver "github.com/purselane/purselane/terminal/reader/pn532"
	"github.com/purselane/purselane/terminal/tap"
)

var (
	issuer  = ep.Factor{1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF}
	masters = personalise.Masters{
		{Purpose: keys.Purchase, Version: 1}: {1}, {Purpose: keys.Load, Version: 1}: {2}, {Purpose: keys.TAC, Version: 1}: {3},
	}
)

func newCard(t *testing.T, n byte) *epcard.Card {
	img, err := personalise.Card(masters, personalise.CardSpec{Number: ids.CardNumber{0x31, 5, 0, 0, 0, 0, 0, 0, 0, n}, Issuer: issuer, Balance: money.Minor(10_00)})
	require.NoError(t, err)
	card, err := epcard.New(img, rand.Reader)
	require.NoError(t, err)
	return card
}

// bus is a terminal with one bus lane at an emulated PN532.
type bus struct {
	t     *testing.T
	chip  *pn532.Chip
	shown chan edge.Event
	term  *edge.Terminal
}

func newBus(t *testing.T) *bus {
	b := &bus{t: t, chip: newChip(t, pn532.Options{Link: filepath.Join(t.TempDir(), "pn532")}), shown: make(chan edge.Event, 100)}
	r, err := driver.Open(driver.Options{Port: b.chip.Path()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	img, err := personalise.PSAM(masters, personalise.PSAMSpec{Terminal: ep.TerminalNumber{0x11}, Issuer: issuer, NextSerial: 1})
	require.NoError(t, err)
	chip, err := psam.New(img)
	require.NoError(t, err)
	sam, err := ep.OpenPSAM(t.Context(), chip, ep.PSAMTUnion)
	require.NoError(t, err)
	b.term, err = edge.Open(edge.Config{
		Terminal: "bus-1", Merchant: "m-1", Profile: firmwareconfig.Sample(), SAM: sam, JournalPath: filepath.Join(t.TempDir(), "journal.db"),
		Journal: journal.Options{NoSync: true}, Lanes: []edge.Lane{{Reader: r, Mode: tap.BusFlat, Line: fare.Code{0x00, 0x07}}},
		Clock: clock.NewManual(time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)), Show: b.show,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.term.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, b.term.Journal().Verify())
		require.NoError(t, b.term.Close())
	})
	return b
}

// tap holds a card to the reader until its outcome is shown, and returns that.
func (b *bus) tap(card pn532.Card) tap.Result {
	b.chip.Put(card, pn532.Target{})
	e := <-b.shown
	b.chip.Take()
	return e.Result
}

// TestAPurchaseOverThePN532 pulls the card at each command of a whole purchase, before and after the card has carried it out, and presents it
// again: the fare is taken once, whatever happened.
func TestAPurchaseOverThePN532(t *testing.T) {
	b := newBus(t)
	whole := epcard.Present(newCard(t, 0), epcard.Tear{})
	require.Equal(t, tap.Granted, b.tap(whole).Outcome)
	commands := whole.Commands()
	require.Greater(t, commands, 4)
	n := byte(0)
	for at := 1; at <= commands; at++ {
		for _, after := range []bool{false, true} {
			n++
			what := fmt.Sprintf("pulled at command %d of %d, carried out: %v", at, commands, after)
			card := newCard(t, n)
			first := b.tap(epcard.Present(card, epcard.Tear{At: at, After: after}))
			require.Contains(t, []tap.Outcome{tap.PresentAgain, tap.Granted}, first.Outcome, what)
			again := b.tap(epcard.Present(card, epcard.Tear{}))
			require.True(t, again.Outcome.Pass(), "%s: %v: %s", what, again.Outcome, again.Reason)
			require.Equal(t, money.Minor(8_00), card.Balance(), what)
		}
	}

	// The plug is pulled in the middle of a purchase, and put back.
	card := newCard(t, 99)
	b.chip.Inject(pn532.Fault{On: 0x40, Skip: 3, Kind: pn532.HangUpAfter})
	b.chip.Put(card, pn532.Target{})
	require.Equal(t, tap.PresentAgain, (<-b.shown).Result.Outcome)
	require.Equal(t, tap.OutOfService, (<-b.shown).Result.Outcome, "the reader is lost")
	require.NoError(t, b.chip.Plug())
	require.True(t, (<-b.shown).Result.Outcome.Pass())
	require.Equal(t, money.Minor(8_00), card.Balance())

	// Two cards in a wallet, once the field was seen empty.
	b.chip.Take()
	b.chip.Heard()
	looks := 0
	require.Eventually(t, func() bool {
		looks += bytes.Count(b.chip.Heard(), []byte{0x4A})
		return looks > 8
	}, 20*time.Second, time.Millisecond)
	one, other := newCard(t, 100), newCard(t, 101)
	b.chip.Put(one, pn532.Target{}, other)
	require.Equal(t, tap.OneCardPlease, (<-b.shown).Result.Outcome)
	require.Equal(t, []money.Amount{money.Minor(10_00), money.Minor(10_00)}, []money.Amount{one.Balance(), other.Balance()})
}

// show takes outcomes; that a card is there is no outcome.
func (b *bus) show(e edge.Event) {
	if !e.Card {
		b.shown <- e
	}
}
