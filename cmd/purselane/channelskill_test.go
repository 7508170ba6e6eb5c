package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/gateway/client"
	"github.com/purselane/purselane/internal/ids"
)

// TestAKilledBackendReversesWhatNobodyAnswered: the process dies by kill -9 while the acquirer has a purchase and has not answered. The next one takes it
// back, says that the payment has failed, and the rider pays anew: he is charged once.
func TestAKilledBackendReversesWhatNobodyAnswered(t *testing.T) {
	bin := program(t, "purselane")
	x := newEveryKind(t)
	raw, err := os.ReadFile(x.path(fileScheme))
	require.NoError(t, err)
	scheme := string(raw)
	for _, port := range []string{"8080", "8081", "1883"} {
		scheme = strings.ReplaceAll(scheme, "127.0.0.1:"+port, freePort(t))
	}
	x.write(t, fileScheme, 0o644, scheme)

	backend := start(t, bin, "serve", "--dir", x.Dir)
	address := func(p *process, what string) string { return strings.Fields(p.says(t, what+` +http://\S+`))[1] }
	at, door := address(backend, "gateway"), address(backend, "cards")
	backend.says(t, `broker +tcp://`)
	till := x.till(t)
	ask := func(method, path, body string) (map[string]any, error) { return askAs(t, till, method, at+path, body) }
	token := cardToken(t, door)
	o, err := ask(http.MethodPost, "/v1/orders", `{"key":"1","type":"top-up","product":1,"merchant":"kiosk","amount":"20.00","currency":"CNY","subject":"load"}`)
	require.NoError(t, err)
	order, is := o["id"].(string)
	require.True(t, is, "%v", o)

	pay := func(key string) (map[string]any, error) {
		return ask(http.MethodPost, "/v1/orders/"+order+"/payments", fmt.Sprintf(`{"key":%q,"product":"card","token":%q}`, key, token))
	}
	x.bank.Withhold(1)
	lost := make(chan error, 1)
	go func() { _, err := pay("1"); lost <- err }()
	require.Eventually(t, func() bool { return x.bank.Withheld() == 1 }, time.Minute, 10*time.Millisecond, "%s", backend.out)
	require.EqualValues(t, 980_00, x.bank.Card(bankCard).Balance)
	require.NoError(t, backend.cmd.Process.Kill())
	require.Error(t, backend.cmd.Wait())
	require.Error(t, <-lost)
	x.bank.LetGo() // to nobody

	backend = start(t, bin, "serve", "--dir", x.Dir)
	at = address(backend, "gateway")
	require.Eventually(t, func() bool { return x.bank.Card(bankCard).Balance == 1_000_00 }, time.Minute, 10*time.Millisecond, "%s", backend.out)
	payment := func(i int) map[string]any {
		o, err := ask(http.MethodGet, "/v1/orders/"+order, "")
		require.NoError(t, err)
		return o["payments"].([]any)[i].(map[string]any)
	}
	require.Eventually(t, func() bool { return payment(0)["state"] == "failed" }, 2*time.Minute, 50*time.Millisecond, "%s", backend.out)
	require.Equal(t, "RV", payment(0)["code"])
	again, err := pay("2")
	require.NoError(t, err)
	require.Equal(t, "paid", again["state"], "%v", again)
	require.EqualValues(t, 980_00, x.bank.Card(bankCard).Balance)
	backend.end(t)
	require.NotContains(t, backend.out.String(), bankCard)
}

// till is a client of an active app; a backend may be running.
func (x *everyKind) till(t *testing.T) *http.Client {
	t.Helper()
	var key app.NewKey
	require.NoError(t, x.withApps(t.Context(), func(apps *app.Service) error {
		if _, err := apps.Apply(t.Context(), "till", app.Filing{Name: "till"}, app.Terms{Merchants: []ids.MerchantID{"kiosk"}}, "ann", "papers"); err != nil {
			return err
		}
		var err error
		for _, who := range []string{"ann", "bob"} {
			if key, err = apps.AskKey(t.Context(), "till", nil, who, "first"); err != nil {
				return err
			}
		}
		for _, e := range []app.Event{app.Approve, app.Activate} {
			for _, who := range []string{"ann", "bob"} {
				if _, err := apps.Ask(t.Context(), "till", e, who, "seen"); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	return &http.Client{Transport: &client.Signer{App: "till", KeyID: key.Key.ID, Key: *key.Secret}}
}

// askAs sends JSON as an app, and reads the answer's.
func askAs(t *testing.T, till *http.Client, method, url, body string) (map[string]any, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	answer, err := till.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var said map[string]any
	return said, json.NewDecoder(answer.Body).Decode(&said)
}

// cardToken hands the bank card in at the vault's door.
func cardToken(t *testing.T, door string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, door+"/v1/cards", strings.NewReader(fmt.Sprintf(`{"number":%q,"expires":"3012"}`, bankCard)))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+vaultBearer)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	var card struct{ Token string }
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&card))
	return card.Token
}
