package unionpay

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/clock"
)

// Version of the interface that is spoken.
const Version = "5.1.0"

// Zone is that of UnionPay's times and days.
var Zone = time.FixedZone("UTC+8", 8*60*60)

// DayStart is where UnionPay's settlement day begins: at 23:00 of the evening before.
const DayStart = -time.Hour

// Vault opens what stands for an account or card number. Only an adapter asks it, at the last moment.
type Vault interface {
	Account(ctx context.Context, ref string) (number string, err error)
}

// Settings are one merchant's account at UnionPay.
type Settings struct {
	Merchant string // merId, 15 digits
	Gateway  string // address of the gateway, as https://gateway.95516.com/gateway/api
	Files    string // address of the file server, as https://filedownload.95516.com
	TokenID  string // trId, the token requestor; "" : no tokens

	// Unchecked says that this merchant's contract opens a card by its number alone: neither phone nor person is checked, and no code is sent.
	Unchecked bool

	Key     Key
	Encrypt *x509.Certificate // UnionPay's certificate for sensitive fields
	Roots   *x509.CertPool    // vouch for UnionPay's signing certificate
	Holder  string            // its holder; "": [Holder]

	HTTP  channel.Doer
	Clock clock.Clock
	Vault Vault // for pay-outs and for agreements signed by our side
}

// Adapter is one merchant's account at UnionPay. It keeps nothing.
type Adapter struct {
	s     Settings
	trust trust
}

// New checks the settings and makes the adapter. It asks nobody.
func New(s Settings) (*Adapter, error) {
	missing := func(what string) error { return errors.New("unionpay: the account has no " + what + ": set it") }
	switch {
	case s.Merchant == "":
		return nil, missing("merchant number")
	case s.Gateway == "" || s.Files == "":
		return nil, missing("address of the gateway or of the file server")
	case s.Key.Cert == nil || s.Key.Signer == nil:
		return nil, missing("signing key with its certificate")
	case s.Encrypt == nil || s.Roots == nil:
		return nil, missing("certificate for encryption or roots")
	case s.HTTP == nil || s.Clock == nil || s.Vault == nil:
		return nil, missing("HTTP client, clock or vault")
	}
	pub, ok := s.Key.Cert.PublicKey.(*rsa.PublicKey)
	if !ok || !pub.Equal(s.Key.Signer.Public()) {
		return nil, errors.New("unionpay: the certificate is not that of the signing key: take the pair that UnionPay's download gave")
	}
	if _, ok := s.Encrypt.PublicKey.(*rsa.PublicKey); !ok {
		return nil, errors.New("unionpay: the certificate for encryption holds no RSA key")
	}
	if s.Holder == "" {
		s.Holder = Holder
	}
	s.Gateway, s.Files = strings.TrimRight(s.Gateway, "/"), strings.TrimRight(s.Files, "/")
	return &Adapter{s: s, trust: trust{roots: s.Roots, holder: s.Holder, merchant: s.Key.Cert, encrypt: s.Encrypt}}, nil
}

var (
	_ channel.Channel    = (*Adapter)(nil)
	_ channel.Voider     = (*Adapter)(nil)
	_ channel.Agreements = (*Adapter)(nil)
	_ channel.Payouts    = (*Adapter)(nil)
	_ channel.Prober     = (*Adapter)(nil)
)

// Capabilities of UnionPay. An order cannot be closed: it ends at its payTimeout.
func (a *Adapter) Capabilities() channel.Capabilities {
	c := channel.Capabilities{
		Products:     []channel.Product{channel.NetBank, channel.Agreement, channel.Payout},
		Currencies:   []string{"CNY"},
		Refund:       true,
		RefundWindow: 330 * 24 * time.Hour,
		Void:         true,
		Agreements:   true,
		Payout:       true,
		Bill:         true,
		DayZone:      Zone,
		DayStart:     DayStart,
	}
	if a.s.TokenID != "" {
		c.Products = append(c.Products, channel.Quick)
	}
	return c
}
