package client_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/uplink/client"
	"github.com/purselane/purselane/uplink/internal/uplinktest"
	"github.com/purselane/purselane/uplink/wire"
)

func TestASenderRefusesWhatItCannotRunWith(t *testing.T) {
	good := client.SenderConfig{Terminal: bus1, Key: deviceKey, Backend: public(backendKey), Source: uplinktest.NewJournal(bus1, epoch), Rand: rand.New(rand.NewPCG(1, 2))}
	_, err := client.NewSender(good)
	require.NoError(t, err)
	for name, change := range map[string]func(*client.SenderConfig){
		"no terminal":             func(c *client.SenderConfig) { c.Terminal = "" },
		"a terminal with a slash": func(c *client.SenderConfig) { c.Terminal = "a/b" },
		"no device key":           func(c *client.SenderConfig) { c.Key = nil },
		"no backend key":          func(c *client.SenderConfig) { c.Backend = nil },
		"a short backend key":     func(c *client.SenderConfig) { c.Backend = c.Backend[1:] },
		"no source":               func(c *client.SenderConfig) { c.Source = nil },
		"no randomness":           func(c *client.SenderConfig) { c.Rand = nil },
		"five in flight":          func(c *client.SenderConfig) { c.InFlight = 5 },
		"fewer than none":         func(c *client.SenderConfig) { c.InFlight = -1 },
		"batches over 64 KiB":     func(c *client.SenderConfig) { c.BatchBytes = 64<<10 + 1 },
		"too many records":        func(c *client.SenderConfig) { c.BatchRecords = wire.MaxRecords + 1 },
		"a wait below zero":       func(c *client.SenderConfig) { c.ResendMin = -1 },
		"a wait that shrinks":     func(c *client.SenderConfig) { c.ResendMax = time.Second },
	} {
		c := good
		change(&c)
		_, err := client.NewSender(c)
		require.Error(t, err, name)
	}
}

func TestNothingIsSentBeforeTheHelloIsAnswered(t *testing.T) {
	r := newRig(t, 30, nil)
	require.Empty(t, r.due(), "offline")
	r.sender.OnConnect(r.now)
	first := r.due()
	require.Len(t, first, 1)
	require.Equal(t, wire.KindHello, first[0].Kind)
	h, err := wire.OpenHello(public(deviceKey), first[0].Raw)
	require.NoError(t, err)
	require.EqualValues(t, 30, h.GetLastSeq())
	require.EqualValues(t, 30, h.GetBacklog())
	require.EqualValues(t, 1, h.GetFirstSeq())
	require.Empty(t, r.due(), "one hello is enough until it is late")

	r.hear(r.receipt(&wire.Receipt{Batch: 77}))
	require.Equal(t, client.Greeting, r.sender.Stats().State, "the receipt of a batch of another connection is no answer")

	_, next, err := r.sender.Due(r.now)
	require.NoError(t, err)
	require.Equal(t, 5*time.Second, next.Sub(r.now))
	r.now = next
	again := r.due()
	require.Len(t, again, 1, "the hello is made again")
	r.hear(r.reply(again[0]))
	require.Equal(t, [][2]uint64{{1, 10}, {11, 20}}, r.ranges(r.due()))
}

func TestWhatHelloShowsAsCommittedIsNotSentAgain(t *testing.T) {
	r := newRig(t, 30, nil)
	r.greet()
	out := r.due()
	for _, m := range out {
		r.reply(m) // the receipts are lost, and then the link
	}
	r.sender.OnDisconnect()
	r.greet()
	require.EqualValues(t, 20, r.journal.AckedSeq())
	require.Equal(t, [][2]uint64{{21, 30}}, r.ranges(r.due()))
}

func TestAllArrivesInBoundedFlight(t *testing.T) {
	for inFlight := 1; inFlight <= 4; inFlight++ {
		r := newRig(t, 95, func(c *client.SenderConfig) { c.InFlight = inFlight })
		r.greet()
		require.Len(t, r.due(), inFlight)
		require.Empty(t, r.due(), "back-pressure: the receipts decide")
		require.Equal(t, inFlight, r.sender.Stats().InFlight)
		r.settle()
		r.has(1, 95)
		require.EqualValues(t, 95, r.journal.AckedSeq())
		s := r.sender.Stats()
		require.Zero(t, s.Backlog)
		require.Equal(t, 10, s.Sent)
	}
}

func TestABatchIsBoundedByBytesAndARecordLargerThanThatTravelsAlone(t *testing.T) {
	r := newRig(t, 30, nil)
	one := len(r.journal.Record(1))
	for _, c := range []struct{ bytes, records int }{{1, 1}, {one, 1}, {3*one + 3, 3}, {64 << 10, 10}} {
		s := newRig(t, 30, func(cfg *client.SenderConfig) { cfg.BatchBytes = c.bytes })
		s.greet()
		require.Equal(t, [2]uint64{1, uint64(c.records)}, s.ranges(s.due())[0], "%d bytes", c.bytes)
	}
}

func TestALateBatchIsMadeAgainWithItsNumberAndItsRecords(t *testing.T) {
	r := newRig(t, 15, func(c *client.SenderConfig) { c.InFlight = 1 })
	r.greet()
	first := r.due()
	require.Len(t, first, 1)
	r.journal.Add(40) // the range of a number is fixed all the same
	var waits []time.Duration
	for range 12 {
		_, next, err := r.sender.Due(r.now)
		require.NoError(t, err)
		waits = append(waits, next.Sub(r.now))
		r.now = next
		out := r.due()
		require.Len(t, out, 1)
		a, b := r.opened(first[0]), r.opened(out[0])
		require.Equal(t, a.Records, b.Records)
		require.Equal(t, a.Header.GetBatch(), b.Header.GetBatch())
	}
	require.Equal(t, 5*time.Second, waits[0])
	for i, w := range waits {
		require.GreaterOrEqual(t, w, 5*time.Second, "wait %d", i)
		require.LessOrEqual(t, w, min(5*time.Second<<i, 5*time.Minute), "wait %d", i)
	}
	require.NotEqual(t, waits[10], waits[11], "drawn, so that a fleet does not come back as one")
	require.Equal(t, 12, r.sender.Stats().Resends)
}

func TestTheWaitFollowsTheRoundTrip(t *testing.T) {
	r := newRig(t, 100, func(c *client.SenderConfig) { c.InFlight = 1 })
	r.greet()
	for range 3 {
		out := r.due()
		r.now = r.now.Add(4 * time.Second)
		r.hear(r.reply(out[0]))
	}
	r.due()
	_, next, err := r.sender.Due(r.now)
	require.NoError(t, err)
	require.Equal(t, 16*time.Second, next.Sub(r.now), "4 round trips")
}

func TestOneReceiptHealsTheLossOfThoseBeforeIt(t *testing.T) {
	r := newRig(t, 40, func(c *client.SenderConfig) { c.InFlight = 4 })
	r.greet()
	var last []byte
	for _, m := range r.due() {
		last = r.reply(m)
	}
	r.hear(last)
	require.EqualValues(t, 40, r.journal.AckedSeq())
	require.Zero(t, r.sender.Stats().InFlight)
}

func TestALostBatchHoldsUpNoOther(t *testing.T) {
	r := newRig(t, 2000, nil)
	r.greet()
	out := r.due()
	lost := out[0]
	for {
		out = out[1:]
		if len(out) == 0 {
			break
		}
		r.hear(r.reply(out[0]))
		out = append(out, r.due()...)
	}
	s := r.sender.Stats()
	require.Equal(t, 1, s.InFlight)
	require.Equal(t, 63, s.Waiting, "what waits for one hole is bounded")
	require.Zero(t, r.journal.AckedSeq(), "nothing above a hole counts")
	r.hear(r.reply(lost)) // it was only slow
	require.EqualValues(t, 640, r.journal.AckedSeq())
	r.settle()
	r.has(1, 2000)
	require.EqualValues(t, 2000, r.journal.AckedSeq())
	_, dups, _, _ := r.ledger.Counts()
	require.Zero(t, dups)
}

func TestAfterABrokenLinkOnlyTheHoleIsSent(t *testing.T) {
	r := newRig(t, 5, nil)
	r.ledger.Set(func(l *uplinktest.Ledger) { l.Silent = true })
	r.greet()
	require.Equal(t, [][2]uint64{{1, 5}}, r.ranges(r.due())) // and is lost
	r.journal.Add(30)
	r.hear(r.reply(r.due()[0])) // 6 to 15 is there
	require.Equal(t, [][2]uint64{{16, 25}}, r.ranges(r.due()))
	r.sender.OnConnect(r.now) // the link broke, and nobody noticed
	r.hear(r.reply(r.due()[0]))
	require.Equal(t, [][2]uint64{{1, 5}, {16, 25}}, r.ranges(r.due()))
}

func TestABatchThatWasAnsweredComesBackIfNoReceiptEverReachesIt(t *testing.T) {
	r := newRig(t, 100, func(c *client.SenderConfig) { c.ResendMax = time.Minute })
	r.ledger.Set(func(l *uplinktest.Ledger) { l.Silent = true })
	r.greet()
	out := r.due()
	for range 3 { // 1 to 10 is lost all the time
		r.hear(r.reply(out[1]))
		out = append(out[:1], r.due()...)
	}
	require.Equal(t, 3, r.sender.Stats().Waiting)
	r.ledger.Restore(uplinktest.NewLedger().Backup())
	r.now = r.now.Add(time.Minute)
	out = r.due()
	require.Equal(t, [][2]uint64{{1, 10}, {41, 50}}, r.ranges(out), "in flight already")
	r.hear(r.reply(out[1]))
	r.now = r.now.Add(5 * time.Second)
	require.Equal(t, [][2]uint64{{11, 20}}, r.ranges(r.due())[:1], "there is room for one")
	s := r.sender.Stats()
	require.Equal(t, []int{2, 3}, []int{s.InFlight, s.Waiting})
	r.settle()
	r.has(1, 100)
}

func TestWhatTheBackendMaySayItLacksIsBounded(t *testing.T) {
	r := newRig(t, 1000, nil)
	r.greet()
	r.settle()
	lacks := &wire.Receipt{ThroughSeq: 0}
	for seq := uint64(1); seq <= 1000; seq += 2 {
		lacks.Wanted = append(lacks.Wanted, &wire.Range{First: seq, Last: seq})
	}
	r.hear(r.receipt(lacks))
	before := r.sender.Stats().Sent
	for out := r.due(); len(out) > 0; out = r.due() {
		for _, m := range out {
			r.hear(r.receipt(&wire.Receipt{Batch: r.opened(m).Header.GetBatch()}))
		}
	}
	require.Equal(t, 64, r.sender.Stats().Sent-before)
}

func TestForgedAndForeignReceiptsPruneNothing(t *testing.T) {
	r := newRig(t, 20, nil)
	r.greet()
	out := r.due()
	all := &wire.Receipt{Terminal: string(bus1), Epoch: epoch, ThroughSeq: 20}
	for name, c := range map[string]struct {
		raw  []byte
		want error
	}{
		"signed by a stranger":   {r.signed(otherKey, all), wire.ErrSignature},
		"signed by the device":   {r.signed(deviceKey, all), wire.ErrSignature},
		"no receipt":             {[]byte("yes"), wire.ErrSignature},
		"empty":                  {nil, wire.ErrVersion},
		"an envelope":            {out[0].Raw, wire.ErrSignature},
		"of another terminal":    {r.signed(backendKey, &wire.Receipt{Terminal: "bus-2", Epoch: epoch, ThroughSeq: 20}), client.ErrForeign},
		"of an earlier journal":  {r.signed(backendKey, &wire.Receipt{Terminal: string(bus1), Epoch: 1, ThroughSeq: 20}), client.ErrForeign},
		"of nobody":              {r.signed(backendKey, &wire.Receipt{ThroughSeq: 20}), client.ErrForeign},
		"with its body replaced": {replaceBody(t, r.signed(backendKey, &wire.Receipt{}), r.signed(otherKey, all)), wire.ErrSignature},
	} {
		require.ErrorIs(t, r.sender.OnReceipt(r.now, c.raw), c.want, name)
		require.Zero(t, r.journal.AckedSeq(), name)
		require.Equal(t, 2, r.sender.Stats().InFlight, name)
	}
	s := r.sender.Stats()
	require.Equal(t, []int{6, 3}, []int{s.Forged, s.Foreign})
	r.settle()
	r.has(1, 20)
}

func TestAJournalOlderThanWhatWasSentHalts(t *testing.T) {
	other := uplinktest.NewJournal(bus1, epoch)
	other.Add(20)
	hash := func(seq uint64) []byte {
		h := wire.RecordHash(append([]byte("another "), other.Record(seq)...))
		return h[:]
	}
	for name, c := range map[string]struct {
		receipt *wire.Receipt
		want    client.State
	}{
		"the backend has more":                {&wire.Receipt{ThroughSeq: 21}, client.Halted},
		"the backend has another record":      {&wire.Receipt{ThroughSeq: 20, ThroughHash: hash(20)}, client.Halted},
		"the backend has the same record":     {&wire.Receipt{ThroughSeq: 20, ThroughHash: sum(other.Record(20))}, client.Sending},
		"the backend does not tell its hash":  {&wire.Receipt{ThroughSeq: 20}, client.Sending},
		"the backend has nothing":             {&wire.Receipt{}, client.Sending},
		"a hash of a length that is no hash":  {&wire.Receipt{ThroughSeq: 20, ThroughHash: []byte{1}}, client.Halted},
		"the highest number there is":         {&wire.Receipt{ThroughSeq: 1<<64 - 1}, client.Halted},
		"something is wanted that never was":  {&wire.Receipt{Wanted: []*wire.Range{{First: 1, Last: 1<<64 - 1}}}, client.Sending},
		"something is wanted that means none": {&wire.Receipt{Wanted: []*wire.Range{{First: 9, Last: 3}, {}}}, client.Sending},
	} {
		r := newRig(t, 20, nil)
		r.greet()
		r.due()
		err := r.sender.OnReceipt(r.now, r.receipt(c.receipt))
		require.Equal(t, c.want, r.sender.Stats().State, name)
		if c.want != client.Halted {
			require.NoError(t, err, name)
			r.settle()
			r.has(r.journal.AckedSeq()+1, 20)
			continue
		}
		require.ErrorIs(t, err, client.ErrJournalOlder, name)
		require.Zero(t, r.journal.AckedSeq(), name)
		r.sender.OnDisconnect()
		r.sender.OnConnect(r.now)
		require.Empty(t, r.due(), "it stays halted")
		require.NoError(t, r.sender.OnReceipt(r.now, r.receipt(&wire.Receipt{ThroughSeq: 20})))
		require.Zero(t, r.journal.AckedSeq(), name)
	}
}

func sum(stored []byte) []byte { h := wire.RecordHash(stored); return h[:] }

// replaceBody signs one receipt's body with another one's signature.
func replaceBody(t *testing.T, signature, body []byte) []byte {
	var a, b wire.SignedReceipt
	require.NoError(t, proto.Unmarshal(signature, &a))
	require.NoError(t, proto.Unmarshal(body, &b))
	a.Signed = b.Signed
	raw, err := proto.Marshal(&a)
	require.NoError(t, err)
	return raw
}

// An old copy of a journal that goes on selling gives numbers out twice: nothing of it may reach the backend.
func TestACopyOfAJournalThatWentOnHaltsBeforeItSendsAnything(t *testing.T) {
	r := newRig(t, 20, nil)
	r.greet()
	r.settle()
	copied := uplinktest.NewJournal(bus1, epoch)
	copied.Add(8)
	require.NoError(t, copied.Ack(8))
	copied.AddOther(14) // to number 22
	old := newRig(t, 0, func(c *client.SenderConfig) { c.Source = copied })
	old.backend = r.backend
	old.sender.OnConnect(old.now)
	require.ErrorIs(t, old.sender.OnReceipt(old.now, old.reply(old.due()[0])), client.ErrJournalOlder)
	require.Empty(t, old.due())
	require.Empty(t, r.ledger.Conflicts())
	require.EqualValues(t, 8, copied.AckedSeq())
}

func TestABusyBackendIsLeftAloneAndNotForEver(t *testing.T) {
	for _, c := range []struct{ told, least time.Duration }{{time.Minute, time.Minute}, {40 * 24 * time.Hour, time.Hour}} {
		r := newRig(t, 100, nil)
		r.greet()
		out := r.due()
		r.hear(r.receipt(&wire.Receipt{RetryAfterMs: uint32(c.told.Milliseconds())}))
		_, next, err := r.sender.Due(r.now)
		require.NoError(t, err)
		require.GreaterOrEqual(t, next.Sub(r.now), c.least)
		require.LessOrEqual(t, next.Sub(r.now), c.least+c.least/4)
		r.now = next.Add(-time.Millisecond)
		r.hear(r.reply(out[0]))
		require.Empty(t, r.due(), "a receipt that comes meanwhile counts, and sends nothing")
		require.EqualValues(t, 10, r.journal.AckedSeq())
		r.sender.OnConnect(r.now)
		require.Empty(t, r.due(), "not even a hello")
		r.now = next
		r.settle()
		r.has(1, 100)
	}
}

func TestHolesOfARestoredBackendAreFilledAndNothingElseIsSentAgain(t *testing.T) {
	r := newRig(t, 200, nil)
	r.greet()
	r.settle()
	backup := r.ledger.Backup()
	r.journal.Add(100)
	r.settle()
	r.ledger.Restore(backup)

	r.sender.OnDisconnect()
	r.greet()
	before := r.now
	out := r.due()
	require.Equal(t, [][2]uint64{{201, 210}, {211, 220}}, r.ranges(out), "what is wanted comes first")
	for len(out) > 0 {
		r.hear(r.reply(out[0]))
		out = append(out[1:], r.due()...)
	}
	require.Equal(t, before, r.now, "without waiting for anything")
	r.has(1, 300)
	require.EqualValues(t, 300, r.ledger.Through(bus1, epoch))
	_, dups, _, _ := r.ledger.Counts()
	require.Zero(t, dups)
}

func TestWhatCameAnotherWayIsNotSentAgain(t *testing.T) {
	r := newRig(t, 100, func(c *client.SenderConfig) { c.InFlight = 1 })
	r.greet()
	backup := r.ledger.Backup()
	r.settle()
	full := r.ledger.Backup()
	r.ledger.Restore(backup)
	r.sender.OnDisconnect()
	r.greet()
	out := r.due()
	require.Equal(t, [][2]uint64{{1, 10}}, r.ranges(out))
	r.ledger.Restore(full) // the journal's export was imported by hand
	r.hear(r.reply(out[0]))
	require.Empty(t, r.due())
}

func TestABackendThatIsRestoredWhileTheLinkStaysUpIsGreetedAgain(t *testing.T) {
	r := newRig(t, 50, nil)
	r.greet()
	empty := uplinktest.NewLedger().Backup()
	r.settle()
	r.journal.Prune(21)
	r.now = r.now.Add(time.Hour)
	r.ledger.Restore(empty)
	r.journal.Add(5)
	r.settle()
	r.has(21, 55)
	require.EqualValues(t, 55, r.ledger.Through(bus1, epoch))
	require.Equal(t, 20, r.ledger.Gone(), "the backend knows what it has lost for good")
	require.NotZero(t, r.sender.Stats().Gone)
}

func TestWhatIsPrunedWhileItIsWantedAgainHoldsUpNothing(t *testing.T) {
	r := newRig(t, 50, func(c *client.SenderConfig) { c.InFlight = 1 })
	r.greet()
	r.settle()
	r.ledger.Restore(uplinktest.NewLedger().Backup())
	r.sender.OnDisconnect()
	r.greet()
	require.Equal(t, [][2]uint64{{1, 10}}, r.ranges(r.due()), "on its way, and lost")
	r.journal.Prune(6)
	r.now = r.now.Add(5 * time.Second)
	out := r.due()
	require.Equal(t, [][2]uint64{{11, 20}}, r.ranges(out), "what is left of the lost batch waits its turn")
	r.hear(r.reply(out[0]))
	r.journal.Prune(24)
	require.Equal(t, [][2]uint64{{24, 33}}, r.ranges(r.due())[:1])
	r.journal.Add(10)
	r.settle()
	r.has(24, 60)
	require.EqualValues(t, 60, r.journal.AckedSeq())
	require.EqualValues(t, 60, r.ledger.Through(bus1, epoch))
	require.Equal(t, 13, r.ledger.Gone())
}

func TestARecordThatCannotBeReadIsReportedAndHoldsUpOnlyItself(t *testing.T) {
	sick := errors.New("sector 7 is bad")
	r := newRig(t, 50, nil)
	r.greet()
	r.settle()
	r.ledger.Restore(uplinktest.NewLedger().Backup())
	r.sender.OnDisconnect()
	r.greet()
	r.ledger.Set(func(l *uplinktest.Ledger) { l.Silent = true }) // it will not ask once more
	r.journal.Add(20)
	r.journal.SetReadErr(func(first uint64) error {
		if first <= 50 {
			return fmt.Errorf("record %d: %w", first, sick)
		}
		return nil
	})
	out, next, err := r.sender.Due(r.now)
	require.ErrorIs(t, err, sick)
	require.Equal(t, [][2]uint64{{51, 60}, {61, 70}}, r.ranges(out), "what nobody wants again goes on")
	require.Equal(t, 5*time.Second, next.Sub(r.now))

	r.journal.SetReadErr(func(first uint64) error { return sick })
	r.now = next
	_, next, err = r.sender.Due(r.now)
	require.ErrorIs(t, err, sick)
	require.Equal(t, 5*time.Second, next.Sub(r.now), "neither given up nor tried in a circle")

	r.journal.SetReadErr(nil)
	for _, m := range out {
		r.hear(r.reply(m))
	}
	require.Equal(t, [][2]uint64{{1, 10}, {11, 20}}, r.ranges(r.due()), "what was wanted is not forgotten")
	r.settle()
	r.has(1, 70)
	require.EqualValues(t, 70, r.journal.AckedSeq())
}

func TestAReceiptThatCannotBeNotedIsNotForgotten(t *testing.T) {
	full := errors.New("disk full")
	r := newRig(t, 10, nil)
	r.greet()
	out := r.due()
	receipt := r.reply(out[0])
	r.journal.SetAckErr(full)
	require.ErrorIs(t, r.sender.OnReceipt(r.now, receipt), full)
	require.Equal(t, 1, r.sender.Stats().InFlight)
	r.journal.SetAckErr(nil)
	r.settle()
	require.EqualValues(t, 10, r.journal.AckedSeq())
	r.has(1, 10)
}

func TestAnOvertakenReceiptDoesNotUndoWhatANewerOneSaid(t *testing.T) {
	r := newRig(t, 50, nil)
	r.greet()
	r.settle()
	old := r.receipt(&wire.Receipt{Batch: 1, ThroughSeq: 50, ServerTimeMs: r.now.UnixMilli()})
	r.now = r.now.Add(time.Second)
	r.ledger.Restore(uplinktest.NewLedger().Backup())
	r.sender.OnDisconnect()
	r.greet()
	r.hear(old)
	require.Equal(t, [][2]uint64{{1, 10}, {11, 20}}, r.ranges(r.due()))
	r.settle()
	r.has(1, 50)
}

func TestBatchNumbersOfTwoLivesOfAProgramDiffer(t *testing.T) {
	seen := map[uint64]bool{}
	for life := range uint64(8) {
		r := newRig(t, 40, func(c *client.SenderConfig) { c.InFlight, c.Rand = 4, rand.New(rand.NewPCG(9, life)) })
		r.greet()
		for _, m := range r.due() {
			n := r.opened(m).Header.GetBatch()
			require.NotZero(t, n)
			require.False(t, seen[n])
			seen[n] = true
		}
	}
}

func TestTheProfileInForceIsTold(t *testing.T) {
	r := newRig(t, 10, func(c *client.SenderConfig) { c.Profile = 3 })
	r.greet()
	r.sender.SetProfile(4)
	require.EqualValues(t, 4, r.opened(r.due()[0]).Header.GetProfileVersion())
	r.sender.OnConnect(r.now)
	h, err := wire.OpenHello(public(deviceKey), r.due()[0].Raw)
	require.NoError(t, err)
	require.EqualValues(t, 4, h.GetProfileVersion())
}

func TestStatesHaveNames(t *testing.T) {
	require.Equal(t, "offline greeting sending halted State(9)", fmt.Sprint(client.Offline, client.Greeting, client.Sending, client.Halted, client.State(9)))
}
