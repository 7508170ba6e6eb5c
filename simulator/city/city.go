package city

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/purselane/purselane/backend/api"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/terminal/kiosk"
)

// Config of a city.
type Config struct {
	Dir  string // everything durable lies here. Required; empty at the start
	Seed uint64
	Taps int // visits of riders to readers in the first day. Default 2000

	// Database is the backend's, as store.Open takes it; default: a file in Dir. It is empty at the start.
	Database string
	Store    store.Options

	// Page serves the operators' page and the API at this address; empty: the API at a free port, and no page.
	Page string
	// Progress is told after each visit. It must not block.
	Progress func(Progress)
	Log      *slog.Logger // default: none
}

// Progress is how far the day is.
type Progress struct {
	Tap, Of  int
	At       time.Time // by the city's clock
	Terminal ids.TerminalID
	Outcome  string
	Backlog  uint64 // records without a receipt, of all terminals
	Note     string // something worth a line of its own, else empty
}

const (
	riderCount  = 200
	firstLoad   = 50_00
	agentOfLoad = ids.AcquirerID("metro-company")
)

// morning is when the first day begins. A fixed one, so that a seed names the whole story.
var morning = time.Date(2026, time.March, 2, 6, 0, 0, 0, time.FixedZone("CST", 8*3600))

// City is a running scheme. Its methods are called one after the other.
type City struct {
	cfg     Config
	clock   *clock.Manual
	rng     *rand.Rand
	ring    *keys.Ring
	node    *node.Node
	profile *firmwareconfig.Profile
	places  []*station
	riders  []*rider
	host    *kiosk.HTTPHost
	online  *online
	http    *http.Server
	tally   tally
	seen    visited
	url     string

	stop context.CancelFunc
	done chan error // of the node
}

// Open starts a city: backend, broker, terminals and cards. Close ends it.
func Open(ctx context.Context, cfg Config) (c *City, err error) {
	if cfg.Taps == 0 {
		cfg.Taps = 2000
	}
	if cfg.Taps < 0 {
		return nil, fmt.Errorf("city: %d taps: want 1 or more", cfg.Taps)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Progress == nil {
		cfg.Progress = func(Progress) {}
	}
	c = &City{cfg: cfg, clock: clock.NewManual(morning), rng: rand.New(rand.NewPCG(cfg.Seed, 0x5075727365)),
		profile: firmwareconfig.Sample(), done: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	// Keys and cards are drawn from the seed too: a repeated story repeats to the byte. Nobody may hold money on such keys.
	chance := rand.NewChaCha8(seedBytes(cfg.Seed))
	if c.ring, err = keys.NewRing(chance); err != nil {
		return c, err
	}
	if err := c.openBackend(ctx, chance); err != nil {
		return c, err
	}
	if err := c.issueCards(ctx, chance); err != nil {
		return c, err
	}
	for i, p := range places(c.profile) {
		s, err := c.newStation(ctx, p, i, chance)
		if err != nil {
			return c, fmt.Errorf("city: terminal %s: %w", p.id, err)
		}
		c.places = append(c.places, s)
	}
	return c, nil
}

func seedBytes(seed uint64) (out [32]byte) {
	copy(out[:], fmt.Sprintf("purselane-city-%d", seed))
	return out
}

func (c *City) openBackend(ctx context.Context, chance *rand.ChaCha8) error {
	tokenKey, err1 := c.ring.Secret(keys.SecretToken, 32)
	receipts, err2 := c.ring.SigningKey(keys.SecretReceipt)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	token, hash := api.NewToken(chance)
	phones, phonesHash := api.NewToken(chance)
	tokens, err := api.LoadTokens(fmt.Appendf(nil, "version: 1\ntokens:\n  - {name: kiosk, role: agent, acquirer: %s, sha256: %s}\n  - {name: phones, role: agent, acquirer: %s, sha256: %s}\n",
		agentOfLoad, hash, node.OnlineAgent, phonesHash))
	if err != nil {
		return err
	}
	c.node, err = node.Open(ctx, node.Config{
		Dir: filepath.Join(c.cfg.Dir, "backend"), Scheme: sampleScheme(), HSM: c.ring.HSM(), TokenKey: tokenKey, ReceiptKey: receipts,
		Tokens: tokens, Clock: c.clock, Log: c.cfg.Log, Database: c.cfg.Database, Store: c.cfg.Store,
	})
	if err != nil {
		return err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stop = stop
	go func() { c.done <- c.node.Run(run) }()
	mux := http.NewServeMux()
	mux.Handle("/v1/", c.node.API())
	address := c.cfg.Page
	if address == "" {
		address = "127.0.0.1:0"
	} else {
		mux.Handle("/", c.node.Console())
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("city: %w (is another program serving there? choose another address)", err)
	}
	c.url = "http://" + l.Addr().String()
	c.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = c.http.Serve(l) }() // it ends with Close
	if c.host, err = kiosk.NewHTTPHost(c.url, token); err != nil {
		return err
	}
	return c.openOnline(phones, tokenKey, chance)
}

// URL is where the page and the API are.
func (c *City) URL() string { return c.url }

func (c *City) issueCards(ctx context.Context, chance *rand.ChaCha8) error {
	tokenKey, err := c.ring.Secret(keys.SecretToken, 32)
	if err != nil {
		return err
	}
	issuer := ep.Factor{0x01, 0x01, 0x10, 0x00, 0xFF, 0xFF, 0xFF, 0xFF}
	return c.node.Store().Update(ctx, func(tx *store.Tx) error {
		c.riders = nil
		for i := range riderCount {
			number, err := ids.ParseCardNumber(fmt.Sprintf("03105170%012d", i+1))
			if err != nil {
				return err
			}
			img, err := personalise.Card(c.ring.Masters, personalise.CardSpec{Number: number, Issuer: issuer, Kind: personalise.KindNormal})
			if err != nil {
				return err
			}
			card, err := epcard.New(img, chance)
			if err != nil {
				return err
			}
			if err := tx.IssueCard(ctx, store.Card{Number: number, Token: store.Token(tokenKey, number), Issuer: issuer, Levels: 2, Status: store.CardActive}); err != nil {
				return err
			}
			c.riders = append(c.riders, &rider{card: card, openAt: map[int]bool{}})
		}
		return nil
	})
}

// load puts money on a rider's card at the kiosk, over the API, until it is there. Of four riders one pays in cash, two by phone and one with a bank card.
func (c *City) load(ctx context.Context, r *rider, amount money.Amount) error {
	c.tally.loads++
	key := fmt.Sprintf("kiosk-1-%d", c.tally.loads)
	var host kiosk.Host = c.host
	var over *way
	if turn := c.tally.loads % 4; turn != 0 {
		over = c.online.channels[turn-1]
		order, err := c.pay(ctx, r, over, key, amount)
		if err != nil {
			return fmt.Errorf("kiosk: pay over %s: %w", over.account, err)
		}
		host = paidHost{c.online.host, order}
		if over.pays == nil {
			c.tally.bankCards++
		} else {
			c.tally.online++
		}
		if c.tally.paidOnline, err = c.tally.paidOnline.Add(amount); err != nil {
			return err
		}
	}
	for try := range 10 {
		rate := 50
		if try > 2 {
			rate = 0
		}
		field := epcard.Present(r.card, pull(c.rng, rate))
		res, err := kiosk.Load(ctx, field, host, kiosk.Request{Terminal: ep.TerminalNumber{0, 0, 0, 0, 0x99, 0x01}, IdempotencyKey: key, Amount: amount})
		if field.Gone() {
			c.tally.loadsTorn++
		}
		field.Leave()
		if err != nil {
			return fmt.Errorf("kiosk: %w", err)
		}
		c.clock.Advance(5 * time.Second)
		switch res.Outcome {
		case kiosk.LoadDone, kiosk.AlreadyDone:
			if r.loaded, err = r.loaded.Add(amount); err == nil && over != nil {
				over.loaded, err = over.loaded.Add(amount)
			}
			return err
		case kiosk.PresentAgain:
		default:
			return fmt.Errorf("kiosk: %v: %s", res.Outcome, res.Reason)
		}
	}
	return errors.New("kiosk: a card was presented ten times and never stayed")
}

// Close ends everything. It returns what went wrong on the way down.
func (c *City) Close() error {
	var all []error
	for _, s := range c.places {
		all = append(all, s.close())
	}
	c.places = nil
	if c.online != nil {
		all = append(all, c.online.bank.SignOff(context.Background()))
		c.online = nil
	}
	if c.http != nil {
		all = append(all, c.http.Close())
		c.http = nil
	}
	if c.stop != nil {
		c.stop()
		all = append(all, <-c.done)
		c.stop = nil
	}
	if c.node != nil {
		all = append(all, c.node.Close())
		c.node = nil
	}
	return errors.Join(all...)
}

// deviceKey makes a terminal's key.
func deviceKey(chance *rand.ChaCha8) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = chance.Read(seed) // a generator never fails
	return ed25519.NewKeyFromSeed(seed)
}
