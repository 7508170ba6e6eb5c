package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/gateway/app/sign"
	"github.com/purselane/purselane/backend/gateway/webhook"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
)

// gatewayTool runs `purselane app` and `purselane webhook` on a folder.
type gatewayTool struct {
	t   *testing.T
	dir string
}

func (g gatewayTool) run(args ...string) (string, error) {
	var cli struct {
		App     AppCmd     `cmd:""`
		Webhook WebhookCmd `cmd:""`
	}
	var out bytes.Buffer
	parser, err := kong.New(&cli, kong.Writers(&out, &out), kong.BindTo(g.t.Context(), (*context.Context)(nil)))
	require.NoError(g.t, err)
	k, err := parser.Parse(append(args, "--dir", g.dir))
	if err != nil {
		return "", err
	}
	err = k.Run()
	return out.String(), err
}

func (g gatewayTool) must(args ...string) string {
	g.t.Helper()
	out, err := g.run(args...)
	require.NoError(g.t, err)
	return out
}

// both has two persons do the same, and returns what the second is told.
func (g gatewayTool) both(args ...string) string {
	g.t.Helper()
	require.Contains(g.t, g.must(append(args, "--by", "ann", "--reason", "seen")...), "ann asks for")
	_, err := g.run(append(args, "--by", "ann", "--reason", "seen")...)
	require.ErrorIs(g.t, err, app.ErrSamePerson)
	return g.must(append(args, "--by", "bob", "--reason", "seen")...)
}

// Two officers bring an app to life with the tool alone, and what it signs with the secret that they were told is its.
func TestApp(t *testing.T) {
	dir := closedScheme(t)
	g := gatewayTool{t, dir}
	terms := filepath.Join(t.TempDir(), "terms.yaml")
	require.NoError(t, os.WriteFile(terms, []byte("channels:\n  - {channel: wechat, account: m1, basis_points: 60}\n  - {channel: alipay, account: m2, shared: true, fee: city-1}\n"), 0o600))
	said := g.must("app", "apply", "shop", "--name", "The Shop", "--terms", terms, "--by", "ann", "--reason", "papers")
	require.Equal(t, "shop  The Shop, applied: wechat at own account m1, fee 0.60 %; alipay at shared account m2, fee standard city-1\n", said)
	require.Contains(t, g.both("app", "approve", "shop"), "shop  The Shop, approved")
	said = g.both("app", "keys", "add", "shop")
	key := regexp.MustCompile(`(K[A-Z2-7]{16})  hmac-sha256\n  secret, not told again: (psk_\S+)\n`).FindStringSubmatch(said)
	require.NotNil(t, key, said)
	require.Contains(t, g.both("app", "activate", "shop"), "active")
	require.NotContains(t, g.must("app", "keys", "shop")+g.must("app", "show", "shop")+g.must("app", "list", "--json"), key[2][4:], "a secret is told once")
	require.Contains(t, g.must("app", "keys", "list", "shop"), key[1]+"  hmac-sha256, since")

	box, err := schemeFolder{Dir: dir}.gatewayBox()
	require.NoError(t, err)
	s, err := store.Open(t.Context(), node.DatabasePath(filepath.Join(dir, folderData)), store.Options{NoSync: true})
	require.NoError(t, err)
	apps, err := app.New(s, app.Config{Box: box})
	require.NoError(t, err)
	secret, err := sign.ParseSecret(key[2])
	require.NoError(t, err)
	r := sign.Request{Method: "GET", Path: "/orders", Timestamp: time.Now().Unix(), Nonce: rand.Text(), App: "shop", Key: key[1]}
	text, err := r.Text()
	require.NoError(t, err)
	signature, err := secret.Sign(text)
	require.NoError(t, err)
	request := httptest.NewRequest("GET", "/orders", nil)
	request.Header.Set("Authorization", sign.Header{App: r.App, Key: r.Key, Timestamp: r.Timestamp, Nonce: r.Nonce, Signature: signature}.String())
	caller, err := apps.Verify(t.Context(), request, nil)
	require.NoError(t, err)
	require.Equal(t, "shop", caller.App)
	require.NoError(t, s.Close())

	private, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	require.NoError(t, err)
	public := filepath.Join(t.TempDir(), "public.pem")
	require.NoError(t, os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
	require.Regexp(t, `^K[A-Z2-7]{16}  rsa-sha256\n$`, g.both("app", "keys", "add", "shop", "--public", public))
	require.Contains(t, g.must("app", "keys", "shop"), "valid until")
	g.must("app", "keys", "end", "shop", key[1], "--by", "bob", "--reason", "changed over")
	require.Contains(t, g.must("app", "keys", "shop"), "OVER since")
	var shown shownKey
	require.NoError(t, json.Unmarshal([]byte(regexp.MustCompile(`.*hmac.*`).FindString(g.must("app", "keys", "shop", "--json"))), &shown))
	require.Equal(t, key[1], shown.ID)
	require.False(t, shown.Valid)

	require.NoError(t, os.WriteFile(terms, []byte("channels:\n  - {channel: wechat, account: m1, rate: 60}\n"), 0o600))
	_, err = g.run("app", "terms", "shop", terms, "--by", "ann", "--reason", "x")
	require.ErrorContains(t, err, "field rate not found")
	require.NoError(t, os.WriteFile(terms, nil, 0o600))
	require.Contains(t, g.must("app", "terms", "shop", terms, "--by", "ann", "--reason", "x"), "ann asks for terms [no channel]")
	g.must("app", "take-back", "shop", "--by", "bob", "--reason", "wrong file")
	require.Contains(t, g.must("app", "freeze", "shop", "--by", "bob", "--reason", "strange"), "frozen")
	require.Contains(t, g.both("app", "close", "shop"), "closed")
	require.Contains(t, g.must("app", "show", "shop"), "take back terms by bob: wrong file")
	require.Empty(t, g.must("app", "list", "--state", "active"))
	require.Contains(t, g.must("app", "list", "--json"), `"state":"closed"`)
}

// Endpoints, their secrets, and messages that nobody took.
func TestWebhook(t *testing.T) {
	dir := closedScheme(t)
	g := gatewayTool{t, dir}
	_, err := g.run("webhook", "add", "--app", "shop", "--url", "https://shop.example/hook", "--event", "*", "--by", "ann")
	require.ErrorIs(t, err, app.ErrUnknown, "an app that is none hears of nothing")
	g.must("app", "apply", "shop", "--name", "The Shop", "--by", "ann", "--reason", "papers")
	_, err = g.run("webhook", "add", "--app", "shop", "--url", "http://127.0.0.1/", "--event", "*", "--by", "ann")
	require.ErrorIs(t, err, webhook.ErrURL)
	said := g.must("webhook", "add", "--app", "shop", "--url", "https://shop.example/hook", "--event", "payment.*", "--event", "refund.done", "--by", "ann")
	made := regexp.MustCompile(`^(W\S+)  shop: payment\.\* refund\.done at https://shop\.example/hook\n  secret, not told again: (whsec_\S+)\n$`).FindStringSubmatch(said)
	require.NotNil(t, made, said)
	require.NotContains(t, g.must("webhook", "list"), "whsec_")
	require.Contains(t, g.must("webhook", "list", "--app", "shop", "--json"), `"id":"`+made[1]+`"`)
	require.Empty(t, g.must("webhook", "list", "--app", "cafe"))
	require.Regexp(t, `secret, not told again: whsec_\S+\n$`, g.must("webhook", "rotate", made[1]))
	_, err = g.run("webhook", "rotate", made[1])
	require.ErrorIs(t, err, webhook.ErrTwoSecrets)

	s, err := store.Open(t.Context(), node.DatabasePath(filepath.Join(dir, folderData)), store.Options{NoSync: true})
	require.NoError(t, err)
	require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error {
		for _, id := range []string{"evt_1", "evt_2"} {
			if err := tx.AddWebhookDelivery(t.Context(), store.WebhookDelivery{Endpoint: made[1], ID: id, App: "shop", Event: "payment.succeeded", Body: []byte("{}"), AtMS: 1, State: string(webhook.Dead)}); err != nil {
				return err
			}
		}
		return nil
	}))
	require.NoError(t, s.Close())
	require.Contains(t, g.must("webhook", "dead"), made[1]+" evt_2  payment.succeeded of ")
	require.Contains(t, g.must("webhook", "dead", "--json"), `"state":"dead"`)
	require.Contains(t, g.must("webhook", "resend", made[1], "evt_1"), "for shop, waiting")
	require.NotContains(t, g.must("webhook", "dead"), "evt_1")
	require.Equal(t, "1 messages will be sent again\n", g.must("webhook", "resend", "--dead"))
	require.JSONEq(t, `{"resent":0}`, g.must("webhook", "resend", "--dead", "--json"))
	_, err = g.run("webhook", "resend", made[1], "evt_9")
	require.ErrorIs(t, err, webhook.ErrUnknown)
	_, err = g.run("webhook", "resend", made[1])
	require.ErrorContains(t, err, "--dead")
}
