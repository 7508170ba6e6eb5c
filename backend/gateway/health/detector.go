package health

import (
	"math"
	"time"
)

const (
	looked    = 256   // newest observations that a look goes through
	halfLife  = 20000 // observations after which the usual rate has forgotten half
	priorSeen = 300   // observations that the expected rate is worth at first
	doubted   = 12    // newest observations among which one failure is reason to look closer
	rateSteps = 100   // tolerated rates are told apart to a hundredth
	settles   = 5     // minutes that a rate must have been usual for
)

// Detector finds a fault of one cell in what was seen of it.
//
// It looks at every suffix of the newest 256 observations: the last one, the last two, and so on. So it needs no window length that would be too long
// for a busy cell and too short for a quiet one: a cell that is down for certain shows in its last seven payments, one that lost a third of them in its
// last sixty.
type Detector struct {
	set    Settings
	ring   [looked]seen
	n      int // observations in the ring
	at     int // where the next goes
	usual  float64
	weight float64
	marks  []float64 // the usual rate of the last minutes, the oldest first
	marked time.Time // the newest of them
	rate   int       // of limits
	limits []int
	tables map[int][]int
}

// seen is one observation. part tells the banks of a channel apart, 0 is none.
type seen struct {
	at     time.Time
	failed bool
	probe  bool
	part   int
}

// NewDetector knows nothing of its cell yet.
func NewDetector(s Settings) *Detector {
	return &Detector{set: s, usual: s.Usual, weight: priorSeen, rate: -1, tables: map[int][]int{}}
}

// Evidence is why a fault was called.
type Evidence struct {
	Payments int     // the newest ones
	Failed   int     // of these
	Usual    float64 // failure rate before
	Chance   float64 // of as many failures at the worst rate tolerated
	From     time.Time
}

// Observe takes one observation in and reports whether the cell is faulty by now. Observations come in the order of their times.
func (d *Detector) Observe(at time.Time, failed bool) (Evidence, bool) {
	return d.observe(seen{at: at, failed: failed})
}

func (d *Detector) observe(s seen) (Evidence, bool) {
	if d.n == looked { // the oldest goes out of sight and into the usual rate
		d.learn(s.at, d.ring[d.at].failed)
	} else {
		d.n++
	}
	d.ring[d.at] = s
	d.at = (d.at + 1) % looked
	if !s.failed {
		return Evidence{}, false // a success proves no fault
	}
	return d.look(s.at)
}

// learn moves the usual rate. What is in sight is not learned yet, so that a fault does not become usual while it is looked for.
func (d *Detector) learn(now time.Time, failed bool) {
	x := 0.0
	if failed {
		x = 1
	}
	d.weight = min(d.weight+1, halfLife/math.Ln2)
	d.usual += (x - d.usual) / d.weight
	if d.weight >= 2*priorSeen && now.Sub(d.marked) >= time.Minute {
		d.marked = now
		if d.marks = append(d.marks, d.usual); len(d.marks) > settles {
			d.marks = d.marks[1:]
		}
	}
}

// settled is the usual rate, or what it was some minutes ago where that was less: a channel that dies slowly does not make its own death usual.
func (d *Detector) settled() float64 {
	if len(d.marks) < settles {
		return d.usual
	}
	return min(d.usual, d.marks[0])
}

func (d *Detector) look(now time.Time) (Evidence, bool) {
	tolerated := d.set.tolerated(d.settled())
	rate := int(math.Ceil(tolerated * rateSteps))
	if rate != d.rate {
		if d.tables[rate] == nil {
			d.tables[rate] = limits(looked, float64(rate)/rateSteps, d.set.Alpha)
		}
		d.rate, d.limits = rate, d.tables[rate]
	}
	failed := 0
	for i := 1; i <= d.n; i++ {
		s := d.ring[(d.at-i+looked)%looked]
		if now.Sub(s.at) > d.set.Memory {
			break
		}
		if !s.failed {
			continue // a suffix that begins with a success proves less than the one without it
		}
		failed++
		if failed >= d.limits[i] {
			return Evidence{Payments: i, Failed: failed, Usual: d.usual, Chance: tail(i, failed, float64(rate)/rateSteps), From: s.at}, true
		}
	}
	return Evidence{}, false
}

// Doubtful reports that the newest observations are worse than usual, but prove nothing yet: more should be known soon.
func (d *Detector) Doubtful(now time.Time) bool {
	for i := 1; i <= min(d.n, doubted); i++ {
		if s := d.ring[(d.at-i+looked)%looked]; s.failed && now.Sub(s.at) < d.set.Memory {
			return true
		}
	}
	return false
}

// without counts what was seen since a time of other parts than one.
func (d *Detector) without(part int, since time.Time) (n, failed int) {
	for i := 1; i <= d.n; i++ {
		s := d.ring[(d.at-i+looked)%looked]
		if s.at.Before(since) {
			break
		}
		if s.part == part {
			continue
		}
		n++
		if s.failed {
			failed++
		}
	}
	return n, failed
}

// drop takes what was seen of a part out of sight.
func (d *Detector) drop(part int) {
	var kept []seen
	for i := d.n; i >= 1; i-- {
		if s := d.ring[(d.at-i+looked)%looked]; s.part != part {
			kept = append(kept, s)
		}
	}
	d.n, d.at = len(kept), len(kept)%looked
	copy(d.ring[:], kept)
}

// traffic is how many payments a second are in sight, up to now; 0 where there are too few to say.
func (d *Detector) traffic(now time.Time) float64 {
	n, first := 0, now
	for i := 1; i <= d.n; i++ {
		s := d.ring[(d.at-i+looked)%looked]
		if now.Sub(s.at) > d.set.Memory {
			break
		}
		if !s.probe {
			n, first = n+1, s.at
		}
	}
	if n < 2 || !first.Before(now) {
		return 0
	}
	return float64(n) / now.Sub(first).Seconds()
}

// Usual is the failure rate learned so far.
func (d *Detector) Usual() float64 { return d.usual }

// Window counts what was seen since a time, among the newest 256.
func (d *Detector) Window(since time.Time) (n, failed int) {
	for i := 1; i <= d.n; i++ {
		s := d.ring[(d.at-i+looked)%looked]
		if s.at.Before(since) {
			break
		}
		n++
		if s.failed {
			failed++
		}
	}
	return n, failed
}

// Last is when the newest observation was made; zero for none.
func (d *Detector) Last() time.Time {
	if d.n == 0 {
		return time.Time{}
	}
	return d.ring[(d.at-1+looked)%looked].at
}

// Forget drops what is in sight, and keeps the usual rate: after a fault a cell begins anew.
func (d *Detector) Forget() { d.n = 0 }

// Bound is the range in which the success rate of n payments of which some failed lies, by Wilson's score interval with z standard deviations. It is for
// people's eyes; faults are called by the exact tail.
func Bound(n, failed int, z float64) (lo, hi float64) {
	if n == 0 {
		return 0, 1
	}
	return BoundOf(float64(n-failed)/float64(n), float64(n), z)
}

// BoundOf is [Bound] of a success rate p that m payments stand for.
func BoundOf(p, m, z float64) (lo, hi float64) {
	mid := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return max(mid-half, 0), min(mid+half, 1)
}
