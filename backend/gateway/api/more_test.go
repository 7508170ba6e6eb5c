package api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
	"github.com/purselane/purselane/shadowaccount/fee"
)

// able is the bank that also reserves and pays out. Whatever it is asked for is done at once.
type able struct{ *bank }

func (a able) Capabilities() channel.Capabilities {
	c := a.bank.Capabilities()
	c.Products = append(c.Products, channel.Payout, channel.Agreement)
	c.Authorise, c.Payout, c.Agreements = true, true, true
	return c
}

func (able) Authorise(_ context.Context, r channel.PayRequest) (channel.Result, error) {
	return channel.Result{Outcome: channel.Succeeded, Number: r.Number, Money: r.Money, ChannelID: "ch-" + r.Number}, nil
}
func (a able) Increment(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	return a.Refund(ctx, r)
}
func (a able) Capture(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	return a.Refund(ctx, r)
}
func (a able) Release(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	return a.Refund(ctx, r)
}
func (able) Payout(_ context.Context, r channel.PayoutRequest) (channel.Result, error) {
	return channel.Result{Outcome: channel.Succeeded, Number: r.Number, Money: r.Money, ChannelID: "out-" + r.Number, At: noon, Action: channel.Action{Params: map[string]string{"package": "confirm"}}}, nil
}
func (able) QueryPayout(context.Context, channel.Ref) (channel.Result, error) {
	return channel.Result{}, nil
}

// TestAReservationGoesItsWay: reserved, increased, captured in part; another one released.
func TestAReservationGoesItsWay(t *testing.T) {
	d := newDesk(t)
	reserve := strings.Replace(anOrder, `"product"`, `"mode":"reserved","product"`, 1)
	o := d.good(d.shop, "POST", "/v1/orders", reserve)
	require.Equal(t, "reserved", o["mode"])
	require.Equal(t, "0.00", o["reserved"])
	at := "/v1/orders/" + o["id"].(string)
	d.refused(d.shop, "POST", at+"/steps", `{"key":"s1","kind":"capture","amount":"1.00"}`, 409, "order-state")
	require.Equal(t, "authorised", d.good(d.shop, "POST", at+"/payments", `{"key":"p1","product":"qr"}`)["state"])
	up := d.good(d.shop, "POST", at+"/steps", `{"key":"s1","kind":"increment","amount":"5.00"}`)
	require.Equal(t, "done", up["state"])
	require.Equal(t, "s1", up["key"])
	require.Equal(t, up, d.good(d.shop, "POST", at+"/steps", `{"key":"s1","kind":"increment","amount":"5.00"}`))
	require.Equal(t, "15.00", d.good(d.shop, "GET", at, "")["reserved"])
	d.refused(d.shop, "POST", at+"/steps", `{"key":"s2","kind":"capture","amount":"15.01"}`, 422, "too-much")
	d.refused(d.shop, "POST", at+"/steps", `{"key":"s2","kind":"capture"}`, 400, "request")
	d.refused(d.shop, "POST", at+"/steps", `{"key":"s2","kind":"swallow"}`, 400, "request")
	d.refused(d.cafe, "POST", at+"/steps", `{"key":"s2","kind":"release"}`, 404, "unknown-order")
	require.Equal(t, "done", d.good(d.shop, "POST", at+"/steps", `{"key":"s2","kind":"capture","amount":"12.00"}`)["state"])
	o = d.good(d.shop, "GET", at, "")
	require.Equal(t, "paid", o["state"])
	require.Equal(t, "12.00", o["received"])
	require.Len(t, o["steps"], 2)
	require.Empty(t, o["refunds"])

	at = "/v1/orders/" + d.good(d.shop, "POST", "/v1/orders", strings.Replace(reserve, "o1", "o2", 1))["id"].(string)
	d.good(d.shop, "POST", at+"/payments", `{"key":"p1","product":"qr"}`)
	require.Equal(t, "done", d.good(d.shop, "POST", at+"/steps", `{"key":"s1","kind":"release"}`)["state"])
	require.Equal(t, "closed", d.good(d.shop, "GET", at, "")["state"])
}

func TestWhatIsHeldIsConfirmed(t *testing.T) {
	d := newDesk(t)
	o := d.good(d.shop, "POST", "/v1/orders", strings.Replace(anOrder, `"product"`, `"mode":"escrow","product"`, 1))
	at := "/v1/orders/" + o["id"].(string)
	d.refused(d.shop, "POST", at+"/confirm", "", 409, "order-state")
	number := d.good(d.shop, "POST", at+"/payments", `{"key":"p1","product":"qr"}`)["number"].(string)
	d.bank.pays(number)
	status, _ := d.notify("one", "good", number)
	require.Equal(t, 200, status)
	require.Equal(t, "held", d.good(d.shop, "GET", at, "")["state"])
	d.refused(d.cafe, "POST", at+"/confirm", "", 404, "unknown-order")
	require.Equal(t, "paid", d.good(d.shop, "POST", at+"/confirm", "")["state"])
	require.Equal(t, "10.00", d.good(d.shop, "GET", "/v1/merchants/shop/earnings", "")["pending"])
}

// TestAnOrderTellsWhatItCosts its merchant, and what a refund gave back of it.
func TestAnOrderTellsWhatItCosts(t *testing.T) {
	d := newDesk(t)
	d.rate = gateway.Rate{Name: "city-1", Since: "2026-01-01", Standards: []fee.Standard{fee.Percent("usual", "service", 6000)}, GivesBack: true}
	o := d.good(d.shop, "POST", "/v1/orders", anOrder)
	at := "/v1/orders/" + o["id"].(string)
	number := d.good(d.shop, "POST", at+"/payments", `{"key":"p1","product":"qr"}`)["number"].(string)
	d.bank.pays(number)
	status, _ := d.notify("one", "good", number)
	require.Equal(t, 200, status)
	require.NotContains(t, d.good(d.shop, "GET", at, ""), "fees")
	d.clock.Advance(25 * time.Hour)
	_, err := d.gateway.Scan(t.Context())
	require.NoError(t, err)
	d.good(d.shop, "POST", at+"/refunds", `{"key":"r1","amount":"5.00"}`)
	fees := d.good(d.shop, "GET", at, "")["fees"].([]any)
	first, second := fees[0].(map[string]any), fees[1].(map[string]any)
	require.Equal(t, map[string]any{"about": o["id"], "kind": "service", "amount": "0.06", "rate": "city-1", "since": "2026-01-01", "at": first["at"]}, first)
	require.Equal(t, map[string]any{"about": second["about"], "kind": "service", "amount": "0.03", "given_back": true, "rate": "city-1", "since": "2026-01-01", "at": second["at"]}, second)
	require.Equal(t, "4.97", d.good(d.shop, "GET", "/v1/merchants/shop/earnings", "")["available"])
}

const aWithdrawal = `{"key":"w1","product":1,"merchant":"shop","amount":"4.00","currency":"CNY","subject":"takings","to":{"account":"tok_ann","name":"Ann"}}`

func (d *desk) fund(minor int64) {
	require.NoError(d.t, d.store.Update(d.t.Context(), func(tx *store.Tx) error {
		return tx.Post(d.t.Context(), books.Entry{ID: "seed", Kind: books.KindPaidOnline, Day: "2026-11-25", Ref: "seed",
			Lines: []books.Line{{Account: books.Channel("one"), Amount: money.Minor(minor)}, {Account: gateway.Available("shop"), Amount: money.Minor(-minor)}}})
	}))
}

func TestAWithdrawalGoesItsWay(t *testing.T) {
	d := newDesk(t)
	d.refused(d.shop, "POST", "/v1/withdrawals", aWithdrawal, 422, "payee-funds")
	d.fund(1000)
	e := d.good(d.shop, "GET", "/v1/merchants/shop/earnings", "")
	require.Equal(t, "10.00", e["available"])
	require.Equal(t, "0.00", e["pending"])
	d.refused(d.cafe, "GET", "/v1/merchants/shop/earnings", "", 403, "merchant")
	o := d.good(d.shop, "POST", "/v1/withdrawals", aWithdrawal)
	require.Equal(t, o, d.good(d.shop, "POST", "/v1/withdrawals", aWithdrawal))
	require.Equal(t, "paid", o["state"])
	require.Equal(t, "withdraw", o["type"])
	require.NotContains(t, fmt.Sprint(o), "tok_ann")
	out := o["payouts"].([]any)[0].(map[string]any)
	require.Equal(t, "done", out["state"])
	require.Equal(t, map[string]any{"params": map[string]any{"package": "confirm"}}, out["action"], "what the payee needs to take it")
	d.refused(d.shop, "POST", "/v1/withdrawals", strings.Replace(aWithdrawal, "4.00", "5.00", 1), 409, "key-reused")
	d.refused(d.shop, "POST", "/v1/withdrawals", strings.Replace(aWithdrawal, `"shop"`, `"cafe"`, 1), 403, "merchant")
	d.refused(d.shop, "POST", "/v1/withdrawals", strings.NewReplacer("w1", "w2", "tok_ann", "4111111111111111").Replace(aWithdrawal), 400, "card-number")
	d.refused(d.shop, "POST", "/v1/withdrawals", strings.NewReplacer("w1", "w2", "4.00", "6.01").Replace(aWithdrawal), 422, "payee-funds")
	at := "/v1/orders/" + o["id"].(string)
	d.refused(d.shop, "POST", at+"/close", "", 409, "order-state")
	d.refused(d.shop, "POST", at+"/payments", `{"key":"p1","product":"qr"}`, 409, "order-state")
}

// TestAFrozenMerchantIsToldSo: the account's switches are the operator's word, and no fault of the service.
func TestAFrozenMerchantIsToldSo(t *testing.T) {
	d := newDesk(t)
	d.fund(1000)
	freeze := func(on, off books.Switches) {
		require.NoError(t, d.store.Update(t.Context(), func(tx *store.Tx) error {
			return tx.SwitchAccount(t.Context(), gateway.Available("shop"), on, off, "officer", "test")
		}))
	}
	freeze(books.SwitchFrozen, 0)
	d.refused(d.shop, "POST", "/v1/withdrawals", aWithdrawal, 422, "payee-frozen")
	require.Equal(t, "10.00", d.good(d.shop, "GET", "/v1/merchants/shop/earnings", "")["available"])
	freeze(0, books.SwitchFrozen)
	require.Equal(t, "paid", d.good(d.shop, "POST", "/v1/withdrawals", aWithdrawal)["state"], "the same request, once it may")
}

func TestOrdersAreListedPageByPage(t *testing.T) {
	d := newDesk(t)
	var want []string
	for i := range 5 {
		want = append([]string{d.good(d.shop, "POST", "/v1/orders", strings.Replace(anOrder, "o1", fmt.Sprint("o", i), 1))["id"].(string)}, want...)
	}
	d.good(d.cafe, "POST", "/v1/orders", strings.Replace(anOrder, "shop", "cafe", 1))
	d.good(d.shop, "POST", "/v1/orders/"+want[0]+"/close", "")
	var have []string
	query := "?limit=2"
	for pages := 1; ; pages++ {
		page := d.good(d.shop, "GET", "/v1/orders"+query, "")
		for _, o := range page["orders"].([]any) {
			have = append(have, o.(map[string]any)["id"].(string))
		}
		next, more := page["next"]
		if !more {
			require.Equal(t, 3, pages)
			break
		}
		query = "?limit=2&after=" + next.(string)
	}
	require.ElementsMatch(t, want, have, "each once, also those of one moment")
	require.Len(t, d.good(d.shop, "GET", "/v1/orders?state=closed", "")["orders"], 1)
	require.Len(t, d.good(d.shop, "GET", "/v1/orders?state=open", "")["orders"], 4)
	d.refused(d.cafe, "GET", "/v1/orders?after="+want[0], "", 404, "unknown-order")
	d.refused(d.shop, "GET", "/v1/orders?limit=101", "", 400, "request")
	d.refused(d.shop, "GET", "/v1/orders?state=lost", "", 400, "request")
}

func TestATopUpThatNoCardMayHaveIsNotSold(t *testing.T) {
	d := newDesk(t)
	topUp := strings.Replace(anOrder, `"pay"`, `"top-up"`, 1)
	d.refused(d.shop, "POST", "/v1/orders", strings.Replace(topUp, "10.00", "500.01", 1), 422, "load-amount")
	d.good(d.shop, "POST", "/v1/orders", topUp)
}
