package wechat

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"github.com/purselane/purselane/backend/gateway/channel/wechat"
	"github.com/purselane/purselane/internal/clock"
	sim "github.com/purselane/purselane/simulator/channel"
)

// Mode is how WeChat Pay signs: by a public key that has an id, or by platform certificates.
type Mode int

// Modes.
const (
	ByPublicKey Mode = iota
	ByCertificate
)

// Schedule is the gaps between the tries of a notification: 15 in 24 hours and 4 minutes.
var Schedule = []time.Duration{
	15 * time.Second, 15 * time.Second, 30 * time.Second, 3 * time.Minute, 10 * time.Minute, 20 * time.Minute,
	30 * time.Minute, 30 * time.Minute, 30 * time.Minute, time.Hour,
	3 * time.Hour, 3 * time.Hour, 3 * time.Hour, 6 * time.Hour, 6 * time.Hour,
}

// Options of a simulator.
type Options struct {
	Clock clock.Clock
	Seed  uint64
	Mode  Mode
	Keys  *Keys // nil: those of this process

	RefundTakes time.Duration // until a refund is paid out; 0: a minute
	Balance     int64         // what the merchant has for transfers, in fen; 0: 10,000,000.00
}

// The merchant whom the simulator serves.
const (
	MerchantID = "1900000109"
	AppID      = "wxd678efh567hg6787"
	v3Key      = "a key of the simulator, 32 bytes"
	keyID      = "PUB_KEY_ID_0119000001092026112500000000000001"
	host       = "https://api.mch.weixin.qq.com"
	backup     = "https://api2.mch.weixin.qq.com"
)

// Simulator is WeChat Pay. It is safe for concurrent use.
type Simulator struct {
	Weather *sim.Weather  // what goes wrong
	Notices *sim.Notifier // what is to be told to the merchant

	clock   clock.Clock
	mode    Mode
	keys    *Keys
	takes   time.Duration
	handler http.Handler

	mu        sync.Mutex
	chance    *mathrand.Rand // for nonces
	seq       int
	orders    map[string]*order
	refunds   map[string]*refund
	contracts []*contract // in the order of signing
	transfers map[string]*transfer
	codes     map[string]Payer
	payees    map[string]Payee  // by openid
	balance   int64             // for transfers, in fen
	files     map[string][]byte // bills that can be downloaded, by token
	platform  *rsa.PrivateKey   // signs in mode ByCertificate
	nonceLen  int               // of what seals a notification; 12, unless a test wants another
	probes    int               // so many answers carry a probe's signature
	skew      time.Duration     // how far the platform's clock is from ours
}

// New starts a simulator without orders.
func New(o Options) *Simulator {
	if o.Keys == nil {
		var err error
		if o.Keys, err = ProcessKeys(); err != nil {
			panic(fmt.Sprintf("the simulator's keys: %v", err)) // the machine gives no chance
		}
	}
	s := &Simulator{
		Weather: sim.NewWeather(o.Seed), clock: o.Clock, mode: o.Mode, keys: o.Keys, takes: o.RefundTakes,
		chance: mathrand.New(mathrand.NewPCG(o.Seed, 0x776563686174)),
		orders: map[string]*order{}, refunds: map[string]*refund{}, codes: map[string]Payer{}, files: map[string][]byte{},
		transfers: map[string]*transfer{}, payees: map[string]Payee{}, balance: o.Balance,
		nonceLen: 12,
	}
	if s.balance == 0 {
		s.balance = 10_000_000_00
	}
	if s.takes == 0 {
		s.takes = time.Minute
	}
	s.platform = s.keys.Platform
	s.Notices = sim.NewNotifier(o.Clock, s.Weather, Schedule)
	s.handler = s.routes()
	return s
}

// Settings are those of the merchant, who reaches the simulator without a network.
func (s *Simulator) Settings() wechat.Settings {
	set := wechat.Settings{
		MerchantID: MerchantID, AppID: AppID, Key: s.keys.Merchant, Serial: s.keys.Serial, V3Key: v3Key,
		Agreements: wechat.Agreements{Plan: PlanID, V2Key: v2Key},
		Transfers:  wechat.Transfers{Scene: Scene, Reports: []wechat.Report{{Type: "采购商品名称", Content: "充值服务"}}},
		HTTP:       sim.Doer(s, s.Weather), Now: s.clock.Now,
	}
	if s.mode == ByPublicKey {
		set.PublicKeyID, set.PublicKey = keyID, &s.keys.Platform.PublicKey
	} else {
		set.Certificates = []*x509.Certificate{s.keys.Certificate}
	}
	return set
}

// Run pays out the refunds and transfers and takes the debits that are due by the clock, and makes the tries of notifications that are. It says how many of these.
func (s *Simulator) Run(ctx context.Context) int {
	s.settle()
	s.settleDebits()
	s.settleTransfers()
	return s.Notices.Run(ctx)
}

// BadNonce makes the next notifications be sealed with a nonce of n bytes; 12 is the right number.
func (s *Simulator) BadNonce(n int) { s.mu.Lock(); defer s.mu.Unlock(); s.nonceLen = n }

// ProbeAnswers makes the next n answers carry the signature of a probe.
func (s *Simulator) ProbeAnswers(n int) { s.mu.Lock(); defer s.mu.Unlock(); s.probes = n }

// Skew makes the platform's signatures be of another time than the clock's.
func (s *Simulator) Skew(d time.Duration) { s.mu.Lock(); defer s.mu.Unlock(); s.skew = d }

// SignWith makes another key than the platform's sign what the simulator says; nil is the platform's again.
func (s *Simulator) SignWith(k *rsa.PrivateKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.platform = k; k == nil {
		s.platform = s.keys.Platform
	}
}

// Keys are those of both sides.
type Keys struct {
	Merchant    *rsa.PrivateKey
	Serial      string          // of the merchant's certificate
	Platform    *rsa.PrivateKey // WeChat Pay's
	Certificate *x509.Certificate
	Other       *rsa.PrivateKey // of nobody, for forgeries
	Retired     *x509.Certificate
}

// NewKeys makes keys.
func NewKeys() (*Keys, error) {
	k := &Keys{Serial: "5157F09EFDC096DE15EBE81A47057A7200000001"}
	var err error
	for _, key := range []**rsa.PrivateKey{&k.Merchant, &k.Platform, &k.Other} {
		if *key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return nil, err
		}
	}
	if k.Certificate, err = certificate(k.Platform, 0x7132D72A03E9); err != nil {
		return nil, err
	}
	k.Retired, err = certificate(k.Other, 0x7132D72A03E8)
	return k, err
}

// ProcessKeys are made once a process: making them takes longer than all else that a test does.
var ProcessKeys = sync.OnceValues(NewKeys)

func certificate(key *rsa.PrivateKey, serial int64) (*x509.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "Tenpay.com sign (simulated)"},
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func (s *Simulator) serial() string {
	if s.mode == ByPublicKey {
		return keyID
	}
	return utils.GetCertificateSerialNumber(*s.keys.Certificate)
}
