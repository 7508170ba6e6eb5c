package main

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	unionadapter "github.com/purselane/purselane/backend/gateway/channel/unionpay"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/internal/money"
)

func runScan(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var cli struct {
		Scan ScanCmd `cmd:""`
	}
	var out bytes.Buffer
	parser, err := kong.New(&cli, kong.Writers(&out, &out), kong.BindTo(t.Context(), (*context.Context)(nil)))
	require.NoError(t, err)
	k, err := parser.Parse(append([]string{"scan"}, args...))
	require.NoError(t, err)
	err = k.Run()
	return out.String(), err
}

// TestNothingForbiddenIsWritten pays by card over the acquirer's and UnionPay's channels, is refused, refunds and fails, and looks for what nobody may keep in everything that
// the run wrote: database, journals, log, bills. Then each forbidden thing is planted, in several forms, and found.
func TestNothingForbiddenIsWritten(t *testing.T) {
	x := newEveryKind(t)
	data := x.path(folderData)
	x.append(t, fileScheme, "  traces: traces/gateway.jsonl\n")
	require.NoError(t, os.MkdirAll(data, 0o700))
	log, err := os.Create(filepath.Join(data, "serve.log"))
	require.NoError(t, err)
	defer log.Close()
	c, err := x.schemeFolder.config(t.Context(), slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	require.NoError(t, err)
	require.NoError(t, x.gateway(&c))
	n, err := node.Open(t.Context(), c)
	require.NoError(t, err)
	x.serve = n.GatewayAPI()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	g := n.Gateway()

	token := x.brings(t, n, bankCard)
	p := pays(t, g, "card", 2000, gateway.NewPayment{Product: channel.Card, Payer: channel.Payer{Token: token}})
	require.Equal(t, order.PaymentPaid, p.State, "%s %s", p.Code, p.Message)
	refused := pays(t, g, "too much", 1000_00, gateway.NewPayment{Product: channel.Card, Payer: channel.Payer{Token: token}})
	require.Equal(t, order.Failed, refused.State)
	_, err = g.Refund(t.Context(), "till", p.Order, gateway.NewRefund{Key: "r", Amount: money.Minor(2000)})
	require.NoError(t, err)
	p = pays(t, g, "netbank", 3000, gateway.NewPayment{Product: channel.NetBank, ReturnURL: "https://shop.example/paid"})
	require.NoError(t, x.union.Visit(unionadapter.Form(p.Action.Form), bankCard))
	require.Equal(t, 1, x.union.Notifier().Run(t.Context()))
	// A card number where a token belongs is refused, and does not get into the log by that.
	_, err = g.Pay(t.Context(), "till", p.Order, gateway.NewPayment{Key: "2", Product: channel.Card, Payer: channel.Payer{Token: bankCard}})
	require.ErrorIs(t, err, gateway.ErrCardNumber)
	slog.New(slog.NewTextHandler(log, nil)).Warn("refused", "error", err)
	for id, ch := range c.Channels {
		bill, err := os.Create(filepath.Join(data, "bill-"+id))
		require.NoError(t, err)
		err = ch.Bill(t.Context(), time.Now().Format(time.DateOnly), func(r channel.BillRow) error { _, err := fmt.Fprintf(bill, "%+v\n", r); return err })
		fmt.Fprintln(bill, err)
		require.NoError(t, bill.Close())
	}

	private, err := unionKeys()
	require.NoError(t, err)
	d := private.Merchant.Signer.(*rsa.PrivateKey).D.Bytes()
	known := filepath.Join(t.TempDir(), "known")
	pinBlock := []byte{0x04, 0x12, 0x26, 0x90, 0xFF, 0xFF, 0xFF, 0xFB}
	require.NoError(t, os.WriteFile(known, []byte(fmt.Sprintf("# of this run\nthe card %s\nthe MAC key hex:%s\nthe bearer token hex:%x\nthe merchant's private key hex:%x\na PIN block hex:%x\n", bankCard, macKeyDigits, vaultBearer, d[:64], pinBlock)), 0o600))
	look := func() (string, error) { return runScan(t, "--dir", x.Dir, "--known", known) }
	out, err := look() // while it runs: the database and its log
	require.NoError(t, err, out)
	stop()
	require.NoError(t, <-done)
	require.NoError(t, n.Close())
	out, err = look()
	require.NoError(t, err, out)
	spans, err := os.ReadFile(filepath.Join(data, "traces", "gateway.jsonl"))
	require.NoError(t, err)
	for _, step := range []string{"check", "idempotency", "route", "create", "risk", "call", "answer"} {
		require.Contains(t, string(spans), `"name":"`+step+`"`)
	}
	require.Regexp(t, `"name":"call","start":"[^"]+","duration_us":[0-9]+,"order":"O[0-9A-Z]{26}","context":"[0-9]{20}"`, string(spans))
	require.Regexp(t, `^\d+ files, \d{6,} bytes, \d\d secrets known; found 0\n$`, out)

	packed, err := hex.DecodeString(bankCard)
	require.NoError(t, err)
	mac, err := hex.DecodeString(macKeyDigits)
	require.NoError(t, err)
	ring, err := x.ring()
	require.NoError(t, err)
	var master []byte
	for _, k := range ring.Masters {
		master = k[:]
	}
	for name, planted := range map[string]string{
		"a card in the log": "level=INFO msg=paid card=" + bankCard + "\n", "a card nobody named": "pan=4111111111111111\n", "packed decimal": "\x10" + string(packed) + "\x00",
		"hexadecimal": hex.EncodeToString([]byte(bankCard)), "base64": base64.StdEncoding.EncodeToString([]byte("n=" + bankCard)), "base64 of packed decimal": base64.StdEncoding.EncodeToString(append([]byte{2}, packed...)),
		"a verification value": `{"cvv2":"123"}`, "a track": ";5555555555554444=29121011234?", "a PIN block": string(pinBlock), "a PIN block in hexadecimal": strings.ToUpper(hex.EncodeToString(pinBlock)),
		"a MAC key": string(mac), "a master key": string(master), "a master key in base64": base64.StdEncoding.EncodeToString(master),
	} {
		at := filepath.Join(data, "broker", "planted")
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o700))
		require.NoError(t, os.WriteFile(at, []byte("before "+planted+" after"), 0o600))
		out, err := look()
		require.ErrorIs(t, err, errForbidden, name)
		require.Contains(t, out, at+"  at ", name)
		require.NotContains(t, out, bankCard)
		require.NoError(t, os.Remove(at))
	}

	// In the database itself: what a careless column would hold.
	db := node.DatabasePath(data)
	raw, err := os.ReadFile(db)
	require.NoError(t, err)
	i := bytes.Index(raw, []byte(p.Number))
	require.Positive(t, i)
	copy(raw[i:], " "+bankCard+" ")
	require.NoError(t, os.WriteFile(db, raw, 0o600))
	out, err = runScan(t, db)
	require.ErrorIs(t, err, errForbidden)
	require.Contains(t, out, "622609******0048")
	require.Contains(t, out, "1 files, ")
}

func TestASecretsLine(t *testing.T) {
	for line, want := range map[string]bool{"the card 4111111111111111": true, "key hex:00ff": true, "key hex:0": false, "4111111111111111": false, "the card 4111-1111": false, "name ": false, "key hex:": false} {
		_, ok := knownSecret(line)
		require.Equal(t, want, ok, line)
	}
	_, err := runScan(t)
	require.ErrorContains(t, err, "--dir")
	known := filepath.Join(t.TempDir(), "known")
	require.NoError(t, os.WriteFile(known, []byte("K7secret"), 0o600))
	_, err = runScan(t, "--known", known, known)
	require.ErrorContains(t, err, "line 1")
	require.NotContains(t, err.Error(), "K7secret")
}

func FuzzKnownSecret(f *testing.F) {
	f.Add("a 4111111111111111")
	f.Add("key hex:00ff")
	f.Fuzz(func(t *testing.T, line string) {
		if s, ok := knownSecret(line); ok && (len(s.Value) == 0 || s.Name == "" && strings.TrimSpace(line) == line) {
			t.Fatalf("%q", line)
		}
	})
}
