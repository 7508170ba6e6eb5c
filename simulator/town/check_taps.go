package town

import (
	"github.com/purselane/purselane/terminal/tap"
)

// The checks of this file are made after every presentation, while the card's last events still tell why.

// checkLight holds a light against the truth: green promises a record that survives a power cut, and a card that has paid for
// this very intent. Only a gate that took the fare and never opened may open later, for the same fare.
func (w *town) checkLight(r *rider, in *intent, m *terminal, result tap.Result) {
	if !result.Outcome.Pass() {
		return
	}
	if result.Tap.Tap != 0 && !m.completed(result.Tap.Tap) {
		w.fail("light", r.index, "%v: %s shows %v for %v, and its journal holds no completed record of that tap", in, m.id, result.Outcome, result.Tap)
	}
	for i := len(r.card.debits) - 1; i >= 0; i-- {
		if r.card.debits[i].intent == in {
			return
		}
	}
	if in.mode == tap.MetroExit && result.Outcome == tap.RecoveredGranted && w.unseenExit(r, m) {
		return
	}
	w.fail("light", r.index, "%v: %s shows %v, and the card has debited nothing for it", in, m.id, result.Outcome)
}

// unseenExit reports whether the card's last act in the metro was to leave by this gate.
func (w *town) unseenExit(r *rider, m *terminal) bool {
	for i := len(r.card.debits) - 1; i >= 0; i-- {
		if d := r.card.debits[i]; d.intent.place.mode == tap.MetroEntry {
			return d.intent.mode == tap.MetroExit && d.terminal == m.index
		}
	}
	return false
}

// checkChargedOnce holds the newest debits of a card against what its rider wanted: one intent, one debit, over all
// terminals. Entering the metro may cost two: what a trip never closed still owed, and the entry itself, of nothing.
func (w *town) checkChargedOnce(r *rider) {
	n := len(r.card.debits)
	if n == 0 {
		return
	}
	newest := r.card.debits[n-1]
	in := newest.intent
	same := 0
	for i := n - 1; i >= 0 && r.card.debits[i].intent == in; i-- {
		if d := r.card.debits[i]; in.mode == tap.MetroEntry && d.amount.Sign() > 0 {
			if !d.tripOpen {
				w.fail("charged twice", r.index, "%v: %v taken at the entry, and the card had no open trip", in, d.amount)
			}
			continue
		}
		same++
	}
	if same > 1 {
		w.fail("charged twice", r.index, "%v: the card has paid %d times for it, last %v at %s", in, same, newest.amount, w.terminals[newest.terminal].id)
	}
	if in.mode != tap.MetroEntry || newest.amount.IsZero() {
		return
	}
	for i := n - 2; i >= 0 && r.card.debits[i].intent == in; i-- {
		if r.card.debits[i].amount.Sign() > 0 {
			w.fail("charged twice", r.index, "%v: the open trip before it was closed twice", in)
		}
	}
}
