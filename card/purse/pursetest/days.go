package pursetest

import (
	"fmt"
	"time"

	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/internal/money"
)

// chooser chooses one of n: 0 to n-1.
type chooser func(what string, n int) int

const (
	terminals = 3
	cards     = 2
	taps      = 14
)

// day is a model of a day: what the terminals know, and what each card lost.
type day struct {
	*report
	f      Family
	bench  Bench
	choose chooser
	open   [terminals][cards]*result // the one debit whose outcome a terminal does not know
	known  [cards]money.Amount       // of completed debits
	unsure [cards]money.Amount       // of those that the card could not tell of, if it made them all
	inside [cards]bool               // the card's trip is open
}

// randomDay taps, tears, comes back and goes elsewhere, and adds up.
func (r *report) randomDay(f Family, choose chooser) {
	d := &day{report: r, f: f, bench: f.New(), choose: choose}
	var start [cards]money.Amount
	for c := range cards {
		start[c] = d.bench.Card(c).Balance()
	}
	for n := range 1 + choose("taps", taps) {
		d.tap(n)
	}
	for t := range terminals {
		for c := range cards {
			r.where = fmt.Sprintf("the end of the day, terminal %d, card %d", t, c)
			d.visit(t, c, fault{}, nil)
			if left := d.open[t][c]; left != nil { // it says neither: the host must find out
				add(&d.unsure[c], left.order.Amount)
			}
		}
	}
	for c := range cards {
		lost, err := start[c].Sub(d.bench.Card(c).Balance())
		most := d.known[c]
		add(&most, d.unsure[c])
		r.want(err == nil && lost.Cmp(d.known[c]) >= 0 && lost.Cmp(most) <= 0, Sums, "card %d lost %v; the terminals know of %v, and are unsure about %v", c, lost, d.known[c], d.unsure[c])
	}
}

func add(sum *money.Amount, a money.Amount) {
	out, err := sum.Add(a)
	if err != nil {
		panic(err) // a day's amounts are small
	}
	*sum = out
}

// tap is one random visit.
func (d *day) tap(n int) {
	t, c := d.choose("terminal", terminals), d.choose("card", cards)
	var x fault
	if d.choose("torn", 3) > 0 {
		xs := d.f.faults(1 + d.choose("at", 30))
		x = xs[d.choose("how", len(xs))]
		if x.how.garbled() && d.choose("garbled", 4) > 0 { // most cards are torn, few are lied about
			x = fault{at: x.at, how: lostAfter}
		}
	}
	var kinds []purse.Kind
	for _, k := range d.f.Kinds {
		if fits := k == purse.Sale || k == purse.BusRide || d.inside[c] == (k == purse.Leave || k == purse.CloseTrip); fits {
			kinds = append(kinds, k)
		}
	}
	o := order(kinds[d.choose("kind", len(kinds))], d.f.At.Add(time.Duration(n/3)*time.Second))
	d.where = fmt.Sprintf("tap %d: %s at terminal %d, card %d, %v", n, kindNames[o.Kind], t, c, x)
	d.visit(t, c, x, &o)
}

// visit settles what is open between the terminal and the card, and makes the order. Nil: none.
func (d *day) visit(t, c int, x fault, o *purse.Order) {
	v, err := d.report.open(d.bench, t, c, x)
	if err != nil {
		d.want(x.how != whole, Works, "Open and Read: %v", err)
		return
	}
	defer v.close()
	if left := d.open[t][c]; left != nil {
		verdict, _, err := v.recover(left.attempt)
		d.verdict(left.took, verdict, err)
		if err != nil {
			return
		}
		d.open[t][c] = nil
		switch verdict {
		case purse.Completed:
			add(&d.known[c], left.order.Amount)
		case purse.Aged:
			add(&d.unsure[c], left.order.Amount)
		}
	}
	if o == nil {
		return
	}
	got := v.debit(*o)
	if got.took {
		switch o.Kind {
		case purse.Enter:
			d.inside[c] = true
		case purse.Leave, purse.LeaveUnmet, purse.CloseTrip:
			d.inside[c] = false
		}
	}
	switch got.known {
	case made:
		add(&d.known[c], o.Amount)
	case unknown:
		d.open[t][c] = &got
	case nothing:
		d.want(x.how != whole, Works, "%v", got.err)
	}
}
