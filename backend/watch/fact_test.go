package watch_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/watch"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/uplink/wire"
)

var noMoney = money.Minor(-1)

func posted(t require.TestingT, label shadowaccount.Label, r *wire.Record) store.Posted {
	raw, err := proto.Marshal(r)
	require.NoError(t, err)
	return store.Posted{Pending: store.Pending{Terminal: "bus-1", Epoch: 1, Seq: 2, Body: raw, ReceivedMS: 1000}, Label: label}
}

func TestWhatARecordTellsTheWatch(t *testing.T) {
	r := &wire.Record{CardNumber: make([]byte, 10), Tap: 7, Family: "ep", PsamTerminal: []byte{1, 2, 3, 4, 5, 6}, PsamSerial: 9, Line: []byte{0, 7}, Station: []byte{1, 0xAB},
		TerminalTimeMs: 5, ClockErrorMs: 3, ClockState: wire.ClockState_CLOCK_HOLDOVER, DenyVersion: 4}
	f, _, alias, ok := watch.FactOf(posted(t, shadowaccount.LabelOK, r))
	require.True(t, ok)
	require.False(t, alias)
	require.Equal(t, store.Fact{Terminal: "bus-1", Epoch: 1, Seq: 2, Spot: "0007/01AB", PSAM: &[6]byte{1, 2, 3, 4, 5, 6}, Serial: 9, DenyVersion: 4,
		Stamp: shadowaccount.Stamp{Tap: 7, AtMS: 5, ErrorMS: 3, Sure: shadowaccount.Bounded, ReceivedMS: 1000}}, f)
	f, _, _, _ = watch.FactOf(posted(t, shadowaccount.LabelBadMAC, r))
	require.Nil(t, f.PSAM, "its numbers may be anything")

	for _, change := range []func(*wire.Record){
		func(r *wire.Record) { r.ClockState = wire.ClockState_CLOCK_BAD }, func(r *wire.Record) { r.ClockState = 0 },
		func(r *wire.Record) { r.TerminalTimeMs = -1 }, func(r *wire.Record) { r.TerminalTimeMs = math.MaxInt64 },
	} {
		c := proto.Clone(r).(*wire.Record)
		change(c)
		f, _, _, ok := watch.FactOf(posted(t, shadowaccount.LabelOK, c))
		require.True(t, ok)
		require.Equal(t, shadowaccount.NotSure, f.Sure)
	}
	r.Family, r.Station = "ec", []byte{0, 0}
	f, _, alias, _ = watch.FactOf(posted(t, shadowaccount.LabelOK, r))
	require.True(t, alias)
	require.Nil(t, f.PSAM)
	require.Empty(t, f.Spot)
	r.CardNumber = nil
	_, _, _, ok = watch.FactOf(posted(t, shadowaccount.LabelOK, r))
	require.False(t, ok)
}

func FuzzFactOf(f *testing.F) {
	f.Add([]byte{})
	f.Add(posted(f, "", &wire.Record{CardNumber: make([]byte, 10), Tap: 1, Line: []byte{1, 2}, Station: []byte{3, 4}, ClockState: wire.ClockState_CLOCK_GOOD, TerminalTimeMs: math.MaxInt64}).Body)
	f.Add(posted(f, "", &wire.Record{CardNumber: make([]byte, 10), Tap: math.MaxUint64, Family: "ec", DenyVersion: math.MaxUint64}).Body)
	f.Fuzz(func(t *testing.T, body []byte) {
		fact, _, _, ok := watch.FactOf(store.Posted{Pending: store.Pending{Body: body}})
		if !ok {
			return
		}
		require.NotZero(t, fact.Tap)
		require.LessOrEqual(t, fact.Tap, uint64(math.MaxInt64))
		require.LessOrEqual(t, fact.DenyVersion, uint64(math.MaxInt64))
		require.Contains(t, []int{0, 9}, len(fact.Spot))
		if fact.Sure == shadowaccount.Bounded {
			require.True(t, fact.Proves())
		}
	})
}
