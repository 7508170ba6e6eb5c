package edge_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/intake"
	"github.com/purselane/purselane/uplink/wire"
)

// TestAnExportIsTakenLikeTheLink writes the journal to a file and hands its lines to the intake, twice.
func TestAnExportIsTakenLikeTheLink(t *testing.T) {
	public, device, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	_, backend, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	w := newWorld(t, nil)
	const taps = 200
	for n := range byte(taps) {
		require.Equal(t, tap.Granted, w.tapOn(bus, newCard(t, n, 10_00, nil)).Outcome)
	}
	var file bytes.Buffer
	n, err := edge.Export(&file, w.Journal(), "bus-1", device, 1, noon)
	require.NoError(t, err)
	require.EqualValues(t, taps, n)

	lines := strings.Split(strings.TrimSuffix(file.String(), "\n"), "\n")
	require.Equal(t, fmt.Sprintf("purselane-export-1 bus-1 %016x 1 %d", w.Journal().Epoch(), taps), lines[0])
	require.Greater(t, len(lines), 2, "more than one envelope")
	store := &shelf{held: map[uint64][]byte{}, news: make(chan struct{}, 1)}
	p := &intake.Processor{Key: backend, Handler: store,
		Device: func(context.Context, ids.TerminalID) (ed25519.PublicKey, bool, error) { return public, true, nil }}
	for range 2 {
		for _, l := range lines[1:] {
			raw, err := base64.StdEncoding.DecodeString(l)
			require.NoError(t, err)
			_, err = p.Process(t.Context(), "bus-1", wire.KindUp, raw, noon)
			require.NoError(t, err)
		}
		require.Equal(t, taps, store.count())
	}
	_, err = p.Process(t.Context(), "bus-2", wire.KindUp, mustDecode(t, lines[1]), noon)
	require.ErrorIs(t, err, intake.ErrDropped, "nobody else can bring it as his")
}

func mustDecode(t *testing.T, s string) []byte {
	raw, err := base64.StdEncoding.DecodeString(s)
	require.NoError(t, err)
	return raw
}
