package console

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/cases"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

func TestBothLanguagesHaveEveryText(t *testing.T) {
	require.Len(t, texts, 2)
	for key, text := range texts["en"] {
		require.NotEmpty(t, text, key)
		require.NotEmpty(t, texts["zh"][key], "zh lacks %q", key)
	}
	for key := range texts["zh"] {
		require.Contains(t, texts["en"], key, "en lacks %q", key)
	}
}

func TestTheTemplatesAskForTextsThereAre(t *testing.T) {
	names, err := filepath.Glob("templates/*.html")
	require.NoError(t, err)
	asked := map[string]bool{}
	for _, name := range names {
		src, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`\.T\.([a-z_]+)`).FindAllStringSubmatch(string(src), -1) {
			require.Contains(t, texts["en"], m[1], name)
			asked[m[1]] = true
		}
	}
	require.Greater(t, len(asked), 30, "the pattern has lost the templates")
	for key := range texts["en"] {
		// Keys with a dot are looked up by code; some others are asked for by Go code.
		if !strings.Contains(key, ".") && !slices.Contains([]string{"never", "unreadable", "no_operator", "no_reason", "no_payments", "switched", "incident_closed"}, key) {
			require.True(t, asked[key], "nothing shows %q", key)
		}
	}
}

// constants reads the string constants of a file of ours whose names begin with prefix, so that a new one is not forgotten here.
func constants(t *testing.T, path, prefix string) []string {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	require.NoError(t, err)
	var out []string
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(v.Names[0].Name, prefix) || len(v.Values) != 1 {
			return true
		}
		if lit, ok := v.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
			s, err := strconv.Unquote(lit.Value)
			require.NoError(t, err)
			out = append(out, s)
		}
		return true
	})
	return out
}

func TestEveryCodeHasWords(t *testing.T) {
	codes := append(constants(t, "../../shadowaccount/finding.go", "Find"), constants(t, "../topup/errors.go", "Find")...)
	require.GreaterOrEqual(t, len(codes), 19, "the search has lost the constants")
	for _, code := range codes {
		require.Contains(t, texts["en"], "finding."+code)
	}
	suspense := 0
	for _, account := range constants(t, "../../shadowaccount/books/books.go", "Susp") {
		if name, ok := strings.CutPrefix(account, "suspense:"); ok {
			suspense++
			require.Contains(t, texts["en"], "susp."+name)
		}
	}
	require.Equal(t, 4, suspense)
	for s := shadowaccount.Status(-1); s < 10; s++ {
		require.Contains(t, texts["en"], "verdict."+s.String())
	}
}

func TestAViewSaysInWordsWhatTheStoreSaysInCodes(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 5, 0, time.UTC)
	o := store.Overview{Cards: 3, Taps: []store.TapLine{
		{At: at, Terminal: "bus-1", Place: "Line 1", Kind: "purchase", Card: "****1234", Amount: money.Minor(2_00), Outcome: "completed", Verdict: "accepted"},
		{At: at, Terminal: "bus-1", Kind: "exit", Card: "****1234", Outcome: "unknown", Verdict: "unknown"},
		{At: at, Terminal: "bus-1", Kind: "later", Card: "****1234", Outcome: "later", Verdict: "later"},
		{At: at, Terminal: "bus-1", Kind: "entry", Card: "****1234", Outcome: "voided", Verdict: "void"},
	}, Findings: []store.FindingCount{{Code: "CLONE", Severity: "alarm", Open: 2}, {Code: "ARITHMETIC", Severity: "watch", Open: 1}, {Code: "LATER", Severity: "watch", Open: 4}},
		Days: []store.DayLine{{Day: "2026-11-24", State: "open"}, {Day: "2026-11-23", State: "closed", Digest: "0123456789abcdef"}, {Day: "2026-11-22", State: "paid", Digest: "01"}},
	}
	v := view(o, "en", time.FixedZone("", 8*3600))
	require.Equal(t, tapView{ISO: "2026-11-24T12:00:05Z", Full: "2026-11-24 20:00:05 +08:00", Date: "11-24", Time: "20:00:05", Terminal: "bus-1", Place: "Line 1", Kind: "purchase",
		Card: "****1234", Amount: money.Minor(2_00), Outcome: "accepted", Tone: "good"}, v.Taps[0])
	require.Equal(t, []string{"exit", "unknown, held", "answer lost", "warn"}, []string{v.Taps[1].Kind, v.Taps[1].Outcome, v.Taps[1].Said, v.Taps[1].Tone})
	require.Equal(t, []string{"later", "later", "later", "bad"}, []string{v.Taps[2].Kind, v.Taps[2].Outcome, v.Taps[2].Said, v.Taps[2].Tone}, "a code the page does not know is shown as it is")
	require.Equal(t, []string{"void", "did not happen", "calm"}, []string{v.Taps[3].Outcome, v.Taps[3].Said, v.Taps[3].Tone})
	require.Equal(t, []findingView{{"CLONE", "Two debits with one counter", "bad", 2}, {"ARITHMETIC", "Balance after does not add up", "warn", 1}, {"LATER", "LATER", "warn", 4}}, v.Findings)
	require.Equal(t, int64(7), v.OpenFindings)
	require.Equal(t, []string{"open", "closed", "paid"}, []string{v.Days[0].State, v.Days[1].State, v.Days[2].State})
	require.Equal(t, []string{"wait", "good", "good"}, []string{v.Days[0].Tone, v.Days[1].Tone, v.Days[2].Tone})
	require.Equal(t, []string{"", "01234567", "01"}, []string{v.Days[0].Digest, v.Days[1].Digest, v.Days[2].Digest})

	zh := view(o, "zh", time.UTC)
	require.Equal(t, []string{"zh-Hans", "消费", "已接受"}, []string{zh.HTMLLang, zh.Taps[0].Kind, zh.Taps[0].Outcome})
}

func TestCasesAreShownWithWhoMovesNext(t *testing.T) {
	due := time.Date(2026, 11, 30, 20, 0, 0, 0, time.UTC)
	claim := store.TapKey{Terminal: "bus-1", Epoch: 0x5f, Tap: 17}
	o := store.Overview{CaseCount: 5, Cases: []store.Case{
		{ID: "C1", Claim: claim, Kind: "claimed", State: "open", Due: due, Merchant: "line-1", Amount: money.Minor(2_00)},
		{ID: "C2", Claim: claim, Kind: "expired", State: "proposed", Proposal: "grant", ProposedBy: "ops", Due: due},
		{ID: "C3", Claim: claim, Kind: "later", State: "proposed", Proposal: "deny", ProposedBy: "ops", Due: due},
	}}
	v := view(o, "en", time.FixedZone("", 8*3600))
	require.Equal(t, caseView{ID: "C1", Kind: "somebody claims it", State: "waits for a proposal", Tone: "warn", Tap: "bus-1/5f/17", Merchant: "line-1", ISO: "2026-11-30T20:00:00Z",
		Full: "2026-12-01 04:00:00 +08:00", Due: "2026-12-01", Amount: money.Minor(2_00)}, v.Cases[0])
	require.Equal(t, []string{"it came too late", "to pay, waits for a second person", "wait", "ops"}, []string{v.Cases[1].Kind, v.Cases[1].State, v.Cases[1].Tone, v.Cases[1].By})
	require.Equal(t, []string{"later", "not to pay, waits for a second person"}, []string{v.Cases[2].Kind, v.Cases[2].State})
	require.EqualValues(t, 2, v.MoreCases)
	require.Equal(t, "有人主张", view(o, "zh", time.UTC).Cases[0].Kind)
	for _, k := range cases.Kinds {
		require.Contains(t, texts["en"], "case."+string(k))
	}
}

func TestTerminalsWithABacklogComeFirstAndTheListIsBounded(t *testing.T) {
	var o store.Overview
	for i := range maxTerminals + 5 {
		o.Terminals = append(o.Terminals, store.Terminal{ID: ids.TerminalID(fmt.Sprintf("bus-%02d", i)), Active: true})
	}
	o.Terminals[33].Backlog = 7
	o.Terminals[20].Backlog = 1
	o.Terminals[0].Active = false
	o.Terminals[0].LastSeen = time.UnixMilli(1)
	v := view(o, "en", time.UTC)
	require.Len(t, v.Terminals, maxTerminals)
	require.Equal(t, 5, v.MoreTerminals)
	require.Equal(t, []string{"bus-20", "bus-33", "bus-00", "bus-01"}, []string{v.Terminals[0].ID, v.Terminals[1].ID, v.Terminals[2].ID, v.Terminals[3].ID})
	require.Equal(t, terminalView{ID: "bus-00", ISO: "1970-01-01T00:00:00Z", Full: "1970-01-01 00:00:00 +00:00", Date: "01-01", Seen: "00:00:00", Stopped: true, Offline: true}, v.Terminals[2])
	o.Terminals[0].Online = true
	require.False(t, view(o, "en", time.UTC).Terminals[2].Offline)
	require.False(t, v.Terminals[3].Offline, "one that was never heard has no link to lose")
	require.Equal(t, "never", v.Terminals[3].Seen)
}

func TestTheLanguageIsAskedForThenWishedForThenEnglish(t *testing.T) {
	for _, c := range []struct{ query, accept, want string }{
		{"", "", "en"},
		{"?lang=zh", "en", "zh"},
		{"?lang=en", "zh", "en"},
		{"?lang=xx", "zh", "zh"},
		{"", "zh-CN,zh;q=0.9,en;q=0.8", "zh"},
		{"", "ZH-Hant-TW", "zh"},
		{"", "de,fr;q=0.9", "en"},
		{"", "de,zh;q=0.3,en;q=0.2", "zh"},
		{"", "en;q=0.2, zh;q=0.3", "zh"},
		{"", "zh;q=0", "en"},
		{"", "zh;q=many", "en"},
		{"", "zh;q=NaN", "en"},
		{"", ";;;,,,q=", "en"},
	} {
		r := httptest.NewRequest("GET", "/"+c.query, nil)
		r.Header.Set("Accept-Language", c.accept)
		require.Equal(t, c.want, language(r), "%+v", c)
	}
}
