package trace

import "time"

// Bit rates of ISO/IEC 14443 as the divisor D of its part 3 and 4: 106 and 424 kbit/s.
const (
	Kbit106 = 1
	Kbit424 = 4
)

// AirTime models what a session takes on the air of ISO/IEC 14443 type A at a bit rate of 106 kbit/s times d: carrier 13.56 MHz, a bit of 128/(fc D), 9 bits a
// byte and a start and an end, 3 bytes of each block beside the APDU, and the shortest frame delay, 1172/fc, each way. The card's own time is not in it.
func (s Session) AirTime(d float64) time.Duration {
	const fc = 13.56e6
	seconds := 0.0
	for _, x := range s {
		for _, bytes := range []int{x.Command.Len(), x.Answer.Len()} {
			seconds += float64(9*(bytes+3)+2)*128/(fc*d) + 1172/fc
		}
	}
	return time.Duration(seconds * 1e9).Round(100 * time.Microsecond)
}
