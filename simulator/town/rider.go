package town

import (
	"fmt"
	"time"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/tap"
)

// rider is a person with a card, who knows what he came for and what light he saw.
type rider struct {
	index  int
	card   *card
	inside *place // the metro station that a green light let him in at, nil outside
	poor   bool   // a terminal has told him that his balance does not do
	sales  []*sale
	away   bool // never comes back
}

// intent is one thing a rider wants to pay for once: a boarding, a passing of a gate, a purchase. It is the ground truth
// for "nobody is charged twice".
type intent struct {
	number  int
	rider   *rider
	place   *place
	mode    tap.Mode
	amount  money.Amount // of a sale
	request string       // of a sale: the till's key
	first   time.Time
	tries   int
}

func (in *intent) String() string {
	what := map[tap.Mode]string{tap.BusFlat: "ride", tap.MetroEntry: "enter", tap.MetroExit: "leave", tap.Sale: "buy"}[in.mode]
	return fmt.Sprintf("intent %d (%s at %s)", in.number, what, in.place.name)
}

// patience bounds the tries for one intent, from the first to the last. It is shorter than the profile's same-trip window of
// 30 s, however far two clocks are apart: who comes later than that pays for a new trip, and the rules say so.
const patience = 29*time.Second - 2*clockError

// tillPatience bounds them at a till, where the cashier's request names the sale however long it takes.
const tillPatience = 10 * time.Minute

// next is the rider's next errand: he decides what he wants when he gets there.
func (w *town) next(r *rider) {
	if w.begun >= w.cfg.Taps {
		return
	}
	// He changes, or buys a newspaper. Within the window, on the same line, it would be the same trip.
	wait := 32*time.Second + 2*clockError + time.Duration(w.rng.IntN(180))*time.Second
	if w.rng.IntN(5) > 0 {
		wait = time.Duration(1+w.rng.IntN(150)) * time.Minute
	}
	w.later(wait, func() {
		if w.begun >= w.cfg.Taps {
			return
		}
		if r.poor || w.rng.IntN(20) == 0 {
			w.goLoad(r)
			return
		}
		w.begun++
		w.start(r, w.want(r))
	})
}

// want draws what the rider does next.
func (w *town) want(r *rider) *intent {
	in := &intent{rider: r}
	stations, shop := w.places[2:5], &w.places[5]
	draw := w.rng.IntN(100)
	switch {
	case r.inside != nil && draw < 88:
		in.mode, in.place = tap.MetroExit, &stations[w.rng.IntN(len(stations))]
	case draw < 40: // from inside the metro too: somebody held the gate open for him
		in.mode, in.place = tap.BusFlat, &w.places[w.rng.IntN(2)]
	case draw < 72:
		in.mode, in.place = tap.MetroEntry, &stations[w.rng.IntN(len(stations))]
	case draw < 96:
		in.mode, in.place = tap.Sale, shop
		in.amount = money.Minor(int64(1 + w.rng.IntN(900)))
	default: // he got in without a tap
		in.mode, in.place = tap.MetroExit, &stations[w.rng.IntN(len(stations))]
	}
	return in
}

// start makes the first try for an intent.
func (w *town) start(r *rider, in *intent) {
	w.intents++
	in.number, in.first = w.intents, w.clock.Now()
	if in.mode == tap.Sale {
		in.request = fmt.Sprintf("sale-%d", in.number)
	}
	w.try(r, in, in.place.terminals[w.rng.IntN(len(in.place.terminals))])
}

// try presents the card for an intent at a terminal.
func (w *town) try(r *rider, in *intent, at int) {
	m := w.terminals[at]
	in.tries++
	if m.journal == nil {
		w.log.add(r.index, "%v: %s is dark", in, m.id)
		w.unlucky(r, in, at)
		return
	}
	r.card.terminal, r.card.intent = at, in
	field := present(r.card, w.drawTear(20))
	result, lit := m.present(field, in)
	field.leave()
	w.tally.Presentations++
	if !lit {
		w.log.add(r.index, "%v at %s, try %d: it went dark; balance %v", in, m.id, in.tries, r.card.Balance())
		w.unlucky(r, in, at)
		return
	}
	w.log.add(r.index, "%v at %s, try %d: %v %v, balance %v, counter %d; %s", in, m.id, in.tries, result.Outcome, result.Amount, r.card.Balance(), r.card.OfflineCounter(), result.Reason)
	w.checkLight(r, in, m, result)
	w.checkChargedOnce(r)
	switch {
	case result.Outcome.Pass():
		if result.Outcome == tap.AlreadyPaid || result.Outcome == tap.RecoveredGranted {
			w.tally.AlreadyPaid++
		}
		w.passed(r, in)
	case result.Outcome == tap.PresentAgain:
		w.unlucky(r, in, at)
	case result.Outcome == tap.OutOfService:
		w.tally.OutOfService++
		w.unlucky(r, in, at)
	case result.Outcome == tap.RefusedBalance:
		r.poor = true
		w.next(r)
	default:
		w.fail("outcome", r.index, "%v at %s: %v %s", in, m.id, result.Outcome, result.Reason)
	}
}

// passed is a rider who saw green.
func (w *town) passed(r *rider, in *intent) {
	switch in.mode {
	case tap.MetroEntry:
		r.inside = in.place
	case tap.MetroExit:
		r.inside = nil
	}
	w.next(r)
}

// unlucky is a rider who saw no green light for reasons not his own: he tries again, here or at the other terminal of the
// place, or goes away.
func (w *town) unlucky(r *rider, in *intent, at int) {
	wait := time.Duration(1500+w.rng.IntN(6000)) * time.Millisecond
	enough := patience
	if in.mode == tap.Sale {
		enough = tillPatience
		if w.terminals[at].journal == nil {
			wait += 20 * time.Second
		}
	} else if w.terminals[at].journal == nil || w.rng.IntN(3) == 0 {
		at = in.place.terminals[w.rng.IntN(len(in.place.terminals))]
	}
	if chance(w.rng, w.faults.RiderGone) || w.clock.Now().Add(wait).Sub(in.first) > enough {
		w.log.add(r.index, "%v: he goes away", in)
		if in.mode == tap.MetroExit {
			r.inside = nil // through another's gate
		}
		w.goAway(r)
		return
	}
	w.later(wait, func() { w.try(r, in, at) })
}

// goAway is a rider who has had enough: for now, or now and then for good.
func (w *town) goAway(r *rider) {
	if w.gone < riders/3 && w.rng.IntN(8) == 0 {
		w.gone++
		r.away = true
		w.log.add(r.index, "he never comes back")
		return
	}
	w.next(r)
}

// goLoad is a rider at a kiosk with money in his hand: for a load left over from another day, or a new one.
func (w *town) goLoad(r *rider) {
	for _, s := range r.sales {
		if !s.refunded && w.rng.IntN(2) == 0 && !w.isLoaded(s) {
			w.tryLoad(r, s, 0)
			return
		}
	}
	if r.card.Balance().Cmp(money.Minor(400_00)) > 0 {
		r.poor = false
		w.next(r)
		return
	}
	s := &sale{key: fmt.Sprintf("kiosk-sale-%d-%d", r.index, len(r.sales)+1), amount: money.Minor(int64(5+w.rng.IntN(8)*5) * 100), rider: r}
	r.sales = append(r.sales, s)
	w.log.add(r.index, "he pays %v for load %s", s.amount, s.key)
	w.bookLater(s)
	w.tryLoad(r, s, 0)
}

// isLoaded reports whether the kiosks can learn that a sale's value is on the card. Without a backend they cannot.
func (w *town) isLoaded(s *sale) bool {
	if w.backend.store == nil || s.order == "" {
		return false
	}
	o, err := w.backend.topup.Order(w.ctx, agent, s.order)
	must(err)
	return o.State == "loaded"
}

// tryLoad presents the card at a kiosk until the value is on it or the rider has had enough.
func (w *town) tryLoad(r *rider, s *sale, tries int) {
	if w.visitKiosk(r, s, w.rng.IntN(kiosks)) == loadDone {
		r.poor = false
		w.next(r)
		return
	}
	if tries >= 4 || chance(w.rng, w.faults.RiderGone/2) {
		w.log.add(r.index, "load %s: he goes away", s.key)
		w.goAway(r)
		return
	}
	w.later(time.Duration(2+w.rng.IntN(40))*time.Second, func() { w.tryLoad(r, s, tries+1) })
}
