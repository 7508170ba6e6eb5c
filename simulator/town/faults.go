package town

import "math/rand/v2"

// Faults are rates in events per thousand. Every run draws its own from its seed, so that quiet towns and towns where
// nothing works are both visited.
type Faults struct {
	CardPulled     int // of presentations: the card leaves at a random command, before or after the card has done it
	PowerCut       int // of presentations: power fails at a random journal commit, before or after it
	RiderGone      int // of torn taps: the rider does not present the card again here
	MessageLost    int // of messages
	MessageDoubled int
	MessageLate    int // of messages: minutes late, some of them hours, so overtaken by later ones
	ModemDead      int // of ticks: a terminal loses its link for hours
	BackendDies    int // of backend transactions: it dies before or after the commit
	KioskAnswer    int // of kiosk calls: the answer of the backend is lost
}

func drawFaults(rng *rand.Rand) Faults {
	upTo := func(n int) int {
		if rng.IntN(4) == 0 {
			return 0
		}
		return rng.IntN(n)
	}
	return Faults{
		CardPulled:     upTo(250),
		PowerCut:       upTo(60),
		RiderGone:      upTo(500),
		MessageLost:    upTo(300),
		MessageDoubled: upTo(300),
		MessageLate:    upTo(200),
		ModemDead:      upTo(8),
		BackendDies:    upTo(40),
		KioskAnswer:    upTo(150),
	}
}
