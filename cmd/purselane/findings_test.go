package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
)

// runWatch runs `purselane findings …` or `purselane watch …` and returns what it printed.
func runWatch(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var cli struct {
		Findings FindingsCmd `cmd:""`
		Watch    WatchCmd    `cmd:""`
	}
	var out bytes.Buffer
	parser, err := kong.New(&cli, kong.Writers(&out, &out), kong.BindTo(t.Context(), (*context.Context)(nil)))
	require.NoError(t, err)
	k, err := parser.Parse(args)
	if err != nil {
		return "", err
	}
	err = k.Run()
	return out.String(), err
}

func TestFindingsExplain(t *testing.T) {
	out, err := runWatch(t, "findings", "explain", "IMPOSSIBLE_TRAVEL")
	require.NoError(t, err)
	require.Contains(t, out, "IMPOSSIBLE_TRAVEL  severity alarm, consequence deny")
	require.Contains(t, out, "nobody can travel so fast")
	out, err = runWatch(t, "findings", "explain", "IMPOSSIBLE_TRAVEL", "--chinese")
	require.NoError(t, err)
	require.Contains(t, out, "先后出现在两地")
	out, err = runWatch(t, "findings", "explain", "--json")
	require.NoError(t, err)
	var all []explained
	require.NoError(t, json.Unmarshal([]byte(out), &all))
	require.Len(t, all, len(shadowaccount.Catalogue()))
	_, err = runWatch(t, "findings", "explain", "NO_SUCH")
	require.ErrorContains(t, err, "`purselane findings explain` lists them")
}

func TestFindingsListAndWatchRun(t *testing.T) {
	dir := t.TempDir()
	path := node.DatabasePath(filepath.Join(dir, folderData))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, fileScheme), []byte("name: test\ntime_zone: UTC\nmax_load: \"500.00\"\nmax_balance: \"1000.00\"\nwatch: {unknown_days: 3}\n"), 0o644))
	s, err := store.Open(t.Context(), path, store.Options{NoSync: true})
	require.NoError(t, err)
	number := ids.CardNumber{0: 0x31, 5: 0xAB, 9: 7}
	token := store.Token(make([]byte, 16), number)
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.IssueCard(t.Context(), store.Card{Number: number, Token: token, Levels: 1}); err != nil {
			return err
		}
		mine := func(shadowaccount.Code, string) bool { return true }
		for _, n := range []store.Notes{
			{Kind: store.OfTerminal, Subject: "bus-1", Mine: mine, Found: []shadowaccount.Note{{Code: shadowaccount.FindClockBack, Item: "1/2", Detail: "tap 2 is early"}, {Code: shadowaccount.FindRecordsLost, Item: "1/3-4", Detail: "two"}}},
			{Kind: store.OfTerminal, Subject: "bus-1", Mine: func(c shadowaccount.Code, _ string) bool { return c == shadowaccount.FindClockBack }},
			{Kind: store.OfCard, Subject: "token", Mine: mine, Found: []shadowaccount.Note{{Code: shadowaccount.FindVelocity, Item: "1@bus-1/1/1", Detail: "many"}}},
		} {
			if _, _, err := tx.SetNotes(t.Context(), n, at); err != nil {
				return err
			}
		}
		return tx.AddLoadFinding(t.Context(), store.LoadFinding{Order: "order-1", Code: "LOAD_BAD_TAC", Detail: "nothing", At: at})
	}))
	require.NoError(t, s.Close())
	list := func(args ...string) (out []findingLine) {
		text, err := runWatch(t, append([]string{"findings", "list", "--dir", dir, "--json"}, args...)...)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal([]byte(text), &out))
		return out
	}
	codes := func(lines []findingLine) (out []string) {
		for _, l := range lines {
			out = append(out, string(l.Code)+" "+l.State)
		}
		return out
	}
	require.Equal(t, []string{"RECORDS_LOST open", "LOAD_BAD_TAC open", "VELOCITY open"}, codes(list()), "alarms first")
	require.Equal(t, findingLine{Kind: "terminal", Subject: "bus-1", Code: "RECORDS_LOST", Severity: "alarm", Consequence: "case", Item: "1/3-4", Detail: "two", State: "open", First: at, Last: at}, list()[0])
	require.Equal(t, []string{"CLOCK_BACK cleared"}, codes(list("--state", "cleared")))
	require.Len(t, list("--state", "all"), 4)
	require.Equal(t, []string{"VELOCITY open"}, codes(list("--kind", "card")))
	require.Equal(t, []string{"LOAD_BAD_TAC open"}, codes(list("--kind", "load")))
	require.Equal(t, []string{"RECORDS_LOST open", "VELOCITY open"}, codes(list("--consequence", "case")))
	require.Equal(t, []string{"VELOCITY open"}, codes(list("--severity", "watch")))
	require.Len(t, list("--most", "1"), 1)
	require.Empty(t, list("--code", "CLONE"))
	text, err := runWatch(t, "findings", "list", "--dir", dir)
	require.NoError(t, err)
	require.Contains(t, text, "RECORDS_LOST")
	_, err = runWatch(t, "findings", "list", "--dir", dir, "--code", "clone")
	require.ErrorContains(t, err, `no finding has the code "clone"`)
	_, err = runWatch(t, "findings", "list", "--dir", dir, "--most", "0")
	require.ErrorContains(t, err, "--most 0")

	_, err = runWatch(t, "findings", "denied", "--dir", dir, "--token", token, "--version", "3", "--until", "2")
	require.ErrorContains(t, err, "until 2")
	_, err = runWatch(t, "findings", "denied", "--dir", dir, "--token", "none", "--version", "3")
	require.ErrorContains(t, err, "no card has that token")
	_, err = runWatch(t, "findings", "denied", "--dir", dir, "--token", token, "--version", "3", "--at", "today")
	require.ErrorContains(t, err, "--at")
	text, err = runWatch(t, "findings", "denied", "--dir", dir, "--token", token, "--version", "3", "--at", "2026-11-25T08:00:00Z")
	require.NoError(t, err)
	require.Contains(t, text, "list 3 denies the card")

	text, err = runWatch(t, "watch", "run", "--dir", dir, "--again", "--json")
	require.NoError(t, err)
	require.JSONEq(t, `{"groups": 0, "records": 0, "cards": 1, "opened": 0, "cleared": 0}`, text)
	text, err = runWatch(t, "watch", "run", "--dir", dir)
	require.NoError(t, err)
	require.Contains(t, text, "0 records in 0 groups")
}
