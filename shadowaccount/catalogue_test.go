package shadowaccount_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/shadowaccount"
)

func TestTheCatalogueExplainsEveryCode(t *testing.T) {
	severities := []shadowaccount.Severity{shadowaccount.Alarm, shadowaccount.Watch, shadowaccount.Info}
	consequences := []shadowaccount.Consequence{shadowaccount.OnlyTold, shadowaccount.LookAt, shadowaccount.Held, shadowaccount.Deny, shadowaccount.OpensCase}
	all := shadowaccount.Catalogue()
	require.True(t, slices.IsSortedFunc(all, func(a, b shadowaccount.Entry) int { return strings.Compare(string(a.Code), string(b.Code)) }), "Explain looks by halving")
	for _, e := range all {
		got, ok := shadowaccount.Explain(e.Code)
		require.True(t, ok, e.Code)
		require.Equal(t, e, got)
		require.Contains(t, severities, e.Severity, e.Code)
		require.Contains(t, consequences, e.Consequence, e.Code)
		for _, words := range []string{e.Remedy, e.English.Meaning, e.English.Do, e.Chinese.Meaning, e.Chinese.Do} {
			require.NotEmpty(t, words, e.Code)
			require.NotContains(t, words, "|", "it stands in a table")
		}
		severity, remedy := shadowaccount.SeverityOf(e.Code)
		require.Equal(t, e.Severity, severity)
		require.Equal(t, e.Remedy, remedy)
	}
	_, ok := shadowaccount.Explain("NO_SUCH_CODE")
	require.False(t, ok)
}

// TestThePageIsTheCatalogue holds the table of docs/findings.md to the code: PURSELANE_WRITE_DOCS=1 writes it anew.
func TestThePageIsTheCatalogue(t *testing.T) {
	const page = "../docs/findings.md"
	const from, to = "<!-- the catalogue; a test keeps it -->\n", "<!-- end of the catalogue -->\n"
	raw, err := os.ReadFile(page)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(raw), from)
	require.True(t, ok, "the page has lost its table")
	table, after, ok := strings.Cut(rest, to)
	require.True(t, ok, "the page has lost the end of its table")
	var want strings.Builder
	want.WriteString("| code | severity | consequence | what it means | what to do |\n|---|---|---|---|---|\n")
	for _, e := range shadowaccount.Catalogue() {
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s | %s |\n", e.Code, e.Severity, e.Consequence, e.English.Meaning, e.English.Do)
	}
	if os.Getenv("PURSELANE_WRITE_DOCS") != "" {
		require.NoError(t, os.WriteFile(page, []byte(before+from+want.String()+to+after), 0o644))
		return
	}
	require.Equal(t, want.String(), table, "run this test with PURSELANE_WRITE_DOCS=1")
}
