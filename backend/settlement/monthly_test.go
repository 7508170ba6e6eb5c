package settlement_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
	"github.com/purselane/purselane/shadowaccount/fee"
)

const (
	friday    = "2026-11-27"
	december2 = "2026-12-02"
	december3 = "2026-12-03"
)

func (w *scheme) minor(a books.Account) int64 {
	var out money.Amount
	require.NoError(w.t, w.store.View(w.ctx, func(tx *store.Tx) error {
		var err error
		out, err = tx.Balance(w.ctx, a)
		return err
	}))
	return out.Minor()
}

// monthly is what a day adds to what merchants owe in fees that are taken once a month, and what of it the day takes. The proof has what is taken.
func (w *scheme) monthly(r settlement.Report) (owed int64) {
	var taken int64
	for _, a := range r.Acquirers {
		taken += a.Fees.Total.Minor() + a.Collected.Minor()
		owed -= a.Collected.Minor()
		if a.Accrued != nil {
			owed += a.Accrued.Total.Minor()
		}
	}
	require.Equal(w.t, taken, r.Proof.MerchantFees.Minor())
	return owed
}

const onceAMonth = `
terms:
  - from: 2026-11-01
    standards:
      - name: monthly
        side: inside
        collect: month
        tax: {kind: vat, ppm: 60000}
        charges: [{kind: service, model: rate, ppm: 10000, per: month, min: 5.00}]
`

// The money comes at once and whole; the fee, topped up to the month's minimum, on the first day that is closed of the next month, also where that has no
// business.
func TestFeesThatAreTakenOnceAMonth(t *testing.T) {
	w := opened(t)
	require.NoError(t, w.contract("acquirer", "bus", onceAMonth))
	w.load(1, monday, "900.00", books.Channel("online"))
	w.tap(monday, good(1, bus, "100.00"))
	first := w.close(monday)
	a := first.Report.Acquirers[0]
	require.Equal(t, "100.00", a.Net.String())
	require.Equal(t, "0.00", a.Fees.Total.String())
	// 1 % of 100.00 is less than the month's 5.00; 6 % tax on top.
	require.Equal(t, &settlement.Fees{Total: amt("5.30"), Parts: []fee.Part{{Kind: "service", Amount: amt("5.00")}, {Kind: "vat", Amount: amt("0.30"), Tax: true}}}, a.Accrued)
	require.Equal(t, "-5.00", w.balanceOf("fee:merchant:service"), "it is earned on the day")
	require.Equal(t, "5.30", w.balanceOf(books.MerchantFeesDue("bus")))
	require.Contains(t, w.fees(monday, "bus"), "3,bus,monthly,carried,,100.00,1,0.00,0,-5.30\n")

	w.tap(friday, good(1, bus, "500.00"))
	second := w.close(friday)
	require.Equal(t, "500.00", second.Report.Acquirers[0].Net.String())
	require.Equal(t, "1.06", second.Report.Acquirers[0].Accrued.Total.String(), "6.00 and tax for the month, of which 5.30 are owed")

	// The merchant goes over to the metro's acquirer, which is not asked for what was earned through another.
	w.update(func(tx *store.Tx) error {
		return tx.PutMerchant(w.ctx, store.Merchant{ID: "bus", Acquirer: metro, Name: "bus"})
	})
	third := w.close(december2)
	a = third.Report.Acquirers[0]
	require.Equal(t, []string{"6.36", "-6.36"}, []string{a.Collected.String(), a.Net.String()})
	require.Equal(t, []settlement.MerchantSection{}, third.Report.Acquirers[1].Merchants)
	require.Equal(t, "6.36 = 0.00 + 6.36 - 0.00", third.Report.Proof.Identity)
	require.Equal(t, "0.00", w.balanceOf(books.MerchantFeesDue("bus")))
	require.Equal(t, "0.00", w.balanceOf(books.MerchantAvailable("bus")))
	require.Contains(t, w.fees(december2, "bus"), "3,bus,,collected,,,,,,6.36\n")

	fourth := w.close(december3)
	require.Equal(t, "0.00", fourth.Report.Acquirers[0].Collected.String(), "a month is taken once")
	for day, out := range map[string]settlement.Output{monday: first, friday: second, december2: third, december3: fourth} {
		require.Equal(t, out.Files(), w.close(day).Files(), day)
		w.filesAddUp(out)
	}
	w.sound()
}

// What is taken back after the month's end gives its fee back at the end of the month in which that is settled: a closed day stays as it is.
func TestAFeeOfAnEarlierMonthGoesBackWithTheNext(t *testing.T) {
	w := opened(t)
	require.NoError(t, w.contract("merchant", "metro", `terms: [{from: 2026-11-01, standards: [{name: m, side: inside, collect: month, charges: [{kind: service, model: rate, ppm: 10000}]}]}]`))
	w.load(1, monday, "900.00", books.Channel("online"))
	w.seq["metro"] = 50
	w.tap(monday, good(1, metro, "200.00"))
	w.close(monday)
	late := good(1, bus, "200.00") // an older claim to the same counter
	late.again = true
	w.tap(december2, late)
	out := w.close(december2)
	m := out.Report.Acquirers[1]
	require.Equal(t, []string{"2.00", "-2.00", "-202.00"}, []string{m.Collected.String(), m.Accrued.Total.String(), m.Net.String()})
	out = w.close("2027-01-01")
	require.Equal(t, []string{"-2.00", "2.00"}, []string{out.Report.Acquirers[1].Collected.String(), out.Report.Acquirers[1].Net.String()})
	require.Equal(t, "0.00", w.balanceOf(books.MerchantFeesDue("metro")))
	w.sound()
}

// Books that hold other fees than the closed days charged are not closed over.
func TestFeesDueAreProvedAgainstTheBooks(t *testing.T) {
	w := opened(t)
	require.NoError(t, w.contract("acquirer", "bus", onceAMonth))
	w.update(func(tx *store.Tx) error {
		return tx.Post(w.ctx, books.Entry{ID: "by hand", Kind: "manual", Day: monday, Lines: []books.Line{
			{Account: books.MerchantFeesDue(ids.MerchantID(bus)), Amount: amt("0.01")}, {Account: books.Rounding, Amount: amt("-0.01")}}})
	})
	_, err := settlement.Close(w.ctx, w.store, monday, at(monday))
	require.ErrorIs(t, err, settlement.ErrBooks)
	require.ErrorContains(t, err, "merchant:bus:fees-due")
}

func TestAChannelsFeeIsNotTakenOnceAMonth(t *testing.T) {
	w := opened(t)
	require.ErrorContains(t, w.contract("channel", "online", onceAMonth), "once a month")
}
