package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/bin"
	"github.com/purselane/purselane/backend/gateway/channel"
	unionadapter "github.com/purselane/purselane/backend/gateway/channel/unionpay"
	"github.com/purselane/purselane/backend/gateway/vault"
	"github.com/purselane/purselane/backend/risk/stepup"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/unionpay"
)

const (
	debitCard, creditCard = "6226090000000048", "6226090000000055"
	vaultBearer           = "a-token-of-tests-that-is-long-enough"
)

// unionDesk is a gateway with its API and its vault before UnionPay, all of which speak HTTP.
type unionDesk struct {
	*desk
	union *unionpay.Sim
	sky   *sim.Weather
	door  string
	log   *bytes.Buffer
	texts []stepup.Message // that the operator's service has sent
}

// Send is the operator's service that takes codes to payers.
func (u *unionDesk) Send(_ context.Context, m stepup.Message) error {
	u.texts = append(u.texts, m)
	return nil
}

// newUnionDesk makes one; unchecked: UnionPay's contract checks neither phone nor person.
func newUnionDesk(t *testing.T, unchecked bool) *unionDesk {
	u := &unionDesk{log: &bytes.Buffer{}}
	log := slog.New(slog.NewTextHandler(u.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	u.desk = newDesk(t, func(c *gateway.Config, s *store.Store, now *clock.Manual) {
		pki, err := unionpay.NewPKI(now.Now())
		require.NoError(t, err)
		u.sky = sim.NewWeather(1)
		u.union = unionpay.New(unionpay.Config{PKI: pki, Merchant: "777290058110048", TokenID: "62000000001", Clock: now, Weather: u.sky, Unchecked: unchecked})
		u.union.AddCard(unionpay.Card{Number: debitCard, Bank: "0308", Phone: "13800000001", Balance: 1_000_00})
		u.union.AddCard(unionpay.Card{Number: creditCard, Bank: "0102", Phone: "13800000002", CVN2: "248", Expires: "3012", Balance: 1_000_00})
		network := httptest.NewServer(u.union)
		t.Cleanup(network.Close)

		table, err := bin.Parse([]byte("purselane-bin,1,1\n622609,cmb,debit,unionpay,16,luhn\nend,1\n"))
		require.NoError(t, err)
		var bins bin.Current
		require.NoError(t, bins.Use(table))
		v, err := vault.New(vault.Config{Dir: filepath.Join(t.TempDir(), "vault"), Key: make([]byte, 32), Store: s, Bins: &bins, Clock: now})
		require.NoError(t, err)
		handler, err := v.Handler(vaultBearer, log)
		require.NoError(t, err)
		door := httptest.NewServer(handler)
		t.Cleanup(door.Close)
		u.door = door.URL

		a, err := unionadapter.New(unionadapter.Settings{Merchant: "777290058110048", Gateway: network.URL + "/gateway/api", Files: network.URL, TokenID: "62000000001",
			Key: pki.Merchant, Encrypt: pki.Encrypt, Roots: pki.Roots(), HTTP: network.Client(), Clock: now, Vault: v, Unchecked: unchecked})
		require.NoError(t, err)
		codes, err := stepup.New(s, make([]byte, 32), u, now, nil)
		require.NoError(t, err)
		c.Accounts[0].Channel, c.Log, c.ForgetTyped = a, log, v.Forget
		c.PhoneCodes = stepup.Bindings{Codes: codes, Vault: v}
		c.Typed = func(_ context.Context, ref string) (gateway.TypedCard, error) {
			b, card, err := v.OfTyped(ref)
			if err != nil {
				return gateway.TypedCard{}, fmt.Errorf("%w: %w", gateway.ErrNotTyped, err)
			}
			return gateway.TypedCard{Card: card, Last: b.Last, Bank: b.Bank, Kind: string(b.Type)}, nil
		}
	})
	u.union.Notifier().Receive(func(_ context.Context, _ string, n channel.Notification) channel.Reply {
		resp, err := http.Post(u.url+"/notify/one", "application/x-www-form-urlencoded", bytes.NewReader(n.Body))
		require.NoError(t, err)
		defer resp.Body.Close()
		return channel.Reply{Status: resp.StatusCode}
	})
	return u
}

// types is what a payer types on the page of whoever runs the vault.
func (u *unionDesk) types(body string) string {
	u.t.Helper()
	r, err := http.NewRequest("POST", u.door+"/v1/typed", strings.NewReader(body))
	require.NoError(u.t, err)
	r.Header.Set("Authorization", "Bearer "+vaultBearer)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(u.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(u.t, err)
	require.Equal(u.t, http.StatusCreated, resp.StatusCode, string(raw))
	var said struct{ Token, Bank string }
	require.NoError(u.t, json.Unmarshal(raw, &said))
	require.Equal(u.t, "cmb", said.Bank, "the bank is shown to the payer before he goes on")
	return said.Token
}

// goes lets time go by, and UnionPay notify.
func (u *unionDesk) goes(seconds int) {
	for range seconds {
		u.clock.Advance(time.Second)
		u.union.Settle()
		u.union.Notifier().Run(u.t.Context())
		_, err := u.gateway.Scan(u.t.Context())
		require.NoError(u.t, err)
	}
}

func (u *unionDesk) order(key string) string {
	return u.good(u.shop, "POST", "/v1/orders", strings.Replace(anOrder, "o1", key, 1))["id"].(string)
}

// TestACardIsBoundOverUnionPay: bound with its bank's code, pays twice without card data, is unbound, and pays no more. No number and no token is in a row or in the log.
func TestACardIsBoundOverUnionPay(t *testing.T) {
	u := newUnionDesk(t, false)
	typed := u.types(`{"number":"` + debitCard + `","phone":"13800000001","name":"张三","id_type":"01","id_number":"110101190001011234"}`)
	bind := `{"key":"b1","product":1,"holder":"rider-7","typed":"` + typed + `"}`
	b := u.good(u.shop, "POST", "/v1/bindings", bind)
	require.Equal(t, "code_sent", b["state"])
	require.Equal(t, "0048", b["last4"])
	at := "/v1/bindings/" + b["number"].(string)
	code := u.union.Text(b["number"].(string) + "01")
	require.NotEmpty(t, code)
	require.Equal(t, b, u.good(u.shop, "POST", "/v1/bindings", bind))

	b = u.good(u.shop, "POST", at+"/confirm", `{"typed":"`+typed+`","code":"000000"}`)
	require.Equal(t, "applied", b["state"])
	require.Equal(t, "71", b["code"])
	b = u.good(u.shop, "POST", at+"/code", `{"typed":"`+typed+`"}`)
	require.Equal(t, "code_sent", b["state"])
	b = u.good(u.shop, "POST", at+"/confirm", `{"typed":"`+typed+`","code":"`+u.union.Text(b["number"].(string)+"02")+`"}`)
	require.Equal(t, "bound", b["state"])

	pay := `{"key":"p1","product":"quick","binding":"` + b["number"].(string) + `","holder":"rider-7"}`
	for i, key := range []string{"o1", "o2"} {
		id := u.order(key)
		u.good(u.shop, "POST", "/v1/orders/"+id+"/payments", pay)
		u.goes(20)
		require.Equal(t, "paid", u.good(u.shop, "GET", "/v1/orders/"+id, "")["state"])
		require.EqualValues(t, 1_000_00-(i+1)*10_00, u.union.Balance(debitCard))
	}
	require.Len(t, u.good(u.shop, "GET", "/v1/bindings?holder=rider-7&state=bound", "")["bindings"], 1)
	require.Empty(t, u.good(u.cafe, "GET", "/v1/bindings", "")["bindings"])
	u.refused(u.cafe, "GET", at, "", 404, "unknown-binding")
	u.refused(u.cafe, "POST", at+"/unbind", "", 404, "unknown-binding")
	id := u.order("o3")
	u.refused(u.shop, "POST", "/v1/orders/"+id+"/payments", strings.Replace(pay, "rider-7", "rider-8", 1), 404, "unknown-binding")

	require.Equal(t, "unbound", u.good(u.shop, "POST", at+"/unbind", "")["state"])
	u.refused(u.shop, "POST", "/v1/orders/"+id+"/payments", pay, 409, "order-state")
	events := u.good(u.shop, "GET", at+"/timeline", "")["events"].([]any)
	require.Equal(t, "ended", events[len(events)-1].(map[string]any)["event"])
	u.hides(debitCard, "6235240000", "13800000001", "110101190001011234", "张三")
}

// TestACardIsBoundAndPaysAtOnce: the third entry, with a credit card; and it ends at the bank.
func TestACardIsBoundAndPaysAtOnce(t *testing.T) {
	u := newUnionDesk(t, false)
	id := u.order("o1")
	typed := u.types(`{"number":"` + creditCard + `","phone":"13800000002","cvn2":"248","expires":"3012"}`)
	b := u.good(u.shop, "POST", "/v1/bindings", `{"key":"b1","product":1,"holder":"rider-7","typed":"`+typed+`","order":"`+id+`"}`)
	number := b["number"].(string)
	b = u.good(u.shop, "POST", "/v1/bindings/"+number+"/confirm", `{"typed":"`+typed+`","code":"`+u.union.Text(number+"01")+`"}`)
	require.Equal(t, "bound", b["state"])
	u.goes(20)
	require.Equal(t, "paid", u.good(u.shop, "GET", "/v1/orders/"+id, "")["state"])
	require.EqualValues(t, 990_00, u.union.Balance(creditCard))

	u.refused(u.shop, "POST", "/v1/bindings", `{"key":"b2","product":1,"holder":"rider-7","typed":"`+typed+`"}`, 410, "not-typed")

	// Bound already: the same binding, and the second order is paid by it.
	typed = u.types(`{"number":"` + creditCard + `","phone":"13800000002"}`)
	second := u.order("o2")
	same := u.good(u.shop, "POST", "/v1/bindings", `{"key":"b2","product":1,"holder":"rider-7","typed":"`+typed+`","order":"`+second+`"}`)
	require.Equal(t, number, same["number"])
	u.goes(20)
	require.Equal(t, "paid", u.good(u.shop, "GET", "/v1/orders/"+second, "")["state"])

	require.Equal(t, "bound", u.good(u.shop, "POST", "/v1/bindings/"+number+"/ask", "")["state"])
	u.union.EndTokenAtBank(number + "01")
	require.Equal(t, "unbound", u.good(u.shop, "POST", "/v1/bindings/"+number+"/ask", "")["state"])
	u.hides(creditCard, "248", "13800000002")
}

// TestWhatUnionPaySaidIsLost: a request or an answer is lost, or UnionPay says that it does not know. The binding is in doubt, asked about, and in the end what UnionPay has; where
// it has nothing, the payer goes on where he was.
func TestWhatUnionPaySaidIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		fate sim.Fate
		done bool
	}{
		"the answer": {sim.Fate{Cut: sim.CutAfter}, true}, "the request": {sim.Fate{Cut: sim.CutBefore}, false},
		"timed out, and done": {sim.Fate{Error: "04", AndDone: true}, true}, "timed out": {sim.Fate{Error: "04"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUnionDesk(t, false)
			typed := u.types(`{"number":"` + debitCard + `","phone":"13800000001"}`)
			b := u.good(u.shop, "POST", "/v1/bindings", `{"key":"b1","product":1,"holder":"rider-7","typed":"`+typed+`"}`)
			at, opening := "/v1/bindings/"+b["number"].(string), b["number"].(string)+"01"
			confirm := `{"typed":"` + typed + `","code":"` + u.union.Text(opening) + `"}`
			u.sky.Next(sim.Sign, c.fate)
			require.Equal(t, "opening", u.good(u.shop, "POST", at+"/confirm", confirm)["state"])
			u.goes(20)
			if !c.done {
				require.Equal(t, "opening", u.good(u.shop, "GET", at, "")["state"], "it may be on its way")
				u.goes(300)
				require.Equal(t, "applied", u.good(u.shop, "GET", at, "")["state"])
				require.Equal(t, "bound", u.good(u.shop, "POST", at+"/confirm", confirm)["state"], "the same opening, by the same code")
			}
			require.Equal(t, "bound", u.good(u.shop, "GET", at, "")["state"])
			require.Equal(t, "bound", u.good(u.shop, "POST", at+"/confirm", confirm)["state"])
			u.sky.Next(sim.Unsign, c.fate)
			require.Equal(t, "unbinding", u.good(u.shop, "POST", at+"/unbind", "")["state"])
			u.goes(10)
			require.Equal(t, "unbound", u.good(u.shop, "GET", at, "")["state"])
		})
	}
}

// TestACardIsPreBoundOverUnionPay: where its contract checks neither phone nor person, a code of ours goes to the phone first; then the card is bound, and unproven.
func TestACardIsPreBoundOverUnionPay(t *testing.T) {
	u := newUnionDesk(t, true)
	id := u.order("o1")
	typed := u.types(`{"number":"` + debitCard + `","phone":"13800000001"}`)
	b := u.good(u.shop, "POST", "/v1/bindings", `{"key":"b1","product":1,"holder":"rider-7","typed":"`+typed+`","order":"`+id+`"}`)
	require.Equal(t, "applied", b["state"])
	number := b["number"].(string)
	at := "/v1/bindings/" + number
	b = u.good(u.shop, "POST", at+"/confirm", `{"typed":"`+typed+`"}`)
	require.Equal(t, "pre_bound", b["state"])
	require.Len(t, u.texts, 1)
	require.Equal(t, []string{"shop", "13800000001", number}, []string{u.texts[0].App, u.texts[0].Payer, u.texts[0].Payment})
	u.refused(u.shop, "POST", "/v1/orders/"+id+"/payments", `{"key":"p1","product":"quick","binding":"`+number+`","holder":"rider-7"}`, 409, "order-state")
	u.refused(u.shop, "POST", at+"/confirm", `{"code":"no"}`, 422, "code")
	u.clock.Advance(6 * time.Minute) // the code lives no more
	u.refused(u.shop, "POST", at+"/confirm", `{"code":"`+u.texts[0].Code+`"}`, 422, "code")
	require.Equal(t, "pre_bound", u.good(u.shop, "POST", at+"/code", `{"typed":"`+typed+`"}`)["state"])
	require.Len(t, u.texts, 2)
	b = u.good(u.shop, "POST", at+"/confirm", `{"typed":"`+typed+`","code":"`+u.texts[1].Code+`"}`)
	require.Equal(t, "bound", b["state"])
	require.Equal(t, true, b["unproven"])
	u.goes(20)
	require.Equal(t, "paid", u.good(u.shop, "GET", "/v1/orders/"+id, "")["state"])
	u.hides(debitCard, "13800000001", "6235240000")
}

// TestACardIsBoundOnUnionPaysPage: nothing is typed here, and nobody proves whose card it is.
func TestACardIsBoundOnUnionPaysPage(t *testing.T) {
	u := newUnionDesk(t, false)
	b := u.good(u.shop, "POST", "/v1/bindings", `{"key":"b1","product":1,"holder":"rider-7","return_url":"https://shop.example/back"}`)
	require.Equal(t, "opening", b["state"])
	form := unionadapter.Form{}
	for k, v := range b["action"].(map[string]any)["form"].(map[string]any) {
		form[k] = v.(string)
	}
	require.NoError(t, u.union.Visit(form, debitCard))
	u.goes(5)
	b = u.good(u.shop, "GET", "/v1/bindings/"+b["number"].(string), "")
	require.Equal(t, "bound", b["state"])
	require.Equal(t, true, b["unproven"])
	require.Equal(t, true, b["page"])
	id := u.order("o1")
	u.good(u.shop, "POST", "/v1/orders/"+id+"/payments", `{"key":"p1","product":"quick","binding":"`+b["number"].(string)+`","holder":"rider-7"}`)
	u.goes(20)
	require.Equal(t, "paid", u.good(u.shop, "GET", "/v1/orders/"+id, "")["state"])
	u.hides(debitCard, "6235240000")
}

// TestABindingThatDoesNotFitIsNamed: each refusal has its word.
func TestABindingThatDoesNotFitIsNamed(t *testing.T) {
	u := newUnionDesk(t, false)
	u.refused(u.shop, "POST", "/v1/bindings", `{"key":"b1","product":1,"holder":"rider-7","typed":"typed_none"}`, 410, "not-typed")
	u.refused(u.shop, "POST", "/v1/bindings", `{"key":"b1","product":1,"holder":"rider-7","number":"`+debitCard+`"}`, 400, "request")
	u.refused(u.shop, "POST", "/v1/bindings", `{"key":"b1","product":1,"holder":"`+debitCard+`"}`, 400, "card-number")
	typed := u.types(`{"number":"` + debitCard + `","phone":"13800000001"}`)
	u.refused(u.shop, "POST", "/v1/bindings", `{"key":"b1","product":1,"holder":"rider-7","typed":"`+typed+`","order":"ONONE"}`, 404, "unknown-order")
	b := u.good(u.shop, "POST", "/v1/bindings", `{"key":"b1","product":1,"holder":"rider-7","typed":"`+typed+`"}`)
	u.refused(u.shop, "POST", "/v1/bindings", `{"key":"b1","product":1,"holder":"rider-8","typed":"`+typed+`"}`, 409, "key-reused")
	at := "/v1/bindings/" + b["number"].(string)
	u.refused(u.shop, "POST", at+"/confirm", `{"code":"1"}`, 400, "request")
	u.clock.Advance(16 * time.Minute) // longer than the vault holds what was typed
	u.refused(u.shop, "POST", at+"/confirm", `{"typed":"`+typed+`","code":"`+u.union.Text(b["number"].(string)+"01")+`"}`, 410, "not-typed")
	again := u.types(`{"number":"` + debitCard + `","phone":"13800000001"}`)
	require.Equal(t, "bound", u.good(u.shop, "POST", at+"/confirm", `{"typed":"`+again+`","code":"`+u.union.Text(b["number"].(string)+"01")+`"}`)["state"], "the payer goes on where he was")
}

// hides checks that none of these is in a row about bindings, in a message or in the log.
func (u *unionDesk) hides(secrets ...string) {
	u.t.Helper()
	var kept strings.Builder
	require.NoError(u.t, u.store.View(u.t.Context(), func(tx *store.Tx) error {
		all, err := tx.GatewayBindings(u.t.Context(), "", "", "", 100)
		require.NoError(u.t, err)
		require.NotEmpty(u.t, all)
		for _, b := range all {
			fmt.Fprintf(&kept, "%+v\n", b)
			lines, err := tx.GatewayTimeline(u.t.Context(), b.Number)
			require.NoError(u.t, err)
			fmt.Fprintf(&kept, "%+v\n", lines)
		}
		waiting, err := tx.OutboxWaiting(u.t.Context(), 1<<20)
		for _, m := range waiting {
			kept.Write(m.Body)
		}
		return err
	}))
	for _, s := range secrets {
		if len(s) > 3 { // three digits are anywhere
			require.NotContains(u.t, u.log.String(), s)
			require.NotContains(u.t, kept.String(), s)
		}
	}
	require.Negative(u.t, bin.Find([]byte(u.log.String())))
}
