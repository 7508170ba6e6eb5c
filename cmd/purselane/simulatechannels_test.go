package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/node"
)

// printed keeps what a command that goes on has printed.
type printed struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *printed) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}
func (l *printed) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.all.String() }

// simulateChannels runs the command until the test ends, and says where the desk is.
func simulateChannels(t *testing.T, dir string) (at string, out *printed) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	out = &printed{}
	parser, err := kong.New(&SimulateChannelsCmd{}, kong.Writers(out, out), kong.BindTo(ctx, (*context.Context)(nil)))
	require.NoError(t, err)
	k, err := parser.Parse([]string{"--dir", dir, "--listen", "127.0.0.1:0"})
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- k.Run() }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
	})
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "next: ") || len(done) > 0 }, time.Minute, 10*time.Millisecond)
	at = regexp.MustCompile(`payers' desk +(http://\S+)`).FindStringSubmatch(out.String())[1]
	return at, out
}

func newScheme(t *testing.T) schemeFolder {
	t.Helper()
	f := schemeFolder{Dir: filepath.Join(t.TempDir(), "scheme")}
	parser, err := kong.New(&InitCmd{}, kong.Writers(io.Discard, io.Discard))
	require.NoError(t, err)
	k, err := parser.Parse([]string{"--dir", f.Dir})
	require.NoError(t, err)
	require.NoError(t, k.Run())
	freePorts(t, f.Dir)
	return f
}

// TestSimulatedChannels: a scheme that was just made pays over five channels that the tool is, and somebody at the desk is the payer.
func TestSimulatedChannels(t *testing.T) {
	f := newScheme(t)
	at, out := simulateChannels(t, f.Dir)
	require.Contains(t, out.String(), "has a section gateway now")

	// Where channels reach the gateway is the test's, and so is everything that listens.
	var door http.Handler
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { door.ServeHTTP(w, r) }))
	defer outside.Close()
	raw, err := os.ReadFile(f.path(fileScheme))
	require.NoError(t, err)
	local := strings.NewReplacer("notify_url: http://127.0.0.1:8082", "notify_url: "+outside.URL, "address: 127.0.0.1:8082", "address: 127.0.0.1:0", "address: 127.0.0.1:8083", "address: 127.0.0.1:0").Replace(string(raw))
	require.NotEqual(t, string(raw), local)
	require.NoError(t, os.WriteFile(f.path(fileScheme), []byte(local), 0o644))

	x := &payTown{schemeFolder: f, outside: outside}
	c, err := x.config(t)
	require.NoError(t, err)
	n, err := node.Open(t.Context(), c)
	require.NoError(t, err)
	door = n.GatewayAPI()
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- n.Run(ctx) }()
	defer func() {
		stop()
		require.NoError(t, <-ran)
		require.NoError(t, n.Close())
	}()
	g := n.Gateway()
	paid := func(p gateway.Payment) func() bool {
		return func() bool {
			o, err := g.Order(t.Context(), "till", p.Order)
			return err == nil && o.State == order.Paid
		}
	}
	post := func(path string, form url.Values) string {
		t.Helper()
		r, err := http.PostForm(at+path, form)
		require.NoError(t, err)
		defer r.Body.Close()
		said, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, r.StatusCode, "%s", said)
		return strings.TrimSpace(string(said))
	}

	p := pays(t, g, "qr", 2_000, gateway.NewPayment{Product: channel.QR})
	require.Equal(t, "wechat", p.Account)
	require.NotEmpty(t, p.Action.QR, "%s %s", p.Code, p.Message)
	post("/channels/wechat/pay", url.Values{"number": {p.Number}})
	require.Eventually(t, paid(p), 30*time.Second, 20*time.Millisecond, "the channel tells of it")

	for _, account := range []string{"wechat", "alipay"} {
		p = pays(t, g, "code of "+account, 2_000, gateway.NewPayment{Product: channel.Code, Payer: channel.Payer{Code: post("/channels/"+account+"/code", nil)}})
		require.Equal(t, account, p.Account)
		require.True(t, paid(p)(), "%s %s", p.Code, p.Message)
	}

	p = pays(t, g, "stripe", 2_000, gateway.NewPayment{Product: channel.Quick, Payer: channel.Payer{Token: "pm_card_visa"}})
	require.True(t, paid(p)(), "%s %s", p.Code, p.Message)

	// UnionPay's page takes the shop's form, shows the card, and goes back to the shop.
	p = pays(t, g, "netbank", 2_000, gateway.NewPayment{Product: channel.NetBank, ReturnURL: "https://shop.example/paid"})
	require.Equal(t, "unionpay", p.Account)
	form := url.Values{}
	for name, value := range p.Action.Form {
		form.Set(name, value)
	}
	page := func(form url.Values) string {
		t.Helper()
		r, err := http.PostForm(p.Action.URL, form)
		require.NoError(t, err)
		defer r.Body.Close()
		seen, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		return string(seen)
	}
	require.Contains(t, page(form), "card that ends in 0048")
	chosen := url.Values{"purselane_form": {form.Encode()}, "card": {simulatedCard}}
	seen := page(chosen)
	require.Contains(t, seen, "Confirmed.")
	require.Contains(t, seen, `href="https://shop.example/paid"`)
	require.Contains(t, page(chosen), "it is paid already")
	forged := url.Values{"purselane_form": {strings.Replace(form.Encode(), "txnAmt=2000", "txnAmt=1", 1)}, "card": {simulatedCard}}
	require.NotEqual(t, chosen, forged)
	require.Contains(t, page(forged), "the page shows an error", "a form that was changed on the way is not believed")
	require.Eventually(t, paid(p), 30*time.Second, 20*time.Millisecond, "the channel tells of it")

	// The acquirer of bank cards, by a card that was brought to the vault.
	token, err := os.ReadFile(f.path(simulatedFolder + "/vault.token"))
	require.NoError(t, err)
	vault := httptest.NewServer(n.Vault())
	defer vault.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, vault.URL+"/v1/cards", strings.NewReader(fmt.Sprintf(`{"number":%q,"expires":"3012"}`, simulatedCard)))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	answer, err := vault.Client().Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	card := regexp.MustCompile(`"token":"(card_[^"]+)"`).FindStringSubmatch(string(said))
	require.NotNil(t, card, "%s", said)
	p = pays(t, g, "card", 2_000, gateway.NewPayment{Product: channel.Card, Payer: channel.Payer{Token: card[1]}})
	require.True(t, paid(p)(), "%s %s", p.Code, p.Message)

	// One that is gone is out of order before long, and the next one is asked.
	post("/channels/wechat/mood", url.Values{"mood": {"gone"}})
	require.Eventually(t, func() bool {
		p := pays(t, g, "gone"+time.Now().Format(time.RFC3339Nano), 2_000, gateway.NewPayment{Product: channel.QR})
		return p.Account == "alipay"
	}, 30*time.Second, 100*time.Millisecond)
}

// TestSimulatedChannelsOfASchemeThatHasItsOwn: its section stays as it is, and its files count when they are named.
func TestSimulatedChannelsOfASchemeThatHasItsOwn(t *testing.T) {
	x := newPayTown(t)
	before, err := os.ReadFile(x.path(fileScheme))
	require.NoError(t, err)
	_, out := simulateChannels(t, x.Dir)
	require.Contains(t, out.String(), "its accounts pay here where they name these files")
	after, err := os.ReadFile(x.path(fileScheme))
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
	for _, name := range []string{"wechat.key", "wechat.v3key", "stripe.key", "bank.mac", "vault.token"} {
		info, err := os.Stat(x.path(filepath.Join(simulatedFolder, name)))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode(), name)
	}
}

// TestSimulatedChannelsWhereTheyMayNotBe: the desk asks nobody who is looking.
func TestSimulatedChannelsWhereTheyMayNotBe(t *testing.T) {
	f := newScheme(t)
	for _, at := range []string{"0.0.0.0:8090", "8090", "127.0.0.1:65533", "[::]:1"} {
		c := SimulateChannelsCmd{schemeFolder: f, Listen: at}
		require.ErrorContains(t, c.Run(t.Context(), nil), "--listen", at)
	}
	require.NoDirExists(t, f.path(simulatedFolder))
}
