package channellife

import (
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/purselane/purselane/backend/gateway/health"
)

// Seeds are where a set of runs begins. Settings and detector were chosen by looking at the first set and are reported on the second; the two never meet. Whoever changes them
// moves the second on: those of a report that was looked at are spent.
type Seeds struct {
	Name  string
	First uint64
}

// The two sets.
var (
	Tuning    = Seeds{"tuning", 1}
	Reporting = Seeds{"reporting", 3_000_001}
)

// window is the length of a healthy window.
const window = 10 * time.Minute

// Figures are what many runs of one mode came to.
type Figures struct {
	Mode     health.Mode
	Faults   int
	Found    int
	Windows  int // healthy ones
	Wrong    int // faults found that were none, in healthy windows and beside true faults
	Response []time.Duration
	Slow     []time.Duration // response of quiet channels
	Recovery []time.Duration
	Again    int
	Lost     int
	Actions  int
	MaxSeen  int
	ByShape  map[Shape]*Figures
}

// Recall is the part of the faults that was found, Precision the part of what was found that was one.
func (f Figures) Recall() float64 { return ratio(f.Found, f.Faults) }

// Precision is 1 where nothing was found.
func (f Figures) Precision() float64 { return ratio(f.Found, f.Found+f.Wrong) }

func ratio(a, b int) float64 {
	if b == 0 {
		return 1
	}
	return float64(a) / float64(b)
}

// Quantile is the value that a part q of the durations does not exceed; zero for none.
func Quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(all))
	return s[min(int(q*float64(len(s))), len(s)-1)]
}

// Size of an experiment: faults of each shape on busy and on quiet channels, and healthy windows.
type Size struct {
	Busy, Quiet int
	Windows     int
}

// Measure plays an experiment of one mode. The healthy windows are played in runs of ten; one in four on a quiet channel.
func Measure(mode health.Mode, seeds Seeds, size Size) Figures {
	var plans []Plan
	add := func(n int, quiet bool, shapes []Shape) {
		for range n {
			for _, s := range shapes {
				plans = append(plans, Plan{Seed: seeds.First + uint64(len(plans)), Shape: s, Quiet: quiet, Mode: mode})
			}
		}
	}
	add(size.Busy, false, Busy)
	add(size.Quiet, true, Quiet)
	for i := range (size.Windows + 9) / 10 {
		plans = append(plans, Plan{Seed: seeds.First + uint64(len(plans)), Healthy: 10 * window, Quiet: i%4 == 3, Mode: mode})
	}
	outcomes := make([]Outcome, len(plans))
	var next int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= len(plans) {
					return
				}
				outcomes[i] = Run(plans[i])
			}
		})
	}
	all.Wait()
	f := Figures{Mode: mode, ByShape: map[Shape]*Figures{}}
	for i, o := range outcomes {
		p := plans[i]
		f.Wrong += o.Wrong
		if p.Shape == "" {
			f.Windows += int(p.Healthy / window)
			continue
		}
		f.add(p, o)
		if f.ByShape[p.Shape] == nil {
			f.ByShape[p.Shape] = &Figures{Mode: mode}
		}
		f.ByShape[p.Shape].Wrong += o.Wrong
		f.ByShape[p.Shape].add(p, o)
	}
	return f
}

func (f *Figures) add(p Plan, o Outcome) {
	f.Faults++
	f.Again, f.Lost, f.Actions, f.MaxSeen = f.Again+o.Again, f.Lost+o.Lost, f.Actions+o.Actions, max(f.MaxSeen, o.MaxSeen)
	if !o.Found && o.Alarms == 0 {
		return
	}
	f.Found++
	if o.Found && p.Quiet {
		f.Slow = append(f.Slow, o.Response)
	} else if o.Found {
		f.Response = append(f.Response, o.Response)
	}
	if o.Returned {
		f.Recovery = append(f.Recovery, o.Recovery)
	}
}
