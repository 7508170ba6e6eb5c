package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/risk"
	"github.com/purselane/purselane/backend/risk/stepup"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/channel/wechat"
)

const riskSection = `
  risk:
    rules: risk.json
    lists: risk-lists.json
    apps: [bank]
    codes: {url: '%s', key: codes.key}
    identity: {url: '%[1]s', key: codes.key, two: 0.50, three: 0.80, four: 1.00, budget: 100.00}
`

const riskRules1 = `{"form": 1, "version": %d, "rules": [
	{"name": "denied", "when": "merchant_list == 'denied'", "then": "block", "why": "the merchant is on the deny list"},
	{"name": "large", "when": "amount > %d", "then": "step-up", "why": "a large amount"}]}`

// runRisk runs `purselane risk`.
func runRisk(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var cli struct {
		Risk RiskCmd `cmd:""`
	}
	var out bytes.Buffer
	parser, err := kong.New(&cli, kong.Writers(&out, &out), kong.BindTo(t.Context(), (*context.Context)(nil)))
	require.NoError(t, err)
	k, err := parser.Parse(append([]string{"risk"}, args...))
	if err != nil {
		return "", err
	}
	err = k.Run()
	return out.String(), err
}

// TestAPayerProvesMoreAndTheSameOrderGoesOn: rules and lists are files, the code comes by the operator's own service, and the tools say why.
func TestAPayerProvesMoreAndTheSameOrderGoesOn(t *testing.T) {
	const key = "0123456789abcdef0123456789abcdef"
	x := newPayTown(t)
	var sent []stepup.Message
	phones := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		check, err := standardwebhooks.NewWebhookRaw([]byte(key))
		require.NoError(t, err)
		require.NoError(t, check.Verify(body, r.Header))
		var m stepup.Message
		require.NoError(t, json.Unmarshal(body, &m))
		sent = append(sent, m)
	}))
	defer phones.Close()
	x.append(t, fileScheme, fmt.Sprintf(riskSection, phones.URL))
	x.write(t, "codes.key", 0o600, key+"\n")
	x.write(t, "risk.json", 0o644, fmt.Sprintf(riskRules1, 1, 1000))
	x.write(t, "risk-lists.json", 0o644, `{"form": 1, "version": 1, "entries": []}`)
	c, err := x.config(t)
	require.NoError(t, err)
	n, err := node.Open(t.Context(), c)
	require.NoError(t, err)
	defer func() { require.NoError(t, n.Close()) }()
	x.serve = n.GatewayAPI()
	g := n.Gateway()
	buy := func(key string, amount int64) gateway.Order {
		o, err := g.Create(t.Context(), "till", gateway.NewOrder{Key: key, Type: code.TopUp, Product: 1, Merchant: "kiosk", Money: channel.Money{Amount: money.Minor(amount), Currency: "CNY"}, Subject: "load"})
		require.NoError(t, err)
		return o
	}
	pay := func(o gateway.Order, proof string, want order.PaymentState) gateway.Payment {
		p, err := g.Pay(t.Context(), "till", o.ID, gateway.NewPayment{Key: "1", Product: channel.QR, Proof: proof})
		require.NoError(t, err)
		require.Equal(t, want, p.State, p.Message)
		return p
	}

	pay(buy("small", 1000), "", order.Waiting)
	large := buy("large", 1001)
	first := pay(large, "", order.Challenged)
	require.Len(t, sent, 1)
	require.Equal(t, first.Number, sent[0].Payment)
	pay(large, "code:nothing", order.Challenged)
	pay(large, "app:password", order.Challenged) // this app is not among those that are trusted
	second := pay(large, "code:"+sent[0].Code, order.Waiting)
	require.Equal(t, first.Number, second.Number)
	require.NoError(t, x.wechat.Pay(second.Number, wechat.Payer{}))
	require.Equal(t, 1, x.wechat.Run(t.Context()))
	o, err := g.Order(t.Context(), "till", large.ID)
	require.NoError(t, err)
	require.Equal(t, order.Paid, o.State)
	lines, err := g.Timeline(t.Context(), "till", large.ID)
	require.NoError(t, err)
	var said []string
	for _, l := range lines {
		if l.Source == gateway.ByRisk {
			said = append(said, l.Event+": "+l.Detail)
		}
	}
	require.Equal(t, []string{"challenged: rules 1, large: a large amount", "called: rules 1"}, said)

	out, err := runRisk(t, "explain", large.ID, "--dir", x.Dir)
	require.NoError(t, err)
	require.Contains(t, out, "step-up by rule large of version 1: a large amount")
	require.Contains(t, out, "large asks for step-up: a large amount (amount = 1001)")
	require.Contains(t, out, "after the payer proved more\npass by rules version 1")
	_, err = runRisk(t, "explain", "O-none", "--dir", x.Dir)
	require.ErrorContains(t, err, "there is none")

	// New rules on the payments that were.
	x.write(t, "next.json", 0o644, fmt.Sprintf(riskRules1, 2, 999))
	today := time.Now().In(c.Scheme.Location()).Format(time.DateOnly)
	out, err = runRisk(t, "dry-run", x.path("next.json"), "--day", today, "--dir", x.Dir)
	require.NoError(t, err)
	require.Contains(t, out, "3 decisions, by version 1 and by version 2; 1 would differ\n  pass -> step-up  1\n")
	require.Contains(t, out, "large                    decides 2\n")
	require.Contains(t, out, "denied                   decides 0\n")
	out, err = runRisk(t, "dry-run", x.path("next.json"), "--day", today, "--dir", x.Dir, "--json")
	require.NoError(t, err)
	var report risk.Report
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Equal(t, 1, report.Changed)

	// They are taken while the backend runs, and so is a deny list.
	x.write(t, "risk.json", 0o644, fmt.Sprintf(riskRules1, 2, 999))
	in, w, err := os.Pipe()
	require.NoError(t, err)
	_, err = io.WriteString(w, "kiosk\n")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	old := os.Stdin
	os.Stdin = in
	id, err := runRisk(t, "id", "merchant", "--dir", x.Dir)
	os.Stdin = old
	require.NoError(t, err)
	require.NoError(t, n.Risk().Look(t.Context()))
	pay(buy("now large", 1000), "", order.Challenged)
	x.write(t, "risk-lists.json", 0o644, fmt.Sprintf(`{"form": 1, "version": 2, "entries": [{"kind": "merchant", "id": "%s", "is": "denied", "why": "theft"}]}`, id[:32]))
	require.NoError(t, n.Risk().Look(t.Context()))
	p := pay(buy("denied", 10), "", order.Failed)
	require.Equal(t, channel.ByRisk, p.Class)

	require.NoError(t, n.Store().Update(t.Context(), func(tx *store.Tx) error {
		return tx.AddIdentitySpending(t.Context(), store.IdentitySpending{Day: "2026-11-24", Process: "host:scheme", Calls: 3, Silent: 1, Matched: 2, Spent: money.Minor(150), Budget: money.Minor(10000)})
	}))
	out, err = runRisk(t, "identity", "--day", "2026-11-24", "--dir", x.Dir)
	require.NoError(t, err)
	require.Equal(t, "host:scheme  1.50 of 100.00: 3 calls, 1 without an answer; 2 match, 0 do not, 0 are in no database; 0 needed no call, 0 were not made\n", out)
	out, err = runRisk(t, "identity", "--day", "2026-11-24", "--dir", x.Dir, "--json")
	require.NoError(t, err)
	require.Contains(t, out, `"Process":"host:scheme"`)
	_, err = runRisk(t, "identity", "--day", "yesterday", "--dir", x.Dir)
	require.ErrorContains(t, err, "YYYY-MM-DD")
}

func TestRiskFilesAreChecked(t *testing.T) {
	dir := t.TempDir()
	f := schemeFolder{Dir: dir}
	write := func(name, body string, mode os.FileMode) string {
		require.NoError(t, os.WriteFile(f.path(name), []byte(body), mode))
		return f.path(name)
	}
	rules := write("rules.json", fmt.Sprintf(riskRules1, 7, 10), 0o644)
	out, err := runRisk(t, "check", rules)
	require.NoError(t, err)
	require.Equal(t, rules+"  2 rules, version 7: they can be used\n", out)
	out, err = runRisk(t, "check", "../../docs/examples/risk-rules.json")
	require.NoError(t, err)
	require.Contains(t, out, "they can be used")
	_, err = runRisk(t, "check", write("bad.json", `{"form": 1, "version": 1, "rules": [{"name": "x", "when": "amuont > 1", "then": "block", "why": "w"}]}`, 0o644))
	require.ErrorContains(t, err, "amuont")
	out, err = runRisk(t, "check", "--lists", write("lists.json", `{"form": 1, "version": 3, "entries": []}`, 0o644))
	require.NoError(t, err)
	require.Contains(t, out, "version 3")

	_, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	_, err = runRisk(t, "sign", rules, "--key", write("open.pem", pemOf("PRIVATE KEY", der), 0o644), "--out", f.path("rules.signed"))
	require.ErrorContains(t, err, "others may read")
	require.NoError(t, os.Chmod(f.path("open.pem"), 0o600))
	out, err = runRisk(t, "sign", rules, "--key", f.path("open.pem"), "--out", f.path("rules.signed"))
	require.NoError(t, err)
	key := out[len(out)-65 : len(out)-1]
	_, err = runRisk(t, "check", f.path("rules.signed"), "--key", key)
	require.NoError(t, err)
	_, err = runRisk(t, "check", f.path("rules.signed"))
	require.ErrorIs(t, err, risk.ErrRules)
	_, err = runRisk(t, "check", rules, "--key", key)
	require.ErrorIs(t, err, risk.ErrSigned)
}

// TestARiskSectionThatDoesNotFit: each fault names its field, and a backend with rules that are wrong does not start.
func TestARiskSectionThatDoesNotFit(t *testing.T) {
	const good = "\n  risk:\n    rules: risk.json\n"
	for _, c := range []struct{ section, rules, says string }{
		{good, fmt.Sprintf(riskRules1, 1, 1), ""},
		{good, "", "no such file"},
		{good, "{", "bad risk rules"},
		{"\n  risk:\n    lists: l.json\n", "", "gateway.risk.rules"},
		{good + "    key: abc\n", "", "gateway.risk.key"},
		{good + "    lists: none.json\n", fmt.Sprintf(riskRules1, 1, 1), "none.json"},
		{good + "    apps: ['']\n", "", "gateway.risk.apps[0]"},
		{good + "    codes: {url: 'http://codes.example.org', key: k}\n", "", "gateway.risk.codes.url"},
		{good + "    codes: {url: 'https://codes.example.org'}\n", "", "gateway.risk.codes.key"},
		{good + "    codes: {url: 'https://codes.example.org', key: none}\n", "", "none"},
		{good + "    identity: {url: 'https://id.example.org', key: none}\n", "", "budget"},
	} {
		x := newPayTown(t)
		x.append(t, fileScheme, c.section)
		if c.rules != "" {
			x.write(t, "risk.json", 0o644, c.rules)
		}
		cfg, err := x.config(t)
		if err == nil {
			var n *node.Node
			if n, err = node.Open(t.Context(), cfg); err == nil {
				require.NoError(t, n.Close())
			}
		}
		if c.says == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, c.says, c.section)
	}
}

// TestWhatWasTransferredALittleWhileAgoIsNotWithdrawn: the hold is a fact, and a rule asks it.
func TestWhatWasTransferredALittleWhileAgoIsNotWithdrawn(t *testing.T) {
	x := newPayTown(t)
	x.append(t, fileScheme, "\n  risk:\n    rules: risk.json\n    hold: 24h\n")
	x.write(t, "risk.json", 0o644, `{"form": 1, "version": 1, "rules": [{"name": "young", "when": "product == 'payout' && young > 0", "then": "block", "why": "too young"},
		{"name": "never compared", "when": "product == 'payout' && recon_minutes < 0", "then": "step-up", "why": "the channel was not asked yet"}]}`)
	c, err := x.config(t)
	require.NoError(t, err)
	n, err := node.Open(t.Context(), c)
	require.NoError(t, err)
	defer func() { require.NoError(t, n.Close()) }()
	x.serve = n.GatewayAPI()
	g := n.Gateway()
	o, err := g.Create(t.Context(), "till", gateway.NewOrder{Key: "1", Type: code.Transfer, Product: 1, Merchant: "bob", Payee: "ann", Money: channel.Money{Amount: money.Minor(1000), Currency: "CNY"}, Subject: "rent"})
	require.NoError(t, err)
	p, err := g.Pay(t.Context(), "till", o.ID, gateway.NewPayment{Key: "1", Product: channel.QR})
	require.NoError(t, err)
	require.NoError(t, x.wechat.Pay(p.Number, wechat.Payer{}))
	require.Equal(t, 1, x.wechat.Run(t.Context()))
	withdraw := func(merchant string) gateway.Assessment {
		said, err := n.Risk().Assess(t.Context(), gateway.Assessed{Order: gateway.Order{ID: "O", Merchant: ids.MerchantID(merchant)},
			Payment: gateway.Payment{Number: "O", Account: "wechat", Product: channel.Payout, Money: channel.Money{Amount: money.Minor(1), Currency: "CNY"}, Created: time.Now()}})
		require.NoError(t, err)
		return said
	}
	said := withdraw("ann")
	require.Equal(t, gateway.Block, said.Verdict, said.Why)
	require.Contains(t, said.Why, "young")
}
