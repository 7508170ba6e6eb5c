package killrun

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/purselane/purselane/backend/api"
	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/wechat"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/simulator/city"
)

// gatewaySection is what the sample city's scheme gets for this test: one channel, which sells at kiosks.
const gatewaySection = `
gateway:
  address: 127.0.0.1:0
  notify_url: https://pay.example
  products: {1: kiosk}
  companies: {1: wechat}
  accounts: [{id: wechat, kind: wechat, company: 1, number: 1, fee_ppm: 6000, settings: wechat.yaml}]
  rules: [{accounts: [wechat]}]
`

const (
	account = "wechat"
	seller  = ids.AcquirerID("metro-company")
)

var (
	issuer = ep.Factor{0x01, 0x01, 0x10, 0x00, 0xFF, 0xFF, 0xFF, 0xFF}
	number = ids.CardNumber{0: 0x03, 1: 0x10, 9: 1}
)

// Life is what a process is told when it starts. It is written as JSON.
type life struct {
	Dir      string   // its disk
	Database string   // as store.Open takes it
	Outside  string   // base URL of channel and clock
	Arm      int      // the point at which it dies, counted from its start; 0: none
	Merchant merchant // at the channel
}

// merchant is a wechat.Settings that can be written down.
type merchant struct {
	ID, App, Serial, V3Key, KeyID string
	Key, Public                   []byte
}

func merchantOf(s adapter.Settings) merchant {
	return merchant{s.MerchantID, s.AppID, s.Serial, s.V3Key, s.PublicKeyID, x509.MarshalPKCS1PrivateKey(s.Key), x509.MarshalPKCS1PublicKey(s.PublicKey)}
}

// channel speaks to the simulator outside, whichever of the channel's hosts is meant.
func (l life) channel(c clock.Clock, at func(string)) (*adapter.Channel, error) {
	key, err1 := x509.ParsePKCS1PrivateKey(l.Merchant.Key)
	var public *rsa.PublicKey
	public, err2 := x509.ParsePKCS1PublicKey(l.Merchant.Public)
	outside, err3 := url.Parse(l.Outside)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	m := l.Merchant
	there := trip(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.URL.Scheme, r.URL.Host = outside.Scheme, outside.Host
		return http.DefaultTransport.RoundTrip(r)
	})
	return adapter.New(adapter.Settings{MerchantID: m.ID, AppID: m.App, Serial: m.Serial, V3Key: m.V3Key, PublicKeyID: m.KeyID, Key: key, PublicKey: public,
		HTTP: &http.Client{Transport: counted("channel", at, there)}, Now: c.Now})
}

type trip func(*http.Request) (*http.Response, error)

// RoundTrip implements [http.RoundTripper].
func (t trip) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// counted is a point before and one after each call.
func counted(what string, at func(string), to http.RoundTripper) http.RoundTripper {
	return trip(func(r *http.Request) (*http.Response, error) {
		at(what + " asked " + r.URL.Path)
		out, err := to.RoundTrip(r)
		at(what + " answered " + r.URL.Path)
		return out, err
	})
}

// keysOf are the scheme's keys and the kiosk's token: the same in each process.
func keysOf() (*keys.Ring, string, api.Tokens, error) {
	chance := rand.NewChaCha8([32]byte{0: 'k'})
	ring, err := keys.NewRing(chance)
	if err != nil {
		return nil, "", api.Tokens{}, err
	}
	token, hash := api.NewToken(chance)
	tokens, err := api.LoadTokens(fmt.Appendf(nil, "version: 1\ntokens:\n  - {name: kiosk, role: agent, acquirer: %s, sha256: %s}\n", seller, hash))
	return ring, token, tokens, err
}

// config is the backend's.
func (l life) config(c clock.Clock, at func(string)) (node.Config, string, error) {
	ring, token, tokens, err := keysOf()
	if err != nil {
		return node.Config{}, "", err
	}
	scheme, err := node.ParseScheme(append(city.SchemeYAML(), gatewaySection...))
	if err != nil {
		return node.Config{}, "", err
	}
	tokenKey, err1 := ring.Secret(keys.SecretToken, 32)
	receipts, err2 := ring.SigningKey(keys.SecretReceipt)
	ch, err3 := l.channel(c, at)
	return node.Config{
		Dir: filepath.Join(l.Dir, "backend"), Database: l.Database, Scheme: scheme, HSM: ring.HSM(), TokenKey: tokenKey, ReceiptKey: receipts, Tokens: tokens,
		Channels: map[string]channel.Channel{account: ch}, Clock: c, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		// What dies here dies by a kill and never for want of power, so nothing waits for a disk.
		Store: store.Options{NoSync: true, Fault: func(point string) error { at(point); return nil }},
	}, token, errors.Join(err1, err2, err3)
}

// encode is what the environment carries.
func (l life) encode() (string, error) {
	out, err := json.Marshal(l)
	return string(out), err
}
