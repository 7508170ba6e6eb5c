package edge

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/uplink/wire"
)

// TestTheGuardOfASaleThatWasBegun: of cards that do not tell their number before a debit, the tap may ask about that sale alone, and no other
// card gets to a debit.
func TestTheGuardOfASaleThatWasBegun(t *testing.T) {
	j, err := journal.Open(filepath.Join(t.TempDir(), "journal.db"), journal.Options{Terminal: "t-1", NoSync: true})
	require.NoError(t, err)
	defer j.Close()
	var taps []uint64
	cards := []ids.CardNumber{{9: 1}, {9: 2}, {9: 3}}
	for _, c := range cards {
		tap, err := j.Begin(&wire.Record{Family: "ec", CardNumber: c[:], RequestId: "r-1"})
		require.NoError(t, err)
		taps = append(taps, tap)
	}
	free := &guard{Journal: j, request: "r-2"}
	open, err := free.OpenIntents()
	require.NoError(t, err)
	require.Len(t, open, 3)
	_, _, found, err := free.OpenIntent(ids.CardNumber{})
	require.NoError(t, err)
	require.False(t, found)

	g := &guard{Journal: j, request: "r-1", only: &Sale{Tap: ids.TapID{Terminal: "t-1", Epoch: j.Epoch(), Tap: taps[1]}, card: cards[1]}}
	open, err = g.OpenIntents()
	require.NoError(t, err)
	require.Len(t, open, 1)
	require.Equal(t, taps[1], open[0].GetTap())
	_, _, found, err = g.OpenIntent(cards[1])
	require.NoError(t, err)
	require.True(t, found)
	for _, c := range []ids.CardNumber{{}, cards[0], {9: 4}} {
		_, _, _, err = g.OpenIntent(c)
		var refused *refusal
		require.ErrorAs(t, err, &refused)
		require.Equal(t, taps[1], refused.tap.Tap)
	}

	// The earlier attempt is given up: nothing more is debited for the request. But a card that may have debited already is written down.
	require.NoError(t, g.MarkUnknown(taps[1]))
	require.NoError(t, g.Finish(taps[1], &wire.Record{CardNumber: cards[1][:], RequestId: "r-1", State: wire.State_STATE_AGED}))
	_, err = g.Begin(&wire.Record{CardNumber: cards[1][:], RequestId: "r-1"})
	var refused *refusal
	require.ErrorAs(t, err, &refused)
	_, err = g.Begin(&wire.Record{CardNumber: cards[1][:], RequestId: "r-1", State: wire.State_STATE_UNKNOWN})
	require.NoError(t, err)
}
