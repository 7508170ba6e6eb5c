package settlement_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
	"github.com/purselane/purselane/shadowaccount/fee"
	"github.com/purselane/purselane/uplink/wire"
)

// noon of a day.
func noon(day string) time.Time { return at(day).Now.Add(-8 * time.Hour) }

// tapped posts a tap that was made on one day and came on another.
func (w *scheme) tapped(made, came string, p tap) store.Verified {
	v := w.verified(came, p)
	v.Claim.At, v.ReceivedMS = noon(made).UnixMilli()+int64(v.Claim.Seq), noon(came).UnixMilli()
	w.update(func(tx *store.Tx) error {
		return tx.PostGroup(w.ctx, store.Group{Day: came, Token: func(n ids.CardNumber) string { return "stranger" + n.String() }}, []store.Verified{v})
	})
	return v
}

// closeWithin closes a day in which taps expire after so many days.
func (w *scheme) closeWithin(day string, days int) settlement.Output {
	o := at(day)
	o.ExpireAfter = days
	out, err := settlement.Close(w.ctx, w.store, day, o)
	require.NoError(w.t, err)
	w.sound()
	return out
}

func key(v store.Verified) store.TapKey {
	return store.TapKey{Card: v.Card[:], Counter: v.Counter, Terminal: v.Claim.Tap.Terminal, Epoch: v.Claim.Tap.Epoch, Tap: v.Claim.Tap.Tap}
}

func TestATapThatComesTooLateIsPaidByTheCardAndToNobody(t *testing.T) {
	w := opened(t)
	w.load(1, monday, "100.00", books.AcquirerSoldLoads(bus))
	w.tapped("2026-11-13", monday, good(1, bus, "1.00")) // ten days: still in time
	w.tapped("2026-11-12", monday, good(1, bus, "2.00"))
	w.tapped("2026-11-30", monday, good(1, bus, "4.00")) // a clock that is ahead
	out := w.closeWithin(monday, 10)
	r := out.Report.Acquirers[0]
	require.Equal(t, settlement.Tally{Count: 2, Amount: amt("5.00")}, r.Accepted)
	require.Equal(t, settlement.Tally{Count: 1, Amount: amt("2.00")}, r.Rejected)
	require.Equal(t, []settlement.Reason{{Class: settlement.Rejected, Reason: "expired", Tally: settlement.Tally{Count: 1, Amount: amt("2.00")}}}, r.Reasons)
	require.Contains(t, string(out.CSV[1].Body), ",2026-11-23,rejected,expired,2.00,,,\n")
	require.Equal(t, "-93.00", w.balanceOf(books.Float), "the card has paid all three")
	require.Equal(t, "-2.00", w.balanceOf(books.SuspExpired))
	require.Equal(t, "0.00", w.balanceOf(books.MerchantPending("bus")))

	// A later rule changes nothing that was told, and neither does a day that closes again.
	require.Equal(t, settlement.Sums{}, w.closeWithin(tuesday, 0).Report.Acquirers[0].Sums)
	require.Equal(t, out.Files(), w.closeWithin(monday, 3).Files())
}

func TestOfficersMayPayForATapThatCameTooLate(t *testing.T) {
	w := opened(t)
	w.load(1, monday, "100.00", books.AcquirerSoldLoads(bus))
	v := w.tapped("2026-11-01", monday, good(1, bus, "2.00"))
	w.closeWithin(monday, 10)
	decide := func(l store.Late) {
		w.update(func(tx *store.Tx) error { return tx.DecideLate(w.ctx, key(v), l) })
	}
	decide(store.LateDenied)
	require.Equal(t, settlement.Sums{}, w.closeWithin(tuesday, 10).Report.Acquirers[0].Sums)
	decide(store.LateGranted)
	out := w.closeWithin(day3, 10)
	r := out.Report.Acquirers[0]
	require.Equal(t, settlement.Tally{Count: 1, Amount: amt("2.00")}, r.Adjustments)
	require.Equal(t, "1.99", r.Net.String(), "with the merchant's fees")
	require.Contains(t, string(out.CSV[1].Body), ",accepted,late-granted,2.00,2026-11-23,rejected,2.00\n")
	require.Equal(t, "0.00", w.balanceOf(books.SuspExpired))
	require.ErrorIs(t, w.store.Update(w.ctx, func(tx *store.Tx) error { return tx.DecideLate(w.ctx, key(v), store.LateDenied) }), store.ErrNotFound, "it is paid")
}

// A tap that stood as unknown and is proved later is as late as its first record was.
func TestWhatComesInTimeStaysInTime(t *testing.T) {
	w := opened(t)
	w.load(1, monday, "100.00", books.AcquirerSoldLoads(bus))
	w.tapped(monday, monday, tap{card: 1, at: bus, amount: "1.00", said: shadowaccount.SaidUnknown})
	w.tapped("2026-11-01", monday, tap{card: 1, at: bus, amount: "2.00", said: shadowaccount.SaidUnknown})
	require.Equal(t, settlement.Tally{Count: 1, Amount: amt("2.00")}, w.closeWithin(monday, 10).Report.Acquirers[0].Suspect, "the other one is inferred")
	w.tapped("2027-01-01", "2027-01-01", good(1, bus, "4.00"))
	r := w.closeWithin("2027-01-01", 10).Report.Acquirers[0]
	require.Equal(t, "4.00", r.Accepted.Amount.String())
	require.Equal(t, settlement.Tally{}, r.Adjustments, "it is proved now, and came too late")
	require.Equal(t, "-2.00", w.balanceOf(books.SuspExpired))
}

// A terminal that knows that its clock is wrong says nothing of when a tap was.
func TestABadClockMakesNoTapLate(t *testing.T) {
	w := opened(t)
	w.load(1, monday, "100.00", books.AcquirerSoldLoads(bus))
	for i, state := range []wire.ClockState{wire.ClockState_CLOCK_BAD, wire.ClockState_CLOCK_GOOD} {
		body, err := proto.Marshal(&wire.Record{ClockState: state})
		require.NoError(t, err)
		w.update(func(tx *store.Tx) error {
			_, err := tx.Keep(w.ctx, store.Arrived{Terminal: "bus", Epoch: 1, FirstSeq: uint64(i + 1), Records: [][]byte{body}, Envelope: body, Day: monday})
			return err
		})
		w.tapped("1999-01-01", monday, good(1, bus, "2.00"))
	}
	r := w.closeWithin(monday, 10).Report.Acquirers[0]
	require.Equal(t, "2.00", r.Accepted.Amount.String())
	require.Equal(t, "2.00", r.Rejected.Amount.String())
}

// A tap that expired and then loses its slot to an older one gives back what lay in suspense.
func TestAnExpiredTapThatDidNotHappenLeavesSuspense(t *testing.T) {
	w := opened(t)
	w.load(1, monday, "100.00", books.AcquirerSoldLoads(metro))
	w.tapped("2026-11-02", monday, good(1, metro, "3.00"))
	w.closeWithin(monday, 10)
	require.Equal(t, "-3.00", w.balanceOf(books.SuspExpired))
	older := good(1, bus, "3.00")
	older.again = true
	w.tapped("2026-11-01", tuesday, older)
	r := w.closeWithin(tuesday, 10).Report
	require.Equal(t, "3.00", r.Acquirers[0].Rejected.Amount.String(), "the older one came too late as well")
	require.Equal(t, settlement.Tally{}, r.Acquirers[1].Adjustments)
	require.Equal(t, "3.00", r.Acquirers[1].Held.Amount.String(), "the younger one is a clone now")
	require.Equal(t, "-3.00", w.balanceOf(books.SuspExpired), "the older one's")
}

// Whatever comes late, is granted, and is closed when: the books and the taps agree, which a close proves; what no close has paid lies in suspense.
func TestExpiryHoldsWhateverTheOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newScheme(r, t.Context(), t.TempDir())
		defer w.store.Close()
		w.load(1, monday, "1000.00", books.AcquirerSoldLoads(bus))
		days := []string{monday, tuesday, day3, "2026-11-26"}
		var late []store.TapKey
		for _, day := range days {
			for range rapid.IntRange(0, 4).Draw(r, "taps") {
				made := at(day).Now.AddDate(0, 0, -rapid.IntRange(0, 6).Draw(r, "age")).Format(time.DateOnly)
				p := good(1, rapid.SampledFrom([]ids.AcquirerID{bus, metro}).Draw(r, "at"), rapid.SampledFrom([]string{"1.00", "2.50"}).Draw(r, "amount"))
				if rapid.IntRange(0, 3).Draw(r, "torn") == 0 {
					p.said, p.proof = shadowaccount.SaidUnknown, shadowaccount.ProofNone
				}
				late = append(late, key(w.tapped(made, day, p)))
			}
			w.closeWithin(day, rapid.IntRange(0, 5).Draw(r, "days"))
			for _, k := range late {
				if rapid.Bool().Draw(r, "grant") {
					w.update(func(tx *store.Tx) error {
						if err := tx.DecideLate(w.ctx, k, store.LateGranted); err != nil {
							require.ErrorIs(r, err, store.ErrNotFound)
						}
						return nil
					})
				}
			}
		}
		w.closeWithin("2026-11-30", 1)
		w.closeWithin("2026-12-01", 1) // what the close before found to be granted is paid
		var owed, lies books.Account = books.MerchantPending("bus"), books.SuspExpired
		require.Equal(r, "0.00", w.balanceOf(owed))
		require.LessOrEqual(r, amt(w.balanceOf(lies)).Sign(), 0)
	})
}

// A contract says for its party what is too late: the merchant's before its acquirer's, and that before the scheme's.
func TestAContractSaysWhatIsTooLate(t *testing.T) {
	days := func(n int) *int { return &n }
	contract := func(expire *int) fee.Schedule {
		return fee.Schedule{Terms: []fee.Term{{From: "2026-01-01", Standards: []fee.Standard{}}, {From: tuesday, ExpireAfter: expire, Standards: []fee.Standard{}}}}
	}
	for name, c := range map[string]struct {
		acquirer, merchant *int
		late               bool
	}{
		"as the scheme says": {nil, nil, true}, "the acquirer has longer": {days(30), nil, false}, "never": {days(0), nil, false}, "the merchant has longer": {days(5), days(30), false},
		"the merchant has less": {days(30), days(5), true},
	} {
		t.Run(name, func(t *testing.T) {
			w := opened(t)
			w.load(1, monday, "100.00", books.AcquirerSoldLoads(bus))
			require.NoError(t, settlement.SetContract(w.ctx, w.store, "acquirer", "bus", contract(c.acquirer), at(monday).Now))
			if c.merchant != nil {
				require.NoError(t, settlement.SetContract(w.ctx, w.store, "merchant", "bus", contract(c.merchant), at(monday).Now))
			}
			w.tapped("2026-11-01", monday, good(1, bus, "1.00"))
			require.EqualValues(t, 1, w.closeWithin(monday, 10).Report.Acquirers[0].Rejected.Count, "the term begins tomorrow")
			w.tapped("2026-11-02", tuesday, good(1, bus, "2.00"))
			r := w.closeWithin(tuesday, 10).Report.Acquirers[0]
			require.Equal(t, c.late, r.Rejected.Count == 1)
			require.Equal(t, !c.late, r.Accepted.Count == 1)
		})
	}
	w := opened(t)
	require.ErrorContains(t, settlement.SetContract(w.ctx, w.store, "acquirer", "bus", contract(days(-1)), at(monday).Now), "expire_after")
	require.ErrorContains(t, settlement.SetContract(w.ctx, w.store, "channel", "online", contract(days(1)), at(monday).Now), "no tap comes through a channel")
}

// A day that found a tap proved which an earlier one had inferred says nothing of it: a correction names the day that did.
func TestACorrectionNamesTheDayThatToldOfTheTap(t *testing.T) {
	w := opened(t)
	w.load(1, monday, "100.00", books.AcquirerSoldLoads(metro))
	torn := w.verified(monday, tap{card: 1, at: metro, amount: "3.00", said: shadowaccount.SaidUnknown})
	next := w.verified(monday, good(1, metro, "1.00"))
	proved := w.verified(tuesday, tap{card: 1, at: metro, amount: "3.00", said: shadowaccount.SaidCompleted, proof: shadowaccount.ProofGood, tapNo: torn.Claim.Tap.Tap})
	proved.Counter, proved.Claim.Before, proved.Claim.After = torn.Counter, torn.Claim.Before, torn.Claim.After
	older := w.verified(day3, good(1, bus, "3.00"))
	older.Counter, older.Claim.Before, older.Claim.After, older.Claim.At = torn.Counter, torn.Claim.Before, torn.Claim.After, -1
	post := func(day string, all ...store.Verified) {
		w.update(func(tx *store.Tx) error {
			return tx.PostGroup(w.ctx, store.Group{Day: day, Token: func(n ids.CardNumber) string { return "stranger" + n.String() }}, all)
		})
	}
	post(monday, torn, next)
	require.Equal(t, "4.00", w.close(monday).Report.Acquirers[1].Accepted.Amount.String())
	post(tuesday, proved)
	require.Equal(t, settlement.Sums{}, w.close(tuesday).Report.Acquirers[1].Sums)
	post(day3, older)
	out := w.close(day3)
	require.Equal(t, "-3.00", out.Report.Acquirers[1].Adjustments.Amount.String())
	require.Contains(t, string(out.CSV[3].Body), ",suspect,clone,3.00,2026-11-23,accepted,3.00\n")
	w.sound()
}
