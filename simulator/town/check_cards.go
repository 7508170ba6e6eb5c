package town

import (
	"context"
	"fmt"
	"strings"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// owed is what the terminals' merchants must be owed, by the truth; open is what is claimed and nobody can know of.
type owed struct {
	posted map[ids.MerchantID]money.Amount
	open   map[ids.MerchantID]money.Amount
	orders map[topup.State]money.Amount
}

// checkCards holds each card against its shadow account, slot by slot.
func (w *town) checkCards() owed {
	o := owed{posted: map[ids.MerchantID]money.Amount{}, open: map[ids.MerchantID]money.Amount{}, orders: map[topup.State]money.Amount{}}
	for _, r := range w.riders {
		w.checkCard(r, o)
	}
	return o
}

// slot names a debit of a card by what a posting says of it.
type slot struct {
	counter  uint32
	terminal ids.TerminalID
	amount   money.Amount
}

func (w *town) checkCard(r *rider, o owed) {
	var taps []store.Tap
	w.backend.view(func(ctx context.Context, tx *store.Tx) (err error) {
		taps, err = tx.CardTaps(ctx, r.card.Number())
		return err
	})
	posted, open := map[slot]int{}, map[slot]int{}
	for _, t := range taps {
		s := slot{t.Counter, t.Tap.Terminal, t.Amount}
		switch t.Status {
		case shadowaccount.Stands, shadowaccount.Inferred:
			posted[s]++
			if t.Status == shadowaccount.Inferred {
				w.tally.Inferred++
			}
			o.posted[t.Merchant] = plus(o.posted[t.Merchant], t.Amount)
		case shadowaccount.Open:
			open[s]++
			w.tally.Open++
			o.open[t.Merchant] = plus(o.open[t.Merchant], t.Amount)
		case shadowaccount.Void:
		default:
			w.fail("posting", r.index, "counter %d: a tap of %s is %v, in an honest town", t.Counter, t.Tap.Terminal, t.Status)
		}
	}
	// Each debit that the card committed has one posting. Only while its rider stays away may it be an open question.
	unposted := money.Amount{}
	for _, d := range r.card.debits {
		s := slot{uint32(d.counter), w.terminals[d.terminal].id, d.amount}
		switch n := posted[s]; {
		case n > 1:
			w.fail("posting", r.index, "the debit of %v with counter %d at %s is posted %d times", d.amount, d.counter, s.terminal, n)
		case n == 1:
			posted[s]--
		case r.away && open[s] == 1:
			unposted = plus(unposted, d.amount)
		default:
			w.fail("posting", r.index, "the debit of %v with counter %d at %s is not posted; the card's taps: %s", d.amount, d.counter, s.terminal, describe(taps))
		}
	}
	for s, n := range posted {
		if n > 0 {
			w.fail("posting", r.index, "%v is posted with counter %d for %s, and the card has no such debit", s.amount, s.counter, s.terminal)
		}
	}
	if len(open) > 0 && !r.away {
		w.fail("posting", r.index, "the card came back, and there are still open taps: %s", describe(taps))
	}
	// Loads: what the card took is loaded or on its way, and nothing else is.
	unloaded := w.checkLoads(r, o)
	// So the shadow account is the card's balance, with every difference named.
	shadow := w.backend.cardOf(r.card.Number()).Shadow
	if want := less(plus(r.card.Balance(), unposted), unloaded); shadow != want {
		w.fail("shadow", r.index, "the shadow account holds %v, the card %v, %v of its debits are open and %v of its loads: want %v; %s",
			shadow, r.card.Balance(), unposted, unloaded, want, describe(taps))
	}
	if left := less(r.card.loaded, r.card.spent); left != r.card.Balance() {
		w.fail("value", r.index, "the card took %v, gave %v and holds %v", r.card.loaded, r.card.spent, r.card.Balance())
	}
}

// checkLoads holds a rider's sales against his card's loads, and returns the value on the card that the books have still
// in progress.
func (w *town) checkLoads(r *rider, o owed) (unloaded money.Amount) {
	loaded := money.Amount{}
	for _, s := range r.sales {
		if s.order == "" {
			w.fail("load", r.index, "sale %s was never booked", s.key)
		}
		order, err := w.backend.topup.Order(w.ctx, agent, s.order)
		must(err)
		if order.Amount != s.amount {
			w.fail("load", r.index, "sale %s was of %v, its order is of %v", s.key, s.amount, order.Amount)
		}
		o.orders[order.State] = plus(o.orders[order.State], order.Amount)
		switch order.State {
		case topup.Loaded:
			loaded = plus(loaded, order.Amount)
		case topup.InProgress, topup.Uncertain:
			w.tally.LoadsOpen++
			unloaded = plus(unloaded, order.Amount)
		case topup.Refunded:
			if !s.refunded {
				w.fail("load", r.index, "sale %s is refunded, and nobody did it", s.key)
			}
		}
		if open := order.State != topup.Loaded && order.State != topup.Refunded; open && !r.away {
			w.fail("load", r.index, "the card came back, and load %s is still %s", s.key, order.State)
		}
	}
	// Of what is in progress the card has taken all or nothing: a card has one open load at a time.
	switch onCard := less(r.card.loaded, loaded); {
	case onCard.IsZero():
		return money.Amount{}
	case onCard == unloaded:
		return unloaded
	default:
		w.fail("load", r.index, "the card took loads of %v; %v are booked as loaded and %v as under way", r.card.loaded, loaded, unloaded)
		return money.Amount{}
	}
}

// describe lists a card's taps as the backend has them.
func describe(taps []store.Tap) string {
	var out []string
	for _, t := range taps {
		out = append(out, fmt.Sprintf("%d: %s/%d %v of %v, before %v, said %d, proof %d", t.Counter, t.Tap.Terminal, t.Tap.Tap, t.Status, t.Amount, t.Before, t.Said, t.Proof))
	}
	return strings.Join(out, "\n  ")
}
