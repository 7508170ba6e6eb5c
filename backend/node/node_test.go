package node_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/uplink/wire"
)

func config(t *testing.T) node.Config {
	t.Helper()
	s, err := node.ParseScheme([]byte(whole))
	require.NoError(t, err)
	dir := t.TempDir()
	return node.Config{
		Dir: dir, Database: emptystore.At(t, node.DatabasePath(dir)), Scheme: s, HSM: keys.NewSoft(nil), TokenKey: make([]byte, 32), ReceiptKey: ed25519.NewKeyFromSeed(make([]byte, 32)),
		Clock: clock.NewManual(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)), Store: store.Options{NoSync: true},
	}
}

// TestANodeStopsAndStartsAgain is a restart in the same folder: the broker's port is free again and the books are there.
func TestANodeStopsAndStartsAgain(t *testing.T) {
	cfg := config(t)
	for range 2 {
		n, err := node.Open(t.Context(), cfg)
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- n.Run(ctx) }()
		_, err = n.BrokerURL(ctx)
		require.NoError(t, err)
		out, err := n.Settle(ctx, "2026-11-24")
		require.NoError(t, err)
		require.Equal(t, "bus", out.Report.Acquirers[0].ID, "the scheme's parties are registered")
		stop()
		require.NoError(t, <-done)
		require.NoError(t, n.Close())
	}
}

// device is an HSM that counts how often it is closed.
type device struct {
	keys.HSM
	closed int
}

func (d *device) Close() error { d.closed++; return nil }

func TestANodeClosesItsHSM(t *testing.T) {
	cfg, hsm := config(t), &device{HSM: keys.NewSoft(nil)}
	cfg.HSM = hsm
	n, err := node.Open(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, n.Close())
	require.Equal(t, 1, hsm.closed)
}

func TestANodeSaysWhatIsMissing(t *testing.T) {
	for name, spoil := range map[string]func(*node.Config){
		"scheme":      func(c *node.Config) { c.Scheme = nil },
		"HSM":         func(c *node.Config) { c.HSM = nil },
		"receipt key": func(c *node.Config) { c.ReceiptKey = nil },
		"folder":      func(c *node.Config) { c.Dir = "" },
		"token key":   func(c *node.Config) { c.TokenKey = nil },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t)
			spoil(&cfg)
			_, err := node.Open(t.Context(), cfg)
			require.Error(t, err)
		})
	}
}

func TestSettleRefusesADayToCome(t *testing.T) {
	n, err := node.Open(t.Context(), config(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, n.Close()) }()
	_, err = n.Settle(t.Context(), "2026-11-26")
	require.True(t, errors.Is(err, settlement.ErrFuture), "%v", err)
}

func TestADevicePasswordIsOfOneDevice(t *testing.T) {
	key := make([]byte, 32)
	require.NotEqual(t, node.DevicePassword(key, "bus-1"), node.DevicePassword(key, "bus-2"))
	require.NotEqual(t, node.DevicePassword(key, "bus-1"), node.DevicePassword(append(key, 1), "bus-1"))
	require.Equal(t, node.DevicePassword(key, "bus-1"), node.DevicePassword(key, "bus-1"))
}

// TestAJournalIsCarriedByHand takes a file that a terminal exported, twice, and refuses what is none, or somebody else's.
func TestAJournalIsCarriedByHand(t *testing.T) {
	n, err := node.Open(t.Context(), config(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, n.Close()) }()
	public, device, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	require.NoError(t, n.Store().Update(t.Context(), func(tx *store.Tx) error {
		return tx.PutTerminal(t.Context(), store.Terminal{ID: "bus-1", Merchant: "m1", PublicKey: public, Active: true})
	}))
	j, err := journal.Open(filepath.Join(t.TempDir(), "j"), journal.Options{Terminal: "bus-1", NoSync: true})
	require.NoError(t, err)
	defer j.Close()
	for i := range byte(3) {
		draft := &wire.Record{Version: 1, CardNumber: []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, i}, Amount: 200}
		n, err := j.Begin(draft)
		require.NoError(t, err)
		require.NoError(t, j.MarkUnknown(n))
	}
	var file bytes.Buffer
	_, err = edge.Export(&file, j, "bus-1", device, 1, time.Now())
	require.NoError(t, err)

	for range 2 {
		got, err := n.Carry(t.Context(), bytes.NewReader(file.Bytes()))
		require.NoError(t, err)
		require.Equal(t, node.Carried{Terminal: "bus-1", Envelopes: 1, Records: 3}, got)
		var through uint64
		require.NoError(t, n.Store().View(t.Context(), func(tx *store.Tx) (err error) {
			through, err = tx.Through(t.Context(), "bus-1", j.Epoch())
			return err
		}))
		require.EqualValues(t, 3, through)
	}
	for name, c := range map[string]struct{ from, to, says string }{
		"empty":             {file.String(), "", "empty"},
		"another file":      {"purselane-export-1", "purselane-import-9", "first line"},
		"no terminal":       {"bus-1", "bus/1", "terminal"},
		"another terminal":  {"bus-1", "bus-2", "not registered"},
		"a line cut":        {"\n", "\n!!", "line 2"},
		"another's batch":   {"YnVzLTE", "YnVzLTI", "line 2"},
		"longer than a sea": {"\n", "\n" + strings.Repeat("A", 10<<20), "after 0 envelopes"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, file.String(), c.from)
			got, err := n.Carry(t.Context(), strings.NewReader(strings.Replace(file.String(), c.from, c.to, 1)))
			require.ErrorContains(t, err, c.says)
			require.Zero(t, got.Records)
		})
	}
}

func FuzzCarry(f *testing.F) {
	s, err := node.ParseScheme([]byte(whole))
	require.NoError(f, err)
	n, err := node.Open(f.Context(), node.Config{Dir: f.TempDir(), Scheme: s, HSM: keys.NewSoft(nil), TokenKey: make([]byte, 32),
		ReceiptKey: ed25519.NewKeyFromSeed(make([]byte, 32)), Store: store.Options{NoSync: true}, Log: slog.New(slog.DiscardHandler)})
	require.NoError(f, err)
	f.Cleanup(func() { n.Close() })
	f.Add("purselane-export-1 bus-1 0000000000000001 1 1\nAAAA\n")
	f.Fuzz(func(t *testing.T, file string) {
		got, err := n.Carry(t.Context(), strings.NewReader(file))
		if got.Records != 0 {
			t.Fatalf("nobody signed this: %+v, %v", got, err)
		}
	})
}
