package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/cardlife"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/ep"
)

// ends runs every operation on the ends of cards: a lost card with 30.00 on it goes to another card, and one order is taken back.
func (c *city) ends(t *testing.T, lost, other string) {
	t.Helper()
	ok := func(a answer) answer { t.Helper(); require.Equal(t, 200, a.status, "%s", a.raw); return a }
	asked := map[string]string{"kind": "transfer", "card": lost, "target": other, "acquirer": "bus", "reason": "lost on line 7"}
	order := ok(c.call(c.operator, "POST", "/v1/card-ends", asked))
	id := order.text("id")
	require.Equal(t, "requested", order.text("state"))
	require.Equal(t, "ops", order.text("requested_by"))
	require.Equal(t, "2026-12-01T12:00:00Z", order.text("due_at"))
	require.Equal(t, string(order.raw), string(ok(c.call(c.operator, "POST", "/v1/card-ends", asked)).raw), "the same once more")
	require.Equal(t, "blocked", ok(c.call(c.operator, "GET", "/v1/cards/"+lost, nil)).text("status"))
	approved := ok(c.call(c.second, "POST", "/v1/card-ends/"+id+"/approve", nil))
	require.Equal(t, []string{"settling", "ops", "ops-2"}, []string{approved.text("state"), approved.text("requested_by"), approved.text("approved_by")})
	require.Equal(t, string(approved.raw), string(ok(c.call(c.second, "POST", "/v1/card-ends/"+id+"/approve", nil)).raw), "the same once more")
	require.Equal(t, string(approved.raw), string(ok(c.call(c.operator, "GET", "/v1/card-ends/"+id, nil)).raw))
	require.Len(t, ok(c.call(c.operator, "GET", "/v1/card-ends?state=settling&limit=1", nil)).json["orders"], 1)
	require.Empty(t, ok(c.call(c.operator, "GET", "/v1/card-ends?state=released", nil)).json["orders"])
	require.Equal(t, "cancelled", ok(c.call(c.operator, "POST", "/v1/card-ends/"+id+"/cancel", nil)).text("state"))
	require.Equal(t, "cancelled", ok(c.call(c.operator, "POST", "/v1/card-ends/"+id+"/cancel", nil)).text("state"))
}

// TestTheEndOfACard goes all the way to the load order at the desk, which is that acquirer's and nobody else's.
func TestTheEndOfACard(t *testing.T) {
	c := start(t)
	c.load(c.bus, "sale-1", "50.00")
	c.issue(stranger)
	lost, other := store.Token(tokenKey, number), store.Token(tokenKey, stranger)
	id := c.call(c.operator, "POST", "/v1/card-ends", map[string]string{"kind": "transfer", "card": lost, "target": other, "acquirer": "metro", "reason": "stolen"}).text("id")
	require.Equal(t, 200, c.call(c.second, "POST", "/v1/card-ends/"+id+"/approve", nil).status)
	c.clock.Advance(8 * 24 * time.Hour)
	life, err := cardlife.New(c.store, c.clock, cardlife.Config{})
	require.NoError(t, err)
	moved, err := life.Sweep(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, moved)
	order := c.call(c.operator, "GET", "/v1/card-ends/"+id, nil)
	require.Equal(t, []string{"released", "50.00"}, []string{order.text("state"), order.text("amount")})
	load := order.text("load_order")
	require.Equal(t, "paid", c.call(c.metro, "GET", "/v1/loads/"+load, nil).text("state"))
	requireProblem(t, c.call(c.bus, "GET", "/v1/loads/"+load, nil), 404, "unknown-order")
	requireProblem(t, c.call(c.operator, "POST", "/v1/card-ends/"+id+"/cancel", nil), 409, "state")
}

func TestEndsThatAreRefused(t *testing.T) {
	c := start(t)
	c.issue(stranger)
	lost, other, nobody := store.Token(tokenKey, number), store.Token(tokenKey, stranger), strings.Repeat("0", 32)
	ask := func(token string, pairs ...string) answer {
		body := map[string]string{"kind": "cash", "card": lost, "acquirer": "bus", "reason": "given back"}
		for i := 0; i < len(pairs); i += 2 {
			if body[pairs[i]] = pairs[i+1]; pairs[i+1] == "" {
				delete(body, pairs[i])
			}
		}
		return c.call(token, "POST", "/v1/card-ends", body)
	}
	for name, k := range map[string]struct {
		pairs  []string
		status int
		code   string
	}{
		"no such card":               {[]string{"card", nobody}, 404, "unknown-card"},
		"no such target":             {[]string{"kind", "transfer", "target", nobody}, 404, "unknown-card"},
		"to itself":                  {[]string{"kind", "transfer", "target", lost}, 422, "target-card"},
		"a transfer to nothing":      {[]string{"kind", "transfer"}, 400, "request"},
		"cash to a card":             {[]string{"target", other}, 400, "request"},
		"cash at no desk":            {[]string{"acquirer", ""}, 400, "request"},
		"at a desk that is not":      {[]string{"acquirer", "ferry"}, 422, "unknown-acquirer"},
		"a new card written off":     {[]string{"kind", "breakage", "acquirer", ""}, 422, "not-idle"},
		"no reason":                  {[]string{"reason", ""}, 400, "request"},
		"a reason of nothing":        {[]string{"reason", "  "}, 400, "request"},
		"another kind":               {[]string{"kind", "gift"}, 400, "request"},
		"somebody else's name":       {[]string{"by", "ann"}, 400, "request"},
		"a card number for its card": {[]string{"card", number.Reveal()}, 404, "unknown-card"},
	} {
		t.Run(name, func(t *testing.T) {
			a := ask(c.operator, k.pairs...)
			requireProblem(t, a, k.status, k.code)
			require.NotContains(t, string(a.raw), number.Reveal())
		})
	}
	require.Equal(t, "active", c.call(c.operator, "GET", "/v1/cards/"+lost, nil).text("status"), "a refused request blocks nothing")
	requireProblem(t, ask(c.bus), 403, "forbidden")
	requireProblem(t, ask(""), 401, "unauthorised")

	id := ask(c.operator).text("id")
	requireProblem(t, ask(c.second), 409, "open-order")
	requireProblem(t, ask(c.operator, "acquirer", "metro"), 409, "open-order")
	requireProblem(t, ask(c.operator, "kind", "transfer", "card", other, "target", lost), 422, "target-card")
	requireProblem(t, c.call(c.operator, "POST", "/v1/card-ends/"+id+"/approve", nil), 422, "same-person")
	for _, step := range []string{"/approve", "/cancel"} {
		requireProblem(t, c.call(c.bus, "POST", "/v1/card-ends/"+id+step, nil), 403, "forbidden")
		requireProblem(t, c.call("", "POST", "/v1/card-ends/"+id+step, nil), 401, "unauthorised")
		requireProblem(t, c.call(c.second, "POST", "/v1/card-ends/E0000000000000000"+step, nil), 404, "unknown-order")
		requireProblem(t, c.call(c.second, "POST", "/v1/card-ends/"+number.Reveal()+step, nil), 400, "request")
	}
	requireProblem(t, c.call(c.operator, "GET", "/v1/card-ends/E0000000000000000", nil), 404, "unknown-order")
	requireProblem(t, c.call(c.operator, "GET", "/v1/card-ends?state=lost", nil), 400, "request")
	require.Equal(t, 200, c.call(c.operator, "POST", "/v1/card-ends/"+id+"/cancel", nil).status)
	requireProblem(t, c.call(c.second, "POST", "/v1/card-ends/"+id+"/approve", nil), 409, "state")
}

// TestAWriteOff is of a card that was used once, long ago.
func TestAWriteOff(t *testing.T) {
	c := start(t)
	c.load(c.bus, "sale-1", "50.00")
	c.tapped()
	token := store.Token(tokenKey, number)
	body := map[string]string{"kind": "breakage", "card": token, "reason": "nobody's for years"}
	requireProblem(t, c.call(c.operator, "POST", "/v1/card-ends", body), 422, "not-idle")
	c.clock.Advance(4 * 365 * 24 * time.Hour)
	a := c.call(c.operator, "POST", "/v1/card-ends", body)
	require.Equal(t, 200, a.status, "%s", a.raw)
	require.NotContains(t, a.json, "acquirer")
	require.Equal(t, "0.00", a.text("amount"), "nothing has moved yet")
}

// atDesk gives a card of each family back at the bus's desk.
func (c *city) atDesk(t *testing.T) {
	t.Helper()
	ok := func(a answer) answer { t.Helper(); require.Equal(t, 200, a.status, "%s", a.raw); return a }
	f := c.present(c.newCard(stranger))
	order := ok(c.call(c.bus, "POST", "/v1/cards/end", f.init("0.01", kiosk)))
	require.Equal(t, []string{"cash", "requested", "bus", "kiosk-bus"}, []string{order.text("kind"), order.text("state"), order.text("acquirer"), order.text("requested_by")})
	require.Equal(t, store.Token(tokenKey, stranger), order.text("card"))
	require.Equal(t, order.text("id"), ok(c.call(c.bus, "POST", "/v1/cards/end", f.init("0.01", kiosk))).text("id"), "the same once more")
	require.Equal(t, string(order.raw), string(ok(c.call(c.bus, "GET", "/v1/card-ends/"+order.text("id"), nil)).raw))

	_, _, said := ecSession(t, ecBank().blank.Clone())
	require.Equal(t, "requested", ok(c.call(c.bus, "POST", "/v1/cards/end-ec", said)).text("state"))
}

// TestOnlyACardThatIsThereEndsAtADesk: what does not verify, what is open and what was blocked is refused, and nothing is blocked by it.
func TestOnlyACardThatIsThereEndsAtADesk(t *testing.T) {
	c := start(t)
	c.load(c.bus, "sale-1", "50.00")
	token := store.Token(tokenKey, number)
	end := func(who string, body map[string]any) answer { return c.call(who, "POST", "/v1/cards/end", body) }
	active := func() {
		t.Helper()
		require.Equal(t, "active", c.call(c.operator, "GET", "/v1/cards/"+token, nil).text("status"))
	}

	forged := c.present(c.card).init("0.01", kiosk)
	forged["mac1"] = "00000000"
	requireProblem(t, end(c.bus, forged), 422, "mac1")
	active()
	_, _, said := ecSession(t, ecBank().blank.Clone())
	said["chip_data"] = "9F2600"
	requireProblem(t, c.call(c.bus, "POST", "/v1/cards/end-ec", said), 422, "chip-data")
	requireProblem(t, end(c.operator, c.present(c.card).init("0.01", kiosk)), 403, "forbidden")

	id := c.order(c.bus, "sale-2", "20.00")
	f := c.present(c.card)
	require.Equal(t, 200, c.call(c.bus, "POST", "/v1/loads/"+id+"/authorise", f.init("20.00", kiosk)).status)
	requireProblem(t, end(c.bus, f.init("0.01", kiosk)), 409, "open-load")
	active()
	challenge := c.call(c.bus, "POST", "/v1/cards/lookup", f.init("0.01", kiosk)).json["open_load"].(map[string]any)["challenge"].(string)
	var asked ep.TerminalNumber
	require.NoError(t, (*hexText)(&asked).UnmarshalText([]byte(challenge)))
	require.Equal(t, "paid", c.call(c.bus, "POST", "/v1/loads/"+id+"/resolve", map[string]any{"init": f.init("0.01", asked)}).text("state"))

	order := end(c.bus, f.init("0.01", kiosk))
	require.Equal(t, 200, order.status, "%s", order.raw)
	requireProblem(t, end(c.metro, f.init("0.01", kiosk)), 409, "open-order")
	requireProblem(t, c.call(c.metro, "GET", "/v1/card-ends/"+order.text("id"), nil), 404, "unknown-order")
	requireProblem(t, c.call(c.bus, "POST", "/v1/card-ends/"+order.text("id")+"/approve", nil), 403, "forbidden")
	require.Equal(t, "cancelled", c.call(c.second, "POST", "/v1/card-ends/"+order.text("id")+"/cancel", nil).text("state"))
	requireProblem(t, end(c.bus, f.init("0.01", kiosk)), 422, "card-blocked")
}
