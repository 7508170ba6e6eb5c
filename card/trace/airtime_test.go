package trace

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheAirModel holds the formula against a case computed by hand: a 4-APDU purchase at 106 kbit/s.
func TestTheAirModel(t *testing.T) {
	var s Session
	for _, n := range [][2]int{{14, 66}, {5, 32}, {17, 17}, {21, 10}} {
		s = append(s, Exchange{Command: BytesOf(make([]byte, n[0])), Answer: BytesOf(make([]byte, n[1]))})
	}
	require.InDelta(t, 18.35, s.AirTime(Kbit106).Seconds()*1000, 0.1)
	require.Less(t, s.AirTime(Kbit424), s.AirTime(Kbit106)/3)
}
