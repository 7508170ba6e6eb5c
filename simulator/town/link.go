package town

import (
	"math/rand/v2"
	"time"
)

// message is one datagram on its way between a terminal and the backend.
type message struct {
	terminal int
	up       bool   // to the backend
	kind     string // "up" or "hello", when up
	raw      []byte
	due      time.Time
}

// link is the network of the town: it loses, doubles, delays and so reorders messages. It keeps nothing across a heal
// but what is already on its way.
type link struct {
	rng    *rand.Rand
	faults *Faults
	queue  []message
	down   map[int]time.Time // terminals without a modem until then
	broken bool              // the broker is down: nobody has a link

	lost, doubled int
}

func newLink(rng *rand.Rand, f *Faults) *link {
	return &link{rng: rng, faults: f, down: map[int]time.Time{}}
}

// connected reports whether a terminal has a link at now.
func (l *link) connected(terminal int, now time.Time) bool {
	return !l.broken && !now.Before(l.down[terminal])
}

// send puts m on the way. A dead modem loses it.
func (l *link) send(m message, now time.Time) {
	if !l.connected(m.terminal, now) || chance(l.rng, l.faults.MessageLost) {
		l.lost++
		return
	}
	copies := 1
	if chance(l.rng, l.faults.MessageDoubled) {
		copies = 2
		l.doubled++
	}
	for range copies {
		c := m
		c.due = now.Add(time.Duration(50+l.rng.IntN(400)) * time.Millisecond)
		if chance(l.rng, l.faults.MessageLate) {
			late := 600
			if l.rng.IntN(8) == 0 {
				late = 4 * 3600
			}
			c.due = c.due.Add(time.Duration(l.rng.IntN(late)) * time.Second)
		}
		l.queue = append(l.queue, c)
	}
}

// cut loses half of what is on its way: a broker has died with it.
func (l *link) cut() {
	kept := l.queue[:0]
	for _, m := range l.queue {
		if l.rng.IntN(2) == 0 {
			kept = append(kept, m)
		} else {
			l.lost++
		}
	}
	l.queue = kept
}

// arrived takes the messages due by now off the link, oldest due time first, ties in the order sent.
func (l *link) arrived(now time.Time) []message {
	var due, rest []message
	for _, m := range l.queue {
		if m.due.After(now) {
			rest = append(rest, m)
		} else {
			due = append(due, m)
		}
	}
	l.queue = rest
	for i := 1; i < len(due); i++ { // insertion sort: stable, and the queue is short
		for j := i; j > 0 && due[j].due.Before(due[j-1].due); j-- {
			due[j], due[j-1] = due[j-1], due[j]
		}
	}
	return due
}

// chance draws one event of probability perMille/1000. Rates are integers so that a replay on another machine cannot
// differ in a rounding.
func chance(rng *rand.Rand, perMille int) bool { return rng.IntN(1000) < perMille }
