package webhook

import "time"

// schedule is how long after a failed attempt the next one follows: short at first, because most endpoints are away for the length of a restart, and a day in all.
var schedule = []time.Duration{
	5 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute,
	10 * time.Minute, 10 * time.Minute, 10 * time.Minute, 10 * time.Minute, 10 * time.Minute,
	time.Hour, time.Hour, time.Hour, time.Hour, time.Hour,
	6 * time.Hour, 6 * time.Hour, 6 * time.Hour,
}

// Schedule lists how long after a failed attempt the next one follows, from the first on. After the last a message is dead.
func Schedule() []time.Duration { return append([]time.Duration(nil), schedule...) }

// pause is how long to wait after so many failed attempts; false: there is none left.
func pause(attempts int) (time.Duration, bool) {
	if attempts > len(schedule) {
		return 0, false
	}
	return schedule[attempts-1], true
}
