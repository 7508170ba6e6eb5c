package edge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/vpcd"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// The tests of this file have a whole terminal over real readers: PC/SC with vpcd's virtual readers, and PN532 chips on pseudo terminals.
// docs/readers.md lists which symptom is shown by which.

// hand is a reader, and the hand that brings cards to it.
type hand interface {
	reader() reader.Reader
	// put holds a card into the field, which is empty; take takes it out.
	put(vpcd.Card)
	take()
}

// patience is longer than a healthy terminal ever takes, on a machine with other work.
const patience = time.Minute

// kind is one kind of what a lane sells, with what it takes from the card.
type kind struct {
	name  string
	lane  int // of lanes()
	fare  money.Amount
	since func(*testing.T, *world, *epcard.Card) // what the card has done before; nil: nothing
}

func kinds() []kind {
	return []kind{
		{"bus", bus, money.Minor(2_00), nil},
		{"entry", entry, money.Minor(0), nil},
		{"exit", exit, money.Minor(6_00), func(t *testing.T, w *world, c *epcard.Card) {
			require.Equal(t, tap.Granted, w.tapOn(w.plain, c).Outcome)
			require.Equal(t, tap.Granted, w.next().Result.Outcome)
			w.clock.Advance(20 * time.Minute)
		}},
		{"sale", till, money.Minor(3_50), nil},
	}
}

// stack is a terminal with two readers that sell the same.
type stack struct {
	*world
	t     *testing.T
	kind  kind
	hands [2]hand
	stop  func() error

	asks   sync.WaitGroup
	cancel context.CancelFunc // of what the till asks; nil: nothing
}

func newStack(t *testing.T, k kind, one, other hand) *stack {
	s := &stack{t: t, kind: k, hands: [2]hand{one, other}}
	s.world = newWorld(t, func(cfg *edge.Config) {
		l := lanes()[k.lane]
		cfg.Lanes = []edge.Lane{l, l, lanes()[entry]}
		cfg.Lanes[0].Reader, cfg.Lanes[1].Reader = one.reader(), other.reader()
	})
	s.plain = 2
	s.stop = s.run()
	return s
}

// soon waits for the next outcome that is shown.
func (w *world) soon() edge.Event {
	w.t.Helper()
	select {
	case e := <-w.shown:
		return e
	case <-time.After(patience):
		w.t.Fatal("nothing is shown")
		return edge.Event{}
	}
}

// at skips what is shown of other lanes, and whether readers come and go, until a card's outcome at the lane is shown.
func (w *world) at(lane int) edge.Event {
	w.t.Helper()
	e := w.soon()
	for e.Lane != lane || e.Ready || errors.Is(e.Err, reader.ErrReaderLost) {
		e = w.soon()
	}
	return e
}

// present holds a card to a reader until its outcome is shown.
func (s *stack) present(lane int, card vpcd.Card) tap.Result {
	s.t.Helper()
	if s.kind.lane == till && s.cancel == nil {
		ctx, cancel := context.WithCancel(context.Background())
		s.cancel = cancel
		s.asks.Go(func() { _, _ = s.Charge(ctx, lane, s.kind.fare, "receipt-1") }) // what comes of it is shown too
	}
	s.hands[lane].put(card)
	e := s.soon()
	for e.Ready || errors.Is(e.Err, reader.ErrReaderLost) { // a machine under load is late for its chip, and says so
		s.t.Log(e.Lane, e.Ready, e.Err)
		e = s.soon()
	}
	require.Equal(s.t, lane, e.Lane, "%v: %s", e.Result.Outcome, e.Result.Reason)
	return e.Result
}

// away takes the card out. One that comes back to another till is asked for there.
func (s *stack) away(lane, next int) {
	s.hands[lane].take()
	if s.cancel != nil && lane != next {
		s.cancel()
		s.asks.Wait()
		s.cancel = nil
	}
}

// end stops the terminal and holds its journal against the card: one debit, which is of the fare, and nothing open.
func (s *stack) end(card *epcard.Card, had money.Amount, debits uint16) {
	s.t.Helper()
	if s.cancel != nil {
		s.cancel()
	}
	require.NoError(s.t, s.stop())
	s.asks.Wait()
	require.Equal(s.t, s.kind.fare.Minor(), had.Minor()-card.Balance().Minor(), "what the card has paid")
	require.EqualValues(s.t, 1, card.OfflineCounter()-debits, "debits of the card")
	open, err := s.Journal().OpenIntents()
	require.NoError(s.t, err)
	require.Empty(s.t, open)
	completed := 0
	for _, r := range s.records() {
		if r.GetState() == wire.State_STATE_COMPLETED && r.GetOfflineCounter() == uint32(debits) {
			completed++
			require.Equal(s.t, s.kind.fare.Minor(), r.GetAmount())
			require.Equal(s.t, card.Balance().Minor(), r.GetBalanceAfter())
		}
	}
	require.Equal(s.t, 1, completed, "records of the debit")
	require.NoError(s.t, s.Journal().Verify())
}

// commandsOf are the instructions of one whole visit, in their order.
func commandsOf(t *testing.T, k kind) (out []byte) {
	w := newWorld(t, nil)
	w.plain = entry
	card := newCard(t, 1, 20_00, nil)
	if k.since != nil {
		k.since(t, w, card)
	}
	spy := &listing{Field: epcard.Present(card, epcard.Tear{})}
	var r tap.Result
	var err error
	if k.lane == till {
		r, err = w.Sell(t.Context(), k.lane, spy, k.fare, "receipt-1")
	} else {
		r, err = w.Present(t.Context(), k.lane, spy)
	}
	require.NoError(t, err)
	require.Equal(t, tap.Granted, r.Outcome, r.Reason)
	return spy.said
}

// listing is a card that lists what it is told.
type listing struct {
	*epcard.Field
	said []byte
}

func (l *listing) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	l.said = append(l.said, command[1])
	return l.Field.Transmit(ctx, command)
}

// pulledAtEveryCommand pulls a card at each command of each kind of visit, before and after the card has carried it out, and brings it back: to
// the same reader and to the other one in turn, and to both after a DEBIT. The card pays once, the rider is let pass, and journal and card
// agree. unknown is what the reason says of a command without an answer. open gives the two readers of one subtest.
func pulledAtEveryCommand(t *testing.T, unknown string, open func(*testing.T) (one, other hand)) {
	for _, k := range kinds() {
		commands := commandsOf(t, k)
		for i, ins := range commands {
			for _, after := range []bool{false, true} {
				for _, other := range []int{0, 1} {
					debits := ins == 0x54
					if !debits && (i%2 == other) != after {
						continue
					}
					tear := epcard.Tear{At: i + 1, After: after}
					t.Run(fmt.Sprintf("%s, command %d (%02X), after %v, back at %d", k.name, tear.At, ins, after, other), func(t *testing.T) {
						t.Parallel()
						one, two := open(t)
						s := newStack(t, k, one, two)
						card := newCard(t, 1, 20_00, nil)
						if k.since != nil {
							k.since(t, s.world, card)
						}
						had, before := card.Balance(), card.OfflineCounter()
						first := s.present(0, epcard.Present(card, tear))
						paid := card.OfflineCounter() != before
						require.Equal(t, paid, i > bytes.IndexByte(commands, 0x54) || debits && after)
						want := tap.Granted
						switch {
						case i < bytes.IndexByte(commands, 0x54):
							require.Equal(t, tap.PresentAgain, first.Outcome, first.Reason)
							require.Zero(t, first.Tap, "nothing was begun that could have cost anything")
							require.Empty(t, s.pending())
						case debits:
							require.Equal(t, tap.PresentAgain, first.Outcome, first.Reason)
							require.Contains(t, first.Reason, unknown)
							require.NotZero(t, first.Tap)
							require.Len(t, s.pending(), 1)
							if after {
								want = tap.RecoveredGranted
							}
						default: // it had paid, and its proof was here
							require.True(t, first.Outcome == tap.Granted || first.Outcome == tap.PresentAgain, "%v: %s", first.Outcome, first.Reason)
							want = tap.AlreadyPaid
							if first.Outcome == tap.PresentAgain {
								want = tap.RecoveredGranted
							}
						}
						s.away(0, other)
						s.clock.Advance(3 * time.Second)
						if want == tap.AlreadyPaid && k.lane == till { // the till is answered without a card
							again, err := s.Charge(t.Context(), other, k.fare, "receipt-1")
							require.NoError(t, err)
							require.Equal(t, want, again.Outcome, again.Reason)
						} else {
							again := s.present(other, card)
							require.Equal(t, want, again.Outcome, again.Reason)
							if debits {
								require.NotNil(t, again.Recovered)
								require.Equal(t, after, again.Recovered.Completed)
							}
							s.away(other, other)
						}
						s.end(card, had, before)
					})
				}
			}
		}
	}
}

// pending are the open intents.
func (s *stack) pending() []*wire.Record {
	open, err := s.Journal().OpenIntents()
	require.NoError(s.t, err)
	return open
}
