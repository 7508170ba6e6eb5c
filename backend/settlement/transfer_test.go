package settlement_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/bankfile"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

const reserveAccount = "6222000099990000"

// closes is a statement of an own account with nothing but its closing balance, and lines if there are any.
func closes(account, id, day, amount, side string, lines ...line) string {
	text := strings.Replace(statement(id, lines...), ownAccount, account, 1)
	return strings.Replace(text, "</Acct>", fmt.Sprintf(`</Acct><Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="CNY">1.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>%[1]s</Dt></Dt></Bal>
		<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="CNY">%[2]s</Amt><CdtDbtInd>%[3]s</CdtDbtInd><Dt><Dt>%[1]s</Dt></Dt></Bal>`, day, amount, side), 1)
}

// treasury is a scheme whose trust account holds 1,000.00 at the bank, of which 200.00 stay there, and a reserve.
func treasury(t require.TestingT, w *scheme) {
	w.accounts()
	require.NoError(t, settlement.SetBankAccount(w.ctx, w.store, settlement.KindScheme, "reserve", bankfile.Account{Name: "Reserve", Number: reserveAccount, Bank: "COBADEFF"}, at(monday).Now))
	require.NoError(t, settlement.SetOwnAccount(w.ctx, w.store, store.OwnAccount{ID: "trust", Minimum: amt("200.00"), MostOnce: amt("700.00"), MostDay: amt("750.00"), NotedAt: at(monday).Now}))
	require.Empty(t, alarms(w.read(closes(ownAccount, "ST0", monday, "1000.00", "CRDT"), monday)))
}

func (w *scheme) transfer(id string) store.OwnTransfer {
	var x store.OwnTransfer
	require.NoError(w.t, w.store.View(w.ctx, func(tx *store.Tx) (err error) { x, err = tx.OwnTransfer(w.ctx, id); return err }))
	return x
}

func (w *scheme) level(id string) settlement.Level {
	all, err := settlement.Levels(w.ctx, w.store)
	require.NoError(w.t, err)
	for _, l := range all {
		if l.ID == id {
			return l
		}
	}
	require.Fail(w.t, "no own account "+id)
	return settlement.Level{}
}

func (w *scheme) propose(minor string) (store.OwnTransfer, error) {
	return settlement.ProposeTransfer(w.ctx, w.store, "trust", "reserve", amt(minor), "ann", "surplus", bankOn(monday))
}

func TestMoneyMovesBetweenOwnAccounts(t *testing.T) {
	w := opened(t)
	treasury(t, w)
	for minor, want := range map[string]error{"700.01": settlement.ErrLimit, "900.00": settlement.ErrLimit} {
		_, err := w.propose(minor)
		require.ErrorIs(t, err, want, minor)
	}
	_, err := settlement.ProposeTransfer(w.ctx, w.store, "trust", "moon", amt("1.00"), "ann", "x", bankOn(monday))
	require.ErrorIs(t, err, settlement.ErrOwnAccount)
	x, err := w.propose("650.00")
	require.NoError(t, err)
	_, err = settlement.ApproveTransfer(w.ctx, w.store, x.ID, "Ann", bankOn(monday))
	require.ErrorIs(t, err, settlement.ErrSamePerson)
	require.Equal(t, "0.00", w.balanceOf(books.BankTransit))
	order, err := settlement.ApproveTransfer(w.ctx, w.store, x.ID, "ben", bankOn(monday))
	require.NoError(t, err)
	again, err := settlement.ApproveTransfer(w.ctx, w.store, x.ID, "ben", bankOn(tuesday))
	require.NoError(t, err)
	require.Equal(t, string(order.Body), string(again.Body), "ordered once")
	for _, want := range []string{x.ID, reserveAccount, ownAccount, `<InstdAmt Ccy="CNY">650.00</InstdAmt>`} {
		require.Contains(t, string(order.Body), want)
	}
	require.Equal(t, []string{"650.00", "350.00"}, []string{w.level("trust").Promised.String(), w.level("trust").Free.String()})

	// What is promised cannot be promised again, nor more than a day's limit.
	second, err := w.propose("100.00")
	require.NoError(t, err)
	_, err = w.propose("100.01")
	require.ErrorIs(t, err, settlement.ErrLimit)
	third, err := w.propose("0.00")
	require.ErrorIs(t, err, settlement.ErrLimit, "all that is free is more than is left of the day")
	require.Zero(t, third)
	require.NoError(t, settlement.RefuseTransfer(w.ctx, w.store, second.ID, "ann", "not needed", at(monday).Now))
	require.ErrorIs(t, settlement.RefuseTransfer(w.ctx, w.store, second.ID, "ann", "not needed", at(monday).Now), settlement.ErrDecided)
	_, err = settlement.ApproveTransfer(w.ctx, w.store, second.ID, "ben", bankOn(monday))
	require.ErrorIs(t, err, settlement.ErrDecided)

	// It leaves the one account and reaches the other, each by its own statement.
	require.Empty(t, alarms(w.status(report("R1", x.ID, "ACSP"), monday)))
	require.Empty(t, alarms(w.read(closes(ownAccount, "ST1", monday, "350.00", "CRDT", line{"1", "650.00", "DBIT", x.ID, "", ""}), monday)))
	w.sound()
	require.Equal(t, []string{"650.00", "-650.00", "0.00"}, []string{w.balanceOf(books.BankTransit), w.balanceOf(books.Trust), w.balanceOf(books.Bank("reserve"))})
	require.Equal(t, "ordered", w.transfer(x.ID).State)
	arrived := closes(reserveAccount, "RS1", monday, "650.00", "CRDT", line{"1", "650.00", "CRDT", "", "", "thanks, " + x.ID})
	require.Empty(t, alarms(w.read(arrived, monday)))
	require.Equal(t, 1, w.read(arrived, monday).Same, "a line is read once")
	w.sound()
	require.Equal(t, []string{"0.00", "650.00"}, []string{w.balanceOf(books.BankTransit), w.balanceOf(books.Bank("reserve"))})
	require.Equal(t, "done", w.transfer(x.ID).State)
	require.Equal(t, []string{alarmTwice}, alarms(w.read(closes(reserveAccount, "RS2", monday, "650.00", "CRDT", line{"2", "650.00", "CRDT", x.ID, "", ""}), monday)))
}

const alarmTwice = "payment-twice"

func TestTheSurplusIsWhatIsFreeAboveTheMinimum(t *testing.T) {
	w := opened(t)
	treasury(t, w)
	require.NoError(t, settlement.SetOwnAccount(w.ctx, w.store, store.OwnAccount{ID: "trust", Minimum: amt("200.00"), NotedAt: at(monday).Now}))
	x, err := w.propose("0.00")
	require.NoError(t, err)
	require.Equal(t, "800.00", x.Amount.String())
	_, err = settlement.ApproveTransfer(w.ctx, w.store, x.ID, "ben", bankOn(monday))
	require.NoError(t, err)
	_, err = w.propose("0.00")
	require.ErrorIs(t, err, settlement.ErrLimit)
	_, err = w.propose("-1.00")
	require.ErrorContains(t, err, "want more")

	// The bank will not: it is free again.
	require.Equal(t, []string{"payment-rejected"}, alarms(w.status(report("R", x.ID, "RJCT"), monday)))
	require.Equal(t, "1000.00", w.level("trust").Free.String())
	require.Equal(t, "rejected", w.transfer(x.ID).State)

	// A statement is believed all the same.
	require.Empty(t, alarms(w.read(closes(ownAccount, "ST1", monday, "200.00", "CRDT", line{"1", "800.00", "DBIT", x.ID, "", ""}), monday)))
	require.Equal(t, []string{"rejected-after-booked"}, alarms(w.status(report("R", x.ID, "RJCT"), monday)))
	require.Equal(t, []string{"payment-returned"}, alarms(w.read(closes(ownAccount, "ST2", monday, "1000.00", "CRDT", line{"1", "800.00", "CRDT", x.ID, returned, ""}), monday)))
	require.Equal(t, "returned", w.transfer(x.ID).State)
	require.Equal(t, []string{"0.00", "0.00"}, []string{w.balanceOf(books.BankTransit), w.balanceOf(books.Trust)})
}

func TestTooLittleOnAnOwnAccountIsAnAlarm(t *testing.T) {
	w := opened(t)
	treasury(t, w)
	low := closes(ownAccount, "ST1", tuesday, "199.99", "CRDT")
	require.Equal(t, []string{"below-minimum"}, alarms(w.read(low, tuesday)))
	require.True(t, w.level("trust").Below)
	require.Empty(t, alarms(w.read(low, tuesday)), "raised once")
	atNight := func() []store.BankAlarm {
		fresh, err := settlement.AlarmLow(w.ctx, w.store, at(tuesday).Now)
		require.NoError(t, err)
		return fresh
	}
	require.Empty(t, atNight(), "nor is it at night")
	require.NoError(t, settlement.SetOwnAccount(w.ctx, w.store, store.OwnAccount{ID: "trust", Minimum: amt("200.01"), NotedAt: at(tuesday).Now}))
	require.Len(t, atNight(), 1, "no statement has come, and more should stay")
	require.Empty(t, atNight())
	require.NoError(t, settlement.SetOwnAccount(w.ctx, w.store, store.OwnAccount{ID: "trust", Minimum: amt("200.00"), NotedAt: at(tuesday).Now}))
	require.Equal(t, []string{"below-minimum"}, alarms(w.read(closes(ownAccount, "ST2", day3, "5.00", "DBIT"), day3)))
	require.Equal(t, "-5.00", w.level("trust").Bank.String())

	// What is ordered is not free any more: the bus is owed 695.00.
	w.read(closes(ownAccount, "ST3", "2026-11-26", "800.00", "CRDT"), day3)
	require.False(t, w.level("trust").Below)
	w.workedExample(monday)
	w.close(monday)
	w.instruct(monday, day3)
	require.True(t, w.level("trust").Below)
	all, err := settlement.BankStateOf(w.ctx, w.store, "")
	require.NoError(t, err)
	texts := ""
	for _, a := range all.Alarms {
		texts += a.Text
	}
	require.Contains(t, texts, "105.00 is free, and 200.00 should stay there")
}

func TestALineOfAnotherAccountPaysNoParty(t *testing.T) {
	w := settledScheme(t)
	treasury(t, w)
	out := w.instruct(monday, tuesday)
	require.Equal(t, []string{"wrong-direction"}, alarms(w.read(closes(reserveAccount, "RS", tuesday, "0.00", "CRDT", line{"1", "695.00", "DBIT", out.Payments[0].ID, "", ""}), tuesday)))
	require.Equal(t, "ordered", w.state(out.Payments[0].ID))
	_, err := settlement.ImportStatement(w.ctx, w.store, strings.NewReader(closes("999", "XX", tuesday, "0.00", "CRDT")), bankOn(tuesday))
	require.ErrorIs(t, err, settlement.ErrAccount)
}

// Whatever the two banks say of a transfer, in whatever order: the money is on the one account, on the other, or on its way.
func TestAnyStatementsOfATransferKeepTheBooksSound(t *testing.T) {
	root := t.TempDir()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		w := newScheme(rt, t.Context(), mkdir(rt, root, runs))
		defer w.store.Close()
		treasury(rt, w)
		x, err := settlement.ProposeTransfer(w.ctx, w.store, "trust", "reserve", amt("300.00"), "ann", "x", bankOn(monday))
		require.NoError(rt, err)
		_, err = settlement.ApproveTransfer(w.ctx, w.store, x.ID, "ben", bankOn(monday))
		require.NoError(rt, err)
		for i := range rapid.IntRange(1, 8).Draw(rt, "lines") {
			if rapid.IntRange(0, 4).Draw(rt, "what") == 0 {
				w.status(report("R", x.ID, rapid.SampledFrom([]string{"ACSP", "RJCT"}).Draw(rt, "status")), monday)
				continue
			}
			l := line{fmt.Sprint(i), rapid.SampledFrom([]string{"300.00", "299.00"}).Draw(rt, "amount"), rapid.SampledFrom([]string{"CRDT", "DBIT"}).Draw(rt, "side"), x.ID,
				rapid.SampledFrom([]string{"", returned}).Draw(rt, "extra"), ""}
			w.read(closes(rapid.SampledFrom([]string{ownAccount, reserveAccount}).Draw(rt, "account"), "ST", monday, "1000.00", "CRDT", l), monday)
			w.sound()
			x := w.transfer(x.ID)
			at := map[bool]money.Amount{true: amt("300.00")}
			reserve := at[x.Arrived]
			trust, err := at[x.Gone].Neg()
			require.NoError(rt, err)
			require.Equal(rt, reserve.String(), w.balanceOf(books.Bank("reserve")))
			require.Equal(rt, trust.String(), w.balanceOf(books.Trust))
			require.Equal(rt, x.State == "done", x.Gone && x.Arrived)
			owed, err := settlement.BankStateOf(w.ctx, w.store, "")
			require.NoError(rt, err)
			sum, err := reserve.Add(trust)
			require.NoError(rt, err)
			require.Equal(rt, sum, owed.InTransit)
		}
	})
}
