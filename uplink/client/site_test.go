package client_test

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/uplink/broker"
	"github.com/purselane/purselane/uplink/client"
	"github.com/purselane/purselane/uplink/intake"
	"github.com/purselane/purselane/uplink/internal/uplinktest"
	"github.com/purselane/purselane/uplink/wire"
)

const patience = 2 * time.Minute // only to give up at

// site is a backend: a broker, the intake's connection to it, and a ledger that survives both.
type site struct {
	t      *testing.T
	dir    string
	port   int
	tls    *tls.Config
	ledger *uplinktest.Ledger
	tries  chan ids.TerminalID // who showed a password
	states chan *wire.DeviceState

	broker *broker.Broker
	nc     *nats.Conn
	stop   func() // ends the intake
}

func newSite(t *testing.T, c *tls.Config) *site {
	s := &site{t: t, dir: t.TempDir(), tls: c, ledger: uplinktest.NewLedger(), tries: make(chan ids.TerminalID, 1000), states: make(chan *wire.DeviceState, 1000)}
	s.startBroker()
	s.startIntake()
	t.Cleanup(func() {
		if s.stop != nil {
			s.stopIntake()
		}
		if s.broker != nil {
			s.stopBroker()
		}
	})
	return s
}

// startBroker starts a broker at the port and in the folder of the one before.
func (s *site) startBroker() {
	var err error
	s.broker, err = broker.Start(broker.Config{Dir: s.dir, Port: s.port, TLS: s.tls, Password: func(id ids.TerminalID, password string) bool {
		s.tries <- id
		return password == "secret of "+string(id)
	}})
	require.NoError(s.t, err)
	u, err := url.Parse(s.broker.URL())
	require.NoError(s.t, err)
	s.port, err = strconv.Atoi(u.Port())
	require.NoError(s.t, err)
	s.nc, err = s.broker.Connect()
	require.NoError(s.t, err)
}

func (s *site) stopBroker() {
	s.nc.Close()
	s.broker.Stop()
	s.broker = nil
}

// startIntake starts the backend's consumption and returns when it takes messages.
func (s *site) startIntake() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	p := &intake.Processor{Handler: s.ledger, Key: backendKey,
		Device: func(context.Context, ids.TerminalID) (ed25519.PublicKey, bool, error) {
			return public(deviceKey), true, nil
		},
		State: func(_ context.Context, _ ids.TerminalID, d *wire.DeviceState, _ time.Time) error {
			s.states <- d
			return nil
		},
	}
	nc := s.nc
	go func() { ended <- intake.Run(ctx, nc, p, clock.System{}, slog.New(slog.DiscardHandler)) }()
	s.stop = func() {
		cancel()
		err := <-ended
		if !nc.IsClosed() {
			require.NoError(s.t, err)
		}
	}
}

func (s *site) stopIntake() {
	s.stop()
	s.stop = nil
}

// terminal is a client that runs, with a journal in memory.
type terminal struct {
	t       *testing.T
	id      ids.TerminalID
	site    *site
	journal *uplinktest.Journal
	client  *client.Client
	sender  *client.Sender
	stop    func()
}

// terminal starts a terminal. change may be nil.
func (s *site) terminal(id ids.TerminalID, records int, change func(*client.Config)) *terminal {
	m := &terminal{t: s.t, id: id, site: s, journal: uplinktest.NewJournal(id, epoch)}
	m.journal.Add(records)
	var err error
	m.sender, err = client.NewSender(client.SenderConfig{Terminal: id, Key: deviceKey, Backend: public(backendKey), Source: m.journal, BatchRecords: 20,
		ResendMin: 200 * time.Millisecond, ResendMax: time.Second, Rand: rand.New(rand.NewPCG(1, 2))})
	require.NoError(s.t, err)
	cfg := client.Config{Broker: s.broker.URL(), Password: "secret of " + string(id), ConnectJitter: 1, ConnectRetry: 20 * time.Millisecond, RetryMax: 50 * time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	m.client, err = client.New(cfg, m.sender)
	require.NoError(s.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.client.Run(ctx) }()
	m.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(s.t, <-ended)
	})
	s.t.Cleanup(m.stop)
	return m
}

// sell adds records and says so.
func (m *terminal) sell(n int) {
	m.journal.Add(n)
	m.client.Notify()
}

// arrived waits until everything has its receipt, and checks that the ledger has it.
func (m *terminal) arrived() {
	last := m.journal.LastSeq()
	require.Eventually(m.t, func() bool { return m.journal.AckedSeq() == last }, patience, 2*time.Millisecond)
	for seq := uint64(1); seq <= last; seq++ {
		require.True(m.t, m.site.ledger.Holds(m.id, epoch, seq, m.journal.Record(seq)), "record %d", seq)
	}
	require.Empty(m.t, m.site.ledger.Conflicts())
}

// state waits for the next state that satisfies want.
func (s *site) state(want func(*wire.DeviceState) bool) *wire.DeviceState {
	give := time.After(patience)
	for {
		select {
		case d := <-s.states:
			if want(d) {
				return d
			}
		case <-give:
			require.Fail(s.t, "no such state comes")
		}
	}
}

// proxy stands between a terminal and the broker, and is the link.
type proxy struct {
	t      *testing.T
	listen net.Listener
	to     string

	mu    sync.Mutex
	lines []net.Conn
	came  int  // connections, ever
	dead  bool // bytes vanish, and nobody is told
	down  bool // nobody gets through
}

func newProxy(t *testing.T, to string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	u, err := url.Parse(to)
	require.NoError(t, err)
	p := &proxy{t: t, listen: l, to: u.Host}
	go p.serve()
	t.Cleanup(func() { l.Close(); p.cut() })
	return p
}

func (p *proxy) url() string { return "tcp://" + p.listen.Addr().String() }

func (p *proxy) serve() {
	for {
		near, err := p.listen.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", p.to)
		p.mu.Lock()
		if err != nil || p.down {
			near.Close()
			if err == nil {
				far.Close()
			}
			p.mu.Unlock()
			continue
		}
		p.lines = append(p.lines, near, far)
		p.came++
		p.mu.Unlock()
		go p.carry(near, far)
		go p.carry(far, near)
	}
}

func (p *proxy) carry(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		dead := p.dead
		p.mu.Unlock()
		if n > 0 && !dead {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) set(dead, down bool) { p.mu.Lock(); defer p.mu.Unlock(); p.dead, p.down = dead, down }

// count is how often a terminal got through to the broker.
func (p *proxy) count() int { p.mu.Lock(); defer p.mu.Unlock(); return p.came }

// cut ends all lines that there are.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		l.Close()
	}
	p.lines = nil
}
