package health

import (
	"math"
	"time"
)

// Trial judges one step of a ramp by Wald's sequential test (1945) of two rates: the one at which the cell usually fails, and half. It needs as few
// payments as the proof needs: about six good ones, or two bad ones.
type Trial struct {
	began time.Time
	sum   float64 // of log likelihood ratios; above zero speaks for bad
	good  float64
	bad   float64
	limit float64
	n     int
}

const rampBad = 0.5 // failure rate of a channel that is not back

// NewTrial begins to judge a step at a time, of a cell with a usual failure rate. Where the step before was good, half of the proof is there: two payments that fail by chance among
// the first of a later step, when many come, end no ramp, and three do.
func NewTrial(began time.Time, s Settings, usual float64, step int) Trial {
	usual = min(max(usual, 0.01), rampBad/2)
	t := Trial{
		began: began, bad: math.Log(rampBad / usual), good: math.Log((1 - rampBad) / (1 - usual)),
		limit: math.Log((1 - s.Doubt) / s.Doubt),
	}
	if step > 1 {
		t.sum = -t.limit / 2
	}
	return t
}

// Observe takes one observation of the step in.
func (t *Trial) Observe(failed bool) {
	t.n++
	if failed {
		t.sum += t.bad
	} else {
		t.sum = max(t.sum+t.good, -t.limit) // what is proved need not be proved twice: a turn for the worse shows at once
	}
}

// Judge says whether the step is over: good, bad or neither yet. A good step takes its time, a bad one ends at once.
func (t *Trial) Judge(now time.Time, interval time.Duration) (good, bad bool) {
	return t.sum <= -t.limit && now.Sub(t.began) >= interval, t.sum >= t.limit
}

// Seen counts the observations of the step.
func (t *Trial) Seen() int { return t.n }
