//go:build pcsc && vpcd

package scenario_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/simulator/scenario"
	"github.com/purselane/purselane/simulator/vpcd"
	"github.com/purselane/purselane/terminal/reader/pcsc"
	"github.com/purselane/purselane/terminal/reader/pcsc/pcsctest"
)

// TestPCSCScenarios has the card in one slot of a real pcscd and the PSAM in the other.
func TestPCSCScenarios(t *testing.T) {
	slot := func(t *testing.T, at pcsctest.Slot) scenario.Slot {
		r, err := pcsc.Open(pcsc.Options{Name: at.Name})
		require.NoError(t, err)
		t.Cleanup(func() { r.Close() })
		return scenario.Slot{Reader: r, Addr: at.Addr, Empty: func() {
			<-time.After(vpcd.AwayTime)
			pcsctest.Empty(t, at.Name)
		}}
	}
	each(t, func(t *testing.T, s *scenario.Scenario) {
		t.Parallel() // each in readers of its own
		first, second := pcsctest.Pair(t)
		ctx, out := context.WithCancel(t.Context())
		cards, sams := slot(t, first), slot(t, second)
		err := scenario.Run(ctx, s, scenario.OverReaders(ctx, cards, sams), t.TempDir())
		out()
		require.NoError(t, err)
	})
}
