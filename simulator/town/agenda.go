package town

import (
	"slices"
	"time"
)

// appointment is something that happens at a moment.
type appointment struct {
	at time.Time
	do func()
}

// agenda is what is yet to happen, earliest first; of one moment, what was entered first.
type agenda struct{ list []appointment }

func (a *agenda) add(at time.Time, do func()) {
	i, _ := slices.BinarySearchFunc(a.list, at, func(p appointment, at time.Time) int {
		if p.at.After(at) {
			return 1
		}
		return -1 // equal ones go behind those already there
	})
	a.list = slices.Insert(a.list, i, appointment{at, do})
}

// next is the earliest moment, zero for an empty agenda.
func (a *agenda) next() time.Time {
	if len(a.list) == 0 {
		return time.Time{}
	}
	return a.list[0].at
}

// take returns the first appointment that is due by now.
func (a *agenda) take(now time.Time) (func(), bool) {
	if len(a.list) == 0 || a.list[0].at.After(now) {
		return nil, false
	}
	do := a.list[0].do
	a.list = a.list[1:]
	return do, true
}
