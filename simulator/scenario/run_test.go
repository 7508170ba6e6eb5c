package scenario_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/simulator/scenario"
	"github.com/purselane/purselane/terminal/reader/socket"
)

// each runs f with every scenario of testdata.
func each(t *testing.T, f func(t *testing.T, s *scenario.Scenario)) {
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			s, err := scenario.Parse(raw)
			require.NoError(t, err)
			f(t, s)
		})
	}
}

func TestInProcess(t *testing.T) {
	each(t, func(t *testing.T, s *scenario.Scenario) {
		require.NoError(t, scenario.Run(t.Context(), s, scenario.InProcess(), t.TempDir()))
	})
}

func TestOverSocketReaders(t *testing.T) {
	each(t, func(t *testing.T, s *scenario.Scenario) {
		open := func() scenario.Slot {
			r, err := socket.Listen("127.0.0.1:0", socket.Options{})
			require.NoError(t, err)
			t.Cleanup(func() { r.Close() })
			return scenario.Slot{Reader: r, Addr: r.Addr().String()}
		}
		require.NoError(t, scenario.Run(t.Context(), s, scenario.OverReaders(t.Context(), open(), open()), t.TempDir()))
	})
}
