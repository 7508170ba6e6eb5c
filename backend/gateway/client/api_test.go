package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/api"
	"github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/client"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/sealed"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
)

// shop is an app of merchant shop at a gateway with its API.
type shop struct {
	*http.Client
	url     string
	time    *clock.Manual
	gateway *gateway.Service
	stop    func()
}

func openShop() *shop {
	dir, err := os.MkdirTemp("", "gateway")
	must(err)
	ctx := context.Background()
	s, err := store.Open(ctx, filepath.Join(dir, "scheme.db"), store.Options{NoSync: true})
	must(err)
	box, err := sealed.New(make([]byte, 32))
	must(err)
	registry, err := code.NewRegistry(map[code.Product]string{1: "shop"}, map[code.Company]string{1: "bank"})
	must(err)
	c, quiet := clock.NewManual(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)), slog.New(slog.DiscardHandler)
	g, err := gateway.New(s, c, gateway.Config{Registry: registry, Router: gateway.FixedRouter{{Accounts: []string{"bank"}}}, Box: box, Log: quiet,
		Typed: func(_ context.Context, ref string) (gateway.TypedCard, error) {
			return gateway.TypedCard{Card: "card_of " + ref, Last: "0048", Bank: "cmb", Kind: "debit"}, nil
		},
		Accounts: []gateway.Account{{ID: "bank", Company: 1, Number: 1, Channel: &bank{said: map[string]channel.Result{}}}}})
	must(err)
	apps, err := app.New(s, app.Config{Box: box, Clock: c, Log: quiet})
	must(err)
	_, err = apps.Apply(ctx, "shop", app.Filing{Name: "The Shop"}, app.Terms{Merchants: []ids.MerchantID{"shop"}}, "ann", "papers")
	must(err)
	var key app.NewKey
	for _, officer := range []string{"ann", "bob"} {
		key, err = apps.AskKey(ctx, "shop", nil, officer, "first")
		must(err)
	}
	for _, e := range []app.Event{app.Approve, app.Activate} {
		for _, officer := range []string{"ann", "bob"} {
			_, err := apps.Ask(ctx, "shop", e, officer, "seen")
			must(err)
		}
	}
	h, err := api.New(api.Config{Gateway: g, Apps: apps, Clock: c, Log: quiet})
	must(err)
	server := httptest.NewServer(h)
	return &shop{Client: &http.Client{Transport: &client.Signer{App: "shop", KeyID: key.Key.ID, Key: *key.Secret, Clock: c}}, url: server.URL, time: c, gateway: g,
		stop: func() { server.Close(); s.Close(); os.RemoveAll(dir) }}
}

// call makes a signed request, and reads its answer. After a lost answer the same call, with the same key in its body, has its effect once.
func (s *shop) call(method, path string, body any) map[string]any {
	raw, err := json.Marshal(body)
	must(err)
	r, err := http.NewRequest(method, s.url+path, bytes.NewReader(raw))
	must(err)
	r.Header.Set("Content-Type", "application/json")
	resp, err := s.Do(r)
	must(err)
	defer resp.Body.Close()
	said := map[string]any{}
	must(json.NewDecoder(resp.Body).Decode(&said))
	if resp.StatusCode != http.StatusOK { // programs go by the type
		fmt.Println(resp.StatusCode, said["type"])
	}
	return said
}

// later lets time go by, hour by hour, at the gateway.
func (s *shop) later(hours int) {
	for range hours {
		s.time.Advance(time.Hour)
		_, err := s.gateway.Scan(context.Background())
		must(err)
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

type fields = map[string]any

// tea is an order, named by a key of the app's.
func tea(key string) fields {
	return fields{"key": key, "type": "pay", "product": 1, "merchant": "shop", "amount": "10.00", "currency": "CNY", "subject": "tea"}
}

// An order is made and paid, a part of it is given back, and no more than the rest can be.
func ExampleSigner_payment() {
	s := openShop()
	defer s.stop()
	o := s.call("POST", "/v1/orders", tea("o1"))
	at := "/v1/orders/" + o["id"].(string)
	p := s.call("POST", at+"/payments", fields{"key": "p1", "product": "card", "token": "tok_ann"})
	fmt.Println("payment", p["state"])
	r := s.call("POST", at+"/refunds", fields{"key": "r1", "amount": "4.00", "reason": "cold"})
	fmt.Println("refund", r["state"])
	s.call("POST", at+"/refunds", fields{"key": "r2", "amount": "6.01"})
	o = s.call("GET", at, nil)
	fmt.Println("order", o["state"], o["received"], o["refunded"])
	// Output:
	// payment paid
	// refund done
	// 422 urn:purselane:gateway:too-much
	// order part_refunded 10.00 4.00
}

// Money is reserved, more of it is, and a part is taken; the rest is free again.
func ExampleSigner_reservation() {
	s := openShop()
	defer s.stop()
	n := tea("o1")
	n["mode"] = "reserved"
	at := "/v1/orders/" + s.call("POST", "/v1/orders", n)["id"].(string)
	s.call("POST", at+"/payments", fields{"key": "p1", "product": "card", "token": "tok_ann"})
	s.call("POST", at+"/steps", fields{"key": "s1", "kind": "increment", "amount": "5.00"})
	o := s.call("GET", at, nil)
	fmt.Println(o["state"], o["reserved"])
	s.call("POST", at+"/steps", fields{"key": "s2", "kind": "capture", "amount": "12.00"})
	o = s.call("GET", at, nil)
	fmt.Println(o["state"], o["received"])
	// Output:
	// authorised 15.00
	// paid 12.00
}

// What was earned is available a day later, and is paid out. Whom it goes to is never answered.
func ExampleSigner_withdrawal() {
	s := openShop()
	defer s.stop()
	at := "/v1/orders/" + s.call("POST", "/v1/orders", tea("o1"))["id"].(string)
	s.call("POST", at+"/payments", fields{"key": "p1", "product": "card", "token": "tok_ann"})
	w := fields{"key": "w1", "product": 1, "merchant": "shop", "amount": "8.00", "currency": "CNY", "subject": "takings", "to": fields{"account": "tok_shop", "name": "The Shop"}}
	s.call("POST", "/v1/withdrawals", w)
	s.later(25)
	fmt.Println(s.call("POST", "/v1/withdrawals", w)["state"])
	e := s.call("GET", "/v1/merchants/shop/earnings", nil)
	fmt.Println(e["pending"], e["available"])
	// Output:
	// 422 urn:purselane:gateway:payee-funds
	// paid
	// 0.00 2.00
}

// A red packet is paid like an order; its shares go to the balances of holders, and what nobody claims goes back.
func ExampleSigner_redPacket() {
	s := openShop()
	defer s.stop()
	at := "/v1/orders/" + s.call("POST", "/v1/orders", fields{"key": "o1", "type": "red-packet", "product": 1, "merchant": "shop", "packet": fields{"shares": 3}, "amount": "10.00", "currency": "CNY",
		"subject": "new year"})["id"].(string)
	s.call("POST", at+"/payments", fields{"key": "p1", "product": "card", "token": "tok_ann"})
	for i, holder := range []string{"ben", "cay"} {
		fmt.Println(holder, s.call("POST", at+"/claims", fields{"key": fmt.Sprint("c", i), "holder": holder})["amount"])
	}
	fmt.Println(s.call("GET", "/v1/holders/cay", nil)["available"])
	s.later(25)
	o := s.call("GET", at, nil)
	fmt.Println(o["state"], o["refunded"])
	// Output:
	// ben 3.34
	// cay 3.33
	// 3.33
	// part_refunded 3.33
}

// A card is bound once, with the code that its bank sends, and pays without card data from then on. What the payer types goes to the vault, whose reference is all that
// travels here.
func ExampleSigner_binding() {
	s := openShop()
	defer s.stop()
	const typed = "typed_abcdefghijklmnopqrstuvwxyz" // POST /v1/typed of the vault has answered it
	b := s.call("POST", "/v1/bindings", fields{"key": "b1", "product": 1, "holder": "rider-7", "typed": typed})
	number := b["number"].(string)
	fmt.Println(b["state"], b["bank"], b["last4"])
	b = s.call("POST", "/v1/bindings/"+number+"/confirm", fields{"typed": typed, "code": "123456"})
	fmt.Println(b["state"])
	for _, key := range []string{"o1", "o2"} {
		at := "/v1/orders/" + s.call("POST", "/v1/orders", tea(key))["id"].(string)
		fmt.Println(s.call("POST", at+"/payments", fields{"key": "p1", "product": "quick", "binding": number, "holder": "rider-7"})["state"])
	}
	fmt.Println(s.call("POST", "/v1/bindings/"+number+"/unbind", nil)["state"])
	// Output:
	// code_sent cmb 0048
	// bound
	// paid
	// paid
	// unbound
}

// A payer signs once. The gateway charges what recurs; the app orders debits of its own by the same number.
func ExampleSigner_agreement() {
	s := openShop()
	defer s.stop()
	a := s.call("POST", "/v1/agreements", fields{"key": "a1", "product": 1, "merchant": "shop", "payer": "rider-7", "currency": "CNY", "subject": "monthly ticket",
		"recurs": fields{"months": 1, "trial_days": 7, "amount": "30.00"}})
	number := a["number"].(string)
	fmt.Println(a["state"], a["next_due"])
	s.later(8 * 24)
	a = s.call("GET", "/v1/agreements/"+number, nil)
	fmt.Println(a["standing"], s.call("GET", "/v1/orders/"+a["last_order"].(string), nil)["received"])

	at := "/v1/orders/" + s.call("POST", "/v1/orders", tea("extra"))["id"].(string)
	fmt.Println(s.call("POST", at+"/payments", fields{"key": "p1", "product": "agreement", "agreement": number})["state"])
	fmt.Println(s.call("POST", "/v1/agreements/"+number+"/end", nil)["state"])
	// Output:
	// active 2026-12-02T12:00:00Z
	// good 30.00
	// paid
	// ended
}
