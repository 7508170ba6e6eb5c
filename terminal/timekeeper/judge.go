package timekeeper

import (
	"fmt"
	"time"

	"github.com/purselane/purselane/uplink/wire"
)

// Oldest is before any terminal ran this program. A clock that shows less has lost its battery.
var Oldest = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// Time is what a keeper gives, with all that is to be said of it.
type Time struct {
	At    time.Time
	Bound time.Duration // the true time is within it of At, if those that are believed tell the truth
	State wire.ClockState
	By    Source // whose word is counted on from; Nobody: nobody has told
	// Slewed is how far At is ahead of what is believed: it runs at half speed until that is over, because it never goes back.
	Slewed time.Duration
	// Suspects tells of each source that is not believed, and why.
	Suspects map[Source]string
}

// judge decides what is believed. It is pure but for its own memory, and for one goroutine.
type judge struct {
	Settings
	told     bool
	kept     Reading            // what is believed
	claims   map[Source]Reading // each source's last word, while it stands
	suspects map[Source]string

	floor    time.Time // the newest record
	given    time.Time // the last time given
	givenAt  time.Duration
	givenAny bool
}

func newJudge(s Settings) *judge {
	return &judge{Settings: s.filled(), claims: map[Source]Reading{}, suspects: map[Source]string{}}
}

// hear takes in a reading.
//
//	what it says                                                  | what follows
//	before Oldest, or it cannot tell how wrong it is              | it is a suspect
//	nothing was believed                                          | it is believed
//	fits what is believed                                         | it is believed if it is the better one
//	a weak source, against what a strong one said                 | it is a suspect
//	another time, and others that say so outweigh what is believed | it is believed with them
//	another time by at most Step, and no strong source against it | it is believed
//	another time                                                  | nothing is good until a further source decides
func (j *judge) hear(r Reading) {
	delete(j.claims, r.Source)
	delete(j.suspects, r.Source)
	switch {
	case r.At.Before(Oldest):
		j.suspects[r.Source] = fmt.Sprintf("it says %s, before this program was made", r.At.UTC().Format(time.DateOnly))
		return
	case r.Bound < 0 || r.Bound >= MaxBound:
		j.suspects[r.Source] = fmt.Sprintf("its error of %v is no bound", r.Bound)
		return
	case !j.told:
		j.follow(r)
		return
	}
	kept := j.kept.on(r.Elapsed, j.DriftPPM)
	if kept.span().meets(r.span()) {
		j.claims[r.Source] = r
		if r.Bound < kept.Bound || j.outgrown(kept, r) {
			j.follow(r)
		}
		return
	}
	off := r.At.Sub(kept.At)
	if !r.Source.strong() && kept.Source.strong() {
		j.suspects[r.Source] = fmt.Sprintf("it is %v off what the %s said", off.Round(time.Millisecond), kept.Source)
		return
	}
	allies, best := j.allies(r)
	against := j.supporters(r)
	switch {
	case allies.n > 0 && allies.weight+r.Source.weight() > against.weight:
		j.claims[r.Source] = r
		j.follow(best)
	case off.Abs() <= j.Step && !against.strong:
		j.follow(r)
	default:
		j.claims[r.Source] = r
	}
}

// outgrown reports that a reading is the better one to believe although it is less exact: it is a strong one in the place of a weak one,
// or whoever said what is believed says something else by now.
func (j *judge) outgrown(kept, r Reading) bool {
	own, stands := j.claims[kept.Source]
	turned := stands && !own.on(kept.Elapsed, j.DriftPPM).span().meets(kept.span())
	return r.Bound <= j.Good && (turned || r.Source.strong() && !kept.Source.strong())
}

// withdraw is told that a source says nothing any more. What it said while it was believed still counts, because the stopwatch counts on
// from it; what contradicted does not.
func (j *judge) withdraw(s Source, elapsed time.Duration) {
	if c, ok := j.claims[s]; ok && j.told && !c.on(elapsed, j.DriftPPM).span().meets(j.kept.on(elapsed, j.DriftPPM).span()) {
		delete(j.claims, s)
	}
}

// notBefore is told the time of the newest record.
func (j *judge) notBefore(t time.Time) {
	if t.After(j.floor) {
		j.floor = t
	}
}

// follow believes a reading. Weak words of before that do not fit it are done with.
func (j *judge) follow(r Reading) {
	j.told, j.kept = true, r
	j.claims[r.Source] = r
	for s, c := range j.claims {
		if !s.strong() && !c.on(r.Elapsed, j.DriftPPM).span().meets(r.span()) {
			delete(j.claims, s)
			j.suspects[s] = fmt.Sprintf("it was %v off what the %s says", c.on(r.Elapsed, j.DriftPPM).At.Sub(r.At).Round(time.Millisecond), r.Source)
		}
	}
}

// party is sources that say the same.
type party struct {
	n, weight int
	strong    bool
}

func (p *party) join(s Source) {
	p.n, p.weight, p.strong = p.n+1, p.weight+s.weight(), p.strong || s.strong()
}

// allies are the other sources whose last word fits a reading, and the most exact word of all of them.
func (j *judge) allies(r Reading) (p party, best Reading) {
	best = r
	for s, c := range j.claims {
		c = c.on(r.Elapsed, j.DriftPPM)
		if s == r.Source || !c.span().meets(r.span()) {
			continue
		}
		p.join(s)
		if c.Bound < best.Bound || c.Bound == best.Bound && s < best.Source {
			best = c
		}
	}
	return p, best
}

// supporters are the sources but a reading's own whose last word fits what is believed.
func (j *judge) supporters(r Reading) (p party) {
	kept := j.kept.on(r.Elapsed, j.DriftPPM).span()
	for s, c := range j.claims {
		if s != r.Source && c.on(r.Elapsed, j.DriftPPM).span().meets(kept) {
			p.join(s)
		}
	}
	return p
}

// give is the time now. machine is what the machine's clock shows: it is given, as a bad one, while nobody has told the time.
func (j *judge) give(elapsed time.Duration, machine time.Time) Time {
	t := Time{At: machine, Bound: MaxBound, Suspects: map[Source]string{}}
	for s, why := range j.suspects {
		t.Suspects[s] = why
	}
	whole := span{}
	contradicted := false
	if j.told {
		kept := j.kept.on(elapsed, j.DriftPPM)
		t.At, t.By = kept.At, kept.Source
		whole, contradicted = j.withDoubts(kept, t.Suspects)
	}
	believed := t.At
	t.At = j.forward(believed, elapsed)
	t.Slewed = max(t.At.Sub(believed), 0)
	if j.told {
		t.Bound = min(max(whole.to.Sub(t.At), t.At.Sub(whole.from)), MaxBound)
	}
	t.State = j.stateOf(j.told, contradicted, t.Bound)
	return t
}

// withDoubts is when it may be, with what contradicts. Two sources that agree outvote one that does not.
func (j *judge) withDoubts(kept Reading, suspects map[Source]string) (whole span, contradicted bool) {
	whole = kept.span()
	var doubters party
	for s, c := range j.claims {
		c = c.on(kept.Elapsed, j.DriftPPM)
		if o := c.span(); !o.meets(kept.span()) {
			suspects[s] = fmt.Sprintf("it is %v off what the %s said, and no further source agrees with it", c.At.Sub(kept.At).Round(time.Millisecond), kept.Source)
			doubters.join(s)
			whole = whole.with(o)
		}
	}
	believers := j.supporters(Reading{Elapsed: kept.Elapsed})
	if doubters.n == 0 || believers.n > 1 && believers.weight > doubters.weight {
		return kept.span(), false
	}
	return whole, true
}

// forward is the next time to give: what is believed, or at half speed towards it when that would be a step back. It is never below the
// newest record.
func (j *judge) forward(believed time.Time, elapsed time.Duration) time.Time {
	next := believed
	if j.givenAny {
		if slow := j.given.Add(max(elapsed-j.givenAt, 0) / 2); slow.After(next) {
			next = slow
		}
	}
	if j.floor.After(next) {
		next = j.floor
	}
	j.given, j.givenAt, j.givenAny = next, max(elapsed, j.givenAt), true
	return next
}
