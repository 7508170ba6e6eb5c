package main

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/alipay"
	"github.com/purselane/purselane/backend/gateway/channel/stripe"
	"github.com/purselane/purselane/backend/gateway/channel/wechat"
	"github.com/purselane/purselane/backend/gateway/route"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/internal/money"
)

// wechatFile is the settings file of an account at WeChat Pay; docs/gateway-serve.md is its page. Files that it names lie beside it.
type wechatFile struct {
	MerchantID   string   `yaml:"merchant_id,omitempty"`
	AppID        string   `yaml:"app_id,omitempty"`
	Store        string   `yaml:"store,omitempty"`
	Key          string   `yaml:"key,omitempty"`    // secret file
	Serial       string   `yaml:"serial,omitempty"` // of the merchant's API certificate
	V3Key        string   `yaml:"v3_key,omitempty"` // secret file
	PublicKeyID  string   `yaml:"public_key_id,omitempty"`
	PublicKey    string   `yaml:"public_key,omitempty"`
	Certificates []string `yaml:"certificates,omitempty"`
	Hosts        []string `yaml:"hosts,omitempty"`
	Transfers    struct {
		Scene      string          `yaml:"scene,omitempty"`
		Perception string          `yaml:"perception,omitempty"`
		Reports    []wechat.Report `yaml:"reports,omitempty"`
		Account    string          `yaml:"account,omitempty"`
	} `yaml:"transfers,omitempty"`
	Agreements struct {
		Plan  string `yaml:"plan,omitempty"`
		V2Key string `yaml:"v2_key,omitempty"` // secret file
		IP    string `yaml:"ip,omitempty"`
	} `yaml:"agreements,omitempty"`
}

// alipayFile is the settings file of an account at Alipay.
type alipayFile struct {
	AppID            string   `yaml:"app_id,omitempty"`
	SellerID         string   `yaml:"seller_id,omitempty"`
	Key              string   `yaml:"key,omitempty"` // secret file
	MiniApp          string   `yaml:"mini_app,omitempty"`
	PublicKey        string   `yaml:"public_key,omitempty"`
	AppCertificate   string   `yaml:"app_certificate,omitempty"`
	RootCertificates string   `yaml:"root_certificates,omitempty"`
	Certificates     []string `yaml:"certificates,omitempty"`
	Gateway          string   `yaml:"gateway,omitempty"`
	Hosts            []string `yaml:"hosts,omitempty"`
	Transfers        bool     `yaml:"transfers,omitempty"`
	Agreements       struct {
		Product  string `yaml:"product,omitempty"`
		Personal string `yaml:"personal,omitempty"`
		Scene    string `yaml:"scene,omitempty"`
		Open     string `yaml:"open,omitempty"`
		Period   struct {
			Type  string `yaml:"type,omitempty"`
			Every int    `yaml:"every,omitempty"`
			Most  string `yaml:"most,omitempty"` // yuan
		} `yaml:"period,omitempty"`
	} `yaml:"agreements,omitempty"`
}

// readBeside reads a file that a settings file names. A secret one must be its owner's alone.
type readBeside func(name string, secret bool) ([]byte, error)

// gateway adds what the scheme's gateway section names files for. A scheme without one stays as it is.
func (f schemeFolder) gateway(c *node.Config) error {
	g := c.Scheme.Gateway
	if g == nil {
		return nil
	}
	var errs []error
	c.Channels, c.Makers = map[string]channel.Channel{}, map[string]node.Maker{}
	for _, a := range g.Accounts {
		if err := f.account(c, a); err != nil {
			errs = append(errs, fmt.Errorf("scheme: gateway: account %s: %w", a.ID, err))
		}
	}
	if g.Cards != nil {
		v, err := f.vault(g.Cards)
		if err != nil {
			errs = append(errs, fmt.Errorf("scheme: gateway.cards.%w", err))
		}
		c.Vault = v
	}
	if g.Plan != "" {
		p, err := readPlan(f.path(g.Plan))
		if err != nil {
			errs = append(errs, fmt.Errorf("scheme: gateway.plan: %w", err))
		}
		c.Plan = p
	}
	if e := g.Experiment; e != nil {
		p, err := readPlan(f.path(e.Plan))
		if err != nil {
			errs = append(errs, fmt.Errorf("scheme: gateway.experiment.plan: %w", err))
		}
		c.Variant = p
	}
	c.SinkSecrets = map[string][]byte{}
	for _, s := range g.Tell {
		if s.Secret == "" {
			continue
		}
		raw, err := readKeyFile(f.path(s.Secret), true)
		if err != nil {
			errs = append(errs, fmt.Errorf("scheme: gateway.tell: %s: secret: %w", s.Name, err))
		}
		c.SinkSecrets[s.Name] = bytes.TrimSpace(raw)
	}
	errs = append(errs, f.riskFiles(c))
	return errors.Join(errs...)
}

// account adds the adapter of an account, or what makes it, from its settings file.
func (f schemeFolder) account(c *node.Config, a node.GatewayAccount) error {
	if a.Settings == "" {
		return nil // the node makes it
	}
	at := f.path(a.Settings)
	raw, err := os.ReadFile(at)
	if err != nil {
		return err
	}
	dir := filepath.Dir(at)
	switch a.Kind {
	case node.UnionPay, node.Card:
		c.Makers[a.ID], err = makerOf(a.Kind, raw, f.readSecret(dir), func(name string) string { return filepath.Join(dir, name) })
	default:
		c.Channels[a.ID], err = channelOf(a.Kind, raw, f.readSecret(dir))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	return nil
}

// vault reads what the vault for bank cards needs.
func (f schemeFolder) vault(g *node.GatewayCards) (*node.VaultConfig, error) {
	folder := g.Folder
	if folder == "" {
		folder = "vault"
	}
	v := &node.VaultConfig{Dir: f.path(folder)}
	token, err := f.readSecret(f.Dir)(g.Token, true)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	v.Bearer = strings.TrimSpace(string(token))
	if g.Bins == "" {
		return v, nil
	}
	raw, err := os.ReadFile(f.path(g.Bins))
	if err != nil {
		return nil, fmt.Errorf("bins: %w", err)
	}
	if v.Bins, err = g.ReadBins(raw); err != nil {
		return nil, fmt.Errorf("bins: %s: %w", f.path(g.Bins), err)
	}
	return v, nil
}

func channelOf(kind string, raw []byte, read readBeside) (channel.Channel, error) {
	switch kind {
	case node.WeChat:
		s, err := wechatSettings(raw, read)
		if err != nil {
			return nil, err
		}
		return orError(wechat.New(s))
	case node.Alipay:
		s, err := alipaySettings(raw, read)
		if err != nil {
			return nil, err
		}
		return orError(alipay.New(s))
	case node.Stripe:
		s, err := stripeSettings(raw, read)
		if err != nil {
			return nil, err
		}
		return orError(stripe.New(s))
	}
	return nil, fmt.Errorf("kind %q: want one of %v", kind, node.Kinds)
}

// orError keeps a nil adapter from becoming a channel that is not nil.
func orError[C channel.Channel](c C, err error) (channel.Channel, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}

func wechatSettings(raw []byte, read readBeside) (wechat.Settings, error) {
	var file wechatFile
	if err := strictYAML(raw, &file); err != nil {
		return wechat.Settings{}, err
	}
	s := wechat.Settings{MerchantID: file.MerchantID, AppID: file.AppID, Store: file.Store, Serial: strings.ToUpper(file.Serial), PublicKeyID: file.PublicKeyID, Hosts: file.Hosts}
	s.Transfers = wechat.Transfers{Scene: file.Transfers.Scene, Perception: file.Transfers.Perception, Reports: file.Transfers.Reports, Account: file.Transfers.Account}
	r := &keyFiles{read: read}
	s.Key, s.PublicKey, s.Certificates = r.privateKey("key", file.Key), r.publicKey("public_key", file.PublicKey), r.certificates("certificates", file.Certificates)
	s.HTTP = r.client(10*time.Second, "", "", nil) // the adapter knows its hosts
	s.V3Key = strings.TrimSpace(string(r.bytes("v3_key", file.V3Key, true)))
	g := file.Agreements
	s.Agreements = wechat.Agreements{Plan: g.Plan, V2Key: strings.TrimSpace(string(r.bytes("agreements.v2_key", g.V2Key, true))), IP: g.IP}
	return s, errors.Join(r.errs...)
}

func alipaySettings(raw []byte, read readBeside) (alipay.Settings, error) {
	var file alipayFile
	if err := strictYAML(raw, &file); err != nil {
		return alipay.Settings{}, err
	}
	s := alipay.Settings{AppID: file.AppID, SellerID: file.SellerID, MiniApp: file.MiniApp, Gateway: file.Gateway, Transfers: file.Transfers}
	r := &keyFiles{read: read}
	g := file.Agreements
	s.Agreements = alipay.Agreements{Product: g.Product, Personal: g.Personal, Scene: g.Scene, Open: alipay.Open(g.Open), Period: alipay.Period{Type: g.Period.Type, Every: g.Period.Every}}
	if g.Period.Most != "" {
		most, err := money.Parse(g.Period.Most)
		if err != nil {
			r.errs = append(r.errs, fmt.Errorf("agreements.period.most: %w", err))
		}
		s.Agreements.Period.Most = most
	}
	s.Key, s.PublicKey, s.Certificates = r.privateKey("key", file.Key), r.publicKey("public_key", file.PublicKey), r.certificates("certificates", file.Certificates)
	s.AppCertificate = r.certificate("app_certificate", file.AppCertificate)
	s.HTTP = r.client(10*time.Second, s.Gateway, alipay.Gateway, file.Hosts)
	s.RootCertificates = r.bytes("root_certificates", file.RootCertificates, false)
	return s, errors.Join(r.errs...)
}

func strictYAML(raw []byte, into any) error {
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		return err
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return errors.New("more than one YAML document")
	}
	return nil
}

// keyFiles reads the files that settings name, and gathers what is wrong. No fault holds what is in a file.
type keyFiles struct {
	read readBeside
	errs []error
}

func (r *keyFiles) bad(field, name, what string) {
	r.errs = append(r.errs, fmt.Errorf("%s: %s: %s", field, name, what))
}

// bytes are a file's; nil for a field that is empty.
func (r *keyFiles) bytes(field, name string, secret bool) []byte {
	if name == "" {
		return nil
	}
	raw, err := r.read(name, secret)
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("%s: %w", field, err))
	}
	return raw
}

func (r *keyFiles) privateKey(field, name string) *rsa.PrivateKey {
	raw := r.bytes(field, name, true)
	if raw == nil {
		return nil
	}
	b, _ := pem.Decode(raw)
	if b == nil {
		r.bad(field, name, "holds no PEM")
		return nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(b.Bytes); err == nil {
		return key
	}
	if key, err := x509.ParsePKCS8PrivateKey(b.Bytes); err == nil {
		if key, is := key.(*rsa.PrivateKey); is {
			return key
		}
	}
	r.bad(field, name, "holds no RSA private key without a passphrase (PKCS #1 or PKCS #8)")
	return nil
}

func (r *keyFiles) publicKey(field, name string) *rsa.PublicKey {
	raw := r.bytes(field, name, false)
	if raw == nil {
		return nil
	}
	if b, _ := pem.Decode(raw); b != nil {
		if key, err := x509.ParsePKIXPublicKey(b.Bytes); err == nil {
			if key, is := key.(*rsa.PublicKey); is {
				return key
			}
		}
	}
	r.bad(field, name, `holds no RSA public key in PEM ("BEGIN PUBLIC KEY")`)
	return nil
}

func (r *keyFiles) certificates(field string, names []string) []*x509.Certificate {
	var out []*x509.Certificate
	for _, name := range names {
		raw := r.bytes(field, name, false)
		if raw == nil {
			continue
		}
		b, _ := pem.Decode(raw)
		if b == nil {
			r.bad(field, name, "holds no certificate in PEM")
			continue
		}
		one, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			r.bad(field, name, "holds no certificate in PEM")
			continue
		}
		out = append(out, one)
	}
	return out
}

// maxKeyFile is far above any key or chain of certificates, in bytes.
const maxKeyFile = 1 << 20

// readKeyFile reads a file with a key. A secret one that others may read is refused: it is no secret.
func readKeyFile(path string, secret bool) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() // it was only read
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); secret && mode&0o077 != 0 {
		return nil, fmt.Errorf("%s: others may read or write it (%04o): chmod 600 it, and get a new key if somebody may have", path, mode)
	}
	raw, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(raw) == 0 || len(raw) > maxKeyFile:
		return nil, fmt.Errorf("%s: has %d bytes or more: want 1 to %d", path, len(raw), maxKeyFile)
	}
	return raw, nil
}

// readPlan reads a routing plan in JSON, strictly.
func readPlan(path string) (*route.Plan, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var p route.Plan
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one JSON value", path)
	}
	return &p, nil
}
