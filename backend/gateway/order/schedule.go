package order

import "time"

// Schedule says when a channel is asked again what became of something.
type Schedule struct {
	// Unknown are the pauses while nobody has said anything. After the last one the slow lane begins.
	Unknown []time.Duration

	// Wait is the pause while the channel waits for the payer, and Waits how often it is taken before the slow lane begins. It is even, not
	// doubling: a payer may take a minute, and that a notification was lost should be known a moment later, whenever that is.
	Wait  time.Duration
	Waits int

	// Slow are the pauses of the slow lane; the last one is repeated until somebody knows.
	Slow []time.Duration

	// Payout are the pauses of a pay-out. After the last one it counts as paid, and the slow lane goes on asking.
	Payout []time.Duration
}

// DefaultSchedule is 1 to 32 seconds, doubling, while nobody knows; 4 seconds for 10 minutes while the payer is awaited; then minutes, up to an hour.
func DefaultSchedule() Schedule {
	return Schedule{
		Unknown: doubling(time.Second, 6),
		Wait:    4 * time.Second,
		Waits:   150,
		Slow:    []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour},
		Payout:  doubling(2*time.Second, 8),
	}
}

func doubling(first time.Duration, n int) []time.Duration {
	var out []time.Duration
	for range n {
		out = append(out, first)
		first *= 2
	}
	return out
}

// Payment is the pause before a payment is asked for again that has been asked for tries times since it came into its state.
func (s Schedule) Payment(state PaymentState, tries int) time.Duration {
	if state == Waiting {
		if tries < s.Waits {
			return s.Wait
		}
		return s.slow(tries - s.Waits)
	}
	return s.fast(s.Unknown, tries)
}

// Operation is the same for a refund, a void, a capture …
func (s Schedule) Operation(tries int) time.Duration { return s.fast(s.Unknown, tries) }

// OfPayout is the same for a pay-out, and whether it counts as paid from now on.
func (s Schedule) OfPayout(tries int) (pause time.Duration, assume bool) {
	return s.fast(s.Payout, tries), tries >= len(s.Payout)
}

// Assumed is the pause before a pay-out is asked for again that counts as paid, and has been asked for tries times since.
func (s Schedule) Assumed(tries int) time.Duration { return s.slow(tries) }

func (s Schedule) fast(steps []time.Duration, tries int) time.Duration {
	if tries < len(steps) {
		return steps[tries]
	}
	return s.slow(tries - len(steps))
}

func (s Schedule) slow(tries int) time.Duration { return s.Slow[min(tries, len(s.Slow)-1)] }

// Slices is into how many slices of time asking is divided among workers: what was made in one minute is one worker's, ten minutes are ten slices.
const Slices = 10

// Slice is the slice of what was made at a time.
func Slice(made time.Time) int { return int(made.Unix() / 60 % Slices) }
