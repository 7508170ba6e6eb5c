package topup_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/topup"
)

// TestTable has every arrow written out a second time, and refuses all others.
func TestTable(t *testing.T) {
	allowed := map[string]topup.State{
		"paid authorised":        topup.InProgress,
		"paid given-back":        topup.Refunded,
		"in_progress authorised": topup.InProgress,
		"in_progress proved":     topup.Loaded,
		"in_progress doubted":    topup.Uncertain,
		"in_progress disproved":  topup.Paid,
		"uncertain authorised":   topup.InProgress,
		"uncertain proved":       topup.Loaded,
		"uncertain disproved":    topup.Paid,
	}
	require.Len(t, topup.Arrows(), len(allowed))
	for _, s := range topup.States {
		for _, e := range topup.Events {
			next, err := topup.Next(s, e)
			want, is := allowed[fmt.Sprintf("%s %s", s, e)]
			if is {
				require.NoError(t, err, "%s %s", s, e)
				require.Equal(t, want, next)
				continue
			}
			require.ErrorIs(t, err, topup.ErrState, "%s %s", s, e)
			require.Equal(t, s, next, "a refused move changes nothing")
		}
	}
	_, err := topup.Next("lost", topup.Proved)
	require.ErrorIs(t, err, topup.ErrState)
}

// TestDrawing keeps the drawing in docs/topup.md equal to the table.
func TestDrawing(t *testing.T) {
	page, err := os.ReadFile("../../docs/topup.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "```mermaid\n")
	require.True(t, found)
	drawing, _, found := strings.Cut(rest, "```")
	require.True(t, found)
	want := "stateDiagram-v2\n  [*] --> paid\n"
	ends := map[topup.State]bool{}
	for _, s := range topup.States {
		ends[s] = true
	}
	for _, a := range topup.Arrows() {
		want += fmt.Sprintf("  %s --> %s: %s\n", a.From, a.To, a.On)
		delete(ends, a.From)
	}
	for _, s := range topup.States {
		if ends[s] {
			want += fmt.Sprintf("  %s --> [*]\n", s)
		}
	}
	require.Equal(t, want, drawing)
	for _, s := range topup.States {
		require.Contains(t, string(page), "| `"+string(s)+"` |")
	}
	for _, p := range []topup.Proof{topup.ByTAC, topup.ByProve, topup.ByCounter, topup.ByRecords} {
		require.Contains(t, string(page), "`"+string(p)+"`")
	}
	for _, code := range []string{topup.FindConflict, topup.FindBadTAC, topup.FindAfterReturn, topup.FindCounterBack, topup.FindContradiction, topup.FindAuthFailed} {
		require.Contains(t, string(page), "| `"+code+"` |")
	}
}
