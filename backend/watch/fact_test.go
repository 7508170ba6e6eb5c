package watch_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/watch"
	"github.com/purselane/purselane/internal/ids"
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
		TerminalTimeMs: 5, ClockErrorMs: 3, ClockState: wire.ClockState_CLOCK_HOLDOVER, DenyVersion: 4, Amount: 250}
	p := posted(t, shadowaccount.LabelOK, r)
	f, _, alias, ok := watch.FactOf(p)
	require.True(t, ok)
	require.False(t, alias)
	require.Equal(t, watch.Fact{Terminal: "bus-1", Epoch: 1, Seq: 2, PSAM: &[6]byte{1, 2, 3, 4, 5, 6}, Serial: 9, Amount: money.Minor(250),
		Stamp: shadowaccount.Stamp{Tap: 7, AtMS: 5, ErrorMS: 3, Sure: shadowaccount.Bounded, ReceivedMS: 1000}}, f)
	require.Equal(t, store.Sight{ErrorMS: 3, Sure: shadowaccount.Bounded, Spot: "0007/01AB", DenyVersion: 4}, watch.SightOf(p.Body))
	f, _, _, _ = watch.FactOf(posted(t, shadowaccount.LabelBadMAC, r))
	require.Nil(t, f.PSAM, "its numbers may be anything")

	for _, change := range []func(*wire.Record){
		func(r *wire.Record) { r.ClockState = wire.ClockState_CLOCK_BAD }, func(r *wire.Record) { r.ClockState = 0 },
		func(r *wire.Record) { r.TerminalTimeMs = -1 }, func(r *wire.Record) { r.TerminalTimeMs = math.MaxInt64 },
	} {
		c := proto.Clone(r).(*wire.Record)
		change(c)
		p := posted(t, shadowaccount.LabelOK, c)
		f, _, _, ok := watch.FactOf(p)
		require.True(t, ok)
		require.Equal(t, shadowaccount.NotSure, f.Sure)
		require.Equal(t, shadowaccount.NotSure, watch.SightOf(p.Body).Sure)
	}
	r.Family, r.Station = "ec", []byte{0, 0}
	p = posted(t, shadowaccount.LabelOK, r)
	f, _, alias, _ = watch.FactOf(p)
	require.True(t, alias)
	require.Nil(t, f.PSAM)
	require.Empty(t, watch.SightOf(p.Body).Spot)
	r.CardNumber = nil
	_, _, _, ok = watch.FactOf(posted(t, shadowaccount.LabelOK, r))
	require.False(t, ok)
	require.Equal(t, store.Sight{}, watch.SightOf(nil), "a claim without a record")
}

// slowFactOf is FactOf by the protobuf library.
func slowFactOf(r store.Posted) (f watch.Fact, name ids.CardNumber, alias, ok bool) {
	var w wire.Record
	if err := proto.Unmarshal(r.Body, &w); err != nil || len(w.GetCardNumber()) != len(name) || w.GetTap() == 0 || w.GetTap() > math.MaxInt64 || w.GetDenyVersion() > math.MaxInt64 {
		return f, name, false, false
	}
	copy(name[:], w.GetCardNumber())
	f = watch.Fact{Terminal: r.Terminal, Epoch: r.Epoch, Seq: r.Seq, Amount: money.Minor(w.GetAmount()),
		Stamp: shadowaccount.Stamp{Tap: w.GetTap(), AtMS: w.GetTerminalTimeMs(), ErrorMS: int64(w.GetClockErrorMs()), ReceivedMS: r.ReceivedMS, Sure: slowSightOf(&w).Sure}}
	if sam := w.GetPsamTerminal(); w.GetFamily() == "ep" && len(sam) == 6 && r.Label != shadowaccount.LabelBadMAC {
		f.PSAM, f.Serial = (*[6]byte)(sam), w.GetPsamSerial()
	}
	return f, name, w.GetFamily() == "ec", true
}

func slowSightOf(w *wire.Record) store.Sight {
	s := store.Sight{ErrorMS: int64(w.GetClockErrorMs()), Spot: watch.Spot(w.GetLine(), w.GetStation()), DenyVersion: w.GetDenyVersion()}
	stamp := shadowaccount.Stamp{AtMS: w.GetTerminalTimeMs(), Sure: shadowaccount.Bounded}
	if c := w.GetClockState(); stamp.Proves() && (c == wire.ClockState_CLOCK_GOOD || c == wire.ClockState_CLOCK_HOLDOVER) {
		s.Sure = shadowaccount.Bounded
	}
	return s
}

// FuzzFactOf reads any bytes as the protobuf library does.
func FuzzFactOf(f *testing.F) {
	f.Add([]byte{}, false)
	whole := posted(f, "", &wire.Record{CardNumber: make([]byte, 10), Tap: 1, Line: []byte{1, 2}, Station: []byte{3, 4}, ClockState: wire.ClockState_CLOCK_GOOD, TerminalTimeMs: math.MaxInt64,
		Family: "ep", PsamTerminal: make([]byte, 6), PsamSerial: 7, Merchant: "m", RequestId: "r", FareRule: "f", EvidenceKind: "e", Terminal: "t", Epoch: 1, ClockErrorMs: 4}).Body
	f.Add(whole, false)
	f.Add(append(whole, whole...), true)
	f.Add(append(protowire.AppendString(protowire.AppendTag(nil, 30, protowire.BytesType), "\xff"), whole...), false)                            // a text that is none
	f.Add(append(protowire.AppendVarint(protowire.AppendTag(nil, 11, protowire.VarintType), 5), whole...), false)                                // a field of another form
	f.Add(append(protowire.AppendVarint(protowire.AppendTag(nil, 42, protowire.VarintType), 1<<40+1), whole...), false)                          // a number that is cut
	f.Add(append(whole, protowire.AppendTag(protowire.AppendTag(nil, 6, protowire.StartGroupType), 6, protowire.EndGroupType)...), false)        // a group
	f.Add(append(whole, protowire.AppendTag(nil, 6, protowire.EndGroupType)...), false)                                                          // half of one
	f.Add(append(protowire.AppendFixed64(protowire.AppendTag(nil, 22, protowire.Fixed64Type), 1), whole...), false)                              // a wider one
	f.Add(posted(f, "", &wire.Record{CardNumber: make([]byte, 10), Tap: math.MaxUint64, Family: "ec", DenyVersion: math.MaxUint64}).Body, false) // numbers that no table takes
	f.Fuzz(func(t *testing.T, body []byte, forged bool) {
		p := store.Posted{Pending: store.Pending{Terminal: "bus-1", Epoch: 1, Seq: 2, Body: body, ReceivedMS: 1000}}
		if forged {
			p.Label = shadowaccount.LabelBadMAC
		}
		fact, name, alias, ok := watch.FactOf(p)
		wantFact, wantName, wantAlias, wantOK := slowFactOf(p)
		require.Equal(t, wantOK, ok)
		if !ok {
			return
		}
		require.Equal(t, wantFact, fact)
		require.Equal(t, wantName, name)
		require.Equal(t, wantAlias, alias)
		var w wire.Record
		require.NoError(t, proto.Unmarshal(body, &w))
		require.Equal(t, slowSightOf(&w), watch.SightOf(body))
	})
}
