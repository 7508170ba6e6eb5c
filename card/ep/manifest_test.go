package ep_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/keys"
)

// testText is the text of every test and vector file of the packages that speak of the purse and its keys, without spaces, but for the
// manifest.
func testText(t *testing.T) string {
	var all strings.Builder
	files := 0
	for _, pattern := range []string{"*_test.go", "testdata/*.json", "testdata/*.txt", "../keys/*_test.go", "../keys/testdata/*.json", "../../simulator/epcard/*_test.go"} {
		names, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, name := range names {
			if base := filepath.Base(name); base == "manifest.json" {
				continue
			}
			raw, err := os.ReadFile(name)
			require.NoError(t, err)
			files++
			all.WriteString(strings.ReplaceAll(string(raw), " ", ""))
		}
	}
	require.Greater(t, files, 20)
	return all.String()
}

// TestEveryPublishedAndComputedVectorIsInATest goes through purse facts chapter 8 row by row, by source: what the chapter gives must stand in a
// test, to the last byte.
func TestEveryPublishedAndComputedVectorIsInATest(t *testing.T) {
	var m struct {
		About string
		Rows  []struct {
			Row, Source string
			Values      []string
		}
	}
	readJSON(t, "manifest.json", &m)
	text := testText(t)
	require.Len(t, m.Rows, 50)
	values, seen := 0, map[string]bool{}
	for _, r := range m.Rows {
		t.Run(r.Source+"/"+r.Row, func(t *testing.T) {
			require.False(t, seen[r.Row], "a row twice")
			seen[r.Row] = true
			require.NotEmpty(t, r.Values)
			for _, v := range r.Values {
				values++
				require.Contains(t, text, v)
			}
		})
	}
	require.Equal(t, 269, values)
}

// TestEveryVectorFileNamesItsSources counts the entries of each vector file: all have an id of their own and a source, and a test runs all of a
// file, because a field that no test looks at is an error there.
func TestEveryVectorFileNamesItsSources(t *testing.T) {
	counts := map[string]int{
		"testdata/transactions.json": 11, "testdata/records.json": 17, "testdata/fci.json": 6, "../keys/testdata/primitives.json": 68,
	}
	for name, want := range counts {
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(name)
			require.NoError(t, err)
			var groups map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(raw, &groups))
			got := 0
			for group, list := range groups {
				if group == "about" {
					continue
				}
				var entries []struct{ ID, Source, File string }
				require.NoError(t, json.Unmarshal(list, &entries))
				ids := map[string]bool{}
				for _, e := range entries {
					id := e.File + " " + e.ID
					require.False(t, ids[id], "%s: %s twice", group, id)
					ids[id] = true
					require.Regexp(t, "^(published, |computed, |purse facts )", e.Source, "%s %s: of that", group, e.ID)
				}
				got += len(entries)
			}
			require.Equal(t, want, got)
		})
	}
}

// TestSM4SessionKeys are those of purse facts 8.2: a session key is made as a derived key is.
func TestSM4SessionKeys(t *testing.T) {
	for _, c := range []struct{ name, key, session, want string }{
		{"CAPP exit", "BE1CD0899C9EA6EA554AE4925A3B595A", "F0E0D0C0 0011 0201", "E268F90162CBBC1B238AF2A8C3BCA927"},
		{"load", "D1C20CFAD4EB9E77BF804FE074E129C9", "0A0B0C0D 0003 8000", "B2D2D2C50A55BC36BFD9C55E5C4E6AC2"},
	} {
		got := keys.SM4.Diversify(keys.Key(unhex(t, c.key)), [8]byte(unhex(t, c.session)))
		require.Equal(t, c.want, upper(got[:]), c.name)
	}
}
