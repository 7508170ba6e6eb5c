package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/holdings"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
)

// free gives the scheme ports of its own, so that a process may serve it.
func (x *everyKind) free(t *testing.T) (scheme string) {
	t.Helper()
	raw, err := os.ReadFile(x.path(fileScheme))
	require.NoError(t, err)
	scheme = string(raw)
	for _, port := range []string{"8080", "8081", "1883"} {
		scheme = strings.ReplaceAll(scheme, "127.0.0.1:"+port, freePort(t))
	}
	x.write(t, fileScheme, 0o644, scheme)
	return scheme
}

// TestARunningBackendReadsAnew: the tool asks it over the database, and prints what it makes of what it read.
func TestARunningBackendReadsAnew(t *testing.T) {
	bin := program(t, "purselane")
	x := newEveryKind(t)
	scheme := x.free(t)
	reload := func(wait string) (string, error) {
		var cli struct {
			Channels ChannelsCmd `cmd:""`
		}
		var out bytes.Buffer
		parser, err := kong.New(&cli, kong.Writers(&out, &out), kong.BindTo(t.Context(), (*context.Context)(nil)))
		require.NoError(t, err)
		k, err := parser.Parse([]string{"channels", "reload", "--dir", x.Dir, "--by", "ann", "--wait", wait})
		require.NoError(t, err)
		err = k.Run()
		return out.String(), err
	}
	backend := start(t, bin, "serve", "--dir", x.Dir)
	backend.says(t, `broker +tcp://`)
	out, err := reload("5s")
	require.NoError(t, err, "%s\n%s", out, backend.out)
	require.Equal(t, 1, strings.Count(out, "anew"), out)

	x.write(t, fileScheme, 0o644, strings.Replace(scheme, "channels/stripe.yaml", "channels/nothing.yaml", 1))
	out, err = reload("5s")
	require.ErrorIs(t, err, errNotTakenOver)
	require.Contains(t, out, "everything is as it was: ")
	require.Contains(t, out, "nothing.yaml")
	x.write(t, fileScheme, 0o644, scheme)
	backend.end(t)
	require.Contains(t, backend.out.String(), "by=ann")
	_, err = reload("200ms")
	require.ErrorIs(t, err, errNobodyReads)
}

// TestAKilledBackendUndoesWhatWasPaidInPart: of a payment by balance and card the process dies by kill -9 while the acquirer has the card's part and has not answered. The
// next one takes the card's part back and frees the balance; what is paid anew is charged once.
func TestAKilledBackendUndoesWhatWasPaidInPart(t *testing.T) {
	bin := program(t, "purselane")
	x := newEveryKind(t)
	x.free(t)
	backend := start(t, bin, "serve", "--dir", x.Dir)
	address := func(p *process, what string) string { return strings.Fields(p.says(t, what+` +http://\S+`))[1] }
	at, door := address(backend, "gateway"), address(backend, "cards")
	backend.says(t, `broker +tcp://`)
	till := x.till(t)
	require.NoError(t, x.withHoldings(t.Context(), func(h *holdings.Service, _ *store.Store, currency string) error {
		c, err := h.Ask(t.Context(), holdings.Wanted{Holder: "till.ann", Currency: currency, Amount: money.Minor(50_00)}, "ann", "a gift")
		if err != nil {
			return err
		}
		_, err = h.Approve(t.Context(), c.ID, "bob")
		return err
	}))
	ask := func(method, path, body string) (map[string]any, error) { return askAs(t, till, method, at+path, body) }
	token := cardToken(t, door)
	o, err := ask(http.MethodPost, "/v1/orders", `{"key":"1","type":"pay","product":1,"merchant":"kiosk","amount":"50.00","currency":"CNY","subject":"a meal"}`)
	require.NoError(t, err)
	order, is := o["id"].(string)
	require.True(t, is, "%v", o)
	pay := func(key string) (map[string]any, error) {
		return ask(http.MethodPost, "/v1/orders/"+order+"/payments", fmt.Sprintf(`{"key":%q,"product":"combined","parts":[{"with":"balance","account":"ann","amount":"20.00","currency":"CNY"},{"with":"bank/card","account":%q,"amount":"30.00","currency":"CNY"}]}`, key, token))
	}
	has := func() string {
		h, err := ask(http.MethodGet, "/v1/holders/ann", "")
		require.NoError(t, err)
		return fmt.Sprint(h["available"], " and ", h["held"])
	}

	x.bank.Withhold(1)
	lost := make(chan error, 1)
	go func() { _, err := pay("1"); lost <- err }()
	require.Eventually(t, func() bool { return x.bank.Withheld() == 1 }, time.Minute, 10*time.Millisecond, "%s", backend.out)
	require.Equal(t, "30.00 and 20.00", has(), "the balance's part is held while the card's is asked for")
	require.EqualValues(t, 30_00, x.bank.Card(bankCard).Held)
	require.NoError(t, backend.cmd.Process.Kill())
	require.Error(t, backend.cmd.Wait())
	require.Error(t, <-lost)
	x.bank.LetGo() // to nobody

	backend = start(t, bin, "serve", "--dir", x.Dir)
	at = address(backend, "gateway")
	payment := func() map[string]any {
		o, err := ask(http.MethodGet, "/v1/orders/"+order, "")
		require.NoError(t, err)
		return o["payments"].([]any)[0].(map[string]any)
	}
	require.Eventually(t, func() bool { return payment()["state"] == "failed" }, 2*time.Minute, 50*time.Millisecond, "%s", backend.out)
	require.Eventually(t, func() bool { return x.bank.Card(bankCard).Held == 0 }, time.Minute, 50*time.Millisecond, "%s", backend.out)
	require.EqualValues(t, 1_000_00, x.bank.Card(bankCard).Balance)
	require.Equal(t, "50.00 and 0.00", has())
	again, err := pay("2")
	require.NoError(t, err)
	require.Equal(t, "paid", again["state"], "%v", again)
	require.EqualValues(t, 970_00, x.bank.Card(bankCard).Balance)
	require.Equal(t, "30.00 and 0.00", has())
	backend.end(t)
	require.NotContains(t, backend.out.String(), bankCard)
}
