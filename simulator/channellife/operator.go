package channellife

import (
	"math/rand/v2"
	"time"
)

// Operator is a model of the person who watches channels where these do not move by themselves. It is a model: the paces are ours, chosen near what was
// published of such teams (see docs/channel-health.md), and no more than that.
type Operator struct {
	r    *rand.Rand
	acts time.Duration // when the next action is due; 0: none
	off  bool          // it is to be switched off, else on
	by   int           // actions so far
}

// between is an even draw.
func between(r *rand.Rand, lo, hi time.Duration) time.Duration {
	return lo + time.Duration(r.Int64N(int64(hi-lo)))
}

// alarmed has the person look at an alarm and switch off.
func (o *Operator) alarmed(at time.Duration) {
	if o.acts == 0 {
		o.acts, o.off = at+between(o.r, 2*time.Minute, 10*time.Minute)+between(o.r, 5*time.Minute, 20*time.Minute), true
	}
}

// out has the person ask the bank, later.
func (o *Operator) out(at time.Duration) {
	o.acts, o.off = at+between(o.r, 30*time.Minute, 90*time.Minute), false
}
