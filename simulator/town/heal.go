package town

import (
	"context"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/client"
)

// heal ends the faults. Everybody who still has business comes once more, but for some who never do; then everything that
// is owed must arrive by itself.
func (w *town) heal() {
	*w.faults = Faults{}
	clear(w.link.down)
	w.log.add(nobody, "the faults stop")
	for _, m := range w.terminals {
		m.relink(w.clock.Now())
	}
	for _, r := range w.riders {
		if !r.away && w.rng.IntN(100) < 15 {
			r.away = true
			w.log.add(r.index, "he never comes back")
		}
		if r.away {
			continue
		}
		// Not before every backend and terminal that is down is up again.
		w.later(time.Duration(15+w.rng.IntN(60))*time.Minute, func() { w.comeBack(r) })
	}
	end := w.clock.Now().Add(48 * time.Hour)
	for !w.quiet() {
		if w.clock.Now().After(end) {
			w.fail("drain", nobody, "two days after the last fault there is still something under way: %s", w.underWay())
		}
		w.step()
	}
	for range 3 { // what is posted may settle loads, and these what taps are worth
		w.backend.age()
		w.backend.idle = false
		if !w.backend.post() {
			w.fail("drain", nobody, "the backend does not post, with no fault left")
		}
	}
}

// comeBack is a rider's last day: the loads he paid for, or his money back, and one tap.
func (w *town) comeBack(r *rider) {
	for _, s := range r.sales {
		if s.refunded || w.isLoaded(s) {
			continue
		}
		w.later(time.Duration(1+w.rng.IntN(300))*time.Second, func() { w.finishLoad(r, s) })
		return
	}
	w.later(time.Duration(1+w.rng.IntN(300))*time.Second, func() {
		if r.card.Balance().Cmp(money.Minor(20_00)) < 0 {
			s := &sale{key: fmt.Sprintf("kiosk-last-%d", r.index), amount: money.Minor(50_00), rider: r}
			r.sales = append(r.sales, s)
			w.finishLoad(r, s)
			return
		}
		in := &intent{rider: r, mode: tap.BusFlat, place: &w.places[w.rng.IntN(2)]}
		if w.rng.IntN(2) == 0 {
			in.mode, in.place, in.amount = tap.Sale, &w.places[5], money.Minor(1)
		}
		w.start(r, in)
	})
}

// finishLoad loads what was paid for, or sometimes gives the money back where nothing is under way.
func (w *town) finishLoad(r *rider, s *sale) {
	if s.order != "" && w.rng.IntN(6) == 0 {
		o, err := w.backend.topup.Order(w.ctx, agent, s.order)
		must(err)
		if o.State == "paid" {
			_, err := w.backend.topup.Refund(w.ctx, agent, s.order)
			must(err)
			s.refunded = true
			w.tally.Refunds++
			w.log.add(r.index, "load %s: he has his %v back", s.key, s.amount)
			w.comeBack(r)
			return
		}
	}
	if w.visitKiosk(r, s, w.rng.IntN(kiosks)) != loadDone {
		w.fail("load", r.index, "load %s does not work, with no fault left", s.key)
	}
	w.comeBack(r)
}

// quiet reports that nothing is under way any more.
func (w *town) quiet() bool { return w.underWay() == "" }

// underWay says what is, "" for nothing.
func (w *town) underWay() string {
	if w.errands > 0 {
		return fmt.Sprintf("%d errands of riders and kiosks", w.errands)
	}
	if n := len(w.link.queue); n > 0 {
		return fmt.Sprintf("%d messages on the link", n)
	}
	for _, m := range w.terminals {
		if m.journal == nil {
			return fmt.Sprintf("%s is dark", m.id)
		}
		if s := m.sender.Stats(); s.State != client.Sending || s.Backlog > 0 || s.InFlight > 0 || s.Waiting > 0 {
			return fmt.Sprintf("%s is %v, %d records without a receipt, %d batches under way, %d wait for a hole", m.id, s.State, s.Backlog, s.InFlight, s.Waiting)
		}
	}
	if w.backend.store == nil {
		return "the backend is dead"
	}
	if n := w.backend.pending(); n > 0 {
		return fmt.Sprintf("%d accepted records are not posted", n)
	}
	review := 0
	w.backend.view(func(ctx context.Context, tx *store.Tx) error {
		cards, err := tx.CardsToReview(ctx, riders)
		review = len(cards)
		return err
	})
	if review > 0 {
		return fmt.Sprintf("%d cards wait to be decided again", review)
	}
	return ""
}
