package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/api"
	apps "github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/client"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/sealed"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// caller is a merchant's app that knows the gateway by its address alone; so do the channels.
type caller struct {
	t    *testing.T
	d    *desk
	c    counter
	http *http.Client
	url  string
}

type fields = map[string]any

// open serves the API of a gateway whose one account is at a channel.
func open(t *testing.T, at func(*testing.T, *desk) counter) *caller {
	d := start(t, nil)
	k := &caller{t: t, d: d, c: at(t, d)}
	box, err := sealed.New(make([]byte, 32))
	require.NoError(t, err)
	d.cfg = func(g *gateway.Config) {
		g.Accounts = g.Accounts[:1]
		g.Box, g.Accounts[0].Channel, g.Router = box, k.c.channel, gateway.FixedRouter{{Accounts: []string{"one"}}}
	}
	d.serve()
	quiet := slog.New(slog.DiscardHandler)
	s, err := apps.New(d.store, apps.Config{Box: box, Clock: d.clock, Log: quiet})
	require.NoError(t, err)
	_, err = s.Apply(d.ctx, app, apps.Filing{Name: "The Shop"}, apps.Terms{Merchants: []ids.MerchantID{shop}}, "ann", "papers")
	require.NoError(t, err)
	var key apps.NewKey
	for _, officer := range []string{"ann", "bob"} {
		key, err = s.AskKey(d.ctx, app, nil, officer, "first")
		require.NoError(t, err)
	}
	for _, e := range []apps.Event{apps.Approve, apps.Activate} {
		for _, officer := range []string{"ann", "bob"} {
			_, err := s.Ask(d.ctx, app, e, officer, "seen")
			require.NoError(t, err)
		}
	}
	h, err := api.New(api.Config{Gateway: d.Service, Apps: s, Clock: d.clock, Log: quiet})
	require.NoError(t, err)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	k.url, k.http = server.URL, &http.Client{Transport: &client.Signer{App: app, KeyID: key.Key.ID, Key: *key.Secret, Clock: d.clock}}
	if k.c.notices != nil {
		k.c.notices.Receive(k.deliver)
	}
	return k
}

// deliver is a channel's notification on its way over HTTP.
func (k *caller) deliver(ctx context.Context, _ string, n channel.Notification) channel.Reply {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, k.url+"/notify/one?"+n.Query, bytes.NewReader(n.Body))
	require.NoError(k.t, err)
	r.Header = n.Header.Clone()
	resp, err := http.DefaultClient.Do(r)
	require.NoError(k.t, err)
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	require.NoError(k.t, err)
	return channel.Reply{Status: resp.StatusCode, Type: resp.Header.Get("Content-Type"), Body: said}
}

func (k *caller) call(method, path string, body any) fields {
	raw, err := json.Marshal(body)
	require.NoError(k.t, err)
	r, err := http.NewRequest(method, k.url+path, bytes.NewReader(raw))
	require.NoError(k.t, err)
	r.Header.Set("Content-Type", "application/json")
	resp, err := k.http.Do(r)
	require.NoError(k.t, err)
	defer resp.Body.Close()
	said := fields{}
	require.NoError(k.t, json.NewDecoder(resp.Body).Decode(&said))
	require.Equal(k.t, http.StatusOK, resp.StatusCode, "%s %s: %v", method, path, said)
	return said
}

// order makes an order over 10.00 that differs from a payment in some fields, and is where it lies.
func (k *caller) order(key string, more fields) string {
	n := fields{"key": key, "type": "pay", "product": 1, "merchant": shop, "amount": "10.00", "currency": "CNY", "subject": "tea"}
	for name, v := range more {
		n[name] = v
	}
	return "/v1/orders/" + k.call("POST", "/v1/orders", n)["id"].(string)
}

func (k *caller) state(at string) string { return k.call("GET", at, nil)["state"].(string) }

// pay pays an order by a product, whatever its payer must do for it: nothing that he does makes it paid but the channel's own word.
func (k *caller) pay(at string, product channel.Product) {
	by := k.c.payer(product)
	n := fields{"key": "p", "product": product, "return_url": "https://shop.example/back", "ip": "203.0.113.7"}
	for name, v := range payerFields(by) {
		if v != "" {
			n[name] = v
		}
	}
	said := k.call("POST", at+"/payments", n)
	p := gateway.Payment{Number: said["number"].(string), Product: product}
	if said["action"] != nil {
		raw, err := json.Marshal(said["action"])
		require.NoError(k.t, err)
		require.NoError(k.t, json.Unmarshal(raw, &p.Action))
	}
	wants(k.t, p)
	if k.c.pays != nil {
		require.Equal(k.t, "waiting", said["state"])
		require.NoError(k.t, k.c.pays(p))
		require.Equal(k.t, "open", k.state(at), "that a browser comes back proves nothing")
		k.later()
	}
	if product == channel.Code { // WeChat tells nobody of these: it is asked
		k.d.pass(5*time.Second, time.Second)
	}
}

// payerFields are how a payer is named in a request.
func payerFields(by channel.Payer) map[string]string {
	return map[string]string{"open_id": by.OpenID, "code": by.Code, "token": by.Token, "account": strings.TrimPrefix(by.Account, app+".")}
}

// later lets the channel do what it does in a moment.
func (k *caller) later() {
	k.d.clock.Advance(3 * time.Second)
	k.c.run(k.d.ctx)
}

// TestEveryProductOfEveryChannelIsPaidOverTheAPI, by what the payer is handed.
func TestEveryProductOfEveryChannelIsPaidOverTheAPI(t *testing.T) {
	for name, at := range counters {
		k := open(t, at)
		for _, product := range k.c.channel.Capabilities().Products {
			if product == channel.Agreement || product == channel.Payout {
				continue // nobody is there to pay
			}
			t.Run(name+" "+string(product), func(t *testing.T) {
				o := k.order(string(product), nil)
				k.pay(o, product)
				require.Equal(t, "paid", k.state(o))
				r := k.call("POST", o+"/refunds", fields{"key": "r", "amount": "10.00", "reason": "cold"})
				if r["state"] != "done" {
					k.later()
				}
				k.d.pass(30*time.Minute, 5*time.Minute)
				require.Equal(t, "refunded", k.state(o))
			})
		}
	}
}

// TestWhatAnOrderIsForOverTheAPI: each kind of order goes its whole way.
func TestWhatAnOrderIsForOverTheAPI(t *testing.T) {
	for _, row := range []struct {
		name, channel string
		order         fields
		product       channel.Product
		paid          string                // the state once the money is there
		then          func(*caller, string) // what is done next
		end, received string
	}{
		{name: "pre-authorisation", channel: "stripe", order: fields{"mode": "reserved"}, product: channel.Card, paid: "authorised", end: "paid", received: "6.00",
			then: func(k *caller, at string) {
				k.call("POST", at+"/steps", fields{"key": "s", "kind": "capture", "amount": "6.00"})
			}},
		{name: "escrow", channel: "wechat", order: fields{"mode": "escrow"}, product: channel.QR, paid: "held", end: "paid", received: "10.00",
			then: func(k *caller, at string) { k.call("POST", at+"/confirm", nil) }},
		{name: "transfer", channel: "alipay", order: fields{"type": "transfer", "payee": "cafe"}, product: channel.App, paid: "paid", end: "paid", received: "10.00"},
		{name: "top-up of a balance", channel: "unionpay", order: fields{"type": "top-up", "payee": "ann"}, product: channel.NetBank, paid: "paid", end: "paid", received: "10.00",
			then: func(k *caller, _ string) {
				require.Equal(k.t, "10.00", k.call("GET", "/v1/holders/ann", nil)["available"])
			}},
		{name: "red packet", channel: "wechat", order: fields{"type": "red-packet", "packet": fields{"shares": 2}}, product: channel.JSAPI, paid: "held", end: "paid", received: "10.00",
			then: func(k *caller, at string) {
				for _, holder := range []string{"ben", "cay"} {
					require.Equal(k.t, "5.00", k.call("POST", at+"/claims", fields{"key": holder, "holder": holder})["amount"])
				}
			}},
	} {
		t.Run(row.name, func(t *testing.T) {
			k := open(t, counters[row.channel])
			at := k.order("o", row.order)
			k.pay(at, row.product)
			require.Equal(t, row.paid, k.state(at))
			if row.then != nil {
				row.then(k, at)
			}
			o := k.call("GET", at, nil)
			require.Equal(t, row.end, o["state"])
			require.Equal(t, row.received, o["received"])
		})
	}
}

// TestAWithdrawalGoesOutOverTheAPI to a card, by the channel's word.
func TestAWithdrawalGoesOutOverTheAPI(t *testing.T) {
	k := open(t, counters["unionpay"])
	require.NoError(t, k.d.store.Update(k.d.ctx, func(tx *store.Tx) error {
		return tx.Post(k.d.ctx, books.Entry{ID: "seed", Kind: books.KindPaidOnline, Day: noon.Format(time.DateOnly), Ref: "seed",
			Lines: []books.Line{{Account: books.Funding, Amount: money.Minor(10_00)}, {Account: gateway.Available(shop), Amount: money.Minor(-10_00)}}})
	}))
	o := k.call("POST", "/v1/withdrawals", fields{"key": "w", "product": 1, "merchant": shop, "amount": "4.00", "currency": "CNY", "subject": "takings", "to": fields{"account": "ref-ann", "name": "Ann"}})
	at := "/v1/orders/" + o["id"].(string)
	k.later()
	k.d.pass(time.Minute, 5*time.Second)
	o = k.call("GET", at, nil)
	require.Equal(t, string(order.Paid), o["state"], o)
	require.Equal(t, "6.00", k.call("GET", "/v1/merchants/shop/earnings", nil)["available"])
}
