package edge

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/client"
	"github.com/purselane/purselane/uplink/wire"
)

// Terminal is an open terminal. It is safe for concurrent use; each lane's cards come one after the other.
type Terminal struct {
	cfg      Config
	journal  *journal.Journal
	tap      tap.Terminal // but Journal, which each visit has its own view of, and Drivers, which each lane has its own of
	sams     keys.SAMs
	drivers  [][]purse.Driver // by lane
	watches  []watch          // by lane
	lanes    []laneWatch
	restarts []chan struct{} // by lane: its reader is to be opened anew
	rides    *rides
	sales    *sales
	exposure exposure
	asks     []chan ask     // by lane: what tills ask of the lanes that Run serves
	sender   *client.Sender // nil: no keys to send with
	link     *client.Client // nil: no link of its own
	booted   time.Time
	opened   time.Duration // of Config.Time
	broken   chan struct{} // closed when the journal must be opened again

	shown  sync.Mutex // one Show at a time; guards counts
	counts map[tap.Outcome]uint64

	mu       sync.Mutex
	failure  error // why the terminal itself cannot sell, nil when it can
	damage   error // the journal's, for good
	newestAt time.Time
}

// Open checks the configuration, all of it at once, opens the journal and turns what an earlier life left open into records of
// unknown outcome. A damaged journal is journal.ErrDamaged and is left as it is.
func Open(cfg Config) (*Terminal, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	j, err := journal.Open(cfg.JournalPath, cfg.Journal)
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	t, err := newTerminal(cfg, j)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("terminal: %w", err), j.Close())
	}
	return t, nil
}

func newTerminal(cfg Config, j *journal.Journal) (*Terminal, error) {
	left, err := j.RecoverBoot()
	if err != nil {
		return nil, err
	}
	if left > 0 {
		cfg.Log.Warn("taps were under way when the terminal stopped: their outcome is unknown until the cards come back", "taps", left)
	}
	boot := make([]byte, 16)
	if _, err := rand.Read(boot); err != nil {
		return nil, fmt.Errorf("draw the boot id: %w", err)
	}
	t := &Terminal{
		cfg: cfg, journal: j, sams: cfg.sams(), sales: newSales(), booted: cfg.Clock.Now(), broken: make(chan struct{}),
		counts: map[tap.Outcome]uint64{}, rides: newRides(cfg.Profile.SameTrip),
		watches: make([]watch, len(cfg.Lanes)), lanes: make([]laneWatch, len(cfg.Lanes)),
	}
	for i := range cfg.Lanes {
		t.restarts = append(t.restarts, make(chan struct{}, 1))
		drivers, err := cfg.drivers(timedSAMs{t.sams, &t.watches[i]})
		if err != nil {
			return nil, fmt.Errorf("drivers of the card families: %w", err)
		}
		t.drivers = append(t.drivers, drivers)
		t.asks = append(t.asks, make(chan ask))
	}
	t.tap = tap.Terminal{
		ID: cfg.Terminal, Merchant: cfg.Merchant, Profile: cfg.Profile, Location: cfg.Profile.Location(), BootID: boot,
		Denied: cfg.Denied, DenyVersion: cfg.DenyVersion, Paid: t.paid, Ready: t.ready,
	}
	if t.newestAt, err = newestRecord(j); err != nil {
		return nil, err
	}
	sending := client.SenderConfig{
		Terminal: cfg.Terminal, Key: cfg.DeviceKey, Backend: cfg.BackendKey, Source: j, Profile: cfg.Profile.Version, Rand: cfg.Rand,
	}
	t.opened = teach(cfg.Time, t.newestAt, &sending)
	if cfg.DeviceKey == nil {
		return t, nil
	}
	if t.sender, err = client.NewSender(sending); err != nil {
		return nil, err
	}
	if cfg.Uplink == nil {
		return t, nil
	}
	link := *cfg.Uplink
	if link.Log == nil {
		link.Log = cfg.Log
	}
	if link.Clock == nil {
		link.Clock = cfg.Clock
	}
	t.link, err = client.New(link, t.sender)
	return t, err
}

// newestRecord is the time of the newest of the last records whose clock was not bad; zero for none.
func newestRecord(j *journal.Journal) (at time.Time, err error) {
	const look = 50
	last := j.LastSeq()
	first := j.FirstSeq()
	if last > look {
		first = max(first, last-look+1)
	}
	raw, err := j.Read(first, look, 1<<20)
	if err != nil {
		return at, err
	}
	for _, b := range raw {
		var r wire.Record
		if err := proto.Unmarshal(b, &r); err != nil {
			return at, fmt.Errorf("read the newest records: %w", err)
		}
		if then := time.UnixMilli(r.GetTerminalTimeMs()); r.GetClockState() != wire.ClockState_CLOCK_BAD && then.After(at) {
			at = then
		}
	}
	return at, nil
}

// fail notes why the terminal itself cannot sell.
func (t *Terminal) fail(err error) {
	t.mu.Lock()
	news := t.failure == nil
	t.failure = err
	if (errors.Is(err, journal.ErrDamaged) || errors.Is(err, journal.ErrUncertain)) && t.damage == nil {
		t.damage = err
		close(t.broken)
	}
	t.mu.Unlock()
	if news {
		t.cfg.Log.Error("out of service", "terminal", t.cfg.Terminal, "err", err)
	}
}

// healed notes that the terminal sells again.
func (t *Terminal) healed(why string) {
	t.mu.Lock()
	was := t.failure
	if t.damage == nil {
		t.failure = nil
	}
	t.mu.Unlock()
	if was != nil {
		t.cfg.Log.Info("back in service", "terminal", t.cfg.Terminal, "why", why)
	}
}

// Failure is why the terminal itself cannot sell; nil when it can, as far as it knows.
func (t *Terminal) Failure() error { t.mu.Lock(); defer t.mu.Unlock(); return t.failure }

func (t *Terminal) notify() {
	if t.link != nil {
		t.link.Notify()
	}
}

// Stats is how a terminal does.
type Stats struct {
	Outcomes map[tap.Outcome]uint64 // shown since Open
	Journal  journal.Stats
	Uplink   *client.Stats   // nil: there is no Sender
	SAMs     []keys.SAMState // of a Pool
	OutOfUse string          // why it cannot sell, empty when it can
}

// Stats reads the figures.
func (t *Terminal) Stats() Stats {
	s := Stats{Outcomes: map[tap.Outcome]uint64{}}
	t.shown.Lock()
	for o, n := range t.counts {
		s.Outcomes[o] = n
	}
	t.shown.Unlock()
	var err error
	if s.Journal, err = t.journal.Stats(); err != nil {
		s.OutOfUse = err.Error()
	}
	if t.sender != nil {
		u := t.sender.Stats()
		s.Uplink = &u
	}
	if t.cfg.Pool != nil {
		s.SAMs = t.cfg.Pool.States()
	}
	if err := t.OutOfUse(); err != nil {
		s.OutOfUse = err.Error()
	}
	return s
}

// OutOfUse is why the terminal cannot sell now: a failure of its own, or a limit of its profile. Nil: it can.
func (t *Terminal) OutOfUse() error {
	if err := t.Failure(); err != nil {
		return err
	}
	return t.ready(t.cfg.Clock.Now())
}

// Sender decides what is sent, for those who carry it themselves; nil without keys.
func (t *Terminal) Sender() *client.Sender { return t.sender }

// Journal is the terminal's journal, for those who look at it.
func (t *Terminal) Journal() *journal.Journal { return t.journal }

// Close closes the journal. End Run first, and every visit.
func (t *Terminal) Close() error { return t.journal.Close() }

// probe asks the parts of a terminal that has failed whether they work again.
func (t *Terminal) probe(ctx context.Context) error {
	if _, err := t.journal.Stats(); err != nil {
		return err
	}
	return t.probeSAM(ctx)
}
