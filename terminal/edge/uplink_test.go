package edge_test

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/reader/inproc"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/broker"
	"github.com/purselane/purselane/uplink/client"
	"github.com/purselane/purselane/uplink/intake"
	"github.com/purselane/purselane/uplink/wire"
)

// shelf is an intake handler in memory: what a backend does at the least.
type shelf struct {
	mu   sync.Mutex
	held map[uint64][]byte // by number: the test's terminal has one epoch
	news chan struct{}
}

func (s *shelf) committed() (c intake.Committed) {
	for s.held[c.Through+1] != nil {
		c.Through++
	}
	if c.Through > 0 {
		c.ThroughHash = wire.RecordHash(s.held[c.Through])
	}
	return c
}

func (s *shelf) Accept(_ context.Context, a intake.Accepted) (intake.Committed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range a.Records {
		s.held[a.FirstSeq+uint64(i)] = r
	}
	select {
	case s.news <- struct{}{}:
	default:
	}
	return s.committed(), nil
}

func (s *shelf) Quarantine(context.Context, intake.Accepted, string) (intake.Committed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.committed(), nil
}

func (s *shelf) Hello(context.Context, *wire.Hello, time.Time) (intake.Committed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.committed(), nil
}

func (s *shelf) count() int { s.mu.Lock(); defer s.mu.Unlock(); return len(s.held) }

// TestRecordsReachTheBackend sells without a link, brings the link up, and sells on: every record arrives and is receipted.
func TestRecordsReachTheBackend(t *testing.T) {
	devicePublic, device, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	backendPublic, backend, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)

	door := inproc.New("door")
	var url string
	w := newWorld(t, func(cfg *edge.Config) {
		cfg.DeviceKey, cfg.BackendKey = device, backendPublic
		cfg.Clock = clock.System{}
		cfg.Lanes[bus].Reader = door
	})
	for n := byte(1); n <= 3; n++ {
		require.Equal(t, tap.Granted, w.tapOn(bus, newCard(t, n, 10_00, nil)).Outcome)
		w.next()
	}
	require.NotNil(t, w.Sender())
	require.Equal(t, client.Offline, w.Stats().Uplink.State)
	require.EqualValues(t, 3, w.Stats().Uplink.Backlog)

	b, err := broker.Start(broker.Config{Dir: t.TempDir(), Password: func(id ids.TerminalID, p string) bool { return id == "bus-1" && p == "secret" }})
	require.NoError(t, err)
	t.Cleanup(b.Stop)
	url = b.URL()
	nc, err := b.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	store := &shelf{held: map[uint64][]byte{}, news: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- intake.Run(ctx, nc, &intake.Processor{
			Device: func(_ context.Context, id ids.TerminalID) (ed25519.PublicKey, bool, error) {
				return devicePublic, id == "bus-1", nil
			},
			Key: backend, Handler: store,
		}, clock.System{}, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() { cancel(); <-served })

	w.cfg.Uplink = &client.Config{Broker: url, Password: "secret", ConnectJitter: time.Millisecond}
	w.kill()
	stop := w.run()
	for store.count() < 3 {
		<-store.news
	}
	door.Present(newCard(t, 4, 10_00, nil))
	require.Equal(t, tap.Granted, w.next().Result.Outcome)
	for store.count() < 4 {
		<-store.news // at once: nobody waits for the next look at the journal
	}
	require.Eventually(t, func() bool { return w.Stats().Journal.Backlog == 0 }, 20*time.Second, 5*time.Millisecond)
	door.Withdraw()
	require.NoError(t, stop())
	require.EqualValues(t, 4, w.Journal().AckedSeq())
}

// TestAnOldCopyOfTheJournalStopsTheTerminal restores an older journal: the backend has records that it does not know.
func TestAnOldCopyOfTheJournalStopsTheTerminal(t *testing.T) {
	_, device, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	backendPublic, backend, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	w := newWorld(t, func(cfg *edge.Config) { cfg.DeviceKey, cfg.BackendKey = device, backendPublic })
	w.Sender().OnConnect(noon)
	receipt, err := wire.SealReceipt(backend, &wire.Receipt{Terminal: "bus-1", Epoch: w.Journal().Epoch(), ThroughSeq: 17})
	require.NoError(t, err)
	require.ErrorIs(t, w.Sender().OnReceipt(noon, receipt), client.ErrJournalOlder)
	r := w.tapOn(bus, newCard(t, 1, 10_00, nil))
	require.Equal(t, tap.OutOfService, r.Outcome)
	require.Contains(t, r.Reason, "journal quarantine")
}
