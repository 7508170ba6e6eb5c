package watch

import (
	"slices"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// recent is what the watch knows by heart of cards that were plain when it looked: when their latest taps were, so that a tap is told to be of no crowd without asking for the taps
// before it. It is never more than a cache. Another watch that gets on voids it, cards that tap seldom fall out of it, and where it is not sure the store is asked.
//
// What it knows of a card are all taps of the groups that were looked at since, perhaps some twice, and of those before as many of the latest as fit.
type recent struct {
	crowds []shadowaccount.Crowd
	least  money.Amount // of one debit that may be too much
	limit  bool         // there is one
	keep   int          // times of a card
	most   int          // cards of a generation
	now    map[ids.CardNumber]*store.Times
	before map[ids.CardNumber]*store.Times // the generation before: a card that taps again goes to the new one
}

// recentCards is how many cards a generation of recent has: some 20 MB.
const recentCards = 100_000

func newRecent(l shadowaccount.Limits) *recent {
	r := &recent{crowds: l.Crowds(), most: recentCards, keep: 1}
	r.least, r.limit = l.Least()
	for _, c := range r.crowds {
		r.keep = max(r.keep, 2*c.Taps) // a tap that comes a little late has still as many before it as a crowd needs
	}
	r.forget()
	return r
}

func (r *recent) forget() {
	r.now, r.before = map[ids.CardNumber]*store.Times{}, map[ids.CardNumber]*store.Times{}
}

// know notes a card's latest times.
func (r *recent) know(n ids.CardNumber, times store.Times) {
	if len(r.now) >= r.most {
		r.before, r.now = r.now, make(map[ids.CardNumber]*store.Times, r.most)
	}
	r.now[n] = &times
}

// quiet takes in a card's new taps, and reports whether it is sure that it makes no crowd of them and that none took too much. A card that it does not know it is not sure of.
func (r *recent) quiet(n ids.CardNumber, taps []spent) (quiet, known bool) {
	l := r.now[n]
	if l == nil {
		if l = r.before[n]; l == nil {
			return false, false
		}
		r.know(n, *l)
		l = r.now[n]
	}
	quiet = true
	first := len(l.Latest) + len(taps) // of the new ones, as they stand among the times
	for _, t := range taps {
		if r.limit && t.amount.Cmp(r.least) > 0 {
			quiet = false
		}
		if s := (shadowaccount.Stamp{AtMS: t.atMS, Sure: shadowaccount.Bounded}); !s.Proves() || len(r.crowds) == 0 {
			continue // nor does the store make a crowd of it
		}
		i, _ := slices.BinarySearch(l.Latest, t.atMS)
		if i == 0 && !l.All {
			quiet = false // nobody knows what is about it
			continue
		}
		l.Latest = slices.Insert(l.Latest, i, t.atMS)
		if first >= i {
			first = i
		}
	}
	quiet = quiet && !r.crowded(l, first)
	if over := len(l.Latest) - r.keep; over > 0 {
		l.Latest, l.All = slices.Clone(l.Latest[over:]), false
	}
	return quiet, true
}

// crowded reports whether there may be a crowd with a time from first on.
func (r *recent) crowded(l *store.Times, first int) bool {
	for _, c := range r.crowds {
		for i := first; i < len(l.Latest); i++ {
			switch {
			case i >= c.Taps && l.Latest[i]-l.Latest[i-c.Taps] <= c.WithinMS:
				return true
			case i < c.Taps && !l.All && l.Latest[i]-l.Latest[0] <= c.WithinMS:
				return true // it may have begun before what is known
			}
		}
	}
	return false
}
