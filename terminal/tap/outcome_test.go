package tap_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// Places of a city, as requests without a time.
var (
	bus      = tap.Request{Mode: tap.BusFlat, Line: line7}
	inHarbor = tap.Request{Mode: tap.MetroEntry, Station: harbour}
	inMarket = tap.Request{Mode: tap.MetroEntry, Station: market}
	outHarb  = tap.Request{Mode: tap.MetroExit, Station: harbour}
	outMark  = tap.Request{Mode: tap.MetroExit, Station: market}
	till     = tap.Request{Mode: tap.Sale, Amount: money.Minor(12_50), RequestID: "till-1"}
)

// tampered is a card whose answer to a command is changed on the way, once it has debited or before.
type tampered struct {
	*epcard.Field
	change func(command, response []byte) []byte
}

func (c tampered) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	response, err := c.Field.Transmit(ctx, command)
	if err == nil {
		response = c.change(command, response)
	}
	return response, err
}

func is(command []byte, cla, ins byte) bool { return command[0] == cla && command[1] == ins }

func TestOutcomes(t *testing.T) {
	date := func(y, m, d byte) [4]byte { return [4]byte{0x20, y, m, d} }
	spent := func(minor int64) func(*personalise.CardSpec) {
		return func(s *personalise.CardSpec) { s.Balance = money.Minor(minor) }
	}
	cases := []struct {
		name  string
		place tap.Request
		card  func(*personalise.CardSpec)
		// visits come before the one that counts.
		visits []tap.Request
		after  time.Duration // from the last of them to the one that counts
		setUp  func(*terminal, *rider, *tap.Request)
		change func(command, response []byte) []byte

		want  tap.Outcome
		taken int64 // by the visit that counts, in minor units
		rule  string
	}{
		{name: "granted on the bus", place: bus, want: tap.Granted, taken: 2_00, rule: "bus-flat"},
		{name: "granted into the metro", place: inHarbor, want: tap.Granted, rule: "metro-entry"},
		{name: "granted at the till", place: till, want: tap.Granted, taken: 12_50, rule: "sale"},
		{name: "low balance is told", place: bus, card: spent(6_99), want: tap.GrantedLow, taken: 2_00, rule: "bus-flat"},
		{name: "the limit itself is not low", place: bus, card: spent(7_00), want: tap.Granted, taken: 2_00, rule: "bus-flat"},
		{name: "the last money", place: bus, card: spent(2_00), want: tap.GrantedLow, taken: 2_00, rule: "bus-flat"},

		{name: "too little", place: bus, card: spent(1_99), want: tap.RefusedBalance},
		{name: "nothing at all", place: till, card: spent(0), want: tap.RefusedBalance},
		{name: "too little to enter with", place: inHarbor, card: spent(2_99), want: tap.RefusedBalance},
		{name: "just enough to enter with", place: inHarbor, card: spent(3_00), want: tap.GrantedLow, rule: "metro-entry"},
		{name: "too little after the trip never left is paid", place: inMarket, card: spent(8_99), visits: []tap.Request{inHarbor}, after: time.Hour, want: tap.RefusedBalance},

		{name: "expired yesterday", place: bus, card: func(s *personalise.CardSpec) { s.Expiry = date(0x26, 0x11, 0x23) }, want: tap.RefusedExpired},
		{name: "expires today", place: bus, card: func(s *personalise.CardSpec) { s.Expiry = date(0x26, 0x11, 0x24) }, want: tap.Granted, taken: 2_00},
		{name: "valid from tomorrow", place: bus, card: func(s *personalise.CardSpec) { s.Start = date(0x26, 0x11, 0x25) }, want: tap.RefusedNotYetValid},
		{name: "valid from today", place: bus, card: func(s *personalise.CardSpec) { s.Start = date(0x26, 0x11, 0x24) }, want: tap.Granted, taken: 2_00},
		{name: "blocked for a time", place: bus, setUp: func(_ *terminal, r *rider, _ *tap.Request) { _ = r.SetBlock(epcard.Temporary) }, want: tap.RefusedBlocked},
		{name: "blocked for good", place: bus, setUp: func(_ *terminal, r *rider, _ *tap.Request) { _ = r.SetBlock(epcard.Permanent) }, want: tap.RefusedBlocked},
		{name: "on the deny list", place: bus, setUp: func(m *terminal, r *rider, _ *tap.Request) {
			m.tap.Denied = func(n ids.CardNumber) bool { return n == r.Number() }
		}, want: tap.RefusedDenied},
		{name: "another is on the deny list", place: bus, setUp: func(m *terminal, _ *rider, _ *tap.Request) {
			m.tap.Denied = func(n ids.CardNumber) bool { return n == ids.CardNumber{} }
		}, want: tap.Granted, taken: 2_00},
		{name: "no purse of this scheme", place: bus, card: func(s *personalise.CardSpec) { s.Family = personalise.PBOC }, want: tap.RefusedUnknown},
		{name: "a key that the PSAM does not have", place: bus, card: func(s *personalise.CardSpec) { s.Keys.Version = 2 }, want: tap.RefusedKeyVersion},
		{name: "a key index that the card does not have", place: bus, card: func(s *personalise.CardSpec) { s.Keys.Index = 7 }, want: tap.RefusedKeyVersion},
		{name: "a card at the end of its counter", place: bus, setUp: nil, card: nil, want: tap.RefusedFaulty, change: func(c, r []byte) []byte {
			if is(c, 0x80, 0x50) {
				return []byte{0x94, 0x02}
			}
			return r
		}},

		{name: "the clock is bad and nothing is sold by it", place: bus, setUp: func(m *terminal, _ *rider, r *tap.Request) {
			r.Clock, m.w.profile.Limits.SellWithBadClock = wire.ClockState_CLOCK_BAD, false
		}, want: tap.OutOfService},
		{name: "the clock is bad and the profile sells by it", place: bus, setUp: func(_ *terminal, _ *rider, r *tap.Request) {
			r.Clock = wire.ClockState_CLOCK_BAD
		}, want: tap.Granted, taken: 2_00},
		{name: "a clock beyond what a purse can write", place: bus, setUp: func(_ *terminal, _ *rider, r *tap.Request) {
			r.Now = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
		}, want: tap.OutOfService},
		{name: "the profile has expired", place: bus, setUp: func(m *terminal, _ *rider, r *tap.Request) {
			m.w.profile.ValidUntil = r.Now.Add(-time.Second)
		}, want: tap.OutOfService},
		{name: "the profile's last second", place: bus, setUp: func(m *terminal, _ *rider, r *tap.Request) {
			m.w.profile.ValidUntil = r.Now
		}, want: tap.Granted, taken: 2_00},
		{name: "the terminal must not sell", place: bus, setUp: func(m *terminal, _ *rider, _ *tap.Request) {
			m.tap.Ready = func(time.Time) error { return errors.New("too many records wait") }
		}, want: tap.OutOfService},

		{name: "the other door of the bus", place: bus, visits: []tap.Request{bus}, after: 30 * time.Second, want: tap.AlreadyPaid},
		{name: "the next ride", place: bus, visits: []tap.Request{bus}, after: 31 * time.Second, want: tap.Granted, taken: 2_00, rule: "bus-flat"},
		{name: "another line at once", place: tap.Request{Mode: tap.BusFlat, Line: fare.Code{0, 0x12}}, visits: []tap.Request{bus}, after: time.Second, want: tap.Granted, taken: 2_50},
		{name: "the other gate of the station", place: inHarbor, visits: []tap.Request{inHarbor}, after: 30 * time.Second, want: tap.AlreadyPaid},
		{name: "the other gate on the way out", place: outMark, visits: []tap.Request{inHarbor, outMark}, after: 30 * time.Second, want: tap.AlreadyPaid},

		{name: "a trip", place: outMark, visits: []tap.Request{inHarbor}, after: 20 * time.Minute, want: tap.Granted, taken: 3_00, rule: "metro-pair"},
		{name: "out where one came in", place: outHarb, visits: []tap.Request{inHarbor}, after: 20 * time.Minute, want: tap.Granted, taken: 3_00, rule: "metro-same-station"},
		{name: "the longest stay", place: outMark, visits: []tap.Request{inHarbor}, after: 4 * time.Hour, want: tap.Granted, taken: 3_00, rule: "metro-pair"},
		{name: "longer, but no longer than the clocks of two gates may differ", place: outMark, visits: []tap.Request{inHarbor}, after: 4*time.Hour + 2*time.Minute, want: tap.Granted, taken: 3_00, rule: "metro-pair+time-unsure"},
		{name: "too long inside", place: outMark, visits: []tap.Request{inHarbor}, after: 4*time.Hour + 2*time.Minute + time.Second, want: tap.Granted, taken: 9_00, rule: "metro-pair+over-time"},
		{name: "out without having come in", place: outMark, want: tap.Granted, taken: 6_00, rule: "metro-missing-entry"},
		{name: "out a second time", place: outMark, visits: []tap.Request{inHarbor, outMark}, after: time.Hour, want: tap.Granted, taken: 6_00, rule: "metro-missing-entry"},
		{name: "in without having left", place: inMarket, visits: []tap.Request{inHarbor}, after: time.Hour, want: tap.Granted, taken: 6_00, rule: "metro-entry"},
		{name: "in again without having left, same station", place: inHarbor, visits: []tap.Request{inHarbor}, after: time.Hour, want: tap.Granted, taken: 6_00, rule: "metro-entry"},
		{name: "out too poor", place: outMark, card: spent(3_00), visits: []tap.Request{inHarbor}, after: 5 * time.Hour, want: tap.RefusedBalance},
		{name: "the trip record is locked, in", place: inHarbor, setUp: lockTrip, want: tap.RefusedTrip},
		{name: "the trip record is locked, out", place: outHarb, setUp: lockTrip, want: tap.RefusedTrip},
		{name: "from a station that the tables do not have", place: outMark, visits: []tap.Request{inHarbor}, after: time.Hour, setUp: func(m *terminal, _ *rider, _ *tap.Request) {
			m.w.profile.Fares.Metro.Pairs = nil
		}, want: tap.RefusedTrip},
		{name: "a sale of nothing", place: tap.Request{Mode: tap.Sale, RequestID: "x"}, want: tap.RefusedTrip},
		{name: "a sale larger than a purse command carries", place: tap.Request{Mode: tap.Sale, Amount: money.Minor(1 << 33), RequestID: "x"}, want: tap.RefusedTrip},

		{name: "too little, and an overdraft limit beside it", place: bus, change: func(c, r []byte) []byte {
			if is(c, 0x80, 0x50) {
				copy(r, []byte{0, 0, 0, 100}) // INITIALIZE: the balance; the limit stands at byte 6
				r[8] = 1
			}
			return r
		}, want: tap.RefusedBalance},
		{name: "a card that subtracts wrongly", place: bus, change: afterDebit(func(c, r []byte) []byte {
			if is(c, 0x80, 0x5C) {
				r[3]++
			}
			return r
		}), want: tap.RefusedFaulty, taken: 2_00},
		{name: "a card whose log says something else", place: bus, change: afterDebit(func(c, r []byte) []byte {
			if is(c, 0x00, 0xB2) {
				r[8]++
			}
			return r
		}), want: tap.RefusedFaulty, taken: 2_00},
		{name: "a card whose MAC2 is wrong", place: bus, change: func(c, r []byte) []byte {
			if is(c, 0x80, 0x54) {
				r[7]++
			}
			return r
		}, want: tap.RefusedFaulty, taken: 2_00},
		{name: "a card that says it did nothing", place: bus, change: func(c, r []byte) []byte {
			if is(c, 0x80, 0xDC) {
				return []byte{0x6A, 0x84}
			}
			return r
		}, want: tap.RefusedFaulty},
		{name: "a card whose memory fails after the debit", place: bus, change: func(c, r []byte) []byte {
			if is(c, 0x80, 0x54) {
				return []byte{0x65, 0x81}
			}
			return r
		}, want: tap.PresentAgain, taken: 2_00},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newTown(t.TempDir())
			defer w.close()
			if c.card == nil {
				c.card = func(*personalise.CardSpec) {}
			}
			r := w.rider(t, c.card)
			for _, visit := range c.visits {
				result, _ := w.terminal(t, visit).present(t, r, epcard.Tear{})
				require.True(t, result.Outcome.Pass(), result.Reason)
				w.now = w.now.Add(time.Minute)
			}
			if len(c.visits) > 0 {
				w.now = w.now.Add(c.after - time.Minute)
			}
			m := w.terminal(t, c.place)
			request := c.place
			request.Now, request.Clock = w.now, wire.ClockState_CLOCK_GOOD
			if c.setUp != nil {
				c.setUp(m, r, &request)
			}
			var card apdu.Transmitter = epcard.Present(r.Card, epcard.Tear{})
			if c.change != nil {
				card = tampered{epcard.Present(r.Card, epcard.Tear{}), c.change}
			}
			had := len(r.debits)
			result, err := m.tap.Purchase(t.Context(), card, request)
			require.NoError(t, err)
			require.Equal(t, c.want, result.Outcome, result.Reason)
			r.note(t)
			w.check(t, r)
			m.checkLight(t, r, result)
			require.Equal(t, money.Minor(c.taken), r.taken(had), "taken from the card")
			require.NotContains(t, result.Reason, "0123456789")
			if c.want.Pass() && c.want != tap.AlreadyPaid {
				require.Equal(t, r.Balance(), result.Balance)
				require.Equal(t, money.Minor(c.taken), result.Amount)
				if c.rule != "" {
					records := m.records(t)
					require.Equal(t, c.rule, records[len(records)-1].GetFareRule())
				}
			}
		})
	}
}

// afterDebit changes answers only once DEBIT has gone.
func afterDebit(change func(command, response []byte) []byte) func(command, response []byte) []byte {
	debited := false
	return func(c, r []byte) []byte {
		if debited {
			return change(c, r)
		}
		debited = is(c, 0x80, 0x54)
		return r
	}
}

func lockTrip(_ *terminal, r *rider, _ *tap.Request) {
	img := r.Image()
	img.Trips[0] = img.Trips[0][:5] + "\x01" + img.Trips[0][6:] // the lock flag
	card, err := epcard.New(img, seeded(1))
	if err != nil {
		panic(err)
	}
	r.Card = card
}

// TestEveryOutcomeHasItsLight: a screen never shows nothing, and only what lets a rider pass is green.
func TestEveryOutcomeHasItsLight(t *testing.T) {
	keysSeen := map[string]bool{}
	for o := tap.Granted; o <= tap.OutOfService; o++ {
		p := o.Pattern(firmwareconfig.Sample())
		require.NotEmpty(t, p.Key, "%d", o)
		require.False(t, keysSeen[p.Key], p.Key)
		keysSeen[p.Key] = true
		require.Equal(t, p.Key, o.String())
		require.Equal(t, o.Pass(), p.Light == "green", p.Key)
		if o.Pass() {
			require.Contains(t, []int{1, 2}, p.Beeps(), p.Key)
		}
	}
	var named []string
	for key := range firmwareconfig.DefaultSignals() {
		named = append(named, key)
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(keysSeen)), named, "a profile can change each, and nothing else")
	require.False(t, tap.Outcome(0).Pass(), "a result nobody filled in lets nobody pass")
}

// brokenSAM fails where it is told.
type brokenSAM struct {
	keys.SAM
	atInit, atCheck bool
}

var errSAM = errors.New("SAM does not answer")

func (s brokenSAM) InitPurchase(ctx context.Context, r keys.PurchaseRequest) (uint32, [4]byte, error) {
	if s.atInit {
		return 0, [4]byte{}, errSAM
	}
	return s.SAM.InitPurchase(ctx, r)
}

func (s brokenSAM) CheckMAC2(ctx context.Context, mac2 [4]byte) error {
	if s.atCheck {
		return errSAM
	}
	return s.SAM.CheckMAC2(ctx, mac2)
}

// TestATerminalThatFailsShowsNoGreen: its own failures are errors, and what may have been debited is kept as unknown.
func TestATerminalThatFailsShowsNoGreen(t *testing.T) {
	cases := []struct {
		name  string
		place tap.Request
		setUp func(*terminal)
		taken int64
		state wire.State // of the tap afterwards; UNSPECIFIED: none was begun
	}{
		{"SAM dead before the debit", bus, func(m *terminal) { m.sam = brokenSAM{SAM: m.sam, atInit: true} }, 0, 0},
		{"SAM dead after the debit", bus, func(m *terminal) { m.sam = brokenSAM{SAM: m.sam, atCheck: true} }, 2_00, wire.State_STATE_UNKNOWN},
		{"a line that its fares do not have", tap.Request{Mode: tap.BusFlat, Line: fare.Code{9, 9}}, func(*terminal) {}, 0, 0},
		{"a station that its fares do not have", tap.Request{Mode: tap.MetroEntry, Station: fare.Code{9, 9}}, func(*terminal) {}, 0, 0},
		{"no mode", tap.Request{}, func(*terminal) {}, 0, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newTown(t.TempDir())
			defer w.close()
			r := w.rider(t, nil)
			m := w.terminal(t, c.place)
			c.setUp(m)
			request := c.place
			request.Now = w.now
			result, err := m.tap.Purchase(t.Context(), epcard.Present(r.Card, epcard.Tear{}), request)
			require.Error(t, err)
			require.Equal(t, tap.OutOfService, result.Outcome)
			require.False(t, result.Outcome.Pass())
			r.note(t)
			w.check(t, r)
			require.Equal(t, money.Minor(c.taken), r.taken(0))
			if c.state == 0 {
				require.Empty(t, w.states(t, r))
				return
			}
			require.Equal(t, map[wire.State]int{c.state: 1}, w.states(t, r))
		})
	}
}

// TestTheRecordSaysWhatTheBackendNeeds holds one whole record against card and request.
func TestTheRecordSaysWhatTheBackendNeeds(t *testing.T) {
	w := newTown(t.TempDir())
	defer w.close()
	r := w.rider(t, nil)
	gate := w.terminal(t, inHarbor)
	_, _ = gate.present(t, r, epcard.Tear{})
	w.now = w.now.Add(10 * time.Minute)
	out := w.terminal(t, outMark)
	request := outMark
	request.Now, request.Clock, request.ClockErr, request.Monotonic = w.now, wire.ClockState_CLOCK_HOLDOVER, 1500*time.Millisecond, 42*time.Second
	result, err := out.tap.Purchase(t.Context(), epcard.Present(r.Card, epcard.Tear{}), request)
	require.NoError(t, err)
	require.Equal(t, tap.Granted, result.Outcome, result.Reason)
	records := out.records(t)
	require.Len(t, records, 1)
	rec := records[0]
	number := r.Number()
	require.Equal(t, wire.Kind_KIND_EXIT, rec.GetKind())
	require.Equal(t, wire.State_STATE_COMPLETED, rec.GetState())
	require.Equal(t, wire.Evidence_EVIDENCE_REPLY, rec.GetEvidence())
	require.Equal(t, number[:], rec.GetCardNumber())
	require.Equal(t, uint32(ep.TypeComposite), rec.GetTxnType())
	require.Equal(t, uint32(1), rec.GetOfflineCounter())
	require.Equal(t, int64(3_00), rec.GetAmount())
	require.Equal(t, int64(100_00), rec.GetBalanceBefore())
	require.Equal(t, int64(97_00), rec.GetBalanceAfter())
	require.Equal(t, harbour[:], rec.GetEntryStation())
	require.Equal(t, market[:], rec.GetStation())
	require.Equal(t, "city-bus", rec.GetMerchant())
	require.Equal(t, w.profile.Version, rec.GetProfileVersion())
	require.Equal(t, w.now.UnixMilli(), rec.GetTerminalTimeMs())
	require.Equal(t, uint32(1500), rec.GetClockErrorMs())
	require.Equal(t, wire.ClockState_CLOCK_HOLDOVER, rec.GetClockState())
	require.Equal(t, (42 * time.Second).Nanoseconds(), rec.GetMonotonicNs())
	require.Zero(t, rec.GetFlags())
	key := keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1}, Factors: [][8]byte{[8]byte(issuer), [8]byte(number[2:])}}
	tac, err := keys.NewSoft(masters).TAC(t.Context(), key, ep.PurchaseTAC(money.Minor(3_00), ep.TypeComposite, ep.TerminalNumber(rec.GetPsamTerminal()), rec.GetPsamSerial(), ep.DateTime(rec.GetPurseTime())))
	require.NoError(t, err)
	require.Equal(t, tac[:], rec.GetTac(), "the card's own proof of the debit")

	trip, err := r.MetroTrip()
	require.NoError(t, err)
	require.Equal(t, byte(ep.TripLeft), byte(trip.State))
	require.Equal(t, money.Minor(3_00), trip.ExitAmount)
}
