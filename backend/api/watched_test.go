package api_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount"
)

// watched notes findings: of a terminal one that is cleared and one alarm, and one of a card.
func (c *city) watched(token string) {
	ctx := c.t.Context()
	mine := func(shadowaccount.Code, string) bool { return true }
	clock := shadowaccount.Note{Code: shadowaccount.FindClockBack, Item: "1/2", Detail: "tap 2 is early"}
	lost := shadowaccount.Note{Code: shadowaccount.FindRecordsLost, Item: "1/3-4", Detail: "two"}
	c.update(func(tx *store.Tx) error {
		for i, n := range []store.Notes{
			{Kind: store.OfCard, Subject: token, Mine: mine, Found: []shadowaccount.Note{{Code: shadowaccount.FindAgedGap, Item: "1", Detail: "old"}}},
			{Kind: store.OfTerminal, Subject: "bus-1", Mine: mine, Found: []shadowaccount.Note{clock, lost}},
			{Kind: store.OfTerminal, Subject: "bus-1", Mine: mine, Found: []shadowaccount.Note{lost}},
		} {
			if _, _, err := tx.SetNotes(ctx, n, noon.Add(time.Duration(i)*time.Hour)); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestWatchedFindings(t *testing.T) {
	c := start(t)
	w := c.watch()
	token := store.Token(tokenKey, number)
	c.watched(token)
	list := func(query string) []any {
		t.Helper()
		a := c.call(c.operator, "GET", "/v1/findings/watched"+query, nil)
		require.Equal(t, 200, a.status, "%s", a.raw)
		return a.json["findings"].([]any)
	}
	codes := func(query string) (out []string) {
		t.Helper()
		for _, f := range list(query) {
			out = append(out, f.(map[string]any)["code"].(string))
		}
		return out
	}
	require.Equal(t, []string{"RECORDS_LOST", "AGED_GAP"}, codes(""), "alarms first, and nothing that is cleared")
	entry, _ := shadowaccount.Explain(shadowaccount.FindClockBack)
	cleared := list("?state=cleared")
	require.Equal(t, []any{map[string]any{"kind": "terminal", "subject": "bus-1", "code": "CLOCK_BACK", "severity": "watch", "consequence": "watch", "item": "1/2", "detail": "tap 2 is early",
		"state": "cleared", "first_seen": "2026-11-24T13:00:00Z", "last_seen": "2026-11-24T14:00:00Z", "meaning": entry.English.Meaning, "do": entry.English.Do}}, cleared)
	require.Equal(t, entry.Chinese.Meaning, list("?state=cleared&language=zh")[0].(map[string]any)["meaning"])
	require.Equal(t, []string{"RECORDS_LOST", "AGED_GAP", "CLOCK_BACK"}, codes("?state=all"))
	require.Equal(t, []string{"RECORDS_LOST"}, codes("?state=all&limit=1"), "a limit cuts off the least")
	require.Equal(t, []string{"RECORDS_LOST", "AGED_GAP"}, codes("?state=all&limit=2"))
	require.Equal(t, []string{"AGED_GAP"}, codes("?kind=card"))
	require.Equal(t, []string{"AGED_GAP"}, codes("?subject="+token))
	require.Equal(t, []string{"RECORDS_LOST"}, codes("?severity=alarm"))
	require.Equal(t, []string{"CLOCK_BACK"}, codes("?state=all&consequence=watch"))
	require.Equal(t, []string{"RECORDS_LOST"}, codes("?code=RECORDS_LOST"))
	require.Empty(t, codes("?code=CLONE"))
	require.Empty(t, codes("?kind=psam"))

	requireProblem(t, c.call("", "GET", "/v1/findings/watched", nil), 401, "unauthorised")
	requireProblem(t, c.call(c.bus, "GET", "/v1/findings/watched", nil), 403, "forbidden")
	w.loose = true
	for _, bad := range []string{"?state=lost", "?kind=load", "?code=clone", "?code=NO_SUCH", "?severity=high", "?consequence=x", "?language=fr", "?limit=0", "?subject=a%20b"} {
		requireProblem(t, c.call(c.operator, "GET", "/v1/findings/watched"+bad, nil), 400, "request")
	}
}

// TestEveryFindingCanBeAskedFor has one finding of each code of the catalogue: the document must know its words.
func TestEveryFindingCanBeAskedFor(t *testing.T) {
	c := start(t)
	c.watch()
	all := shadowaccount.Catalogue()
	n := store.Notes{Kind: store.OfPSAM, Subject: "000000000001", Mine: func(shadowaccount.Code, string) bool { return true }}
	for _, e := range all {
		n.Found = append(n.Found, shadowaccount.Note{Code: e.Code, Item: "1", Detail: "x"})
	}
	c.update(func(tx *store.Tx) error { _, _, err := tx.SetNotes(t.Context(), n, noon); return err })
	require.Len(t, c.call(c.operator, "GET", "/v1/findings/watched", nil).json["findings"], len(all))
}
