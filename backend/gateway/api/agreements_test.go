package api_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
)

// An able bank's payer signs at once, and pays whatever is debited.
func (able) Sign(_ context.Context, r channel.SignRequest) (channel.Signed, error) {
	return channel.Signed{Outcome: channel.Succeeded, Number: r.Number, Agreement: "bank-" + r.Number}, nil
}
func (able) QueryAgreement(_ context.Context, number, _ string) (channel.Signed, error) {
	return channel.Signed{Outcome: channel.Succeeded, Number: number, Agreement: "bank-" + number}, nil
}
func (able) Unsign(_ context.Context, number, _ string) (channel.Signed, error) {
	return channel.Signed{Outcome: channel.Closed, Number: number}, nil
}

func (a able) Pay(ctx context.Context, r channel.PayRequest) (channel.Result, error) {
	out, err := a.bank.Pay(ctx, r)
	if r.Product == channel.Agreement {
		a.pays(r.Number)
		return a.Query(ctx, channel.Ref{Number: r.Number})
	}
	return out, err
}

// TestACardIsReloadedByAgreement: the app hears of it as of what recurs.
func TestACardIsReloadedByAgreement(t *testing.T) {
	d := newDesk(t)
	ask := `{"key":"a1","product":1,"merchant":"shop","payer":"rider-7","currency":"CNY","subject":"reload","reload":{"card":"tok7","below":"20.00","amount":"50.00","days":7}}`
	d.refused(d.shop, "POST", "/v1/agreements", ask, 400, "request")
	require.NoError(t, d.store.Update(t.Context(), func(tx *store.Tx) error {
		return tx.IssueCard(t.Context(), store.Card{Number: ids.CardNumber{0x31, 9: 7}, Token: "tok7", Levels: 2})
	}))
	a := d.good(d.shop, "POST", "/v1/agreements", ask)
	require.Equal(t, "watching", a["reload"].(map[string]any)["state"])
	d.clock.Advance(time.Second)
	_, err := d.gateway.Scan(t.Context())
	require.NoError(t, err)
	a = d.good(d.shop, "GET", "/v1/agreements/"+a["number"].(string), "")
	require.EqualValues(t, 1, a["reload"].(map[string]any)["charges"])
	o := d.good(d.shop, "GET", "/v1/orders/"+a["last_order"].(string), "")
	require.Equal(t, "top-up", o["type"])
	require.Equal(t, "paid", o["state"])
	d.refused(d.shop, "POST", "/v1/agreements", strings.NewReplacer("a1", "a2", "tok7", "4111111111111111").Replace(ask), 400, "card-number")
}

const anAgreement = `{"key":"a1","product":1,"merchant":"shop","payer":"rider-7","currency":"CNY","subject":"monthly ticket","recurs":{"months":1,"trial_days":7,"amount":"30.00"}}`

// TestAnAgreementGoesItsWay: signed, charged after its trial, dearer by consent, ended; and one by which the app debits.
func TestAnAgreementGoesItsWay(t *testing.T) {
	d := newDesk(t)
	a := d.good(d.shop, "POST", "/v1/agreements", anAgreement)
	require.Equal(t, "active", a["state"])
	require.Equal(t, a, d.good(d.shop, "POST", "/v1/agreements", anAgreement))
	require.Equal(t, "2026-12-02T12:00:00Z", a["next_due"])
	at := "/v1/agreements/" + a["number"].(string)
	for range 8 * 24 {
		d.clock.Advance(time.Hour)
		_, err := d.gateway.Scan(t.Context())
		require.NoError(t, err)
	}
	a = d.good(d.shop, "GET", at, "")
	require.Equal(t, "good", a["standing"])
	require.Equal(t, "2027-01-02T12:00:00Z", a["next_due"])
	require.Equal(t, "paid", d.good(d.shop, "GET", "/v1/orders/"+a["last_order"].(string), "")["state"])

	a = d.good(d.shop, "POST", at+"/price", `{"from":"2027-01-01T00:00:00Z","amount":"35.00"}`)
	require.Equal(t, false, a["prices"].([]any)[1].(map[string]any)["agreed"])
	a = d.good(d.shop, "POST", at+"/consent", `{"amount":"35.00"}`)
	require.Equal(t, true, a["prices"].([]any)[1].(map[string]any)["agreed"])
	d.refused(d.shop, "POST", at+"/consent", `{"amount":"36.00"}`, 400, "request")
	events := d.good(d.shop, "GET", at+"/timeline", "")["events"].([]any)
	require.Equal(t, "created", events[0].(map[string]any)["event"])

	require.Equal(t, "ended", d.good(d.shop, "POST", at+"/end", "")["state"])
	require.Len(t, d.good(d.shop, "GET", "/v1/agreements?state=ended", "")["agreements"], 1)
	d.refused(d.shop, "POST", at+"/price", `{"from":"2028-01-01T00:00:00Z","amount":"35.00"}`, 409, "order-state")

	once := d.good(d.shop, "POST", "/v1/agreements", strings.Replace(strings.Replace(anAgreement, `,"recurs":{"months":1,"trial_days":7,"amount":"30.00"}`, "", 1), "a1", "a2", 1))
	order := "/v1/orders/" + d.good(d.shop, "POST", "/v1/orders", anOrder)["id"].(string)
	pay := `{"key":"p1","product":"agreement","agreement":"` + once["number"].(string) + `"}`
	require.Equal(t, "paid", d.good(d.shop, "POST", order+"/payments", pay)["state"])

	d.refused(d.cafe, "GET", at, "", 404, "unknown-agreement")
	d.refused(d.cafe, "POST", at+"/end", "", 404, "unknown-agreement")
	d.refused(d.cafe, "POST", "/v1/agreements", anAgreement, 403, "merchant")
	d.refused(d.shop, "POST", "/v1/agreements", strings.Replace(anAgreement, "monthly", "yearly", 1), 409, "key-reused")
	d.refused(d.shop, "POST", "/v1/agreements", strings.NewReplacer("a1", "a3", `"months":1`, `"months":0`).Replace(anAgreement), 400, "request")
	d.refused(d.shop, "POST", "/v1/agreements", strings.NewReplacer("a1", "a3", `"payer":"rider-7"`, `"payer":"r","token":"4111111111111111"`).Replace(anAgreement), 400, "card-number")
}
