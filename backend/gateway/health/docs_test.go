package health_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/health"
)

// TestTheDocsShowTheTable: the table of moves in the docs is the one in the code.
func TestTheDocsShowTheTable(t *testing.T) {
	page, err := os.ReadFile("../../../docs/channel-health.md")
	require.NoError(t, err)
	rows := ""
	for _, a := range health.Arrows {
		rows += fmt.Sprintf("| %v | %s | %v | %s |\n", a.From, a.On, a.To, a.Does)
	}
	require.Contains(t, string(page), rows)
}
