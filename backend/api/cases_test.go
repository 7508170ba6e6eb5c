package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
)

// cloned is the tap of tapped that another one has the counter of.
var cloned = map[string]any{"terminal": "bus-1", "epoch": "1", "tap": 3, "reason": "the till says it was paid"}

// cases runs every operation on cases: one claim is granted by two persons, and another case is refused and withdrawn.
func (c *city) cases(t *testing.T) {
	t.Helper()
	ok := func(a answer) answer { t.Helper(); require.Equal(t, 200, a.status, "%s", a.raw); return a }
	why := map[string]string{"reason": "seen"}
	opened := ok(c.call(c.operator, "POST", "/v1/cases", cloned))
	id := opened.text("id")
	require.Equal(t, []string{"claimed", "open", "bus-1/1/3", "line1", "2.00", "clone"}, []string{opened.text("kind"), opened.text("state"), opened.text("tap"),
		opened.text("merchant"), opened.text("amount"), opened.text("status")})
	require.Equal(t, store.Token(tokenKey, number), opened.text("card"))
	require.NotContains(t, opened.json, "proposal")
	require.Equal(t, string(opened.raw), string(ok(c.call(c.second, "POST", "/v1/cases", cloned)).raw), "a case that runs is the case")

	deny := map[string]string{"proposal": "deny", "reason": "a copy"}
	require.Equal(t, "proposed", ok(c.call(c.operator, "POST", "/v1/cases/"+id+"/propose", deny)).text("state"))
	require.Equal(t, "open", ok(c.call(c.second, "POST", "/v1/cases/"+id+"/refuse", why)).text("state"))
	require.Equal(t, "withdrawn", ok(c.call(c.operator, "POST", "/v1/cases/"+id+"/withdraw", why)).text("state"))

	c.clock.Advance(time.Second) // a case's name has its time
	id = ok(c.call(c.operator, "POST", "/v1/cases", cloned)).text("id")
	proposed := ok(c.call(c.operator, "POST", "/v1/cases/"+id+"/propose", map[string]string{"proposal": "grant", "reason": "the camera agrees"}))
	require.Equal(t, []string{"grant", "ops"}, []string{proposed.text("proposal"), proposed.text("proposed_by")})
	requireProblem(t, c.call(c.operator, "POST", "/v1/cases/"+id+"/approve", why), 422, "same-person")
	decided := ok(c.call(c.second, "POST", "/v1/cases/"+id+"/approve", why))
	require.Equal(t, []string{"decided", "granted"}, []string{decided.text("state"), decided.text("status")})
	require.Equal(t, string(decided.raw), string(ok(c.call(c.second, "POST", "/v1/cases/"+id+"/approve", why)).raw), "the same once more")

	var trail []string
	for _, e := range ok(c.call(c.operator, "GET", "/v1/cases/"+id, nil)).json["trail"].([]any) {
		e := e.(map[string]any)
		trail = append(trail, e["by"].(string)+" "+e["event"].(string))
	}
	require.Equal(t, []string{"ops opened", "ops proposed", "ops not-allowed", "ops-2 approved"}, trail)
	require.Len(t, ok(c.call(c.operator, "GET", "/v1/cases?state=decided&limit=1", nil)).json["cases"], 1)
	require.Len(t, ok(c.call(c.operator, "GET", "/v1/cases", nil)).json["cases"], 2)
	require.Empty(t, ok(c.call(c.operator, "GET", "/v1/cases?state=open", nil)).json["cases"])
}

// TestAHolderGetsADebitBack: with the tokens of two persons, as a load order for the card.
func TestAHolderGetsADebitBack(t *testing.T) {
	c := start(t)
	c.load(c.bus, "sale-1", "50.00")
	c.tapped()
	ok := func(a answer) answer { t.Helper(); require.Equal(t, 200, a.status, "%s", a.raw); return a }
	stands := map[string]any{"terminal": "bus-1", "epoch": "1", "tap": 2, "reason": "the gate stayed shut"}
	requireProblem(t, c.call(c.operator, "POST", "/v1/cases", stands), 409, "nothing-to-decide")
	stands["goodwill"] = true
	opened := ok(c.call(c.operator, "POST", "/v1/cases", stands))
	require.Equal(t, "goodwill", opened.text("kind"))
	require.NotContains(t, opened.json, "repay")
	at := "/v1/cases/" + opened.text("id")
	propose := func(pairs ...any) answer {
		body := map[string]any{"proposal": "repay", "reason": "camera"}
		for i := 0; i < len(pairs); i += 2 {
			body[pairs[i].(string)] = pairs[i+1]
		}
		return c.call(c.operator, "POST", at+"/propose", body)
	}
	requireProblem(t, propose(), 400, "request")
	requireProblem(t, propose("proposal", "deny", "agent", "bus"), 400, "request")
	requireProblem(t, propose("agent", "bus", "amount", "0.00"), 400, "request")
	requireProblem(t, propose("agent", "moon"), 422, "unknown-acquirer")
	requireProblem(t, propose("agent", "bus", "amount", "999.00"), 422, "too-much")
	repay := ok(propose("agent", "bus", "amount", "0.50")).json["repay"].(map[string]any)
	require.Equal(t, map[string]any{"agent": "bus", "amount": "0.50"}, repay)
	requireProblem(t, c.call(c.operator, "POST", at+"/approve", map[string]string{"reason": "seen"}), 422, "same-person")
	decided := ok(c.call(c.second, "POST", at+"/approve", map[string]string{"reason": "seen"}))
	order := decided.json["repay"].(map[string]any)["load_order"].(string)
	require.Equal(t, "paid", ok(c.call(c.bus, "GET", "/v1/loads/"+order, nil)).text("state"))
}

func TestADecidedCaseIsInTheBooks(t *testing.T) {
	c := start(t)
	c.load(c.bus, "sale-1", "50.00")
	c.tapped()
	c.cases(t)
	c.update(func(tx *store.Tx) error {
		granted, err := tx.Balance(t.Context(), "loss:granted")
		require.Equal(t, "2.00", granted.String(), "the clone is paid at the scheme's loss")
		return err
	})
}

func TestCasesThatAreRefused(t *testing.T) {
	c := start(t)
	c.load(c.bus, "sale-1", "50.00")
	c.tapped()
	open := func(token string, pairs ...any) answer {
		body := map[string]any{}
		for k, v := range cloned {
			body[k] = v
		}
		for i := 0; i < len(pairs); i += 2 {
			body[pairs[i].(string)] = pairs[i+1]
		}
		return c.call(token, "POST", "/v1/cases", body)
	}
	for name, k := range map[string]struct {
		pairs  []any
		status int
		code   string
	}{
		"no such tap":          {[]any{"tap", 99}, 404, "unknown-tap"},
		"one that stands":      {[]any{"tap", 1}, 409, "nothing-to-decide"},
		"no tap":               {[]any{"tap", 0}, 400, "request"},
		"an epoch of letters":  {[]any{"epoch", "x"}, 400, "request"},
		"no reason":            {[]any{"reason", ""}, 400, "request"},
		"a reason of nothing":  {[]any{"reason", "  "}, 400, "request"},
		"a very long reason":   {[]any{"reason", strings.Repeat("x", 201)}, 400, "request"},
		"somebody else's name": {[]any{"by", "ann"}, 400, "request"},
	} {
		t.Run(name, func(t *testing.T) { requireProblem(t, open(c.operator, k.pairs...), k.status, k.code) })
	}
	requireProblem(t, open(c.bus), 403, "forbidden")
	requireProblem(t, open(""), 401, "unauthorised")

	id := open(c.operator).text("id")
	why := map[string]string{"reason": "seen"}
	steps := map[string]map[string]string{"propose": {"proposal": "deny", "reason": "seen"}, "approve": why, "refuse": why, "withdraw": why}
	for step, body := range steps {
		requireProblem(t, c.call(c.bus, "POST", "/v1/cases/"+id+"/"+step, body), 403, "forbidden")
		requireProblem(t, c.call("", "POST", "/v1/cases/"+id+"/"+step, body), 401, "unauthorised")
		requireProblem(t, c.call(c.second, "POST", "/v1/cases/C0000000000000000/"+step, body), 404, "unknown-case")
		requireProblem(t, c.call(c.second, "POST", "/v1/cases/"+number.Reveal()+"/"+step, body), 400, "request")
		requireProblem(t, c.call(c.second, "POST", "/v1/cases/"+id+"/"+step, map[string]string{"proposal": "deny"}), 400, "request")
	}
	requireProblem(t, c.call(c.operator, "GET", "/v1/cases/C0000000000000000", nil), 404, "unknown-case")
	requireProblem(t, c.call(c.operator, "GET", "/v1/cases?state=lost", nil), 400, "request")
	requireProblem(t, c.call(c.second, "POST", "/v1/cases/"+id+"/approve", why), 409, "state")
	requireProblem(t, c.call(c.operator, "POST", "/v1/cases/"+id+"/propose", map[string]string{"proposal": "half", "reason": "seen"}), 400, "request")
	require.Equal(t, 200, c.call(c.operator, "POST", "/v1/cases/"+id+"/propose", steps["propose"]).status)
	requireProblem(t, c.call(c.operator, "POST", "/v1/cases/"+id+"/propose", steps["propose"]), 409, "state")
	requireProblem(t, c.call(c.operator, "POST", "/v1/cases/"+id+"/refuse", why), 422, "same-person")
	require.Equal(t, "proposed", c.call(c.operator, "GET", "/v1/cases?state=proposed", nil).json["cases"].([]any)[0].(map[string]any)["state"])
	c.update(func(tx *store.Tx) error {
		all, err := tx.ClaimsOfTap(t.Context(), ids.TapID{Terminal: "bus-1", Epoch: 1, Tap: 3})
		require.Equal(t, shadowaccount.Clone, all[0].Status, "nothing is decided")
		return err
	})
}
