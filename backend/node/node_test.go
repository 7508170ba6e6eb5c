package node_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/clock"
)

func config(t *testing.T) node.Config {
	t.Helper()
	s, err := node.ParseScheme([]byte(whole))
	require.NoError(t, err)
	return node.Config{
		Dir: t.TempDir(), Scheme: s, HSM: keys.NewSoft(nil), TokenKey: make([]byte, 32), ReceiptKey: ed25519.NewKeyFromSeed(make([]byte, 32)),
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
