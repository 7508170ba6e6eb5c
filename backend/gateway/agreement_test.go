package gateway_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/recurring"
	"github.com/purselane/purselane/internal/money"
)

// signer is a bank that signs agreements; debits under them are paid at once, unless broke.
type signer struct {
	*bank
	covenants map[string]channel.Signed
	broke     bool
}

func (b *signer) word(name string, f func() channel.Signed) (channel.Signed, error) {
	var out channel.Signed
	_, err := b.call(name, func() channel.Result { out = f(); return channel.Result{} })
	if err != nil {
		return channel.Signed{}, err
	}
	return out, nil
}

func (b *signer) Sign(_ context.Context, r channel.SignRequest) (channel.Signed, error) {
	return b.word("sign", func() channel.Signed {
		if _, known := b.covenants[r.Number]; !known {
			b.covenants[r.Number] = channel.Signed{Outcome: channel.Pending, Number: r.Number, Action: channel.Action{URL: "https://sign.example/" + r.Number}}
		}
		return b.covenants[r.Number]
	})
}

func (b *signer) QueryAgreement(_ context.Context, number, _ string) (channel.Signed, error) {
	return b.word("query agreement", func() channel.Signed {
		if c, known := b.covenants[number]; known {
			c.Action = channel.Action{}
			return c
		}
		return channel.Signed{Outcome: channel.Missing, Number: number}
	})
}

func (b *signer) Unsign(_ context.Context, number, agreement string) (channel.Signed, error) {
	return b.word("unsign", func() channel.Signed {
		c := b.covenants[number]
		if c.Agreement != agreement {
			return channel.Signed{Outcome: channel.Failed, Number: number}
		}
		c.Outcome = channel.Closed
		b.covenants[number] = c
		return c
	})
}

func (b *signer) Pay(ctx context.Context, r channel.PayRequest) (channel.Result, error) {
	if r.Product != channel.Agreement {
		return b.bank.Pay(ctx, r)
	}
	return b.call("debit", func() channel.Result {
		if p := b.payments[r.Number]; p != nil {
			return p.Result
		}
		out := channel.Result{Outcome: channel.Failed, Number: r.Number, Code: "NO_MONEY", Class: channel.ByPayer}
		for _, c := range b.covenants {
			if c.Agreement == r.Payer.Agreement && c.Outcome == channel.Succeeded && !b.broke {
				out = channel.Result{Outcome: channel.Succeeded, Number: r.Number, Money: r.Money, ChannelID: "ch-" + r.Number, At: b.clock.Now()}
			}
		}
		b.payments[r.Number] = &paid{Result: out}
		if out.Outcome == channel.Succeeded {
			b.payments[r.Number].charges++
		}
		return out
	})
}

// signs lets the payer sign, or end it at the bank.
func (b *signer) signs(number string, o channel.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.covenants[number] = channel.Signed{Outcome: o, Number: number, Agreement: "at-bank-" + number}
}

// registry is a desk whose account one signs agreements.
func registry(t *testing.T, change func(*gateway.Config)) (*desk, *signer) {
	b := &signer{covenants: map[string]channel.Signed{}}
	d := start(t, func(c *gateway.Config) {
		b.bank = c.Accounts[0].Channel.(*bank)
		b.caps.Agreements, b.caps.Products = true, []channel.Product{channel.QR, channel.Code, channel.Agreement}
		c.Accounts[0].Channel = b
		if change != nil {
			change(c)
		}
	})
	return d, b
}

func monthly(key string) gateway.NewAgreement {
	return gateway.NewAgreement{Key: key, Product: 1, Merchant: shop, Payer: "rider-7", Currency: "CNY", Subject: "monthly ticket", Recurs: &gateway.Recurring{Months: 1, Amount: money.Minor(3000)}}
}

func (d *desk) agreement(number string) gateway.Agreement {
	a, err := d.Agreement(d.ctx, "", number)
	require.NoError(d.t, err)
	return a
}

// signed is an agreement that the payer has signed, as the gateway has found out.
func (d *desk) signed(b *signer, n gateway.NewAgreement) gateway.Agreement {
	a, err := d.Sign(d.ctx, app, n)
	require.NoError(d.t, err)
	require.Equal(d.t, order.Signing, a.State)
	require.Equal(d.t, "https://sign.example/"+a.Number, a.Action.URL)
	b.signs(a.Number, channel.Succeeded)
	d.pass(10*time.Second, time.Second)
	a = d.agreement(a.Number)
	require.Equal(d.t, order.Active, a.State)
	return a
}

func TestAnAgreementIsChargedEveryMonth(t *testing.T) {
	d, b := registry(t, nil)
	d.clock.Set(time.Date(2027, 1, 31, 9, 0, 0, 0, time.UTC))
	a := d.signed(b, monthly("a"))
	again, err := d.Sign(d.ctx, app, monthly("a"))
	require.NoError(t, err)
	require.Equal(t, a.Number, again.Number)
	other := monthly("a")
	other.Subject = "yearly"
	_, err = d.Sign(d.ctx, app, other)
	require.ErrorIs(t, err, gateway.ErrConflict)

	require.Equal(t, 1, b.count("debit"), "without a trial the first payment is due at once")
	require.Equal(t, time.Date(2027, 2, 28, 9, 0, 0, 0, time.UTC), a.NextDue.Truncate(time.Minute))
	d.pass(89*24*time.Hour, time.Hour)
	require.Equal(t, 4, b.count("debit"), "January, February, March and, a day ahead, April")
	a = d.agreement(a.Number)
	require.Equal(t, 4, a.Period)
	require.Equal(t, recurring.Good, a.Standing)
	require.Equal(t, order.Paid, d.now(a.LastOrder).State)
	require.Equal(t, "-120.00", d.worth())
	lines, err := d.AgreementTimeline(d.ctx, app, a.Number)
	require.NoError(t, err)
	var told []string
	for _, l := range lines {
		told = append(told, l.Event)
	}
	require.Equal(t, []string{"created", "signed", "charged", "charge-succeeded", "upcoming", "charged", "charge-succeeded"}, told[:7])
	d.proves(t)
}

func TestARefusedChargeIsTriedAgainAndLapses(t *testing.T) {
	d, b := registry(t, nil)
	a := d.signed(b, monthly("a"))
	b.broke = true
	d.pass(31*24*time.Hour, time.Hour)
	require.Equal(t, recurring.Late, d.agreement(a.Number).Standing)
	require.Greater(t, b.count("debit"), 2)
	b.broke = false
	d.pass(7*24*time.Hour, time.Hour)
	require.Equal(t, recurring.Good, d.agreement(a.Number).Standing)
	b.broke = true
	d.pass(120*24*time.Hour, 6*time.Hour)
	a = d.agreement(a.Number)
	require.Equal(t, recurring.Lapsed, a.Standing)
	require.Equal(t, order.EndedThen, a.State)
	require.Equal(t, channel.Closed, b.covenants[a.Number].Outcome, "the channel was told")
	n := b.count("debit")
	d.pass(60*24*time.Hour, 24*time.Hour)
	require.Equal(t, n, b.count("debit"))
}

func TestAPriceRiseWantsThePayersWord(t *testing.T) {
	for _, agrees := range []bool{true, false} {
		d, b := registry(t, nil)
		a := d.signed(b, monthly("a"))
		_, err := d.SetPrice(d.ctx, app, a.Number, d.clock.Now().Add(-time.Hour), money.Minor(3500))
		require.ErrorIs(t, err, gateway.ErrRequest)
		_, err = d.SetPrice(d.ctx, app, a.Number, d.clock.Now().AddDate(0, 0, 7), money.Minor(3500))
		require.NoError(t, err)
		d.pass(25*24*time.Hour, time.Hour)
		if agrees {
			_, err = d.Consent(d.ctx, app, a.Number, money.Minor(3600))
			require.ErrorIs(t, err, gateway.ErrRequest)
			_, err = d.Consent(d.ctx, app, a.Number, money.Minor(3500))
			require.NoError(t, err)
		}
		d.pass(10*24*time.Hour, time.Hour)
		a = d.agreement(a.Number)
		if agrees {
			require.Equal(t, "35.00", d.now(a.LastOrder).Received.String())
			require.Equal(t, 2, b.count("debit"))
			continue
		}
		require.Equal(t, recurring.Lapsed, a.Standing)
		require.Equal(t, 1, b.count("debit"))
	}
}

func TestAnAgreementEnds(t *testing.T) {
	d, b := registry(t, nil)
	a := d.signed(b, monthly("a"))
	_, err := d.EndAgreement(d.ctx, "other", a.Number)
	require.ErrorIs(t, err, gateway.ErrUnknownAgreement)
	b.before = func(call string) error { return errLost }
	a, err = d.EndAgreement(d.ctx, app, a.Number)
	require.NoError(t, err)
	require.Equal(t, order.Ending, a.State)
	b.before = nil
	d.pass(time.Minute, time.Second)
	require.Equal(t, order.EndedThen, d.agreement(a.Number).State)
	require.Equal(t, recurring.Ended, d.agreement(a.Number).Standing)
	_, err = d.EndAgreement(d.ctx, app, a.Number)
	require.NoError(t, err)

	// The payer ends one at the bank: it is found out before the next payment, or told.
	c := d.signed(b, monthly("c"))
	b.signs(c.Number, channel.Closed)
	d.pass(40*24*time.Hour, time.Hour)
	require.Equal(t, order.EndedThen, d.agreement(c.Number).State)
	require.Equal(t, 2, b.count("debit"), "one of each")

	// One that nobody signs.
	n, err := d.Sign(d.ctx, app, monthly("n"))
	require.NoError(t, err)
	delete(b.covenants, n.Number)
	d.pass(26*time.Hour, time.Minute)
	require.Equal(t, order.NotSigned, d.agreement(n.Number).State)
}

func TestAnAppDebitsByAgreement(t *testing.T) {
	d, b := registry(t, nil)
	n := monthly("a")
	n.Recurs = nil
	a := d.signed(b, n)
	require.Zero(t, b.count("debit"))
	o := d.order("k", 500)
	by := gateway.NewPayment{Key: "p", Product: channel.Agreement, Payer: channel.Payer{Agreement: a.Number}}
	p, err := d.Pay(d.ctx, app, o.ID, by)
	require.NoError(t, err)
	require.Equal(t, order.PaymentPaid, p.State)
	require.Equal(t, order.Paid, d.now(o.ID).State)
	d.settled(o.ID)
	_, err = d.EndAgreement(d.ctx, app, a.Number)
	require.NoError(t, err)
	again, err := d.Pay(d.ctx, app, o.ID, by)
	require.NoError(t, err)
	require.Equal(t, p.Number, again.Number)
	late := d.order("late", 500)
	_, err = d.Pay(d.ctx, app, late.ID, by)
	require.ErrorIs(t, err, order.ErrState)
	_, err = d.Pay(d.ctx, app, late.ID, gateway.NewPayment{Key: "q", Product: channel.Agreement, Payer: channel.Payer{Agreement: "A1"}})
	require.ErrorIs(t, err, gateway.ErrUnknownAgreement)
}

func TestNoTwoAppsShareAnAgreement(t *testing.T) {
	d, b := registry(t, nil)
	a := d.signed(b, monthly("a"))
	require.NoError(t, d.notify("two", "", a.Number), "another channel's word of it")
	n := anOrder("k", 500)
	o, err := d.Create(d.ctx, "thief", n)
	require.NoError(t, err)
	_, err = d.Pay(d.ctx, "thief", o.ID, gateway.NewPayment{Key: "p", Product: channel.Agreement, Payer: channel.Payer{Agreement: a.Number}})
	require.ErrorIs(t, err, gateway.ErrUnknownAgreement)
	all, err := d.Agreements(d.ctx, app, order.Active, 10)
	require.NoError(t, err)
	require.Len(t, all, 1)
	all, err = d.Agreements(d.ctx, "thief", "", 10)
	require.NoError(t, err)
	require.Empty(t, all)
}

// TestTheProcessDiesWhileAnAgreementIsSignedAndCharged: at each commit, before and after it, and before and after each call. It is signed once, and charged once a month.
func TestTheProcessDiesWhileAnAgreementIsSignedAndCharged(t *testing.T) {
	for point := 1; ; point++ {
		d, b := registry(t, nil)
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
		sign := func() {
			a, err := d.Sign(d.ctx, app, monthly("a"))
			if err != nil {
				require.ErrorIs(t, err, errDied)
				return
			}
			if _, known := b.covenants[a.Number]; known {
				b.signs(a.Number, channel.Succeeded)
			}
		}
		sign()
		for range 10 {
			d.clock.Advance(2 * time.Second)
			if _, err := d.Scan(d.ctx); err != nil {
				break
			}
		}
		if died == "" {
			require.Greater(t, point, 15, "the walk has lost the points")
			return
		}
		d.restart()
		sign()
		d.pass(10*time.Minute, 5*time.Second)
		a, err := d.Sign(d.ctx, app, monthly("a"))
		require.NoError(t, err)
		if len(b.covenants) == 0 { // the request never left, and nobody can sign
			require.Equal(t, order.NotSigned, a.State, "point %d (%s)", point, died)
			continue
		}
		require.Len(t, b.covenants, 1, "point %d (%s)", point, died)
		require.Equal(t, order.Active, a.State, "point %d (%s)", point, died)
		d.pass(20*time.Minute, time.Minute)
		d.pass(8*time.Hour, 10*time.Minute) // a request that never arrived is known to be none, and tried again
		charges := 0
		for _, p := range b.payments {
			charges += p.charges
		}
		require.Equal(t, 1, charges, "point %d (%s)", point, died)
		require.Equal(t, 1, d.agreement(a.Number).Period, "point %d (%s)", point, died)
		require.Equal(t, "-30.00", d.worth(), "point %d (%s)", point, died)
	}
}
