package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/cardacquirer"
	"github.com/purselane/purselane/backend/gateway/channel/stripe"
	"github.com/purselane/purselane/backend/gateway/channel/unionpay"
	"github.com/purselane/purselane/backend/node"
)

// stripeFile is the settings file of an account at Stripe.
type stripeFile struct {
	Key            string   `yaml:"key,omitempty"`             // secret file
	WebhookSecrets []string `yaml:"webhook_secrets,omitempty"` // secret files
	Currencies     []string `yaml:"currencies,omitempty"`
	URL            string   `yaml:"url,omitempty"`
	Hosts          []string `yaml:"hosts,omitempty"`
}

// unionpayFile is the settings file of an account at UnionPay.
type unionpayFile struct {
	Merchant    string   `yaml:"merchant,omitempty"`
	Gateway     string   `yaml:"gateway,omitempty"`
	Files       string   `yaml:"files,omitempty"`
	TokenID     string   `yaml:"token_id,omitempty"`
	Key         string   `yaml:"key,omitempty"` // secret file
	Certificate string   `yaml:"certificate,omitempty"`
	Encrypt     string   `yaml:"encrypt,omitempty"`
	Roots       []string `yaml:"roots,omitempty"`
	Holder      string   `yaml:"holder,omitempty"`
	Unchecked   bool     `yaml:"unchecked,omitempty"`
	Hosts       []string `yaml:"hosts,omitempty"`
}

// cardFile is the settings file of a terminal at an acquirer.
type cardFile struct {
	Terminal string        `yaml:"terminal,omitempty"`
	Merchant string        `yaml:"merchant,omitempty"`
	Currency string        `yaml:"currency,omitempty"`
	Number   string        `yaml:"currency_number,omitempty"`
	Zone     string        `yaml:"zone,omitempty"`
	Ends     []string      `yaml:"ends,omitempty"`
	TLS      []string      `yaml:"tls,omitempty"` // certificates that vouch for the ends; none: no TLS
	Framing  string        `yaml:"framing,omitempty"`
	MACKey   string        `yaml:"mac_key,omitempty"` // secret file
	Enquiry  bool          `yaml:"enquiry,omitempty"`
	Cards    []string      `yaml:"cards,omitempty"` // debit, credit, prepaid; none: all
	Patience time.Duration `yaml:"patience,omitempty"`
	Files    string        `yaml:"files,omitempty"` // folder
}

var framings = map[string]cardacquirer.Framing{"binary2": cardacquirer.Binary2, "binary2-self": cardacquirer.Binary2Self, "ascii4": cardacquirer.ASCII4, "ascii4-self": cardacquirer.ASCII4Self}

func stripeSettings(raw []byte, read readBeside) (stripe.Settings, error) {
	var file stripeFile
	if err := strictYAML(raw, &file); err != nil {
		return stripe.Settings{}, err
	}
	r := &keyFiles{read: read}
	s := stripe.Settings{Key: r.text("key", file.Key), Currencies: file.Currencies, URL: file.URL}
	for _, name := range file.WebhookSecrets {
		s.WebhookSecrets = append(s.WebhookSecrets, r.text("webhook_secrets", name))
	}
	s.HTTP = r.client(30*time.Second, s.URL, stripeHost, file.Hosts)
	return s, errors.Join(r.errs...)
}

// makerOf reads the settings of an account whose adapter needs the node. Folder is what its own files are relative to.
func makerOf(kind string, raw []byte, read readBeside, folder func(string) string) (node.Maker, error) {
	if kind == node.UnionPay {
		return unionpayMaker(raw, read)
	}
	return cardMaker(raw, read, folder)
}

// noVault stands where the scheme keeps no cards.
type noVault struct{}

func (noVault) Account(context.Context, string) (string, error) {
	return "", errors.New("the scheme keeps no cards: set gateway.cards")
}

func unionpayMaker(raw []byte, read readBeside) (node.Maker, error) {
	var file unionpayFile
	if err := strictYAML(raw, &file); err != nil {
		return nil, err
	}
	r := &keyFiles{read: read}
	s := unionpay.Settings{Merchant: file.Merchant, Gateway: file.Gateway, Files: file.Files, TokenID: file.TokenID, Holder: file.Holder, Unchecked: file.Unchecked}
	s.HTTP = r.client(30*time.Second, file.Gateway, "", file.Hosts)
	if key := r.privateKey("key", file.Key); key != nil {
		s.Key.Signer = key
	}
	s.Key.Cert, s.Encrypt = r.certificate("certificate", file.Certificate), r.certificate("encrypt", file.Encrypt)
	if roots := r.certificates("roots", file.Roots); len(roots) > 0 {
		s.Roots = x509.NewCertPool()
		for _, c := range roots {
			s.Roots.AddCert(c)
		}
	}
	if err := errors.Join(r.errs...); err != nil {
		return nil, err
	}
	return func(m node.Means) (channel.Channel, error) {
		s := s
		s.Clock, s.Vault = m.Clock, noVault{}
		if m.Vault != nil {
			s.Vault = m.Vault
		}
		return orError(unionpay.New(s))
	}, nil
}

func cardMaker(raw []byte, read readBeside, folder func(string) string) (node.Maker, error) {
	var file cardFile
	if err := strictYAML(raw, &file); err != nil {
		return nil, err
	}
	r := &keyFiles{read: read}
	s := cardacquirer.Settings{Terminal: file.Terminal, Merchant: file.Merchant, Currency: file.Currency, Number: file.Number, Enquiry: file.Enquiry, Cards: file.Cards, Patience: file.Patience}
	if s.Framing = framings[file.Framing]; file.Framing != "" && s.Framing == 0 && file.Framing != "binary2" {
		r.errs = append(r.errs, fmt.Errorf("framing: %q: want binary2, binary2-self, ascii4 or ascii4-self", file.Framing))
	}
	if file.Patience < 0 {
		r.errs = append(r.errs, fmt.Errorf("patience: %v: want more than nothing, or leave it out", file.Patience))
	}
	if file.Files == "" {
		r.errs = append(r.errs, errors.New("files: want the folder that settlement files are put into"))
	} else {
		s.Files = cardacquirer.Folder(folder(file.Files))
	}
	if text := r.text("mac_key", file.MACKey); text != "" {
		key, err := hex.DecodeString(text)
		mac, bad := cardacquirer.NewSoftMAC(key)
		if err != nil || bad != nil {
			r.bad("mac_key", file.MACKey, "holds no key of 32 hexadecimal digits")
		} else {
			s.MAC = mac
		}
	}
	var ca *x509.CertPool
	if roots := r.certificates("tls", file.TLS); len(roots) > 0 {
		ca = x509.NewCertPool()
		for _, c := range roots {
			ca.AddCert(c)
		}
	}
	for i, end := range file.Ends {
		host, _, err := net.SplitHostPort(end)
		if err != nil {
			r.errs = append(r.errs, fmt.Errorf("ends[%d]: %q: want host:port", i, end))
			continue
		}
		s.Ends = append(s.Ends, dialEnd(end, host, ca))
	}
	zone, err := time.LoadLocation(file.Zone)
	if file.Zone == "" || err != nil {
		r.errs = append(r.errs, fmt.Errorf("zone: %q: want an IANA name such as Asia/Shanghai", file.Zone))
	}
	if s.Zone = zone; len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	return func(m node.Means) (channel.Channel, error) {
		if m.Vault == nil {
			return nil, errors.New("the scheme keeps no cards: set gateway.cards")
		}
		s := s
		s.Vault, s.Journal, s.Clock = m.Vault, m.Journal, m.Clock
		return orError(cardacquirer.New(s))
	}, nil
}

// dialTime bounds a connection to an acquirer's end, so that the other end is tried while the payer waits.
const dialTime = 3 * time.Second

func dialEnd(end, host string, ca *x509.CertPool) cardacquirer.Dialer {
	d := &net.Dialer{Timeout: dialTime}
	if ca == nil {
		return func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "tcp", end) }
	}
	t := &tls.Dialer{NetDialer: d, Config: &tls.Config{RootCAs: ca, ServerName: host, MinVersion: tls.VersionTLS12}}
	return func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialTime)
		defer cancel()
		return t.DialContext(ctx, "tcp", end)
	}
}

// stripeHost is where Stripe is, unless a settings file says otherwise.
const stripeHost = "https://api.stripe.com"

// client asks a channel's own host, or usual where none is set, and the others that are set where no connection to it opens.
func (r *keyFiles) client(timeout time.Duration, own, usual string, others []string) *http.Client {
	if own == "" {
		own = usual
	}
	c, err := channel.Client(timeout, append([]string{own}, others...)...)
	if err != nil {
		r.errs = append(r.errs, err)
	}
	return c
}

// text is a secret file's only line.
func (r *keyFiles) text(field, name string) string {
	if name == "" {
		r.errs = append(r.errs, fmt.Errorf("%s: want the file with the secret", field))
		return ""
	}
	return strings.TrimSpace(string(r.bytes(field, name, true)))
}

// certificate is one; nil for a field that is empty, or where it is none.
func (r *keyFiles) certificate(field, name string) *x509.Certificate {
	if name == "" {
		return nil
	}
	if all := r.certificates(field, []string{name}); len(all) > 0 {
		return all[0]
	}
	return nil
}
