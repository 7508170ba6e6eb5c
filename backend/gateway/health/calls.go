package health

import (
	"slices"
	"time"
)

// Calls are the calls of channels that have no answer yet. A channel that swallows calls without a word shows itself by what is late, long before the
// calls time out: each call that is late counts as failed, once, and its end then counts no more. It is not safe for concurrent use.
type Calls struct {
	open map[uint64]call
	next uint64
}

type call struct {
	cell  Cell
	began time.Time
	late  bool
}

// Began notes a call and returns its number.
func (c *Calls) Began(cell Cell, at time.Time) uint64 {
	if c.open == nil {
		c.open = map[uint64]call{}
	}
	c.next++
	c.open[c.next] = call{cell: cell, began: at}
	return c.next
}

// Ended takes a call away and reports whether its end is an observation: a late call has been one.
func (c *Calls) Ended(number uint64) bool {
	x, open := c.open[number]
	delete(c.open, number)
	return open && !x.late
}

// Late lists an observation for each call that has just become late, in the order in which they began.
func (c *Calls) Late(now time.Time, slow func(Cell) time.Duration) []Observation {
	var late []uint64
	for n, x := range c.open {
		if !x.late && now.Sub(x.began) > slow(x.cell) {
			late = append(late, n)
		}
	}
	slices.Sort(late)
	out := make([]Observation, len(late))
	for i, n := range late {
		x := c.open[n]
		x.late = true
		c.open[n] = x
		out[i] = Observation{At: now, Cell: x.cell, Failed: true}
	}
	return out
}
