package topup_test

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/card/ep"
)

// weather is a desk whose callers are honest and whose network is not: calls come late, twice, or in another order, and
// answers are lost. truth is what the cards did.
type weather struct {
	*desk
	rt     *rapid.T
	orders []string
	amount map[string]int64
	field  map[byte]*field
	truth  map[string]byte // order → the card it is on
	flight []func()        // calls under way, their callers gone
	sent   []func()        // every call ever made: any may come again
}

func (w *weather) draw(label string, of int) int { return rapid.IntRange(0, of-1).Draw(w.rt, label) }

func (w *weather) anyOrder() string { return w.orders[w.draw("order", len(w.orders))] }

func (w *weather) anyCard() byte { return byte(1 + w.draw("card", 2)) }

// send makes a call: it arrives now and is answered, or its answer is lost, or it is still under way. It reports whether
// the caller has the answer.
func (w *weather) send(call func()) bool {
	w.sent = append(w.sent, call)
	switch w.draw("network", 4) {
	case 0:
		w.flight = append(w.flight, call)
		return false
	case 1:
		call()
		return false
	}
	call()
	return true
}

// begin asks card n for a load of the order, and credits it if MAC2 comes back.
func (w *weather) begin(id string, n byte) {
	f := w.field[n]
	init := f.init(w.amount[id], kiosk)
	var a topup.Authorisation
	var err error
	if !w.send(func() { a, err = w.topup.Authorise(w.ctx, bus, id, init) }) || err != nil {
		return
	}
	tac, err := f.card.CreditLoad(w.ctx, a.DateTime, a.MAC2)
	require.NoError(w.rt, err, "the card is still in its session, and MAC2 is for it")
	w.truth[id] = n
	if w.draw("tear", 3) > 0 {
		w.confirm(id, tac)
	}
}

func (w *weather) confirm(id string, tac ep.MAC) {
	w.send(func() {
		_, err := w.topup.Confirm(w.ctx, bus, id, tac)
		require.NoError(w.rt, err, "a TAC of an honest card always stands")
	})
}

// look shows card n to a kiosk, which settles what is open by whatever evidence it can get.
func (w *weather) look(n byte) {
	f := w.field[n]
	shown := f.init(1, kiosk)
	var info topup.CardInfo
	var err error
	if !w.send(func() { info, err = w.topup.Lookup(w.ctx, metro, shown) }) {
		return
	}
	require.NoError(w.rt, err)
	if info.Open == nil {
		return
	}
	w.settle(f, shown, *info.Open, w.send)
}

func (w *weather) settle(f *field, shown topup.CardInit, open topup.OpenLoad, send func(func()) bool) {
	var e topup.Evidence
	switch moved := shown.Counter > open.Counter; {
	case moved && w.draw("evidence", 2) == 0:
		e.Init = &shown
	case moved:
		// PROVE answers for the card's last load only; that is the open one, since a card has one at a time.
		tac := f.prove(open.Counter + 1)
		e.TAC = &tac
	default:
		fresh := f.init(1, open.Challenge)
		e.Init = &fresh
	}
	send(func() {
		_, err := w.topup.Resolve(w.ctx, metro, open.Order, e)
		for _, expected := range []error{topup.ErrChallenge, topup.ErrOtherCard, topup.ErrStale} { // it came too late: another session has begun
			if errors.Is(err, expected) {
				return
			}
		}
		require.NoError(w.rt, err)
	})
}

// check holds the orders against what the cards did, and the books against the orders.
func (w *weather) check() {
	want := map[topup.State]int64{}
	shadow := map[byte]int64{}
	for _, id := range w.orders {
		state := w.state(id)
		want[state] += w.amount[id]
		n, credited := w.truth[id]
		switch state {
		case topup.Loaded:
			require.True(w.rt, credited, "order %s is loaded, and on no card", id)
			shadow[n] += w.amount[id]
		case topup.Paid, topup.Refunded:
			require.False(w.rt, credited, "order %s is %s, and on card %d", id, state, n)
		}
	}
	sold := want[topup.Paid] + want[topup.InProgress] + want[topup.Uncertain] + want[topup.Loaded]
	require.Equal(w.rt, booked(sold/100, want[topup.Paid]/100, (want[topup.InProgress]+want[topup.Uncertain])/100, want[topup.Loaded]/100), w.accounts())
	for n := range w.cards {
		require.Equal(w.rt, shadow[n], w.shadow(n))
	}
	for _, code := range w.codes() {
		// A call that comes late may look like a card that went back. Nothing else is suspicious about honest cards.
		require.Equal(w.rt, topup.FindCounterBack, code)
	}
}

// TestAnyWeather makes calls in any order over a network that loses, delays and doubles. No order ever says of a card what is not so,
// and once the weather is over and the cards are shown again, every order is settled as its card says.
func TestAnyWeather(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		require.NoError(t, err)
		w := &weather{desk: newDesk(rt, dir), rt: rt, amount: map[string]int64{}, field: map[byte]*field{}, truth: map[string]byte{}}
		defer w.store.Close()
		for n := range w.cards {
			w.field[n] = w.present(n)
		}
		create := func(*rapid.T) {
			units := int64(1 + w.draw("units", 3))
			id := w.order(bus, fmt.Sprint("sale-", len(w.orders)), units*100)
			w.orders = append(w.orders, id)
			w.amount[id] = units * 100
		}
		create(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"":        func(*rapid.T) { w.check() },
			"create":  create,
			"present": func(*rapid.T) { n := w.anyCard(); w.field[n] = w.present(n) },
			"begin":   func(*rapid.T) { w.begin(w.anyOrder(), w.anyCard()) },
			"begin 1": func(*rapid.T) { w.begin(w.orders[0], 1) },
			"look":    func(*rapid.T) { w.look(w.anyCard()) },
			"look 1":  func(*rapid.T) { w.look(1) },
			"doubt": func(*rapid.T) {
				id := w.anyOrder()
				w.send(func() { _, err := w.topup.Uncertain(w.ctx, bus, id); require.NoError(w.rt, err) })
			},
			"refund": func(*rapid.T) {
				id := w.anyOrder()
				w.send(func() { _, _ = w.topup.Refund(w.ctx, bus, id) }) // whether it may is the table's business
			},
			"time": func(*rapid.T) { w.clock.Advance(time.Duration(w.draw("seconds", 150)) * time.Second) },
			"age":  func(*rapid.T) { require.NoError(w.rt, w.topup.Sweep(w.ctx)) },
			"arrive": func(*rapid.T) {
				if len(w.flight) == 0 {
					return
				}
				i := w.draw("which", len(w.flight))
				call := w.flight[i]
				w.flight = append(w.flight[:i], w.flight[i+1:]...)
				call()
			},
			"again": func(*rapid.T) {
				if len(w.sent) > 0 {
					w.sent[w.draw("which", len(w.sent))]()
				}
			},
			"die": func(*rapid.T) { w.restart() },
		})
		for _, call := range w.flight {
			call()
		}
		w.check()
		for n := range w.cards {
			f := w.present(n)
			shown := f.init(1, kiosk)
			info, err := w.topup.Lookup(w.ctx, metro, shown)
			require.NoError(rt, err)
			if info.Open != nil {
				w.settle(f, shown, *info.Open, func(call func()) bool { call(); return true })
			}
			require.Equal(rt, w.balance(n), w.shadow(n))
		}
		w.check()
		for _, id := range w.orders {
			require.False(rt, w.state(id).Open(), "order %s is settled", id)
		}
	})
}
