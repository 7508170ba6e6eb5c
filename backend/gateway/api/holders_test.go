package api_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

const aFill = `{"key":"f1","type":"top-up","product":1,"merchant":"shop","payee":"ann","amount":"10.00","currency":"CNY","subject":"balance"}`

// TestABalanceIsFilledAndRead: by the app whose holder it is, and by no other.
func TestABalanceIsFilledAndRead(t *testing.T) {
	d := newDesk(t)
	nothing := map[string]any{"holder": "ann", "currency": "CNY", "available": "0.00", "held": "0.00", "points": []any{}}
	require.Equal(t, nothing, d.good(d.shop, "GET", "/v1/holders/ann", ""))
	o := d.good(d.shop, "POST", "/v1/orders", aFill)
	require.Equal(t, "ann", o["payee"])
	at := "/v1/orders/" + o["id"].(string)
	d.refused(d.shop, "POST", at+"/payments", `{"key":"p0","product":"balance","account":"bob"}`, 422, "unsupported")
	number := d.good(d.shop, "POST", at+"/payments", `{"key":"p1","product":"qr"}`)["number"].(string)
	d.bank.pays(number)
	for range 2 {
		status, _ := d.notify("one", "good", number)
		require.Equal(t, 200, status)
	}
	require.Equal(t, "paid", d.good(d.shop, "GET", at, "")["state"])
	require.NoError(t, d.store.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.Hold(t.Context(), "h", books.HolderBalance("shop.ann"), money.Minor(250), noon); err != nil {
			return err
		}
		if err := tx.MovePoints(t.Context(), "gift", "", "shop.ann", "PTS", money.Minor(300), "gift", noon); err != nil {
			return err
		}
		return tx.HoldPoints(t.Context(), "shop.ann", "PTS", money.Minor(100))
	}))
	require.Equal(t, map[string]any{"holder": "ann", "currency": "CNY", "available": "7.50", "held": "2.50", "points": []any{
		map[string]any{"currency": "PTS", "available": "2.00", "held": "1.00"}}}, d.good(d.shop, "GET", "/v1/holders/ann", ""))
	require.Equal(t, nothing, d.good(d.cafe, "GET", "/v1/holders/ann", ""), "another app's ann is another one")
	d.refused(d.shop, "POST", at+"/refunds", `{"key":"r1","amount":"7.51"}`, 422, "payee-funds")
	require.Equal(t, "done", d.good(d.shop, "POST", at+"/refunds", `{"key":"r1","amount":"7.50"}`)["state"])
	require.Equal(t, "0.00", d.good(d.shop, "GET", "/v1/holders/ann", "")["available"])
	d.refused(d.shop, "GET", "/v1/holders/Ann", "", 400, "request")
}

// TestATransferGoesToAHolder of the same app, and its order says who that is as the app does.
func TestATransferGoesToAHolder(t *testing.T) {
	d := newDesk(t)
	ask := strings.Replace(anOrder, `"pay"`, `"transfer","holder":"bob"`, 1)
	o := d.good(d.shop, "POST", "/v1/orders", ask)
	require.Equal(t, "bob", o["payee"])
	at := "/v1/orders/" + o["id"].(string)
	number := d.good(d.shop, "POST", at+"/payments", `{"key":"p1","product":"qr"}`)["number"].(string)
	d.bank.pays(number)
	status, _ := d.notify("one", "good", number)
	require.Equal(t, 200, status)
	require.Equal(t, "paid", d.good(d.shop, "GET", at, "")["state"])
	require.Equal(t, "10.00", d.good(d.shop, "GET", "/v1/holders/bob", "")["available"])
	require.Equal(t, "0.00", d.good(d.cafe, "GET", "/v1/holders/bob", "")["available"])
	d.refused(d.shop, "POST", "/v1/orders", strings.NewReplacer("o1", "o2", `"holder"`, `"payee":"cafe","holder"`).Replace(ask), 400, "request")
	d.refused(d.shop, "POST", "/v1/orders", strings.NewReplacer("o1", "o2", `"bob"`, `"Bob"`).Replace(ask), 400, "request")
	d.refused(d.shop, "POST", "/v1/orders", strings.NewReplacer("o1", "o2", `"transfer"`, `"pay"`).Replace(ask), 400, "request")
	d.refused(d.shop, "POST", "/v1/orders", strings.NewReplacer("o1", "o2", `"holder":"bob"`, `"payee":"cafe.bob"`).Replace(ask), 400, "request")
}

const aRedPacket = `{"key":"k1","type":"red-packet","product":1,"merchant":"shop","packet":{"shares":2},"amount":"10.01","currency":"CNY","subject":"new year"}`

// TestARedPacketIsClaimedByHolders of the same app, one share each.
func TestARedPacketIsClaimedByHolders(t *testing.T) {
	d := newDesk(t)
	o := d.good(d.shop, "POST", "/v1/orders", aRedPacket)
	require.Equal(t, "deferred", o["mode"])
	require.Equal(t, map[string]any{"shares": 2., "split": "even", "claimed": "0.00", "claims": []any{}}, o["packet"])
	at := "/v1/orders/" + o["id"].(string)
	d.refused(d.shop, "POST", at+"/claims", `{"key":"c1","holder":"ann"}`, 409, "order-state")
	number := d.good(d.shop, "POST", at+"/payments", `{"key":"p1","product":"qr"}`)["number"].(string)
	d.bank.pays(number)
	status, _ := d.notify("one", "good", number)
	require.Equal(t, 200, status)
	first := d.good(d.shop, "POST", at+"/claims", `{"key":"c1","holder":"ann"}`)
	require.Equal(t, "5.01", first["amount"])
	require.Equal(t, first, d.good(d.shop, "POST", at+"/claims", `{"key":"c2","holder":"ann"}`))
	require.Equal(t, "5.01", d.good(d.shop, "GET", "/v1/holders/ann", "")["available"])
	d.refused(d.shop, "POST", at+"/claims", `{"key":"c1","holder":"bob"}`, 409, "key-reused")
	d.refused(d.cafe, "POST", at+"/claims", `{"key":"c3","holder":"bob"}`, 404, "unknown-order")
	d.refused(d.shop, "POST", at+"/claims", `{"key":"c3","holder":"Bob"}`, 400, "request")
	d.refused(d.shop, "POST", at+"/refunds", `{"key":"r1","amount":"10.01"}`, 422, "unsupported")
	d.good(d.shop, "POST", at+"/claims", `{"key":"c3","holder":"bob"}`)
	d.refused(d.shop, "POST", at+"/claims", `{"key":"c4","holder":"cid"}`, 409, "order-state")
	o = d.good(d.shop, "GET", at, "")
	require.Equal(t, "paid", o["state"])
	packet := o["packet"].(map[string]any)
	require.Equal(t, "10.01", packet["claimed"])
	require.Equal(t, first, packet["claims"].([]any)[0])
	require.NotEmpty(t, packet["until"])
	d.refused(d.shop, "POST", "/v1/orders", strings.NewReplacer("k1", "k2", `"packet":{"shares":2},`, "").Replace(aRedPacket), 400, "request")
	d.refused(d.shop, "POST", "/v1/orders", strings.NewReplacer("k1", "k2", `"shares":2`, `"shares":101`).Replace(aRedPacket), 400, "request")
	d.refused(d.shop, "POST", "/v1/orders", strings.NewReplacer("k1", "k2", `"shares":2`, `"shares":2,"split":"fair"`).Replace(aRedPacket), 400, "request")
	d.refused(d.shop, "POST", "/v1/orders", strings.Replace(anOrder, `"product"`, `"mode":"deferred","product"`, 1), 422, "unsupported")
}
