package firmwareconfig

import (
	"fmt"
	"time"
)

// TimeFares says which clock may charge by the time. Where a terminal's is worse, whatever depends on the time costs what it costs at
// the cheapest time (package fare, Doubt). A profile that leaves a field out means the one of [RecommendedTimeFares].
type TimeFares struct {
	WorstClock string        `yaml:"worst_clock"` // "good" or "holdover"
	MaxError   time.Duration `yaml:"max_error"`   // largest bound of its error
}

// RecommendedTimeFares lets a clock charge that was kept within some days.
func RecommendedTimeFares() TimeFares {
	return TimeFares{WorstClock: "holdover", MaxError: 2 * time.Minute}
}

// faults returns what is wrong, each with its field.
func (t TimeFares) faults() (all []error) {
	if t.WorstClock != "good" && t.WorstClock != "holdover" {
		all = append(all, fmt.Errorf("profile: limits.time_fares.worst_clock: %q: want one of good, holdover: a bad clock charges nobody by the time", t.WorstClock))
	}
	if t.MaxError <= 0 || t.MaxError > 10*time.Minute {
		all = append(all, fmt.Errorf("profile: limits.time_fares.max_error: %v: want more than 0s and at most 10m", t.MaxError))
	}
	return all
}
