package alipay

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"sync"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel/alipay"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/channel"
)

// Mode is how the app and Alipay show each other their keys.
type Mode int

// Modes.
const (
	ByKey Mode = iota
	ByCertificate
)

// Schedule is the gaps between the tries of a notification: 8 in 24 hours and 24 minutes.
var Schedule = []time.Duration{4 * time.Minute, 10 * time.Minute, 10 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 15 * time.Hour}

// Options of a simulator.
type Options struct {
	Clock clock.Clock
	Seed  uint64
	Mode  Mode
	Keys  *Keys // nil: those of this process

	ScanAtOnce   bool   // a payer scans each QR code as soon as it is made, and then waits
	Messages     string // the address of the app, which messages about transfers go to; "": none is sent
	Balance      int64  // what the merchant has for transfers, in fen; 0: 10,000,000.00
	Cycle        bool   // agreements are of CYCLE_PAY_AUTH, with a period, and not of GENERAL_WITHHOLDING
	TellsClosing bool   // notify of trades that expire, as Alipay does for merchants who ask for it
}

// The merchant whom the simulator serves.
const (
	AppID    = "2021000118604126"
	SellerID = "2088621954721035"
)

// Simulator is Alipay. It is safe for concurrent use.
type Simulator struct {
	Weather *sim.Weather  // what goes wrong
	Notices *sim.Notifier // what is to be told to the merchant

	clock clock.Clock
	set   Options
	keys  *Keys

	mu        sync.Mutex
	seq       int
	trades    map[string]*trade
	refunds   map[string]*refund // by payment and number
	codes     map[string]Payer
	covenants []*covenant // in the order of signing
	transfers map[string]*transfer
	payees    map[string]Payee    // by identity
	balance   int64               // for transfers, in fen
	files     map[string]file     // bills that can be downloaded, by token
	signer    *rsa.PrivateKey     // Alipay's
	proxy     func([]byte) []byte // what becomes of an answer on the way
}

// New starts a simulator without trades.
func New(o Options) *Simulator {
	if o.Keys == nil {
		var err error
		if o.Keys, err = ProcessKeys(); err != nil {
			panic(fmt.Sprintf("the simulator's keys: %v", err)) // the machine gives no chance
		}
	}
	s := &Simulator{
		Weather: sim.NewWeather(o.Seed), clock: o.Clock, set: o, keys: o.Keys,
		trades: map[string]*trade{}, refunds: map[string]*refund{}, codes: map[string]Payer{}, files: map[string]file{},
		transfers: map[string]*transfer{}, payees: map[string]Payee{}, balance: o.Balance,
	}
	if s.balance == 0 {
		s.balance = 10_000_000_00
	}
	s.signer = s.keys.Alipay
	s.Notices = sim.NewNotifier(o.Clock, s.Weather, Schedule)
	return s
}

// Settings are those of the merchant, who reaches the simulator without a network.
func (s *Simulator) Settings() alipay.Settings {
	set := alipay.Settings{
		Agreements: alipay.Agreements{Product: s.product(), Scene: SignScene}, AppID: AppID, SellerID: SellerID, Key: s.keys.App, HTTP: sim.Doer(s, s.Weather), Now: s.clock.Now}
	if s.set.Cycle {
		set.Agreements.Period = alipay.Period{Type: "MONTH", Every: 1, Most: money.Minor(500_00)}
	}
	if s.set.Mode == ByKey {
		set.PublicKey = &s.keys.Alipay.PublicKey
	} else {
		set.Transfers = true
		set.AppCertificate, set.Certificates, set.RootCertificates = s.keys.AppCertificate, []*x509.Certificate{s.keys.Certificate}, s.keys.Roots
	}
	return set
}

// Run closes what has expired by the clock, has transfers arrive that are due, and makes the tries of notifications that are due. It says how many of these.
func (s *Simulator) Run(ctx context.Context) int {
	s.mu.Lock()
	for _, t := range s.inOrder() {
		s.over(t)
	}
	s.mu.Unlock()
	s.settleTransfers()
	return s.Notices.Run(ctx)
}

// SignWith makes another key than Alipay's sign what the simulator says; nil is Alipay's again.
func (s *Simulator) SignWith(k *rsa.PrivateKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.signer = k; k == nil {
		s.signer = s.keys.Alipay
	}
}

// Proxy puts something between Alipay and the merchant that changes answers; nil takes it away.
func (s *Simulator) Proxy(f func([]byte) []byte) { s.mu.Lock(); defer s.mu.Unlock(); s.proxy = f }

// Keys are those of both sides.
type Keys struct {
	App            *rsa.PrivateKey
	AppCertificate *x509.Certificate
	Alipay         *rsa.PrivateKey
	Certificate    *x509.Certificate // Alipay's
	Roots          []byte            // PEM
	Other          *rsa.PrivateKey   // of nobody, for forgeries
	Retired        *x509.Certificate // Alipay's of last year: of the key Other
}

// NewKeys makes keys.
func NewKeys() (*Keys, error) {
	k := &Keys{}
	var err error
	for _, key := range []**rsa.PrivateKey{&k.App, &k.Alipay, &k.Other} {
		if *key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return nil, err
		}
	}
	for _, c := range []struct {
		to     **x509.Certificate
		key    *rsa.PrivateKey
		number int64
	}{{&k.AppCertificate, k.App, 101}, {&k.Certificate, k.Alipay, 202}, {&k.Retired, k.Other, 201}} {
		if *c.to, err = certificate(c.key, c.number); err != nil {
			return nil, err
		}
	}
	k.Roots = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.Certificate.Raw})
	return k, nil
}

// ProcessKeys are made once a process: making them takes longer than all else that a test does.
var ProcessKeys = sync.OnceValues(NewKeys)

func certificate(key *rsa.PrivateKey, number int64) (*x509.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(number), Subject: pkix.Name{CommonName: "Ant Financial Certification Authority (simulated)", Country: []string{"CN"}},
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

var _ http.Handler = (*Simulator)(nil)
