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
	pcsctest.Private(t)
	slot := func(t *testing.T, name, addr string) scenario.Slot {
		pcsctest.Free(t, name)
		r, err := pcsc.Open(pcsc.Options{Name: name})
		require.NoError(t, err)
		t.Cleanup(func() { r.Close() })
		return scenario.Slot{Reader: r, Addr: addr, Empty: func() {
			<-time.After(vpcd.AwayTime)
			pcsctest.Empty(t, name)
		}}
	}
	each(t, func(t *testing.T, s *scenario.Scenario) {
		ctx, out := context.WithCancel(t.Context())
		cards, sams := slot(t, "Virtual PCD 00 00", "127.0.0.1:35963"), slot(t, "Virtual PCD 00 01", "127.0.0.1:35964")
		err := scenario.Run(ctx, s, scenario.OverReaders(ctx, cards, sams), t.TempDir())
		out()
		sams.Empty()
		require.NoError(t, err)
	})
}
