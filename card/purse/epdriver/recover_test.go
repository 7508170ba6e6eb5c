package epdriver_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/purse/pursetest"
	"github.com/purselane/purselane/simulator/epcard"
)

// TestEqualDebitsOfOneSecondAndThenNothing: a card that logs otherwise than the profile has makes a sale, is torn in an equal one of the same second, and enters a metro elsewhere, which
// debits nothing. Where the second sale was not made, the first one's record fits it all the same, and nobody may call it made.
func TestEqualDebitsOfOneSecondAndThenNothing(t *testing.T) {
	f := family(settings, func(m *epcard.Image) { m.LogCounter = epcard.LogAfter })
	f.Refusals, f.Failures = f.Refusals[:1], f.Failures[:1]
	for at := range 30 {
		for how := range 12 {
			tap := -1
			choose := func(what string, n int) int {
				if what == "terminal" {
					tap++
				}
				choice := map[string][3]int{"taps": {2}, "terminal": {0, 0, 1}, "card": {1, 1, 1}, "torn": {0, 1, 0}, "at": {0, at, 0}, "how": {0, how, 0}, "garbled": {0, 0, 0}, "kind": {0, 0, 2}}[what][max(tap, 0)]
				return min(choice, n-1)
			}
			require.Empty(t, pursetest.Day(f, choose), "command %d, fault %d", at+1, how)
		}
	}
}
