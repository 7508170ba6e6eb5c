package cases_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/cases"
)

// TestTable has every arrow written out a second time, and refuses all others.
func TestTable(t *testing.T) {
	allowed := map[string]cases.State{
		"open proposed":      cases.Proposed,
		"open withdrawn":     cases.Withdrawn,
		"open overcome":      cases.Moot,
		"proposed approved":  cases.Decided,
		"proposed refused":   cases.Open,
		"proposed withdrawn": cases.Withdrawn,
		"proposed overcome":  cases.Moot,
	}
	require.Len(t, cases.Arrows(), len(allowed))
	for _, s := range cases.States {
		for _, e := range cases.Events {
			next, err := cases.Next(s, e)
			if want, is := allowed[fmt.Sprintf("%s %s", s, e)]; is {
				require.NoError(t, err, "%s %s", s, e)
				require.Equal(t, want, next)
				continue
			}
			require.ErrorIs(t, err, cases.ErrState, "%s %s", s, e)
			require.Equal(t, s, next, "a refused move changes nothing")
		}
	}
}

// TestDrawing keeps the drawing in docs/cases.md equal to the table.
func TestDrawing(t *testing.T) {
	page, err := os.ReadFile("../../docs/cases.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "```mermaid\n")
	require.True(t, found)
	drawing, _, found := strings.Cut(rest, "```")
	require.True(t, found)
	want := "stateDiagram-v2\n  [*] --> open\n"
	left := map[cases.State]bool{}
	for _, a := range cases.Arrows() {
		want += fmt.Sprintf("  %s --> %s: %s\n", a.From, a.To, a.On)
		left[a.From] = true
	}
	for _, s := range cases.States {
		if !left[s] {
			want += fmt.Sprintf("  %s --> [*]\n", s)
		}
	}
	require.Equal(t, want, drawing)
}
