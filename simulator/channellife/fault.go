package channellife

import (
	"math/rand/v2"
	"time"
)

// Shape is how a fault looks from outside.
type Shape string

// Shapes.
const (
	HardDown  Shape = "hard-down"  // every call is refused at once
	BlackHole Shape = "black-hole" // calls get no answer
	SlowDeath Shape = "slow-death" // failures grow from the usual to four in five over ten minutes
	OneBank   Shape = "one-bank"   // the cards of one bank of the channel fail
	CodeStorm Shape = "code-storm" // a good part of the calls ends in an error of the channel
	Latency   Shape = "latency"    // answers take 5 to 20 seconds
	Flapping  Shape = "flapping"   // down and up by turns
	Night     Shape = "night"      // hard down where a payment comes every ten seconds
)

// Shapes lists them; Busy are those of a channel with ten payments a second, Quiet of one with a payment every ten seconds.
var (
	Shapes = []Shape{HardDown, BlackHole, SlowDeath, OneBank, CodeStorm, Latency, Flapping, Night}
	Busy   = []Shape{HardDown, BlackHole, SlowDeath, OneBank, CodeStorm, Latency, Flapping}
	Quiet  = []Shape{HardDown, BlackHole, CodeStorm, Latency, Night}
)

// Fault is a labelled fault: what truly happens, and when.
type Fault struct {
	Shape Shape
	Begin time.Duration // after the run's start
	End   time.Duration
	Depth float64 // CodeStorm: the part that fails
	Bank  int     // OneBank: which
	Swing time.Duration
}

const (
	deathTakes = 10 * time.Minute
	deathDepth = 0.8
)

// draw makes a fault that begins after some time of health and lasts 20 to 60 minutes.
func draw(shape Shape, r *rand.Rand) Fault {
	begin := warmUp + time.Duration(r.Int64N(int64(5*time.Minute)))
	return Fault{
		Shape: shape, Begin: begin, End: begin + 20*time.Minute + time.Duration(r.Int64N(int64(40*time.Minute))),
		Depth: 0.4 + 0.4*r.Float64(), Bank: r.IntN(len(Banks)), Swing: 15*time.Second + time.Duration(r.Int64N(int64(45*time.Second))),
	}
}

// active reports that the fault does harm at a time.
func (f Fault) active(at time.Duration) bool {
	if at < f.Begin || at >= f.End {
		return false
	}
	return f.Shape != Flapping || (at-f.Begin)/f.Swing%2 == 0
}

// Onset is when the fault counts as there: at its begin, and a slow death when more fail than is ever tolerated.
func (f Fault) Onset(usual, worst float64) time.Duration {
	if f.Shape != SlowDeath {
		return f.Begin
	}
	return f.Begin + time.Duration(float64(deathTakes)*(worst-usual)/(deathDepth-usual))
}

// Over is when the channel is truly well again.
func (f Fault) Over() time.Duration {
	if f.Shape != Flapping {
		return f.End
	}
	turn := (f.End - f.Begin - 1) / f.Swing // the one that the end falls into
	if turn%2 == 0 {
		return f.End
	}
	return f.Begin + turn*f.Swing
}

// call is what becomes of one call: whether it fails, and after how long an answer comes.
type call struct {
	failed bool
	takes  time.Duration
}

const never = time.Hour

// answer plays a call of a bank (-1: a probe) at a time.
func (f Fault) answer(at time.Duration, bank int, usual float64, r *rand.Rand) call {
	c := call{failed: r.Float64() < usual, takes: 150*time.Millisecond + time.Duration(r.ExpFloat64()*float64(150*time.Millisecond))}
	if !f.active(at) {
		return c
	}
	switch f.Shape {
	case HardDown, Night, Flapping:
		return call{failed: true, takes: 50 * time.Millisecond}
	case BlackHole:
		return call{failed: true, takes: never}
	case SlowDeath:
		p := usual + (deathDepth-usual)*min(float64(at-f.Begin)/float64(deathTakes), 1)
		c.failed = r.Float64() < p
	case OneBank:
		if bank == f.Bank {
			c.failed = r.Float64() < 0.95
		}
	case CodeStorm:
		c.failed = c.failed || r.Float64() < f.Depth
	case Latency:
		c.takes = 5*time.Second + time.Duration(r.Int64N(int64(15*time.Second)))
	}
	return c
}
