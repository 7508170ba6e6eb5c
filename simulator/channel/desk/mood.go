package desk

import (
	"slices"
	"time"

	sim "github.com/purselane/purselane/simulator/channel"
)

// mood is how a channel is: what goes wrong, under a name.
type mood struct {
	name, says string
	gone       bool
	faults     func(sick string) sim.Faults
}

// slowness is longer than a call may take before it counts against its channel (docs/channel-health.md).
const slowness = 5 * time.Second

// moods are all there are, the usual one first.
var moods = []mood{
	{name: "well", says: "everything goes well", faults: func(string) sim.Faults { return sim.Faults{} }},
	{name: "gone", says: "no connection can be made", gone: true, faults: func(string) sim.Faults { return sim.Faults{} }},
	{name: "sick", says: "every second payment is answered with an error of the channel", faults: func(code string) sim.Faults {
		return sim.Faults{Errors: map[string]map[string]float64{"": {code: 0.5}}}
	}},
	{name: "slow", says: "every answer takes five seconds", faults: func(string) sim.Faults { return sim.Faults{Latency: slowness} }},
	{name: "mute", says: "what is asked is done, and every third answer is lost", faults: func(string) sim.Faults { return sim.Faults{CutAfter: 1. / 3} }},
	{name: "untold", says: "no notification arrives", faults: func(string) sim.Faults { return sim.Faults{NotifyLost: 1} }},
	{name: "twice", says: "every notification comes twice", faults: func(string) sim.Faults { return sim.Faults{NotifyDoubled: 1} }},
	{name: "forged", says: "a changed copy comes before every notification", faults: func(string) sim.Faults { return sim.Faults{NotifyForged: 1} }},
	{name: "late", says: "payers can still pay what has expired or was closed", faults: func(string) sim.Faults { return sim.Faults{LateSuccess: true} }},
}

func moodOf(name string) (mood, bool) {
	at := slices.IndexFunc(moods, func(m mood) bool { return m.name == name })
	if at < 0 {
		return mood{}, false
	}
	return moods[at], true
}
