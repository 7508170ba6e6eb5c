package node_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/node"
)

// TestTheWatchOfThePage reads the settings that docs/findings.md shows.
func TestTheWatchOfThePage(t *testing.T) {
	raw, err := os.ReadFile("../../docs/findings.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(raw), "```yaml\n")
	require.True(t, ok, "the page has lost its example")
	example, _, _ := strings.Cut(rest, "```")
	s, err := node.ParseScheme([]byte(whole + example))
	require.NoError(t, err)
	require.Len(t, s.Watch.Places, 2)
	require.Equal(t, "500.00", s.Watch.MaxAmount.String())
}
