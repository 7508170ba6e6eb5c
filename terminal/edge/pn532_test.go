//go:build linux

package edge_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	chip "github.com/purselane/purselane/simulator/pn532"
	"github.com/purselane/purselane/simulator/vpcd"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/pn532"
	"github.com/purselane/purselane/terminal/tap"
)

// pn532Hand is a PN532 on a pseudo terminal.
type pn532Hand struct {
	*chip.Chip
	r *pn532.Reader
}

func newPN532(t *testing.T) *pn532Hand {
	c, err := chip.New(chip.Options{Link: filepath.Join(t.TempDir(), "pn532")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	r, err := pn532.Open(pn532.Options{Port: c.Path()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return &pn532Hand{c, r}
}

func (h *pn532Hand) reader() reader.Reader { return h.r }
func (h *pn532Hand) put(card vpcd.Card)    { h.Put(card, chip.Target{}) }
func (h *pn532Hand) take()                 { h.Take() }

// TestPN532PulledAtEveryCommand has both readers of a door behind PN532 chips.
func TestPN532PulledAtEveryCommand(t *testing.T) {
	t.Parallel()
	pulledAtEveryCommand(t, "outcome unknown", func(t *testing.T) (one, other hand) { return newPN532(t), newPN532(t) })
}

// TestPN532UnpluggedAndBack pulls the plug at each moment of a card's visit and plugs it in again, under the name that the device had or under
// another one: the name by which the reader is configured leads to either.
func TestPN532UnpluggedAndBack(t *testing.T) {
	const exchange = 0x40
	at := func(kind chip.Kind) func(*pn532Hand, *epcard.Card) {
		return func(h *pn532Hand, c *epcard.Card) {
			h.Inject(chip.Fault{On: exchange, Skip: commandOf(t, 0x54) - 1, Kind: kind})
			h.put(c)
		}
	}
	cases := []struct {
		name  string
		pull  func(*pn532Hand, *epcard.Card)
		shown []tap.Outcome // until the reader is back
		then  tap.Outcome   // of the card that lies there still; 0: it is put there then
	}{
		{"nobody there", func(h *pn532Hand, _ *epcard.Card) { h.Unplug() }, []tap.Outcome{tap.OutOfService}, 0},
		{"before the DEBIT", at(chip.HangUp), []tap.Outcome{tap.PresentAgain, tap.OutOfService}, tap.Granted},
		{"after the DEBIT", at(chip.HangUpAfter), []tap.Outcome{tap.PresentAgain, tap.OutOfService}, tap.RecoveredGranted},
	}
	for _, c := range cases {
		for _, same := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, same name %v", c.name, same), func(t *testing.T) {
				t.Parallel()
				h := newPN532(t)
				w := newWorld(t, func(cfg *edge.Config) { cfg.Lanes[bus].Reader = h.r })
				stop := w.run()
				paid := newCard(t, 1, 20_00, nil)
				h.put(paid) // the reader is up
				require.Equal(t, tap.Granted, w.at(bus).Result.Outcome)
				h.take()
				was := h.device(t)
				require.Eventually(t, func() bool { return w.Lanes()[bus].State == edge.LaneWaiting }, patience, time.Millisecond)

				card := newCard(t, 2, 20_00, nil)
				c.pull(h, card)
				for _, o := range c.shown {
					require.Equal(t, o, w.soon().Result.Outcome)
				}
				require.Eventually(t, func() bool { return w.Lanes()[bus].State == edge.LaneLost }, patience, time.Millisecond)
				require.Error(t, w.Lanes()[bus].Err)
				require.NoError(t, w.Alive(), "it is waited for")
				h.plugAs(t, was, same)
				if c.then == 0 {
					e := w.soon()
					for !e.Ready {
						e = w.soon()
					}
					require.Equal(t, bus, e.Lane)
					require.Equal(t, edge.LaneWaiting, w.Lanes()[bus].State)
					h.put(card)
					c.then = tap.Granted
				}
				r := w.at(bus).Result
				require.Equal(t, c.then, r.Outcome, r.Reason)
				h.take()
				require.NoError(t, stop())
				require.Equal(t, money.Minor(18_00), card.Balance())
				open, err := w.Journal().OpenIntents()
				require.NoError(t, err)
				require.Empty(t, open)
				require.NoError(t, w.Journal().Verify())
			})
		}
	}
}

// device is the name that the kernel gave the chip.
func (h *pn532Hand) device(t *testing.T) string {
	name, err := os.Readlink(h.Path())
	require.NoError(t, err)
	return name
}

// plugAs plugs the chip in under the name that it had, or under another one. The kernel gives the lowest free number.
func (h *pn532Hand) plugAs(t *testing.T, was string, same bool) {
	require.Eventually(t, func() bool { _, err := os.Stat(was); return err != nil }, patience, time.Millisecond, "the terminal lets go of a port that is gone")
	var others []*chip.Chip // take the numbers before it, or its own
	defer func() {
		for _, c := range others {
			require.NoError(t, c.Close())
		}
	}()
	for {
		other, err := chip.New(chip.Options{})
		require.NoError(t, err)
		if other.Path() != was {
			others = append(others, other)
			require.Less(t, len(others), 1000, "%s stays taken", was)
			continue
		}
		if same {
			require.NoError(t, other.Close())
		} else {
			others = append(others, other)
		}
		break
	}
	require.NoError(t, h.Plug())
	if !same {
		require.NotEqual(t, was, h.device(t))
	}
}

// TestPN532TwoCards holds two cards to a reader: nothing is taken from either until one is left.
func TestPN532TwoCards(t *testing.T) {
	h := newPN532(t)
	w := newWorld(t, func(cfg *edge.Config) { cfg.Lanes[bus].Reader = h.r })
	stop := w.run()
	one, other := newCard(t, 1, 20_00, nil), newCard(t, 2, 20_00, nil)
	h.Put(one, chip.Target{}, other)
	e := w.at(bus)
	require.Equal(t, tap.OneCardPlease, e.Result.Outcome)
	require.Equal(t, "amber", e.Pattern.Light)
	require.Empty(t, w.records())
	h.TakeOne(one)
	require.Equal(t, tap.Granted, w.at(bus).Result.Outcome)
	require.Equal(t, []int64{20_00, 18_00}, []int64{one.Balance().Minor(), other.Balance().Minor()})

	// A card that comes beside one that has been served is served when that has left.
	h.put(one)
	h.TakeOne(other)
	require.Equal(t, tap.Granted, w.at(bus).Result.Outcome)
	h.take()
	require.NoError(t, stop())
	require.Equal(t, []int64{18_00, 18_00}, []int64{one.Balance().Minor(), other.Balance().Minor()})
	require.Len(t, w.records(), 2)
}

func TestPN532TwoDoors(t *testing.T) {
	t.Parallel()
	twoDoors(t, newPN532(t), newPN532(t))
}

// TestPN532HangsAtTheDebit has a chip that acknowledges the DEBIT, gives it to the card and says no more.
func TestPN532HangsAtTheDebit(t *testing.T) {
	t.Parallel()
	one := newPN532(t)
	require.NoError(t, one.r.Close())
	var err error
	one.r, err = pn532.Open(pn532.Options{Port: one.Path(), Timeout: time.Second})
	require.NoError(t, err)
	defer one.r.Close()
	aReaderHangs(t, one, newPN532(t), func(c *epcard.Card) (vpcd.Card, func()) {
		one.Inject(chip.Fault{On: 0x40, Skip: commandOf(t, 0x54) - 1, Kind: chip.Silence})
		return c, one.Heal
	})
}

// TestPN532DeafChip has a chip at the front door that hears nothing any more, as some do after hours, until its power is switched off and on. The rear door
// sells on.
func TestPN532DeafChip(t *testing.T) {
	t.Parallel()
	one, other := newPN532(t), newPN532(t)
	s := newStack(t, kinds()[bus], one, other)
	require.Equal(t, tap.Granted, s.present(front, newCard(t, 1, 20_00, nil)).Outcome)
	one.take()
	one.Inject(chip.Fault{On: chip.Any, Times: 1 << 30, Kind: chip.Deaf})
	e := s.soon()
	require.ErrorIs(t, e.Err, reader.ErrReaderLost)
	require.Equal(t, front, e.Lane)
	require.Equal(t, tap.Granted, s.present(rear, newCard(t, 2, 20_00, nil)).Outcome)
	other.take()
	require.NoError(t, s.Alive())
	require.Equal(t, edge.LaneLost, s.Lanes()[front].State)
	one.Heal()
	one.PowerCycle()
	for e = s.soon(); !e.Ready || e.Lane != front; {
		e = s.soon()
	}
	require.Equal(t, tap.Granted, s.present(front, newCard(t, 3, 20_00, nil)).Outcome)
	require.NoError(t, s.stop())
}
