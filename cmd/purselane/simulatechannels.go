package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"

	acquirer "github.com/purselane/purselane/backend/gateway/channel/cardacquirer"
	stripeadapter "github.com/purselane/purselane/backend/gateway/channel/stripe"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/internal/clock"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/alipay"
	"github.com/purselane/purselane/simulator/channel/cardacquirer"
	"github.com/purselane/purselane/simulator/channel/desk"
	"github.com/purselane/purselane/simulator/channel/stripe"
	"github.com/purselane/purselane/simulator/channel/unionpay"
	"github.com/purselane/purselane/simulator/channel/wechat"
)

// SimulateChannelsCmd is `purselane simulate channels`.
type SimulateChannelsCmd struct {
	schemeFolder
	Listen string `default:"127.0.0.1:8090" placeholder:"ADDRESS" help:"Where the payers' desk is, on this machine; the channels have the five ports after it."`
}

// simulatedFolder is where the settings files of simulated channels lie, in the scheme's folder. They are written anew at each start, for keys and payments live as long as the command.
const simulatedFolder = "channels/simulated"

// simulatedGateway is the section for a scheme that has none. docs/gateway-serve.md is its page.
const simulatedGateway = `
# Payments over simulated channels: "purselane simulate channels" is them.
gateway:
  address: 127.0.0.1:8082
  notify_url: http://127.0.0.1:8082
  products: {1: kiosk}
  companies: {1: wechat, 2: alipay, 3: unionpay, 4: bank, 5: stripe, 6: own}
  accounts:
    - {id: wechat, kind: wechat, company: 1, number: 1, fee_ppm: 6000, settings: channels/simulated/wechat.yaml}
    - {id: alipay, kind: alipay, company: 2, number: 2, fee_ppm: 6000, settings: channels/simulated/alipay.yaml}
    - {id: unionpay, kind: unionpay, company: 3, number: 3, fee_ppm: 6000, settings: channels/simulated/unionpay.yaml}
    - {id: bank, kind: card, company: 4, number: 4, fee_ppm: 6000, settings: channels/simulated/bank.yaml}
    - {id: stripe, kind: stripe, company: 5, number: 5, settings: channels/simulated/stripe.yaml}
    - {id: own, kind: balance, company: 6, number: 6}
  cards: {address: 127.0.0.1:8083, token: channels/simulated/vault.token}
  rules:
    - {product: netbank, accounts: [unionpay]}
    - {product: quick, accounts: [stripe]}
    - {product: card, accounts: [bank]}
    - {product: balance, accounts: [own]}
    - {accounts: [wechat, alipay]}
`

// simulatedCard is the bank card that simulated channels know.
const simulatedCard = "6226090000000048"

// simulated is one channel that stands in for a real one.
type simulated struct {
	desk.Channel
	handler http.Handler // nil: it speaks over TCP by serve
	serve   func(net.Listener) error
	write   func(f *channelFiles, at string) // its settings, for whoever reaches it at host:port
}

// Run is the channels until ctx ends.
func (c *SimulateChannelsCmd) Run(ctx context.Context, k *kong.Kong) error {
	at, err := netip.ParseAddrPort(c.Listen)
	if err != nil || !at.Addr().IsLoopback() || int(at.Port()) > 65530 {
		return fmt.Errorf("--listen %q: want an address of this machine and a port, such as 127.0.0.1:8090: whoever reaches the desk pays and breaks channels", c.Listen)
	}
	scheme, err := c.scheme()
	if err != nil {
		return err
	}
	notify := "http://127.0.0.1:8082"
	if scheme.Gateway != nil {
		notify = scheme.Gateway.NotifyURL
	}
	all, err := simulatedChannels(notify)
	if err != nil {
		return err
	}

	f := &channelFiles{folder: c.path(simulatedFolder)}
	if err := os.MkdirAll(f.folder, 0o700); err != nil {
		return err
	}
	// Every port is taken before a file is written: a second one of this command must not spoil the first one's.
	var listeners []net.Listener
	defer func() {
		for _, l := range listeners {
			l.Close()
		}
	}()
	for i := range len(all) + 1 {
		port := at.Port()
		if port != 0 {
			port += uint16(i)
		}
		l, err := net.Listen("tcp", netip.AddrPortFrom(at.Addr(), port).String())
		if err != nil {
			return fmt.Errorf("--listen %s: %w", c.Listen, err)
		}
		listeners = append(listeners, l)
	}
	people := make([]desk.Channel, 0, len(all))
	for i, s := range all {
		s.write(f, listeners[i+1].Addr().String())
		people = append(people, s.Channel)
	}
	f.put("vault.token", rand.Text()+rand.Text(), 0o600)
	if f.err != nil {
		return f.err
	}
	if err := c.tell(k.Stdout, scheme, listeners, all); err != nil {
		return err
	}

	d := desk.New(people...)
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { d.Run(ctx); return nil })
	work.Go(func() error { return serveUntil(ctx, listeners[0], d.Handler()) })
	for i, s := range all {
		l := listeners[i+1]
		if s.handler != nil {
			work.Go(func() error { return serveUntil(ctx, l, desk.Reachable(s.handler, s.Weather)) })
			continue
		}
		work.Go(func() error {
			stop := context.AfterFunc(ctx, func() { l.Close() })
			defer stop()
			if err := s.serve(l); ctx.Err() == nil {
				return err
			}
			return nil
		})
	}
	return work.Wait()
}

// tell says where everything is, and gives a scheme without a gateway the section for it.
func (c *SimulateChannelsCmd) tell(out io.Writer, scheme *node.Scheme, listeners []net.Listener, all []simulated) error {
	p := &printer{out: out}
	p.line("%-14s http://%s", "payers' desk", listeners[0].Addr())
	for i, s := range all {
		p.line("%-14s %-22s %s/%s.yaml", s.Name, listeners[i+1].Addr(), simulatedFolder, s.Name)
	}
	if scheme.Gateway == nil {
		raw, err := os.ReadFile(c.path(fileScheme))
		if err != nil {
			return err
		}
		raw = append(raw, simulatedGateway...)
		if _, err := node.ParseScheme(raw); err != nil {
			return fmt.Errorf("%s with a section gateway: %w", c.path(fileScheme), err)
		}
		if err := replaceFile(c.path(fileScheme), raw, 0o644); err != nil {
			return err
		}
		p.line("%s has a section gateway now that names them", fileScheme)
	} else {
		p.line("%s has a section gateway: its accounts pay here where they name these files", fileScheme)
	}
	p.line("next: purselane serve --dir %s, or start it again: keys and payments here are new", c.Dir)
	return p.err
}

// serveUntil serves until ctx ends.
func serveUntil(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// simulatedChannels makes one channel of each kind. They tell what they have to tell to notify/notify/ACCOUNT, or to where a payment says.
func simulatedChannels(notify string) ([]simulated, error) {
	receive := sim.HTTPReceiver(&http.Client{Timeout: 10 * time.Second})
	w, a := wechat.New(wechat.Options{Clock: clock.System{}, Seed: 1, RefundTakes: 5 * time.Second}), alipay.New(alipay.Options{Clock: clock.System{}, Seed: 2})
	w.Notices.Receive(receive)
	a.Notices.Receive(receive)
	pki, err := unionpay.NewPKI(time.Now())
	if err != nil {
		return nil, err
	}
	const unionMerchant, unionTokens = "777290058110048", "62000000001"
	unionWeather := sim.NewWeather(3)
	u := unionpay.New(unionpay.Config{PKI: pki, Merchant: unionMerchant, TokenID: unionTokens, Clock: clock.System{}, Weather: unionWeather})
	u.AddCard(unionpay.Card{Number: simulatedCard, Bank: "0308", Phone: "13800000001", Balance: 100_000_00})
	u.Notifier().Receive(receive)

	stripeKey, stripeSecret := "sk_test_"+rand.Text(), "whsec_"+rand.Text()
	s := stripe.New(stripe.Settings{Key: stripeKey, Version: stripeadapter.Version, Endpoint: notify + "/notify/stripe", Secret: stripeSecret}, clock.System{}, sim.NewWeather(4))
	s.Notifier.Receive(receive)

	var macKey [16]byte
	_, _ = rand.Read(macKey[:]) // never fails
	mac, err := acquirer.NewSoftMAC(macKey[:])
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		return nil, err
	}
	const bankTerminal, bankMerchant = "PURSE001", "898340183980105"
	bankWeather := sim.NewWeather(5)
	b := cardacquirer.New(cardacquirer.Config{Terminal: bankTerminal, Merchant: bankMerchant, Currency: "CNY", Number: "156", Zone: zone, MAC: mac, Framing: acquirer.ASCII4, Clock: clock.System{}, Weather: bankWeather})
	b.AddCard(cardacquirer.Card{Number: simulatedCard, Expires: "3012", Bank: "cmb", Balance: 100_000_00})

	return []simulated{
		{
			Channel: desk.Channel{Name: "wechat", Weather: w.Weather, Sick: "SYSTEM_ERROR", Payments: w.Payments, Refuse: w.Refuse, Run: func(ctx context.Context) { w.Run(ctx) },
				Pay: func(number string) error { return w.Pay(number, wechat.Payer{}) }, Code: func() string { return w.Code(wechat.Payer{}) }},
			handler: w,
			write: func(f *channelFiles, at string) {
				set := w.Settings()
				f.key("wechat.key", set.Key)
				f.put("wechat.v3key", set.V3Key, 0o600)
				f.public("wechat.pub", set.PublicKey)
				f.settings("wechat", wechatFile{MerchantID: set.MerchantID, AppID: set.AppID, Serial: set.Serial, Key: "wechat.key", V3Key: "wechat.v3key", PublicKeyID: set.PublicKeyID, PublicKey: "wechat.pub", Hosts: []string{"http://" + at}})
			},
		},
		{
			Channel: desk.Channel{Name: "alipay", Weather: a.Weather, Sick: "ACQ.SYSTEM_ERROR", Payments: a.Payments, Open: a.Open, Run: func(ctx context.Context) { a.Run(ctx) },
				Pay: func(number string) error { return a.Pay(number, alipay.Payer{}) }, Code: func() string { return a.Code(alipay.Payer{}) }},
			handler: a,
			write: func(f *channelFiles, at string) {
				set := a.Settings()
				f.key("alipay.key", set.Key)
				f.public("alipay.pub", set.PublicKey)
				f.settings("alipay", alipayFile{AppID: set.AppID, SellerID: set.SellerID, Key: "alipay.key", PublicKey: "alipay.pub", Gateway: "http://" + at + "/gateway.do"})
			},
		},
		{
			Channel: desk.Channel{Name: "unionpay", Weather: unionWeather, Sick: "02", Hint: "Payers come to a page of its own. The card there has 100,000.00.",
				Run: func(ctx context.Context) { u.Settle(); u.Notifier().Run(ctx) }},
			handler: desk.UnionPayPage(u, simulatedCard),
			write: func(f *channelFiles, at string) {
				f.key("unionpay.key", pki.Merchant.Signer.(*rsa.PrivateKey))
				f.certificate("unionpay-merchant.pem", pki.Merchant.Cert)
				f.certificate("unionpay-encrypt.pem", pki.Encrypt)
				f.certificate("unionpay-root.pem", pki.Root)
				f.settings("unionpay", unionpayFile{Merchant: unionMerchant, TokenID: unionTokens, Gateway: "http://" + at + "/gateway/api", Files: "http://" + at, Key: "unionpay.key", Certificate: "unionpay-merchant.pem",
					Encrypt: "unionpay-encrypt.pem", Roots: []string{"unionpay-root.pem"}})
			},
		},
		{
			Channel: desk.Channel{Name: "stripe", Weather: s.Weather, Sick: "api_error", Hint: "Test cards: pm_card_visa pays, pm_card_visa_chargeDeclined does not.", Run: func(ctx context.Context) { s.Notifier.Run(ctx) }},
			handler: s,
			write: func(f *channelFiles, at string) {
				f.put("stripe.key", stripeKey, 0o600)
				f.put("stripe.hook", stripeSecret, 0o600)
				f.settings("stripe", stripeFile{Key: "stripe.key", WebhookSecrets: []string{"stripe.hook"}, Currencies: []string{"CNY"}, URL: "http://" + at})
			},
		},
		{
			Channel: desk.Channel{Name: "bank", Weather: bankWeather, Sick: "92", Hint: "An acquirer of bank cards over ISO 8583. The card " + simulatedCard + ", good until 3012, has 100,000.00."},
			serve:   b.Serve,
			write: func(f *channelFiles, at string) {
				f.put("bank.mac", hex.EncodeToString(macKey[:]), 0o600)
				f.settings("bank", cardFile{Terminal: bankTerminal, Merchant: bankMerchant, Currency: "CNY", Number: "156", Zone: "Asia/Shanghai", Ends: []string{at}, Framing: "ascii4", MACKey: "bank.mac", Files: "bank-files"})
			},
		},
	}, nil
}

// channelFiles writes settings files with what they name, each whole or not at all. The first error stays.
type channelFiles struct {
	folder string
	err    error
}

func (f *channelFiles) put(name, text string, mode os.FileMode) {
	if f.err == nil {
		f.err = replaceFile(schemeFolder{Dir: f.folder}.path(name), []byte(text+"\n"), mode)
	}
}

func (f *channelFiles) settings(name string, file any) {
	raw, err := yaml.Marshal(file)
	if f.err = errors.Join(f.err, err); f.err == nil {
		f.put(name+".yaml", strings.TrimSpace(string(raw)), 0o644)
	}
}

func (f *channelFiles) pem(name, kind string, der []byte, err error, mode os.FileMode) {
	if f.err = errors.Join(f.err, err); f.err == nil {
		f.put(name, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})), mode)
	}
}

func (f *channelFiles) key(name string, k *rsa.PrivateKey) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	f.pem(name, "PRIVATE KEY", der, err, 0o600)
}

func (f *channelFiles) public(name string, k *rsa.PublicKey) {
	der, err := x509.MarshalPKIXPublicKey(k)
	f.pem(name, "PUBLIC KEY", der, err, 0o644)
}

func (f *channelFiles) certificate(name string, c *x509.Certificate) {
	f.pem(name, "CERTIFICATE", c.Raw, nil, 0o644)
}
