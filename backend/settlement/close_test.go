package settlement_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/internal/pgtest"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
	"github.com/purselane/purselane/shadowaccount/calendar"
	"github.com/purselane/purselane/shadowaccount/fee"
)

const (
	monday  = "2026-11-23"
	tuesday = "2026-11-24"
	day3    = "2026-11-25"
)

func amt(s string) money.Amount {
	a, err := money.Parse(s)
	if err != nil {
		panic(err)
	}
	return a
}

// scheme is a small scheme over a real store: two acquirers with a merchant and a terminal each, one online channel.
type scheme struct {
	t       require.TestingT
	ctx     context.Context
	store   *store.Store
	seq     map[ids.TerminalID]uint64
	counter map[byte]uint32
	balance map[byte]money.Amount
	loads   map[byte]uint16
	entries int
}

const bus, metro = ids.AcquirerID("bus"), ids.AcquirerID("metro")

func feesJSON(t require.TestingT, standards ...fee.Standard) string {
	raw, err := json.Marshal(standards)
	require.NoError(t, err)
	return string(raw)
}

var (
	made  sync.Once
	empty string
)

func newScheme(t require.TestingT, ctx context.Context, dir string) *scheme {
	made.Do(func() { // bringing a schema up to date takes longer than most tests here
		empty = filepath.Join(dir, "empty.db")
		s, err := store.Open(ctx, emptystore.At(t, empty), store.Options{NoSync: true})
		require.NoError(t, err)
		require.NoError(t, s.Close())
	})
	pgtest.Copy(t, empty, filepath.Join(dir, "scheme.db"))
	s, err := store.Open(ctx, emptystore.At(t, filepath.Join(dir, "scheme.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	w := &scheme{t: t, ctx: ctx, store: s, seq: map[ids.TerminalID]uint64{}, counter: map[byte]uint32{}, balance: map[byte]money.Amount{}, loads: map[byte]uint16{}}
	w.update(func(tx *store.Tx) error {
		half := feesJSON(t, fee.Percent("standard", "service", 5_000))
		for _, a := range []ids.AcquirerID{bus, metro} {
			if err := tx.PutAcquirer(ctx, store.Acquirer{ID: a, Name: strings.ToUpper(string(a)), Fees: half}); err != nil {
				return err
			}
			if err := tx.PutMerchant(ctx, store.Merchant{ID: ids.MerchantID(a), Acquirer: a, Name: string(a)}); err != nil {
				return err
			}
			if err := tx.PutTerminal(ctx, store.Terminal{ID: ids.TerminalID(a), Merchant: ids.MerchantID(a), PublicKey: make(ed25519.PublicKey, ed25519.PublicKeySize), Active: true}); err != nil {
				return err
			}
		}
		return tx.PutChannel(ctx, store.ClearingChannel{ID: "online", Name: "Online", Fees: feesJSON(t, fee.Percent("channel", "channel", 6_000))})
	})
	return w
}

func opened(t *testing.T) *scheme {
	w := newScheme(t, t.Context(), t.TempDir())
	t.Cleanup(func() { w.store.Close() })
	return w
}

func (w *scheme) update(f func(*store.Tx) error) { require.NoError(w.t, w.store.Update(w.ctx, f)) }

func number(card byte) ids.CardNumber { return ids.CardNumber{9: card} }

// load sells a load and puts it on the card: cash taken by an acquirer, or paid through the online channel.
func (w *scheme) load(card byte, day, amount string, from books.Account) {
	a := amt(amount)
	w.entries++
	w.update(func(tx *store.Tx) error {
		if err := tx.IssueCard(w.ctx, store.Card{Number: number(card), Token: fmt.Sprint("card", card), Levels: 1}); err != nil {
			return err
		}
		for _, e := range []struct {
			kind  string
			dr, c books.Account
		}{{"load-order", from, books.Funding}, {"load-authorise", books.Funding, books.LoadInProgress}, {"load-confirm", books.LoadInProgress, books.Float}} {
			lines, err := books.Move(e.dr, e.c, a)
			if err != nil {
				return err
			}
			if err := tx.Post(w.ctx, books.Entry{ID: fmt.Sprint(e.kind, w.entries), Kind: e.kind, Day: day, Lines: lines}); err != nil {
				return err
			}
		}
		l := shadowaccount.Load{Counter: w.loads[card], Amount: a, Loaded: true}
		w.loads[card]++
		return tx.PutCardLoad(w.ctx, number(card), l, fmt.Sprint("order", w.entries))
	})
	w.balance[card], _ = w.balance[card].Add(a)
}

// tap is one record to be posted.
type tap struct {
	card   byte
	at     ids.AcquirerID
	amount string
	said   shadowaccount.Said
	proof  shadowaccount.Proof
	// again repeats the card's last counter and balance: a clone, or the final word on an unknown tap with the same number.
	again bool
	tapNo uint64 // of the tap spoken of; 0: a new one
}

func good(card byte, at ids.AcquirerID, amount string) tap {
	return tap{card: card, at: at, amount: amount, said: shadowaccount.SaidCompleted, proof: shadowaccount.ProofGood}
}

func (w *scheme) verified(day string, p tap) store.Verified {
	terminal := ids.TerminalID(p.at)
	w.seq[terminal]++
	seq := w.seq[terminal]
	if !p.again {
		w.counter[p.card]++
	}
	a := amt(p.amount)
	before := w.balance[p.card]
	if p.again {
		before, _ = before.Add(a)
	}
	after, err := before.Sub(a)
	require.NoError(w.t, err)
	if p.proof != shadowaccount.ProofBad {
		w.balance[p.card] = after
	}
	no := p.tapNo
	if no == 0 {
		no = seq
	}
	return store.Verified{Pending: store.Pending{Terminal: terminal, Epoch: 1, Seq: seq, Day: day, ReceivedMS: int64(seq)}, Card: number(p.card), Levels: 1, Counter: w.counter[p.card],
		Claim: shadowaccount.Claim{Tap: ids.TapID{Terminal: terminal, Epoch: 1, Tap: no}, Seq: seq, At: int64(seq), Merchant: ids.MerchantID(p.at), Amount: a, Before: before, After: after, Said: p.said, Proof: p.proof}}
}

func (w *scheme) tap(day string, taps ...tap) {
	var all []store.Verified
	for _, p := range taps {
		all = append(all, w.verified(day, p))
	}
	w.update(func(tx *store.Tx) error {
		return tx.PostGroup(w.ctx, store.Group{Day: day, Token: func(n ids.CardNumber) string { return "stranger" + n.String() }}, all)
	})
}

func at(day string) settlement.Options {
	d, err := time.Parse("2006-01-02", day)
	if err != nil {
		panic(err)
	}
	return settlement.Options{Now: d.Add(20 * time.Hour), Location: time.UTC}
}

func (w *scheme) close(day string) settlement.Output {
	out, err := settlement.Close(w.ctx, w.store, day, at(day))
	require.NoError(w.t, err)
	return out
}

func (w *scheme) balanceOf(a books.Account) string {
	var out money.Amount
	require.NoError(w.t, w.store.View(w.ctx, func(tx *store.Tx) error {
		var err error
		out, err = tx.Balance(w.ctx, a)
		return err
	}))
	return out.String()
}

func (w *scheme) sound() {
	require.NoError(w.t, w.store.View(w.ctx, func(tx *store.Tx) error {
		faults, err := tx.VerifyBooks(w.ctx)
		require.Empty(w.t, faults)
		return err
	}))
}

// workedExample lives the day of the worked example: bus accepts 1,000.00 and sold 300.00 of loads, metro 2,000.00 and
// 2,500.00, and 400.00 was loaded online.
func (w *scheme) workedExample(day string) {
	w.load(1, day, "300.00", books.AcquirerSoldLoads(bus))
	w.load(2, day, "2500.00", books.AcquirerSoldLoads(metro))
	w.load(3, day, "400.00", books.Channel("online"))
	w.tap(day, good(1, bus, "300.00"), good(2, bus, "400.00"), good(3, bus, "300.00"))
	w.tap(day, good(2, metro, "1000.00"), good(2, metro, "1000.00"))
}

func TestTheWorkedExampleThroughTheStore(t *testing.T) {
	w := opened(t)
	w.workedExample(monday)
	out := w.close(monday)
	r := out.Report

	require.Equal(t, []string{"bus", "695.00", "metro", "-510.00"}, []string{r.Acquirers[0].ID, r.Acquirers[0].Net.String(), r.Acquirers[1].ID, r.Acquirers[1].Net.String()})
	require.Equal(t, "-397.60", r.Channels[0].Net.String())
	require.Equal(t, "212.60 = 200.00 + 15.00 - 2.40", r.Proof.Identity)
	require.Equal(t, "0.00", r.Proof.ZeroSum.String())
	require.Equal(t, tuesday, r.Due, "T+1 by default")
	require.Equal(t, settlement.Tally{Count: 3, Amount: amt("1000.00")}, r.Acquirers[0].Accepted)

	require.Equal(t, "-695.00", w.balanceOf(books.AcquirerClearing(bus)), "we owe the bus")
	require.Equal(t, "510.00", w.balanceOf(books.AcquirerClearing(metro)), "the metro owes us")
	require.Equal(t, "397.60", w.balanceOf(books.Channel("online")))
	require.Equal(t, "-15.00", w.balanceOf("fee:merchant:service"))
	require.Equal(t, "0.00", w.balanceOf(books.MerchantPending("bus")))
	require.Equal(t, "0.00", w.balanceOf(books.MerchantAvailable("bus")))
	require.Equal(t, "0.00", w.balanceOf(books.AcquirerSoldLoads(bus)))
	require.Equal(t, "-200.00", w.balanceOf(books.Float))
	w.sound()

	require.NoError(t, settlement.Pay(w.ctx, w.store, monday, "BANK-1", at(tuesday).Now))
	require.Equal(t, "212.60", w.balanceOf(books.Trust))
	require.Equal(t, "0.00", w.balanceOf(books.AcquirerClearing(bus)))
	require.Equal(t, "0.00", w.balanceOf(books.AcquirerClearing(metro)))
	require.Equal(t, "0.00", w.balanceOf(books.Channel("online")))
	w.sound()

	require.NoError(t, settlement.Pay(w.ctx, w.store, monday, "BANK-1", at(day3).Now), "paying again is the same payment")
	require.Equal(t, "212.60", w.balanceOf(books.Trust))
	require.ErrorIs(t, settlement.Pay(w.ctx, w.store, monday, "BANK-2", at(day3).Now), settlement.ErrPaid)

	days, err := settlement.Days(w.ctx, w.store, 10)
	require.NoError(t, err)
	require.Equal(t, []settlement.Summary{{Day: monday, Due: tuesday, Digest: out.Digest, BankRef: "BANK-1", Paid: true, Trust: amt("212.60")}}, days)
}

func TestClosingAgainGivesTheSameBytesWhateverHappenedSince(t *testing.T) {
	w := opened(t)
	w.workedExample(monday)
	w.tap(monday, tap{card: 3, at: bus, amount: "50.00", said: shadowaccount.SaidUnknown})
	first := w.close(monday)

	// Afterwards: a tariff change, a resolved tap, another day, a payment.
	w.update(func(tx *store.Tx) error {
		return tx.PutAcquirer(w.ctx, store.Acquirer{ID: bus, Name: "renamed", Fees: feesJSON(t, fee.Percent("dearer", "service", 50_000))})
	})
	w.tap(tuesday, good(3, bus, "50.00"))
	w.close(tuesday)
	require.NoError(t, settlement.Pay(w.ctx, w.store, monday, "ref", at(tuesday).Now))

	again := w.close(monday)
	require.Equal(t, first.Digest, again.Digest)
	require.Equal(t, first.Files(), again.Files())
	loaded, err := settlement.Load(w.ctx, w.store, monday)
	require.NoError(t, err)
	require.Equal(t, first.Files(), loaded.Files())
}

// The rider's answer was lost on Monday; on Tuesday the card's next record shows that the debit happened.
func TestALateResolutionIsAnAdjustmentInALaterDay(t *testing.T) {
	w := opened(t)
	w.load(1, monday, "100.00", books.AcquirerSoldLoads(bus))
	w.tap(monday, tap{card: 1, at: bus, amount: "2.00", said: shadowaccount.SaidUnknown})
	r := w.close(monday).Report.Acquirers[0]
	require.Equal(t, settlement.Tally{}, r.Accepted)
	require.Equal(t, settlement.Tally{Count: 1, Amount: amt("2.00")}, r.Suspect)
	require.Equal(t, settlement.Held{Tally: settlement.Tally{Count: 1, Amount: amt("2.00")}, OldestDay: monday}, r.Held)
	require.Equal(t, []settlement.Reason{{Class: settlement.Suspect, Reason: "unknown", Tally: settlement.Tally{Count: 1, Amount: amt("2.00")}}}, r.Reasons)
	require.Equal(t, "-100.00", r.Net.String(), "it owes the cash it took, and is not paid for a tap nobody can prove")

	w.tap(tuesday, good(1, metro, "5.00"))
	out := w.close(tuesday)
	r = out.Report.Acquirers[0]
	require.Equal(t, settlement.Tally{Count: 1, Amount: amt("2.00")}, r.Adjustments)
	require.Equal(t, settlement.Tally{}, r.Accepted)
	require.Equal(t, settlement.Held{}, r.Held)
	require.Equal(t, "1.99", r.Net.String(), "the fee is charged on an adjustment too")
	require.Contains(t, string(out.CSV[1].Body), monday+",accepted,,2.00,"+monday+",suspect,2.00\n")
	w.sound()
}

// A tap accepted on Monday loses its slot on Tuesday to an older proved record that came late.
func TestATapTakenBackIsANegativeAdjustment(t *testing.T) {
	w := opened(t)
	w.load(1, monday, "100.00", books.AcquirerSoldLoads(metro))
	w.seq["metro"] = 50 // a terminal whose clock is ahead: its claim is the younger one
	w.tap(monday, good(1, metro, "3.00"))
	w.close(monday)
	late := good(1, bus, "3.00")
	late.again = true
	w.tap(tuesday, late)
	r := w.close(tuesday).Report
	require.Equal(t, settlement.Tally{Count: 1, Amount: amt("3.00")}, r.Acquirers[0].Accepted)
	require.Equal(t, settlement.Tally{Count: -1, Amount: amt("-3.00")}, r.Acquirers[1].Adjustments)
	require.Equal(t, "-0.02", r.Acquirers[1].Fees.Total.String(), "its fee goes back to the cent")
	require.Equal(t, settlement.Tally{Count: 1, Amount: amt("3.00")}, r.Acquirers[1].Held.Tally)
	w.sound()
}

// The metro's merchant goes over to the bus's acquirer on Tuesday. What Monday settled with the old one is corrected with
// the old one, and what is new belongs to the new one.
func TestACorrectionGoesToTheAcquirerThatWasSettledWith(t *testing.T) {
	w := opened(t)
	w.load(1, monday, "100.00", books.Channel("online"))
	w.tap(monday, tap{card: 1, at: metro, amount: "3.00", said: shadowaccount.SaidUnknown})
	w.close(monday)
	w.update(func(tx *store.Tx) error {
		return tx.PutMerchant(w.ctx, store.Merchant{ID: "metro", Acquirer: bus, Name: "metro"})
	})
	w.tap(tuesday, good(1, metro, "5.00"))
	r := w.close(tuesday).Report
	require.Equal(t, settlement.Tally{Count: 1, Amount: amt("5.00")}, r.Acquirers[0].Accepted)
	require.Equal(t, settlement.Tally{}, r.Acquirers[0].Adjustments)
	require.Equal(t, settlement.Tally{Count: 1, Amount: amt("3.00")}, r.Acquirers[1].Adjustments)
	w.sound()
}

func TestAFeePerTransactionIsChargedForPaymentsAndGoesBackWithThem(t *testing.T) {
	w := opened(t)
	flat := fee.Standard{Name: "flat", Side: fee.Inside, Charges: []fee.Charge{{Kind: "tap", Model: fee.Flat, Flat: amt("0.10")}}}
	w.update(func(tx *store.Tx) error {
		return tx.PutAcquirer(w.ctx, store.Acquirer{ID: metro, Fees: feesJSON(t, flat)})
	})
	w.load(1, monday, "100.00", books.Channel("online"))
	w.seq["metro"] = 50
	w.tap(monday, good(1, metro, "0.00"), good(1, metro, "4.00"), good(1, metro, "3.00"))
	require.Equal(t, "0.20", w.close(monday).Report.Acquirers[1].Fees.Total.String(), "an entry without a fare is no payment")
	late := good(1, bus, "3.00")
	late.again = true
	w.tap(tuesday, late)
	require.Equal(t, "-0.10", w.close(tuesday).Report.Acquirers[1].Fees.Total.String())
}

func TestABadTACIsRejectedWithItsReason(t *testing.T) {
	w := opened(t)
	w.load(1, monday, "100.00", books.AcquirerSoldLoads(bus))
	w.tap(monday, good(1, bus, "1.00"), tap{card: 1, at: bus, amount: "9.00", said: shadowaccount.SaidCompleted, proof: shadowaccount.ProofBad})
	r := w.close(monday).Report.Acquirers[0]
	require.Equal(t, settlement.Tally{Count: 1, Amount: amt("9.00")}, r.Rejected)
	require.Equal(t, []settlement.Reason{{Class: settlement.Rejected, Reason: "bad-tac", Tally: settlement.Tally{Count: 1, Amount: amt("9.00")}}}, r.Reasons)
	require.Equal(t, "0.99", money.Minor(r.Net.Minor()+10000).String())
}

// keep stores records that were accepted and not yet posted.
func (w *scheme) keep(day string, bodies ...string) {
	var raw [][]byte
	for _, b := range bodies {
		raw = append(raw, []byte(b))
	}
	w.update(func(tx *store.Tx) error {
		_, err := tx.Keep(w.ctx, store.Arrived{Terminal: "bus", Epoch: 1, FirstSeq: 1, Records: raw, Envelope: []byte(day + bodies[0]), Day: day})
		return err
	})
}

func TestADayIsNotClosedOverRecordsThatWait(t *testing.T) {
	w := opened(t)
	w.keep(monday, "a record", "another")
	_, err := settlement.Close(w.ctx, w.store, monday, at(monday))
	require.ErrorIs(t, err, settlement.ErrNotPosted)
	require.ErrorContains(t, err, "2 records")
	_, err = settlement.Load(w.ctx, w.store, monday)
	require.ErrorIs(t, err, settlement.ErrNotClosed, "a refused close leaves nothing behind")

	w.update(func(tx *store.Tx) error {
		pending, err := tx.PendingRecords(w.ctx, 10)
		for _, p := range pending {
			require.NoError(t, tx.SetVerdict(w.ctx, p, "unreadable", "no record"))
		}
		return err
	})
	r := w.close(monday).Report
	require.Equal(t, []settlement.Reason{{Class: settlement.Rejected, Reason: "unreadable", Tally: settlement.Tally{Count: 2}}}, r.Acquirers[0].Reasons)
	require.Equal(t, int64(0), w.close(tuesday).Report.Acquirers[0].Rejected.Count, "told once")
}

func TestDaysThatCannotBeClosed(t *testing.T) {
	w := opened(t)
	w.load(1, monday, "100.00", books.AcquirerSoldLoads(bus))
	w.tap(monday, good(1, bus, "1.00"))

	_, err := settlement.Close(w.ctx, w.store, tuesday, at(monday))
	require.ErrorIs(t, err, settlement.ErrFuture)
	require.ErrorContains(t, err, "today is "+monday)

	_, err = settlement.Close(w.ctx, w.store, tuesday, at(tuesday))
	require.ErrorIs(t, err, settlement.ErrOrder)
	require.ErrorContains(t, err, "close "+monday+" first")

	_, err = settlement.Close(w.ctx, w.store, "2026-13-01", at(monday))
	require.ErrorContains(t, err, "no date")
	require.ErrorIs(t, settlement.Pay(w.ctx, w.store, monday, "ref", at(monday).Now), settlement.ErrNotClosed)
	for _, ref := range []string{"", "two\nlines", strings.Repeat("x", 141)} {
		_, err := settlement.ProposePay(w.ctx, w.store, monday, ref, "ann", "why", at(monday).Now)
		require.ErrorContains(t, err, "bank reference")
	}

	w.close(monday)
	w.close(tuesday)
	_, err = settlement.Close(w.ctx, w.store, "2026-11-20", at(tuesday))
	require.ErrorIs(t, err, settlement.ErrOrder)
	require.ErrorContains(t, err, "a later day")
}

// A tap and a load that arrive in the evening of a day that was closed in the afternoon are settled with the next day.
func TestWhatArrivesAfterTheCloseGoesIntoTheNextDay(t *testing.T) {
	w := opened(t)
	w.load(1, monday, "100.00", books.AcquirerSoldLoads(bus))
	w.tap(monday, good(1, bus, "1.00"))
	w.close(monday)
	w.load(1, monday, "20.00", books.AcquirerSoldLoads(bus))
	w.tap(monday, good(1, bus, "4.00"))
	r := w.close(tuesday).Report.Acquirers[0]
	require.Equal(t, settlement.Tally{Count: 1, Amount: amt("4.00")}, r.Accepted)
	require.Equal(t, "20.00", r.SoldLoads.String())
	w.sound()
}

func TestBooksThatDoNotFollowTheTapsAreNotClosed(t *testing.T) {
	w := opened(t)
	w.load(1, monday, "100.00", books.AcquirerSoldLoads(bus))
	w.tap(monday, good(1, bus, "1.00"))
	w.update(func(tx *store.Tx) error {
		lines, err := books.Move(books.Trust, books.MerchantPending("bus"), amt("0.01"))
		require.NoError(t, err)
		return tx.Post(w.ctx, books.Entry{ID: "by hand", Kind: "manual", Day: monday, Lines: lines})
	})
	_, err := settlement.Close(w.ctx, w.store, monday, at(monday))
	require.ErrorIs(t, err, settlement.ErrBooks)
	require.Equal(t, "0.00", w.balanceOf(books.AcquirerClearing(bus)), "the refused close was undone")
}

func TestAClosedDayThatWasEditedIsFoundAndNotPaid(t *testing.T) {
	w := opened(t)
	w.load(1, monday, "100.00", books.AcquirerSoldLoads(bus))
	w.tap(monday, good(1, bus, "1.00"))
	w.close(monday)
	w.update(func(tx *store.Tx) error {
		return tx.PutItems(w.ctx, monday, []store.Item{{TapKey: store.TapKey{Terminal: "bus", Epoch: 9, Tap: 9}, Merchant: "bus", Acquirer: bus, Arrived: monday, Class: "accepted", Amount: amt("50.00")}})
	})
	_, err := settlement.Close(w.ctx, w.store, monday, at(monday))
	require.ErrorIs(t, err, settlement.ErrChanged)
	require.ErrorIs(t, settlement.Pay(w.ctx, w.store, monday, "ref", at(monday).Now), settlement.ErrChanged)
}

func TestAFaultyTariffStopsTheCloseAndSaysWhose(t *testing.T) {
	for fees, want := range map[string]string{
		`{`: "fee standards of acquirer bus",
		`[{"name":"x","side":"outside","charges":[{"kind":"k","model":"rate","ppm":1}]}]`: "charged inside",
		`[{"name":"x","side":"inside","charges":[{"kind":"k","model":"rate","ppm":-1}]}]`: "ppm -1",
	} {
		w := opened(t)
		w.update(func(tx *store.Tx) error { return tx.PutAcquirer(w.ctx, store.Acquirer{ID: bus, Fees: fees}) })
		_, err := settlement.Close(w.ctx, w.store, monday, at(monday))
		require.ErrorContains(t, err, want)
	}
}

func TestDueDatesFollowTermAndCalendar(t *testing.T) {
	cal, err := calendar.Parse([]byte("through 2026-12-31\n2026-11-24 holiday\n2026-11-25 holiday\n"))
	require.NoError(t, err)
	for term, want := range map[calendar.Term]string{{Unit: calendar.Working, Days: 1}: "2026-11-26", {Unit: calendar.Calendar, Days: 1}: tuesday} {
		w := opened(t)
		o := at(monday)
		o.Term, o.Calendar = term, cal
		out, err := settlement.Close(w.ctx, w.store, monday, o)
		require.NoError(t, err)
		require.Equal(t, want, out.Report.Due)
		require.Equal(t, term.String(), out.Report.Term)
	}
}

// The backend dies right after the commit, or right before it: closing again gives the one report.
func TestACrashAroundTheCommitLeavesOneClose(t *testing.T) {
	for _, point := range []string{"commit:before", "commit:after"} {
		t.Run(point, func(t *testing.T) {
			dir := t.TempDir()
			w := newScheme(t, t.Context(), dir)
			w.workedExample(monday)
			require.NoError(t, w.store.Close())
			dead := false
			s, err := store.Open(t.Context(), emptystore.At(t, filepath.Join(dir, "scheme.db")), store.Options{NoSync: true, Fault: func(p string) error {
				if p == point && !dead {
					dead = true
					return fmt.Errorf("power cut at %s", p)
				}
				return nil
			}})
			require.NoError(t, err)
			defer s.Close()
			w.store = s
			_, err = settlement.Close(t.Context(), s, monday, at(monday))
			require.ErrorContains(t, err, "power cut")
			require.Equal(t, "695.00", w.close(monday).Report.Acquirers[0].Net.String())
			require.Equal(t, "-695.00", w.balanceOf(books.AcquirerClearing(bus)), "posted once")
			w.sound()
		})
	}
}

// Any run of days: every day proves, its rerun is the same, and once all is paid the trust account holds what the holders
// are owed, the suspense accounts aside.
func TestAnyRunOfDaysProves(t *testing.T) {
	root := t.TempDir()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		w := newScheme(rt, t.Context(), mkdir(rt, root, runs))
		defer w.store.Close()
		w.genContracts(rt)
		digests := map[string]string{}
		var owed int64 // fees that are taken once a month
		day := calendar.Date(monday)
		for range rapid.IntRange(1, 4).Draw(rt, "days") {
			for range rapid.IntRange(0, 6).Draw(rt, "events") {
				card := byte(rapid.IntRange(1, 3).Draw(rt, "card"))
				who := rapid.SampledFrom([]ids.AcquirerID{bus, metro}).Draw(rt, "acquirer")
				cents := money.Minor(rapid.Int64Range(0, 5000).Draw(rt, "cents")).String()
				switch rapid.IntRange(0, 5).Draw(rt, "what") {
				case 0:
					w.load(card, string(day), cents, books.AcquirerSoldLoads(who))
				case 1:
					w.load(card, string(day), cents, books.Channel("online"))
				case 2:
					w.tap(string(day), tap{card: card, at: who, amount: cents, said: shadowaccount.SaidUnknown})
				case 3:
					w.tap(string(day), tap{card: card, at: who, amount: cents, said: shadowaccount.SaidCompleted, proof: shadowaccount.ProofBad})
				case 4:
					again := good(card, who, cents)
					again.again = true
					w.tap(string(day), again)
				default:
					w.tap(string(day), good(card, who, cents))
				}
			}
			out, err := settlement.Close(w.ctx, w.store, string(day), at(string(day)))
			require.NoError(rt, err)
			require.True(rt, out.Report.Proof.ZeroSum.IsZero())
			digests[string(day)] = out.Digest
			owed += w.monthly(out.Report)
			require.Equal(rt, owed, w.minor(books.MerchantFeesDue("bus"))+w.minor(books.MerchantFeesDue("metro")))
			w.sound()
			day = day.Add(rapid.SampledFrom([]int{1, 1, 5, 9, 40}).Draw(rt, "next"))
		}
		var trust money.Amount
		for d, digest := range digests {
			out, err := settlement.Close(w.ctx, w.store, d, at(string(day)))
			require.NoError(rt, err)
			require.Equal(rt, digest, out.Digest)
			w.filesAddUp(out)
			trust, err = trust.Add(out.Report.Proof.TrustMovement)
			require.NoError(rt, err)
			require.NoError(rt, settlement.Pay(w.ctx, w.store, d, "ref-"+d, at(d).Now))
		}
		require.Equal(rt, trust.String(), w.balanceOf(books.Trust))
		for _, a := range []books.Account{books.AcquirerClearing(bus), books.AcquirerClearing(metro), books.Channel("online"), books.MerchantPending("bus"), books.MerchantAvailable("metro")} {
			require.Equal(rt, "0.00", w.balanceOf(a), "%s", a)
		}
		w.sound()
	})
}

func mkdir(t require.TestingT, root string, n int) string {
	dir := filepath.Join(root, fmt.Sprint(n))
	require.NoError(t, os.Mkdir(dir, 0o755))
	return dir
}

// gathered is a Create that keeps what is written, as files are.
type gathered struct {
	bytes.Buffer
	closed int
}

func (g *gathered) Close() error { g.closed++; return nil }

// A day that is closed without its files in memory has the same files, each closed once.
func TestADayOfAnySizeHasTheSameFiles(t *testing.T) {
	w := opened(t)
	w.workedExample(monday)
	head, err := settlement.CloseDay(w.ctx, w.store, monday, at(monday))
	require.NoError(t, err)
	out, err := settlement.Load(w.ctx, w.store, monday)
	require.NoError(t, err)
	require.Equal(t, out.Head, head)
	again, err := settlement.CloseDay(w.ctx, w.store, monday, at(tuesday))
	require.NoError(t, err)
	require.Equal(t, head, again)

	var names []string
	files := map[string]*gathered{}
	written, err := settlement.Write(w.ctx, w.store, monday, func(name string) (io.WriteCloser, error) {
		names, files[name] = append(names, name), &gathered{}
		return files[name], nil
	})
	require.NoError(t, err)
	require.Equal(t, head, written)
	require.Len(t, names, len(out.CSV))
	for i, f := range out.CSV {
		require.Equal(t, f.Name, names[i])
		require.Equal(t, string(f.Body), files[f.Name].String())
		require.Equal(t, 1, files[f.Name].closed)
	}

	full := errors.New("the disk is full")
	_, err = settlement.Write(w.ctx, w.store, monday, func(string) (io.WriteCloser, error) { return nil, full })
	require.ErrorIs(t, err, full)
}
