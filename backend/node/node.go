package node

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/purselane/purselane/backend/api"
	"github.com/purselane/purselane/backend/cardlife"
	"github.com/purselane/purselane/backend/cases"
	"github.com/purselane/purselane/backend/console"
	"github.com/purselane/purselane/backend/gateway/bill"
	"github.com/purselane/purselane/backend/gateway/bin"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/route"
	"github.com/purselane/purselane/backend/gateway/tcc"
	"github.com/purselane/purselane/backend/gateway/vault"
	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/monitor"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/backend/watch"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount/calendar"
	"github.com/purselane/purselane/uplink/broker"
	uplink "github.com/purselane/purselane/uplink/intake"
)

// Config of a node. The fields without a default are required.
type Config struct {
	Dir        string // the broker's files, and the database if it is a file
	Database   string // as store.Open takes it; default: DatabasePath(Dir)
	Scheme     *Scheme
	HSM        keys.HSM           // the node's own from here on: one that can be closed is closed with it
	TokenKey   []byte             // card tokens and device passwords are made with it
	ReceiptKey ed25519.PrivateKey // signs receipts
	Tokens     api.Tokens         // who may call the API
	Calendar   calendar.Table     // holidays; zero: plain weeks

	// Channels speak for the accounts of the scheme's gateway, by id, and Plan is its routing plan in place of the scheme's rules. Channels nil: this process
	// runs no gateway.
	Channels map[string]channel.Channel
	Plan     *route.Plan
	Variant  *route.Plan // of the scheme's gateway.experiment

	SinkSecrets map[string][]byte // of the scheme's gateway.tell, by name

	// Makers make the channels of those accounts that need the node's own parts; with Channels nil they are not asked. Balances need none.
	Makers map[string]Maker
	// Vault, when set, keeps bank cards.
	Vault *VaultConfig

	// Risk holds what the files of the gateway's risk section say; nil where there is none.
	Risk *RiskFiles

	// BrokerTLS, when set, asks each device for a certificate. Nil: a password, on loopback.
	BrokerTLS *tls.Config
	// BrokerHost and BrokerPort of the MQTT listener; port 0 takes a free one. Default 127.0.0.1.
	BrokerHost string
	BrokerPort int

	Clock clock.Clock  // default: the machine's
	Log   *slog.Logger // default slog.Default()
	Store store.Options
}

// Node is a backend. It is safe for concurrent use.
type Node struct {
	cfg      Config
	store    *store.Store
	pipeline *intake.Pipeline
	topup    *topup.Service
	life     *cardlife.Service
	cases    *cases.Service
	watch    *watch.Watch
	online   *online     // nil: no gateway
	lately   *bill.Watch // nil: no risk rules
	vault    *vault.Vault
	door     http.Handler // of the vault
	bins     bin.Current
	probes   probes

	coordinator *tcc.Coordinator // of combined payments; nil: none
	api         http.Handler
	console     http.Handler
	started     chan struct{} // closed when the broker serves
	broker      *broker.Broker
}

// OnlineAgent is who sells the loads that are paid through the online gateway. No acquirer has its name.
const OnlineAgent ids.AcquirerID = "online"

// sweepEvery is how often open loads are looked at; nobody waits for it.
const sweepEvery = 5 * time.Second

// Open opens the database, registers the scheme's parties, and wires the parts. It starts nothing.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	if cfg.Scheme == nil || cfg.HSM == nil || len(cfg.ReceiptKey) != ed25519.PrivateKeySize || cfg.Dir == "" {
		return nil, errors.New("node: Dir, Scheme, HSM and ReceiptKey are all needed")
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	if cfg.Database == "" {
		cfg.Database = DatabasePath(cfg.Dir)
	}
	if cfg.Store.BooksKey == nil && len(cfg.TokenKey) > 0 {
		cfg.Store.BooksKey = BooksKey(cfg.TokenKey)
	}
	s, err := store.Open(ctx, cfg.Database, cfg.Store)
	if err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, store: s, started: make(chan struct{})}
	if err := n.wire(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return n, nil
}

// DatabasePath is where a node keeps its database in its folder, unless its Database says otherwise.
func DatabasePath(dir string) string { return filepath.Join(dir, "purselane.db") }

func (n *Node) wire(ctx context.Context) (err error) {
	c, at := n.cfg, n.cfg.Scheme.Location()
	if err := n.store.Update(ctx, func(tx *store.Tx) error { return c.Scheme.register(ctx, tx) }); err != nil {
		return fmt.Errorf("register the scheme's parties: %w", err)
	}
	ec, err := c.Scheme.ecKeys(c.HSM, c.TokenKey)
	if err != nil {
		return fmt.Errorf("scheme: %w", err)
	}
	desfire, err := c.Scheme.desfireKeys(c.HSM)
	if err != nil {
		return fmt.Errorf("scheme: %w", err)
	}
	if n.pipeline, err = intake.New(n.store, c.HSM, c.Clock, intake.Options{TokenKey: c.TokenKey, EC: ec, DESFire: desfire, Location: at, Windows: c.Scheme.Windows, Posters: c.Scheme.Posters, Posting: c.Scheme.Posting, Log: c.Log}); err != nil {
		return err
	}
	loads := topup.Config{Online: OnlineAgent, MaxAmount: c.Scheme.MaxLoad, MaxBalance: c.Scheme.MaxBalance, MaxPaidOut: c.Scheme.MaxPaidOut, Location: at, Log: c.Log}
	if ec != nil {
		loads.EC, loads.ECLogRecords = ec.Issuer, c.Scheme.ECLoadLog
	}
	if n.topup, err = topup.New(n.store, c.HSM, c.Clock, loads); err != nil {
		return err
	}
	if n.life, err = cardlife.New(n.store, c.Clock, cardlife.Config{Location: at, Log: c.Log}); err != nil {
		return err
	}
	if n.cases, err = cases.New(n.store, c.Clock, c.Scheme.Cases(c.Log)); err != nil {
		return fmt.Errorf("scheme: case_due: %w", err)
	}
	if n.watch, err = watch.New(n.store, c.Clock, c.Scheme.Watch, c.Log); err != nil {
		return fmt.Errorf("scheme: %w", err)
	}
	if n.online, err = n.openGateway(ctx); err != nil {
		return fmt.Errorf("scheme: gateway: %w", err)
	}
	if n.api, err = api.New(api.Config{Store: n.store, TopUp: n.topup, Life: n.life, Cases: n.cases, Online: n.kioskSales(), Files: n.files(), Tokens: c.Tokens, Location: at, Log: c.Log, Clock: c.Clock}); err != nil {
		return err
	}
	look := console.Config{Location: at, Log: c.Log, Monitor: monitor.New(n.store, c.Clock, n.historyLag())}
	if n.online != nil {
		look.Channels = channelsPage{n}
	}
	n.console = console.New(n.store, look)
	return nil
}

// Store is the node's database.
func (n *Node) Store() *store.Store { return n.store }

// API is the HTTP API, under /v1/, with the files that acquirers fetch.
func (n *Node) API() http.Handler { return n.api }

// Console is the operators' page, at /. It does not ask who is looking.
func (n *Node) Console() http.Handler { return n.console }

// TopUp is the load service.
func (n *Node) TopUp() *topup.Service { return n.topup }

// BrokerURL is what a terminal on this machine connects to. It waits until the broker serves.
func (n *Node) BrokerURL(ctx context.Context) (string, error) {
	select {
	case <-n.started:
		return n.broker.URL(), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Run serves until ctx ends, and returns nil then. It can be run once.
func (n *Node) Run(ctx context.Context) error {
	c := n.cfg
	b, err := broker.Start(broker.Config{
		Dir: filepath.Join(c.Dir, "broker"), Host: c.BrokerHost, Port: c.BrokerPort, TLS: c.BrokerTLS,
		Password: func(t ids.TerminalID, password string) bool { return checkPassword(c.TokenKey, t, password) },
		Log:      c.Log,
	})
	if err != nil {
		return err
	}
	defer b.Stop()
	nc, err := b.Connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	if err := n.store.Update(ctx, func(tx *store.Tx) error { return tx.TerminalsGone(ctx) }); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	n.broker = b
	close(n.started)
	p := &uplink.Processor{Device: n.pipeline.Device, Key: c.ReceiptKey, Handler: n.pipeline, State: n.pipeline.State}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return uplink.Run(ctx, nc, p, c.Clock, c.Log) })
	g.Go(func() error { return n.pipeline.Run(ctx) })
	g.Go(func() error { return n.topup.Run(ctx, sweepEvery) })
	g.Go(func() error { return n.life.Run(ctx, time.Hour) })
	g.Go(func() error { return n.cases.Run(ctx, time.Hour) })
	g.Go(func() error { return n.watch.Run(ctx) })
	g.Go(func() error { return n.proveNightly(ctx) })
	if n.online != nil {
		for _, run := range n.online.run {
			g.Go(func() error { return run(ctx) })
		}
	}
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Settle is [Node.CloseDay], with the day's files.
func (n *Node) Settle(ctx context.Context, day string) (settlement.Output, error) {
	if _, err := n.CloseDay(ctx, day); err != nil {
		return settlement.Output{}, err
	}
	return settlement.Load(ctx, n.store, day)
}

// CloseDay posts what waits of the day, settles the loads that records prove, and closes a clearing day. Closing it again gives the
// same report, byte for byte.
func (n *Node) CloseDay(ctx context.Context, day string) (settlement.Head, error) {
	if err := n.post(ctx, func() (int, error) { return n.pipeline.StepThrough(ctx, day) }); err != nil {
		return settlement.Head{}, err
	}
	term, err := calendar.ParseTerm(n.cfg.Scheme.Term)
	if err != nil {
		return settlement.Head{}, err
	}
	return settlement.CloseDay(ctx, n.store, day, settlement.Options{
		Now: n.cfg.Clock.Now(), Location: n.cfg.Scheme.Location(), Term: term, Calendar: n.cfg.Calendar,
		Currency: n.cfg.Scheme.Currency, CaseAfter: n.cfg.Scheme.CaseAfter, ExpireAfter: n.cfg.Scheme.ExpireAfter,
	})
}

// Post verifies and posts every record that is accepted, and settles the loads that records prove.
func (n *Node) Post(ctx context.Context) error {
	return n.post(ctx, func() (int, error) { return n.pipeline.Step(ctx) })
}

func (n *Node) post(ctx context.Context, step func() (int, error)) error {
	for {
		done, err := step()
		if err != nil {
			return err
		}
		if done > 0 {
			continue
		}
		settled, err := n.topup.SettleByRecords(ctx)
		if err != nil {
			return err
		}
		if settled == 0 {
			return nil // a settled load changes what taps are worth: look again after one
		}
	}
}

// Close closes the database and logs out of the HSM. Call it after Run has returned.
func (n *Node) Close() error {
	err := errors.Join(n.closeTraces(), n.closeHistory(), n.store.Close())
	if device, ok := n.cfg.HSM.(io.Closer); ok {
		err = errors.Join(err, device.Close())
	}
	return err
}
