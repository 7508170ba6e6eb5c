package risk_test

import (
	"os"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/risk"
)

// TestTheDocsNameEveryFact that rules may ask, and its name in rules is its name in storage.
func TestTheDocsNameEveryFact(t *testing.T) {
	page, err := os.ReadFile("../../docs/risk.md")
	require.NoError(t, err)
	facts := reflect.VisibleFields(reflect.TypeFor[risk.Facts]())
	require.NotEmpty(t, facts)
	for _, f := range facts {
		require.Contains(t, string(page), "`"+f.Tag.Get("expr")+"`")
		require.Contains(t, f.Tag.Get("json"), f.Tag.Get("expr")+",")
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[risk.Counts]()) {
		require.Contains(t, string(page), "`."+f.Tag.Get("expr")+"`")
		require.Contains(t, f.Tag.Get("json"), f.Tag.Get("expr")+",")
	}
}
