package cardlife_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/cardlife"
)

// TestTable has every arrow written out a second time, and refuses all others.
func TestTable(t *testing.T) {
	allowed := map[string]cardlife.State{
		"requested approved":   cardlife.Settling,
		"requested withdrawn":  cardlife.Cancelled,
		"settling withdrawn":   cardlife.Cancelled,
		"settling due":         cardlife.Released,
		"settling due-off":     cardlife.WrittenOff,
		"settling due-nothing": cardlife.Empty,
	}
	require.Len(t, cardlife.Arrows(), len(allowed))
	for _, s := range cardlife.States {
		for _, e := range cardlife.Events {
			next, err := cardlife.Next(s, e)
			if want, is := allowed[fmt.Sprintf("%s %s", s, e)]; is {
				require.NoError(t, err, "%s %s", s, e)
				require.Equal(t, want, next)
				continue
			}
			require.ErrorIs(t, err, cardlife.ErrState, "%s %s", s, e)
			require.Equal(t, s, next, "a refused move changes nothing")
		}
	}
}

// TestDrawing keeps the drawing in docs/card-life.md equal to the table.
func TestDrawing(t *testing.T) {
	page, err := os.ReadFile("../../docs/card-life.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "```mermaid\n")
	require.True(t, found)
	drawing, _, found := strings.Cut(rest, "```")
	require.True(t, found)
	want := "stateDiagram-v2\n  [*] --> requested\n"
	left := map[cardlife.State]bool{}
	for _, a := range cardlife.Arrows() {
		want += fmt.Sprintf("  %s --> %s: %s\n", a.From, a.To, a.On)
		left[a.From] = true
	}
	for _, s := range cardlife.States {
		if !left[s] {
			want += fmt.Sprintf("  %s --> [*]\n", s)
		}
	}
	require.Equal(t, want, drawing)
}
