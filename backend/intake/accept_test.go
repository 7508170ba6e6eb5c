package intake_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	uplink "github.com/purselane/purselane/uplink/intake"
	"github.com/purselane/purselane/uplink/wire"
)

func TestARecordThatCannotBeReadIsKeptWithAReasonAndBlocksNothing(t *testing.T) {
	s := start(t, store.Options{})
	good := s.record(tap{terminal: "bus-1", tap: 1, card: 1, before: 10_00, amount: 2_00})
	s.seq["bus-1"]++ // the unreadable one's
	after := s.record(tap{terminal: "bus-1", tap: 2, card: 1, counter: 1, before: 8_00, amount: 2_00})
	c, err := s.accept("bus-1", 1, good, []byte("no record"), after)
	require.NoError(t, err)
	require.EqualValues(t, 3, c.Through)
	require.Equal(t, []uplink.Unreadable{{Seq: 2, Reason: "unreadable: these bytes are no record"}}, c.Unreadable)
	s.drain()
	require.Equal(t, "/unreadable", s.label("bus-1", 2))
	require.Equal(t, "6.00", s.card(1).Shadow.String())
	s.proveBooks()
}

func TestHolesAreAskedForAndTheWatermarkWaitsForThem(t *testing.T) {
	s := start(t, store.Options{})
	var raw [][]byte
	for i := range uint16(5) {
		raw = append(raw, s.record(tap{terminal: "bus-1", tap: uint64(i) + 1, card: 1, counter: i, before: 10_00 - int64(i)*100, amount: 1_00}))
	}
	c, err := s.accept("bus-1", 4, raw[3])
	require.NoError(t, err)
	require.Zero(t, c.Through)
	require.Equal(t, []uplink.SeqRange{{First: 1, Last: 3}}, c.Wanted)
	c, err = s.accept("bus-1", 1, raw[0], raw[1])
	require.NoError(t, err)
	require.EqualValues(t, 2, c.Through)
	require.Equal(t, []uplink.SeqRange{{First: 3, Last: 3}}, c.Wanted)
	c, err = s.accept("bus-1", 3, raw[2])
	require.NoError(t, err)
	require.EqualValues(t, 4, c.Through)
	require.Empty(t, c.Wanted)
	s.drain()
	require.Equal(t, "6.00", s.card(1).Shadow.String())
}

func TestTheWatermarkComesWithTheHashOfItsRecordAsKept(t *testing.T) {
	s := start(t, store.Options{})
	var raw [][]byte
	for i := range uint16(4) {
		raw = append(raw, s.record(tap{terminal: "bus-1", tap: uint64(i) + 1, card: 1, counter: i, before: 10_00 - int64(i)*100, amount: 1_00}))
	}
	hello := func() uplink.Committed {
		c, err := s.pipe.Hello(s.ctx, &wire.Hello{Terminal: "bus-1", Epoch: 7}, noon)
		require.NoError(t, err)
		return c
	}
	require.Zero(t, hello().ThroughHash, "nothing is kept")

	c, err := s.accept("bus-1", 1, raw[0], raw[1])
	require.NoError(t, err)
	require.Equal(t, wire.RecordHash(raw[1]), c.ThroughHash)
	require.Equal(t, wire.RecordHash(raw[1]), hello().ThroughHash)

	c, err = s.accept("bus-1", 2, []byte("another record with that number"))
	require.NoError(t, err)
	require.Equal(t, wire.RecordHash(raw[1]), c.ThroughHash, "the first to come is the one that is kept")

	c, err = s.accept("bus-1", 4, raw[3])
	require.NoError(t, err)
	require.Equal(t, wire.RecordHash(raw[1]), c.ThroughHash, "the watermark waits for the hole")

	c, err = s.pipe.Quarantine(s.ctx, uplink.Accepted{Terminal: "bus-1", Epoch: 7, FirstSeq: 3, LastSeq: 5, Envelope: []byte("garbled"), ReceivedAt: noon}, "payload")
	require.NoError(t, err)
	require.EqualValues(t, 5, c.Through)
	require.Zero(t, c.ThroughHash, "of a quarantined number there are no bytes")
	require.Zero(t, hello().ThroughHash)

	c, err = s.accept("bus-1", 5, []byte("unreadable and kept"))
	require.NoError(t, err)
	require.Equal(t, wire.RecordHash([]byte("unreadable and kept")), c.ThroughHash)
}

func TestHelloTellsTheWatermarkAndAsksForWhatARestoredBackupLacks(t *testing.T) {
	s := start(t, store.Options{})
	s.send("bus-1", tap{tap: 1, card: 1, before: 10_00, amount: 2_00})
	c, err := s.pipe.Hello(s.ctx, &wire.Hello{Terminal: "bus-1", Epoch: 7, LastSeq: 9, AckedSeq: 4, Backlog: 5}, noon)
	require.NoError(t, err)
	require.EqualValues(t, 1, c.Through)
	require.Equal(t, []uplink.SeqRange{{First: 2, Last: 4}}, c.Wanted)
	s.view(func(tx *store.Tx) error {
		m, err := tx.Terminal(s.ctx, "bus-1")
		require.Equal(t, 8, m.Backlog, "by what is here, not by what it has receipts for")
		require.True(t, m.LastSeen.Equal(noon))
		return err
	})
}

func TestWhatATerminalNoLongerHoldsIsLostAndTheWatermarkPassesIt(t *testing.T) {
	s := start(t, store.Options{})
	var raw [][]byte
	for i := range uint16(9) {
		raw = append(raw, s.record(tap{terminal: "bus-1", tap: uint64(i) + 1, card: 1, counter: i, before: 10_00 - int64(i)*100, amount: 1_00}))
	}
	_, err := s.accept("bus-1", 1, raw[0])
	require.NoError(t, err)
	_, err = s.accept("bus-1", 4, raw[3])
	require.NoError(t, err)
	hello := func(first, acked uint64) uplink.Committed {
		c, err := s.pipe.Hello(s.ctx, &wire.Hello{Terminal: "bus-1", Epoch: 7, LastSeq: 9, AckedSeq: acked, FirstSeq: first}, noon)
		require.NoError(t, err)
		return c
	}
	c := hello(0, 8)
	require.EqualValues(t, 1, c.Through, "it does not tell")
	require.Equal(t, []uplink.SeqRange{{First: 2, Last: 3}, {First: 5, Last: 8}}, c.Wanted)
	require.EqualValues(t, 1, hello(1, 8).Through)
	require.EqualValues(t, 1, hello(9, 7).Through, "nothing is pruned without a receipt: it cannot be")
	require.EqualValues(t, 1, hello(math.MaxUint64, math.MaxUint64).Through, "no number that we can count to")

	c = hello(3, 8)
	require.EqualValues(t, 2, c.Through)
	require.Equal(t, []uplink.SeqRange{{First: 3, Last: 3}, {First: 5, Last: 8}}, c.Wanted)
	c = hello(6, 8)
	require.EqualValues(t, 5, c.Through)
	require.Zero(t, c.ThroughHash, "nobody has that record")
	require.Equal(t, c, hello(6, 8), "said twice it changes nothing")
	c, err = s.accept("bus-1", 6, raw[5:]...)
	require.NoError(t, err)
	require.EqualValues(t, 9, c.Through)
	require.Empty(t, c.Wanted)

	_, err = s.accept("bus-1", 2, raw[1], raw[2]) // found in a drawer after all
	require.NoError(t, err)
	_, err = s.accept("bus-1", 5, raw[4])
	require.NoError(t, err)
	s.drain()
	require.Equal(t, "1.00", s.card(1).Shadow.String())
	require.Empty(t, s.codes())
	s.proveBooks()
}

func TestTheStateTopicTellsWhoIsOnline(t *testing.T) {
	s := start(t, store.Options{})
	type seen struct {
		Online  bool
		Backlog int
		Seen    time.Time
	}
	now := func() (is seen) {
		s.view(func(tx *store.Tx) error {
			m, err := tx.Terminal(s.ctx, "bus-1")
			is = seen{m.Online, m.Backlog, m.LastSeen.UTC()}
			return err
		})
		return is
	}
	require.False(t, now().Online)
	later := noon.Add(time.Minute)
	require.NoError(t, s.pipe.State(s.ctx, "bus-1", &wire.DeviceState{Online: true, Backlog: 5, AtMs: 1}, noon))
	require.Equal(t, seen{true, 5, noon}, now())
	require.NoError(t, s.pipe.State(s.ctx, "bus-1", &wire.DeviceState{}, later))
	require.Equal(t, seen{false, 5, noon}, now(), "a last will knows neither backlog nor time")
	_, err := s.pipe.Hello(s.ctx, &wire.Hello{Terminal: "bus-1", Epoch: 7, LastSeq: 4}, later)
	require.NoError(t, err)
	require.Equal(t, seen{true, 4, later}, now())
	require.NoError(t, s.pipe.State(s.ctx, "bus-1", &wire.DeviceState{Backlog: 3, AtMs: 2}, later))
	require.Equal(t, seen{false, 3, later}, now(), "it left in order")

	raw := s.record(tap{terminal: "bus-1", tap: 1, card: 1, before: 10_00, amount: 2_00})
	batch := uplink.Accepted{Terminal: "bus-1", Epoch: 7, Batch: 1, FirstSeq: 1, LastSeq: 1, Records: [][]byte{raw}, Envelope: raw, ReceivedAt: later.Add(time.Minute)}
	_, err = s.pipe.Accept(s.ctx, batch)
	require.NoError(t, err)
	require.Equal(t, seen{false, 3, later}, now(), "carried by hand: nothing is said of its link")
	batch.NewestSeq = 7
	_, err = s.pipe.Accept(s.ctx, batch)
	require.NoError(t, err)
	require.Equal(t, seen{true, 6, later.Add(time.Minute)}, now(), "each batch tells what still waits")
}

func TestAQuarantinedBatchLetsTheTerminalGoOnAndYieldsToTheRealRecords(t *testing.T) {
	s := start(t, store.Options{})
	real := s.record(tap{terminal: "bus-1", tap: 1, card: 1, before: 10_00, amount: 2_00})
	c, err := s.pipe.Quarantine(s.ctx, uplink.Accepted{Terminal: "bus-1", Epoch: 7, FirstSeq: 1, LastSeq: 3, Envelope: []byte("garbled"), ReceivedAt: noon}, "payload")
	require.NoError(t, err)
	require.EqualValues(t, 3, c.Through)
	require.Len(t, c.Unreadable, 1)
	s.drain()
	require.Equal(t, "/quarantined", s.label("bus-1", 1))
	c, err = s.accept("bus-1", 1, real)
	require.NoError(t, err)
	require.Empty(t, c.Unreadable)
	s.drain()
	require.Equal(t, "OK/accepted", s.label("bus-1", 1))
	require.Equal(t, "8.00", s.card(1).Shadow.String())
	require.Empty(t, s.codes())
	s.proveBooks()
}

func TestARangeThatMeansNothingIsKeptAndMovesNothing(t *testing.T) {
	s := start(t, store.Options{})
	for name, a := range map[string]uplink.Accepted{
		"no number":            {LastSeq: 3},
		"backwards":            {FirstSeq: 4, LastSeq: 3},
		"beyond what we count": {FirstSeq: math.MaxUint64 - 1, LastSeq: math.MaxUint64},
		"huge":                 {FirstSeq: 1, LastSeq: 1 << 40},
		"not as many records":  {FirstSeq: 1, LastSeq: 3, Records: [][]byte{{1}}},
	} {
		a.Terminal, a.Epoch, a.Envelope, a.ReceivedAt = "bus-1", 7, []byte(name), noon
		c, err := s.pipe.Accept(s.ctx, a)
		require.NoError(t, err, name)
		require.Zero(t, c.Through, name)
		require.Len(t, c.Unreadable, 1, name)
		c, err = s.pipe.Quarantine(s.ctx, a, "garbled")
		require.NoError(t, err, name)
		if name != "not as many records" {
			require.Zero(t, c.Through, name)
		}
	}
}

func TestTheClearingDayIsTheArrivalsAndNeverAClosedOne(t *testing.T) {
	s := start(t, store.Options{})
	zone := time.FixedZone("scheme", 8*3600)
	var err error
	s.pipe, err = intake.New(s.store, s.hsm, s.clock, intake.Options{TokenKey: tokenKey, Location: zone})
	require.NoError(t, err)
	late := time.Date(2026, 11, 24, 17, 0, 0, 0, time.UTC) // one in the morning in the scheme
	s.clock.Set(late)
	s.send("bus-1", tap{tap: 1, card: 1, before: 10_00, amount: 1_00})
	s.update(func(tx *store.Tx) error {
		return tx.CloseDay(s.ctx, store.ClearingDay{Day: "2026-11-30", Term: "D+1", Due: "2026-12-01", ClosedAt: late})
	})
	s.send("bus-1", tap{tap: 2, card: 1, counter: 1, before: 9_00, amount: 1_00})
	s.drain()
	var days []string
	s.view(func(tx *store.Tx) error {
		taps, err := tx.CardTaps(s.ctx, number(1))
		for _, p := range taps {
			days = append(days, p.Day)
		}
		return err
	})
	require.Equal(t, []string{"2026-11-25", "2026-12-01"}, days)
	s.proveBooks()
}

func TestOnlyAnActiveTerminalIsADevice(t *testing.T) {
	s := start(t, store.Options{})
	for id, want := range map[ids.TerminalID]bool{"bus-1": true, "nobody": false} {
		_, known, err := s.pipe.Device(s.ctx, id)
		require.NoError(t, err)
		require.Equal(t, want, known, id)
	}
	s.update(func(tx *store.Tx) error {
		m, err := tx.Terminal(s.ctx, "bus-1")
		require.NoError(t, err)
		m.Active = false
		return tx.PutTerminal(s.ctx, m)
	})
	_, known, err := s.pipe.Device(s.ctx, "bus-1")
	require.NoError(t, err)
	require.False(t, known)
}
