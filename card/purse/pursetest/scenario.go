package pursetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// scenario is a visit that is broken at each command, and what happened to the card before it.
type scenario struct {
	name   string
	before []purse.Order
	orders []purse.Order
}

var kindNames = map[purse.Kind]string{
	purse.Sale: "sale", purse.BusRide: "bus ride", purse.Enter: "enter", purse.Leave: "leave", purse.CloseTrip: "close trip", purse.LeaveUnmet: "leave unmet",
}

// order is one order of a kind.
func order(k purse.Kind, at time.Time) purse.Order {
	o := purse.Order{Kind: k, At: at, Place: purse.Place{Line: [2]byte{0x00, 0x07}, Station: [2]byte{0x01, byte(k)}}, Merchant: "M-1"}
	switch k {
	case purse.Sale:
		o.Amount = money.Minor(125)
	case purse.BusRide:
		o.Amount = money.Minor(200)
	case purse.Enter: // debits nothing
		o.Marked = money.Minor(600)
	case purse.Leave:
		o.Amount = money.Minor(340)
	case purse.CloseTrip:
		o.Amount = money.Minor(600)
	case purse.LeaveUnmet:
		o.Amount = money.Minor(610)
	}
	return o
}

func (f Family) takes(k purse.Kind) bool { return slices.Contains(f.Kinds, k) }

// orders are orders of those kinds that the family takes, minutes apart, the last one at f.At plus its place.
func (f Family) orders(minute int, kinds ...purse.Kind) []purse.Order {
	var out []purse.Order
	for i, k := range kinds {
		if f.takes(k) {
			out = append(out, order(k, f.At.Add(time.Duration(minute+i)*time.Minute)))
		}
	}
	return out
}

// scenarios are one for each kind, on a card that has been used, and two debits in one visit.
func (f Family) scenarios() []scenario {
	var out []scenario
	for _, k := range f.Kinds {
		s := scenario{name: kindNames[k], orders: f.orders(10, k)}
		switch k {
		case purse.Sale:
			s.before = f.orders(0, purse.Enter, purse.BusRide)
		case purse.BusRide, purse.Leave, purse.CloseTrip:
			s.before = f.orders(0, purse.Enter)
		}
		out = append(out, s)
	}
	if f.takes(purse.CloseTrip) && f.takes(purse.Enter) {
		return append(out, scenario{name: "close trip and enter", before: f.orders(0, purse.Enter), orders: f.orders(10, purse.CloseTrip, purse.Enter)})
	}
	k := f.Kinds[0]
	return append(out, scenario{name: "twice " + kindNames[k], orders: f.orders(10, k, k)})
}

// ran is a scenario that was run once.
type ran struct {
	bench   Bench
	visit   *visit
	results []result
}

func (r ran) last() result { return r.results[len(r.results)-1] }

// run runs a scenario on a fresh bench, with a fault in its visit. Not ok: the visit ended before an order began, or the suite could not
// prepare the card.
func (r *report) run(f Family, s scenario, x fault) (ran, bool) {
	out := ran{bench: f.New()}
	for _, o := range s.before {
		if !r.clean(out.bench, o) {
			return out, false
		}
	}
	r.where = fmt.Sprintf("%s, %v", s.name, x)
	var err error
	start := stateOf(out.bench.Card(0))
	if out.visit, err = r.open(out.bench, 0, 0, x); err != nil {
		r.want(x.how != whole, Works, "Open and Read: %v", err)
		r.want(stateOf(out.bench.Card(0)) == start, Early, "the balance moved before Begin")
		return out, false
	}
	for _, o := range s.orders {
		got := out.visit.debit(o)
		out.results = append(out.results, got)
		if got.known != made {
			break
		}
	}
	out.visit.close()
	return out, true
}

// clean is one order in a visit in which nothing goes wrong, at terminal 0.
func (r *report) clean(b Bench, o purse.Order) bool {
	r.where = kindNames[o.Kind] + ", clean"
	v, err := r.open(b, 0, 0, fault{})
	if !r.want(err == nil, Works, "Open and Read: %v", err) {
		return false
	}
	got := v.debit(o)
	v.close()
	return r.want(got.known == made, Works, "%v", got.err)
}

// undisturbed runs the scenario without a fault, and holds what it says and leaves against the card.
func (r *report) undisturbed(f Family, s scenario) (ran, bool) {
	got, ok := r.run(f, s, fault{})
	if !ok || !r.want(len(got.results) == len(s.orders) && got.last().known == made, Works, "%v", got.last().err) {
		return got, false
	}
	last := got.last()
	after := got.bench.Card(0).Balance()
	r.want(last.evidence.Mismatch == "" && !last.evidence.Unread && last.evidence.Balance == after, Debited, "read back %v, unread %v, %q: the card has %v", last.evidence.Balance, last.evidence.Unread, last.evidence.Mismatch, after)
	a, read := last.attempt, got.visit.before.Card
	r.want(a.Family == got.bench.Driver(0).Family(), Works, "attempt of family %q", a.Family)
	r.want(len(a.Application) > 0, Works, "the attempt names no application")
	r.want(a.Card != ids.CardNumber{} && (read == ids.CardNumber{} || a.Card == read), Works, "the attempt is of card %v, the reading of %v", a.Card, read)
	r.trips(got)
	// A debit whose answer came can be asked about as well, and its evidence is still the same one.
	verdict, e, _, err := r.ask(got.bench, 0, 0, last.attempt, fault{})
	r.verdict(true, verdict, err)
	if err == nil && verdict == purse.Completed && e.How == purse.Prove {
		r.want(proof(e) == proof(last.evidence), OneEvidence, "asked again, the card gives another one")
	}
	return got, true
}
