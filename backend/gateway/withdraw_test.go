package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/sealed"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// payer is a bank that pays out. What it was asked for waits until settles says how it ended.
type payer struct{ *bank }

func (p payer) Payout(_ context.Context, r channel.PayoutRequest) (channel.Result, error) {
	return p.call("payout", func() channel.Result {
		if p.outs[r.Number] == nil {
			p.outs[r.Number] = &paid{Result: channel.Result{Outcome: channel.Pending, Number: r.Number, Money: r.Money, ChannelID: "out-" + r.Number}}
		}
		p.outs[r.Number].charges++ // a bank that pays for every request: who asks twice has paid twice
		return p.outs[r.Number].Result
	})
}

func (p payer) QueryPayout(_ context.Context, r channel.Ref) (channel.Result, error) {
	return p.call("query payout", func() channel.Result {
		if o := p.outs[r.Number]; o != nil {
			return o.Result
		}
		return channel.Result{Outcome: channel.Missing, Number: r.Number}
	})
}

func (b *bank) settles(number string, o channel.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.outs[number].Outcome = o
}

// paysOut has account one pay out, and seals whom.
func paysOut(c *gateway.Config) {
	box, err := sealed.New(make([]byte, 32))
	if err != nil {
		panic(err)
	}
	c.Box = box
	one := c.Accounts[0].Channel.(*bank)
	one.caps.Payout, one.caps.Products = true, []channel.Product{channel.QR, channel.Code, channel.Payout}
	c.Accounts[0].Channel = payer{one}
}

// treasury is a desk whose shop has 100.00 available.
func treasury(t *testing.T) *desk {
	d := start(t, paysOut)
	d.fund(10000)
	return d
}

func (d *desk) fund(minor int64) {
	n := anOrder("fund"+d.key, minor)
	n.Type, n.Payee = code.Transfer, d.shop
	o, err := d.Create(d.ctx, app, n)
	require.NoError(d.t, err)
	p := d.pay(o.ID, "p")
	require.True(d.t, d.one.pays(p.Number, false))
	require.NoError(d.t, d.notify("one", "", p.Number))
}

var ann = gateway.PayTo{Account: "tok_ann", Name: "Ann"}

func (d *desk) withdraw(key string, minor int64) (gateway.Order, error) {
	return d.Withdraw(d.ctx, app, gateway.NewWithdrawal{Key: key, Product: 1, Merchant: d.shop, Money: channel.Money{Amount: money.Minor(minor), Currency: "CNY"}, Subject: "takings", To: ann})
}

func (d *desk) available() string { return d.balance(gateway.Available(d.shop)) }

func TestAWithdrawalIsBookedAndPaidOut(t *testing.T) {
	d := treasury(t)
	before := d.balance(books.Channel("one"))
	o, err := d.withdraw("w", 4000)
	require.NoError(t, err)
	require.Equal(t, order.Open, o.State)
	require.Equal(t, code.Withdraw, o.Type)
	require.Len(t, o.Operations, 1)
	x := o.Operations[0]
	require.Equal(t, order.OpWaiting, x.State)
	require.Equal(t, "00010104001011000001", x.Context)
	require.Equal(t, "-60.00", d.available(), "it is booked when it is ordered")

	_, err = d.Pay(d.ctx, app, o.ID, qr("p"))
	require.ErrorIs(t, err, order.ErrState)
	_, err = d.Close(d.ctx, app, o.ID)
	require.ErrorIs(t, err, order.ErrState)

	d.one.settles(x.Number, channel.Succeeded)
	require.NoError(t, d.notify("one", "", x.Number))
	require.NoError(t, d.notify("one", "", x.Number), "and again")
	again, err := d.withdraw("w", 4000)
	require.NoError(t, err)
	require.Equal(t, order.Paid, again.State)
	require.Equal(t, o.ID, again.ID)
	require.Equal(t, 1, d.one.outs[x.Number].charges)
	sum, err := money.Parse(before)
	require.NoError(t, err)
	sum, err = sum.Sub(money.Minor(4000))
	require.NoError(t, err)
	require.Equal(t, sum.String(), d.balance(books.Channel("one")))
	d.agrees(o.ID)
	d.proves(t)

	_, err = d.withdraw("w", 4001)
	require.ErrorIs(t, err, gateway.ErrConflict)
	_, err = d.withdraw("more", 6001)
	require.ErrorIs(t, err, gateway.ErrFunds)
	require.Equal(t, "-60.00", d.available())
	_, err = d.refund(o.ID, "r", 1)
	require.ErrorIs(t, err, gateway.ErrTooMuch, "nothing was received")
}

func TestWhomAPayOutGoesToIsSealed(t *testing.T) {
	d := treasury(t)
	o, err := d.withdraw("w", 100)
	require.NoError(t, err)
	require.NoError(t, d.store.View(d.ctx, func(tx *store.Tx) error {
		whom, err := tx.GatewayPayTo(d.ctx, o.Operations[0].Number)
		require.NotContains(t, string(whom), "ann")
		return err
	}))
	n := gateway.NewWithdrawal{Key: "c", Product: 1, Merchant: d.shop, Money: channel.Money{Amount: money.Minor(1), Currency: "CNY"}, Subject: "x", To: gateway.PayTo{Account: "4111111111111111"}}
	_, err = d.Withdraw(d.ctx, app, n)
	require.ErrorIs(t, err, gateway.ErrCardNumber)
	n.To.Account = ""
	_, err = d.Withdraw(d.ctx, app, n)
	require.ErrorIs(t, err, gateway.ErrRequest)
}

func TestAWithdrawalThatIsRefusedIsBookedBack(t *testing.T) {
	for name, spoil := range map[string]func(*desk){
		"refused": func(d *desk) {
			d.one.after = func(string, channel.Result) (channel.Result, error) {
				return channel.Result{Outcome: channel.Failed, Code: "NO_SUCH_ACCOUNT"}, nil
			}
		},
		"never sent": func(d *desk) {
			d.one.before = func(string) error { return errors.Join(errLost, channel.ErrNotSent) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := treasury(t)
			spoil(d)
			o, err := d.withdraw("w", 4000)
			require.NoError(t, err)
			require.Equal(t, order.Closed, o.State)
			require.Equal(t, order.OpFailed, o.Operations[0].State)
			require.Equal(t, "-100.00", d.available())
			d.agrees(o.ID)
			d.proves(t)
		})
	}
}

// TestAPayOutNobodyKnowsOfCountsAsPaid: it is sent once, whatever is asked for and however long nobody answers; two persons may decide otherwise.
func TestAPayOutNobodyKnowsOfCountsAsPaid(t *testing.T) {
	d := treasury(t)
	d.one.before = func(string) error { return errLost }
	o, err := d.withdraw("w", 4000)
	require.NoError(t, err)
	require.Equal(t, order.OpUnknown, o.Operations[0].State)
	number := o.Operations[0].Number
	_, _, err = d.Decide(d.ctx, number, gateway.DecideReturned, "eve", "quick")
	require.ErrorIs(t, err, order.ErrState, "it may still be heard of")
	d.one.before = nil
	d.pass(20*time.Minute, 10*time.Second)
	o, err = d.withdraw("w", 4000)
	require.NoError(t, err)
	require.Equal(t, order.Paid, o.State)
	require.Equal(t, order.Assumed, o.Operations[0].State)
	require.Equal(t, []string{gateway.FindAssumed}, d.findings(o.ID))
	require.Equal(t, 1, d.one.count("payout"))
	require.Equal(t, "-60.00", d.available())
	d.pass(24*time.Hour, time.Hour)
	require.Equal(t, 1, d.one.count("payout"))

	_, waits, err := d.Decide(d.ctx, number, gateway.DecideReturned, "ann", "the bill does not have it")
	require.NoError(t, err)
	require.True(t, waits)
	for _, c := range []struct {
		what gateway.Decision
		by   string
		want error
	}{{gateway.DecideReturned, "ann", gateway.ErrDecided}, {gateway.DecideResend, "bob", order.ErrState}, {"burn", "bob", gateway.ErrRequest}, {gateway.DecideReturned, "", gateway.ErrRequest}} {
		_, _, err = d.Decide(d.ctx, number, c.what, c.by, "why not")
		require.ErrorIs(t, err, c.want)
	}
	all, err := d.Payouts(d.ctx, order.Assumed, 10)
	require.NoError(t, err)
	require.Equal(t, "ann", all[0].Asked.By)
	require.NoError(t, d.Undecide(d.ctx, number))
	require.ErrorIs(t, d.Undecide(d.ctx, number), gateway.ErrUnknownPayout)
	for _, by := range []string{"ann", "bob"} {
		_, waits, err = d.Decide(d.ctx, number, gateway.DecideReturned, by, "the bill does not have it")
		require.NoError(t, err)
	}
	require.False(t, waits)
	require.Equal(t, order.Returned, d.now(o.ID).State)
	require.Equal(t, "-100.00", d.available())

	for _, by := range []string{"bob", "ann"} {
		_, _, err = d.Decide(d.ctx, number, gateway.DecideResend, by, "the merchant waits")
		require.NoError(t, err)
	}
	_, _, err = d.Decide(d.ctx, number, gateway.DecideResend, "ann", "once more")
	require.ErrorIs(t, err, order.ErrState)
	d.pass(10*time.Second, time.Second)
	o = d.now(o.ID)
	require.Equal(t, order.Paid, o.State)
	require.Len(t, o.Operations, 2)
	second := o.Operations[1]
	require.NotEqual(t, number, second.Number)
	require.Equal(t, order.OpWaiting, second.State)
	d.one.settles(second.Number, channel.Succeeded)
	d.pass(10*time.Minute, 10*time.Second)
	require.Equal(t, order.Done, d.now(o.ID).Operations[1].State)
	require.Equal(t, 1, d.one.outs[second.Number].charges)
	require.Equal(t, "-60.00", d.available())
	d.agrees(o.ID)
	d.proves(t)
}

func TestAPayOutThatComesBack(t *testing.T) {
	d := treasury(t)
	o, err := d.withdraw("w", 4000)
	require.NoError(t, err)
	number := o.Operations[0].Number
	d.one.settles(number, channel.Succeeded)
	require.NoError(t, d.notify("one", "", number))
	d.one.settles(number, channel.Failed)
	require.NoError(t, d.notify("one", "", number))
	require.Equal(t, order.Returned, d.now(o.ID).State)
	require.Equal(t, "-100.00", d.available())
	require.Equal(t, []string{gateway.FindReturned}, d.findings(o.ID))
	d.one.settles(number, channel.Succeeded)
	require.NoError(t, d.notify("one", "again", number))
	require.Equal(t, order.Returned, d.now(o.ID).State)
	d.agrees(o.ID)
	d.proves(t)
}

// block is risk that lets nothing pass.
type block struct{}

func (block) Assess(context.Context, gateway.Assessed) (gateway.Assessment, error) {
	return gateway.Assessment{Why: "rule 7"}, nil
}

func TestRiskMayHoldAWithdrawal(t *testing.T) {
	d := start(t, func(c *gateway.Config) { paysOut(c); c.Risk = block{} })
	_, err := d.withdraw("w", 1)
	require.ErrorIs(t, err, gateway.ErrBlocked)
	require.Zero(t, d.one.count("payout"))
	_, err = d.OrderByKey(d.ctx, app, "w")
	require.ErrorIs(t, err, gateway.ErrUnknownOrder)
}

// TestTheProcessDiesWhileItPaysOut: at each commit, before and after it, and before and after each call. The channel is asked for a pay-out at most once.
func TestTheProcessDiesWhileItPaysOut(t *testing.T) {
	d := start(t, paysOut)
	for point := 1; ; point++ {
		d.again(t, point)
		d.fund(10000)
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
		_, err := d.withdraw(d.key, 4000)
		if died == "" {
			require.NoError(t, err)
			require.Greater(t, point, 6, "the walk has lost the points")
			return
		}
		d.restart()
		d.pass(10*time.Second, time.Second)
		_, err = d.withdraw(d.key, 4000)
		require.NoError(t, err, "point %d (%s)", point, died)
		for number := range d.one.outs {
			d.one.settles(number, channel.Succeeded)
		}
		d.pass(20*time.Minute, 10*time.Second)
		o, err := d.withdraw(d.key, 4000)
		require.NoError(t, err)
		require.Equal(t, order.Paid, o.State, "point %d (%s)", point, died)
		require.Len(t, o.Operations, 1)
		require.LessOrEqual(t, d.one.count("payout"), 1)
		if len(d.one.outs) == 0 {
			require.Equal(t, order.Assumed, o.Operations[0].State, "point %d (%s)", point, died)
		} else {
			require.Equal(t, order.Done, o.Operations[0].State, "point %d (%s)", point, died)
		}
		require.Equal(t, "-60.00", d.available())
		d.agrees(o.ID)
	}
}

// TestARefundAfterTheChannelsTimeGoesOutAsAPayOut: in the books it stays a refund of its order, and one that comes back is owed again.
func TestARefundAfterTheChannelsTimeGoesOutAsAPayOut(t *testing.T) {
	d := start(t, func(c *gateway.Config) {
		paysOut(c)
		c.Accounts[0].Channel.(payer).caps.RefundWindow = 90 * 24 * time.Hour
	})
	o := d.paid("k", 1000)
	d.clock.Advance(90 * 24 * time.Hour)
	r := gateway.NewRefund{Key: "day 90", Amount: money.Minor(100), To: &ann}
	x, err := d.Refund(d.ctx, app, o.ID, r)
	require.NoError(t, err)
	require.Equal(t, code.Refund, x.Kind, "as long as the channel gives it back")
	d.clock.Advance(24 * time.Hour)
	_, err = d.refund(o.ID, "day 91", 400)
	require.ErrorIs(t, err, gateway.ErrWindow)
	r.Key, r.Amount = "day 91", money.Minor(400)
	x, err = d.Refund(d.ctx, app, o.ID, r)
	require.NoError(t, err)
	require.Equal(t, code.Payout, x.Kind)
	require.Equal(t, o.Payment, x.Payment)
	require.Equal(t, "00010113001011000001", x.Context)
	again, err := d.Refund(d.ctx, app, o.ID, r)
	require.NoError(t, err)
	require.Equal(t, x, again)
	require.Equal(t, "-5.00", d.worth())
	d.one.settles(x.Number, channel.Succeeded)
	d.pass(10*time.Second, time.Second)
	require.Equal(t, order.PartRefunded, d.now(o.ID).State)
	require.Equal(t, "5.00", d.now(o.ID).Refunded.String())
	r.Key, r.Amount = "rest", money.Minor(501)
	_, err = d.Refund(d.ctx, app, o.ID, r)
	require.ErrorIs(t, err, gateway.ErrTooMuch)
	r.Amount = money.Minor(500)
	y, err := d.Refund(d.ctx, app, o.ID, r)
	require.NoError(t, err)
	d.one.settles(y.Number, channel.Succeeded)
	d.pass(10*time.Second, time.Second)
	require.Equal(t, order.Refunded, d.now(o.ID).State)

	d.one.settles(x.Number, channel.Failed)
	require.NoError(t, d.notify("one", "", x.Number))
	require.Equal(t, order.PartRefunded, d.now(o.ID).State)
	require.Equal(t, "6.00", d.now(o.ID).Refunded.String())
	require.Equal(t, "-4.00", d.worth())
	r.Key, r.Amount = "day 91 once more", money.Minor(400)
	z, err := d.Refund(d.ctx, app, o.ID, r)
	require.NoError(t, err)
	d.one.settles(z.Number, channel.Succeeded)
	d.pass(10*time.Second, time.Second)
	require.Equal(t, order.Refunded, d.now(o.ID).State)
	d.agrees(o.ID)
	d.proves(t)
}

func TestTwoWithdrawalsAtOnceDoNotTakeMoreThanThereIs(t *testing.T) {
	d := treasury(t)
	errs := make(chan error, 4)
	for i := range 4 {
		go func() { _, err := d.withdraw(fmt.Sprint("w", i), 4000); errs <- err }()
	}
	refused := 0
	for range 4 {
		if err := <-errs; err != nil {
			require.ErrorIs(t, err, gateway.ErrFunds)
			refused++
		}
	}
	require.Equal(t, 2, refused)
	require.Equal(t, "-20.00", d.available())
}
