package webhook_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/webhook"
)

// TestDrawing keeps the drawing in docs/webhooks.md equal to the table.
func TestDrawing(t *testing.T) {
	page, err := os.ReadFile("../../../docs/webhooks.md")
	require.NoError(t, err)
	want := "stateDiagram-v2\n"
	for _, a := range webhook.Arrows() {
		want += fmt.Sprintf("  %s --> %s: %s\n", a.From, a.To, a.On)
	}
	_, rest, _ := strings.Cut(string(page), "```mermaid\n")
	got, _, _ := strings.Cut(rest, "```")
	require.Equal(t, want, got)
}
