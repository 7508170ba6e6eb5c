package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
	"github.com/purselane/purselane/shadowaccount/fee"
)

// city is 0.6 % for the channel and 0.10 for the service, with 6 % of tax on both.
var city = []fee.Standard{{Name: "city", Side: fee.Inside, Tax: &fee.Tax{Kind: "vat", PPM: 60_000}, Charges: []fee.Charge{
	{Kind: "channel", Model: fee.Rate, PPM: 6000}, {Kind: "service", Model: fee.Flat, Flat: money.Minor(10)}}}}

// charging has a rate in force, and notes what was asked.
func charging(standards []fee.Standard, givesBack bool, asked *[]gateway.Rated) func(*gateway.Config) {
	return func(c *gateway.Config) {
		c.Rate = func(_ context.Context, _ *store.Tx, of gateway.Rated) (gateway.Rate, error) {
			*asked = append(*asked, of)
			return gateway.Rate{Name: "city-1", Since: "2026-01-01", Standards: standards, GivesBack: givesBack}, nil
		}
	}
}

// fees are what an order costs, part by part, without their times; they must be what the books have.
func (d *desk) fees(id string) (out []string) {
	for _, f := range d.now(id).Fees {
		require.False(d.t, f.At.IsZero())
		sign := ""
		if f.GivenBack {
			sign = "-"
		}
		require.Equal(d.t, "city-1 2026-01-01", f.Rate+" "+string(f.Since))
		require.Equal(d.t, f.About != id, len(out) >= 3, "the order's own, then those of refunds")
		out = append(out, f.Kind+" "+sign+f.Amount.String())
	}
	require.NoError(d.t, d.store.View(d.ctx, func(tx *store.Tx) error {
		faults, err := tx.VerifyGateway(d.ctx)
		require.Empty(d.t, faults)
		return err
	}))
	return out
}

func (d *desk) took() string {
	return strings.Join([]string{d.balance(books.FeeMerchant + ":channel"), d.balance(books.FeeMerchant + ":service"), d.balance(books.Tax("vat")), d.balance(books.Rounding)}, " ")
}

func TestAPaymentCostsWhatTheStandardsSay(t *testing.T) {
	var asked []gateway.Rated
	d := start(t, charging(city, true, &asked))
	o := d.paid("k", 1000)
	require.Empty(t, d.fees(o.ID), "nothing is earned yet")
	d.pass(25*time.Hour, time.Hour)
	require.Equal(t, []gateway.Rated{{App: "app", Account: "one", Product: channel.QR, Paid: "2026-11-24"}}, asked, "by the day on which it was paid")
	require.Equal(t, []string{"channel 0.06", "service 0.10", "vat 0.01"}, d.fees(o.ID))
	require.Equal(t, "0.00 pending, 9.83 available", d.earnings())
	require.Equal(t, "-0.06 -0.10 -0.01 0.00", d.took())
	d.proves(t)
}

// TestRefundsGiveTheirPartOfTheFeeBack: whatever is refused in the middle, in the end all of it is back.
func TestRefundsGiveTheirPartOfTheFeeBack(t *testing.T) {
	d := start(t, charging(city, true, new([]gateway.Rated)))
	o := d.paid("k", 1000)
	d.pass(25*time.Hour, time.Hour)
	_, err := d.refund(o.ID, "1", 333)
	require.NoError(t, err)
	require.Equal(t, []string{"channel 0.06", "service 0.10", "vat 0.01", "channel -0.02", "service -0.03"}, d.fees(o.ID))
	require.Equal(t, "0.00 pending, 6.55 available", d.earnings())

	d.one.after = func(_ string, r channel.Result) (channel.Result, error) {
		return channel.Result{Outcome: channel.Failed, Number: r.Number, Code: "NO"}, nil
	}
	r, err := d.refund(o.ID, "2", 333)
	require.NoError(t, err)
	require.Equal(t, order.OpFailed, r.State)
	require.Equal(t, []string{"channel -0.02", "service -0.04", "vat -0.01", "channel 0.02", "service 0.04", "vat 0.01"}, d.fees(o.ID)[5:], "given, and taken again")
	require.Equal(t, "0.00 pending, 6.55 available", d.earnings())
	require.Equal(t, "-0.04 -0.07 -0.01 0.00", d.took())

	d.one.after = nil
	d.one.payments[d.now(o.ID).Payment].back -= 333 // it did what it denied
	_, err = d.refund(o.ID, "3", 667)
	require.NoError(t, err, "6.55 and the fee are 6.67")
	require.Equal(t, order.Refunded, d.now(o.ID).State)
	require.Equal(t, "0.00 pending, 0.00 available", d.earnings())
	require.Equal(t, "0.00 0.00 0.00 0.00", d.took())
	require.Len(t, d.fees(o.ID), 14)
	d.agrees(o.ID)
	d.proves(t)
}

// TestWhatWentBackBeforeItWasEarnedCostsNothing: the fee is of what is left.
func TestWhatWentBackBeforeItWasEarnedCostsNothing(t *testing.T) {
	d := start(t, charging(city, true, new([]gateway.Rated)))
	o := d.paid("k", 1000)
	_, err := d.refund(o.ID, "early", 500)
	require.NoError(t, err)
	d.pass(25*time.Hour, time.Hour)
	require.Equal(t, []string{"channel 0.03", "service 0.10", "vat 0.01"}, d.fees(o.ID))
	_, err = d.refund(o.ID, "rest", 500)
	require.NoError(t, err)
	require.Equal(t, "0.00 0.00 0.00 0.00", d.took())
	require.Equal(t, "0.00 pending, 0.00 available", d.earnings())
}

func TestARateMayKeepItsFee(t *testing.T) {
	d := start(t, charging(city, false, new([]gateway.Rated)))
	o := d.paid("k", 1000)
	d.pass(25*time.Hour, time.Hour)
	_, err := d.refund(o.ID, "all", 1000)
	require.ErrorIs(t, err, gateway.ErrFunds)
	_, err = d.refund(o.ID, "most", 983)
	require.NoError(t, err)
	require.Len(t, d.fees(o.ID), 3)
	require.Equal(t, "-0.06 -0.10 -0.01 0.00", d.took())
}

// TestTheProcessDiesWhileAFeeIsGivenBack: it is given back once.
func TestTheProcessDiesWhileAFeeIsGivenBack(t *testing.T) {
	d := start(t, charging(city, true, new([]gateway.Rated)))
	for point := 1; ; point++ {
		d.again(t, point)
		o := d.paid(d.key, 1000)
		d.pass(25*time.Hour, time.Hour)
		left, died := point, ""
		d.fault = func(name string) error {
			if left--; left > 0 {
				return nil
			}
			if left == 0 {
				died = name
			}
			return fmt.Errorf("%s: %w", name, errDied)
		}
		_, err := d.refund(o.ID, "all", 1000)
		if died == "" {
			require.NoError(t, err)
			require.Greater(t, point, 4, "the walk has lost the points")
			return
		}
		d.restart()
		_, err = d.refund(o.ID, "all", 1000)
		require.NoError(t, err)
		d.pass(time.Hour, time.Minute)
		require.Equal(t, order.Refunded, d.now(o.ID).State, "point %d (%s)", point, died)
		require.Equal(t, "0.00 pending, 0.00 available", d.earnings(), "point %d (%s)", point, died)
		require.Len(t, d.fees(o.ID), 6)
	}
}

func TestAFeeThatIsMoreThanThePaymentIsOwed(t *testing.T) {
	d := start(t, charging([]fee.Standard{{Name: "flat", Side: fee.Inside, Charges: []fee.Charge{{Kind: "service", Model: fee.Flat, Flat: money.Minor(50)}}}}, true, new([]gateway.Rated)))
	d.paid("k", 30)
	d.pass(25*time.Hour, time.Hour)
	require.Equal(t, "0.00 pending, -0.20 available", d.earnings())
}

func TestStandardsThatAreNothingOnline(t *testing.T) {
	good := fee.Charge{Kind: "service", Model: fee.Rate, PPM: 1}
	for name, s := range map[string]fee.Standard{
		"collect: month":              {Side: fee.Inside, Collect: fee.OnceAMonth, Charges: []fee.Charge{good}},
		"side: outside":               {Side: fee.Outside, Charges: []fee.Charge{good}},
		"kind service: side: outside": {Side: fee.Inside, Charges: []fee.Charge{{Kind: "service", Side: fee.Outside}}},
		"per: month":                  {Side: fee.Inside, Charges: []fee.Charge{{Kind: "service", Per: fee.Month}}},
		"to: bank":                    {Side: fee.Inside, Charges: []fee.Charge{{Kind: "service", To: "bank"}}},
	} {
		require.ErrorContains(t, gateway.CheckRate(s), name)
	}
	require.NoError(t, gateway.CheckRate(city[0]))
}

// TestTheNightSeesAFeeThatWasNot booked, or that no order tells of.
func TestTheNightSeesAFeeThatWasNot(t *testing.T) {
	d := start(t, charging(city, true, new([]gateway.Rated)))
	o := d.paid("k", 1000)
	d.pass(25*time.Hour, time.Hour)
	var faults []string
	undone := fmt.Errorf("undone")
	require.ErrorIs(t, d.store.Update(d.ctx, func(tx *store.Tx) error {
		earned := "gateway:" + o.ID + ":earned"
		if err := tx.AddGatewayFee(d.ctx, store.GatewayFee{Order: o.ID, N: 4, Entry: earned, Kind: "service", Account: books.FeeMerchant + ":service", Amount: money.Minor(5), At: d.clock.Now()}); err != nil {
			return err
		}
		if err := tx.Post(d.ctx, books.Entry{ID: "gateway:x:fee-out", Kind: "gateway-fee-out", Day: noon.Format(time.DateOnly), Ref: "x", Lines: []books.Line{
			{Account: books.FeeMerchant, Amount: money.Minor(5)}, {Account: gateway.Available(d.shop), Amount: money.Minor(-5)}}}); err != nil {
			return err
		}
		var err error
		if faults, err = tx.VerifyGateway(d.ctx); err != nil {
			return err
		}
		return undone
	}), undone)
	require.Equal(t, []string{
		"entry gateway:" + o.ID + ":earned gave 0.10 to fee:merchant:service, the fee is 0.15",
		"entry gateway:x:fee-out gives a fee back, and no order tells of it",
	}, faults)
}
