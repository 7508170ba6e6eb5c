package gateway_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// reserver is a bank that reserves.
type reserver struct{ *bank }

func (v reserver) Authorise(_ context.Context, r channel.PayRequest) (channel.Result, error) {
	return v.call("authorise", func() channel.Result {
		if v.payments[r.Number] == nil {
			v.payments[r.Number] = &paid{Result: channel.Result{Outcome: channel.Succeeded, Number: r.Number, Money: r.Money, ChannelID: "ch-" + r.Number}}
			v.held[r.Number] = r.Money.Amount.Minor()
		}
		return v.payments[r.Number].Result
	})
}

// step answers a step as it did the first time.
func (v reserver) step(name string, r channel.RefundRequest, f func(p *paid, held int64) bool) (channel.Result, error) {
	return v.call(name, func() channel.Result {
		if have, known := v.refunds[r.Number]; known {
			return have
		}
		out := channel.Result{Outcome: channel.Failed, Number: r.Number, Code: "NOT_RESERVED"}
		if p, held := v.payments[r.Of.Number], v.held[r.Of.Number]; p != nil && held > 0 && f(p, held) {
			out = channel.Result{Outcome: channel.Succeeded, Number: r.Number, Money: r.Money}
		}
		v.refunds[r.Number] = out
		return out
	})
}

func (v reserver) Increment(_ context.Context, r channel.RefundRequest) (channel.Result, error) {
	return v.step("increment", r, func(*paid, int64) bool { v.held[r.Of.Number] += r.Money.Amount.Minor(); return true })
}

func (v reserver) Capture(_ context.Context, r channel.RefundRequest) (channel.Result, error) {
	return v.step("capture", r, func(p *paid, held int64) bool {
		if r.Money.Amount.Minor() > held {
			return false
		}
		v.held[r.Of.Number] = 0
		p.charges++
		p.Money = r.Money
		return true
	})
}

func (v reserver) Release(_ context.Context, r channel.RefundRequest) (channel.Result, error) {
	return v.step("release", r, func(*paid, int64) bool { v.held[r.Of.Number] = 0; return true })
}

// reserving has both accounts reserve.
func reserving(c *gateway.Config) {
	for i := range c.Accounts {
		b := c.Accounts[i].Channel.(*bank)
		b.caps.Authorise = true
		c.Accounts[i].Channel = reserver{b}
	}
}

func (d *desk) reservation(key string, minor int64) gateway.Order {
	n := anOrder(key, minor)
	n.Mode, n.Merchant = code.Reserved, d.shop
	o, err := d.Create(d.ctx, app, n)
	require.NoError(d.t, err)
	return o
}

func (d *desk) reserved(key string, minor int64) gateway.Order {
	o := d.reservation(key, minor)
	require.Equal(d.t, order.AuthorisedThen, d.pay(o.ID, "p").State)
	return d.now(o.ID)
}

func stepOf(key string, minor int64) gateway.NewStep {
	return gateway.NewStep{Key: key, Amount: money.Minor(minor)}
}

func TestAReservationGrowsAndIsCapturedInPart(t *testing.T) {
	d := start(t, reserving)
	o := d.reserved("k", 1000)
	require.Equal(t, order.Authorised, o.State)
	require.Equal(t, "10.00", o.Reserved.String())
	require.Equal(t, "00010401001001000001", o.Context)
	require.Equal(t, "0.00", d.balance(gateway.Pending(shop)), "what is reserved is not earned")
	_, err := d.Close(t.Context(), app, o.ID)
	require.ErrorIs(t, err, order.ErrState)

	up, err := d.Increment(t.Context(), app, o.ID, stepOf("i", 500))
	require.NoError(t, err)
	require.Equal(t, order.Done, up.State)
	_, err = d.Capture(t.Context(), app, o.ID, stepOf("c", 1501))
	require.ErrorIs(t, err, gateway.ErrTooMuch)
	_, err = d.Increment(t.Context(), app, o.ID, stepOf("j", 50_000_00))
	require.ErrorIs(t, err, gateway.ErrRequest)
	_, err = d.Capture(t.Context(), app, o.ID, stepOf("i", 500))
	require.ErrorIs(t, err, gateway.ErrConflict)
	c, err := d.Capture(t.Context(), app, o.ID, stepOf("c", 1200))
	require.NoError(t, err)
	require.Equal(t, order.Done, c.State)
	again, err := d.Capture(t.Context(), app, o.ID, stepOf("c", 1200))
	require.NoError(t, err)
	require.Equal(t, c, again)
	o = d.now(o.ID)
	require.Equal(t, order.Paid, o.State)
	require.Equal(t, "12.00", o.Received.String())
	require.True(t, o.Reserved.IsZero())
	require.Equal(t, "-12.00", d.balance(gateway.Pending(shop)))
	require.Equal(t, "11.93", d.balance(books.Channel("one")))

	_, err = d.refund(o.ID, "r", 1201)
	require.ErrorIs(t, err, gateway.ErrTooMuch)
	for key, minor := range map[string]int64{"r": 700, "s": 500} {
		r, err := d.refund(o.ID, key, minor)
		require.NoError(t, err)
		require.Equal(t, order.Done, r.State)
	}
	require.Equal(t, order.Refunded, d.now(o.ID).State)
	require.Equal(t, "0.00", d.balance(books.FeeChannel))
	require.Equal(t, "0.00", d.balance(books.Channel("one")))
	d.agrees(o.ID)
}

func TestAReservationIsReleased(t *testing.T) {
	d := start(t, reserving)
	o := d.reserved("k", 1000)
	r, err := d.Release(t.Context(), app, o.ID, stepOf("r", 0))
	require.NoError(t, err)
	require.Equal(t, "10.00", r.Money.Amount.String())
	require.Equal(t, order.Closed, d.now(o.ID).State)
	require.Zero(t, d.one.held[o.Payment])
	_, err = d.Capture(t.Context(), app, o.ID, stepOf("c", 1000))
	require.ErrorIs(t, err, order.ErrState)
	d.agrees(o.ID)

	late := d.reserved("late", 1000)
	d.pass(6*24*time.Hour, 12*time.Hour)
	require.Equal(t, order.Authorised, d.now(late.ID).State)
	d.pass(2*24*time.Hour, 12*time.Hour)
	require.Equal(t, order.Closed, d.now(late.ID).State)
	require.Zero(t, d.one.held[late.Payment])
	d.agrees(late.ID)
}

func TestALostCaptureIsAskedForByItsNumber(t *testing.T) {
	d := start(t, reserving)
	o := d.reserved("k", 1000)
	d.one.after = func(call string, r channel.Result) (channel.Result, error) { return r, errLost }
	c, err := d.Capture(t.Context(), app, o.ID, stepOf("c", 800))
	require.NoError(t, err)
	require.Equal(t, order.OpUnknown, c.State)
	_, err = d.Release(t.Context(), app, o.ID, stepOf("r", 0))
	require.ErrorIs(t, err, order.ErrState, "it may have been captured")
	d.one.after = nil
	d.pass(2*time.Second, time.Second)
	require.Equal(t, order.Paid, d.now(o.ID).State)
	require.Equal(t, "8.00", d.now(o.ID).Received.String())
	require.Equal(t, 1, d.one.payments[o.Payment].charges)
	d.agrees(o.ID)
}

func TestOnlyChannelsThatReserveAreAsked(t *testing.T) {
	d := start(t, nil)
	o := d.reservation("k", 1000)
	_, err := d.Pay(t.Context(), app, o.ID, qr("p"))
	require.ErrorIs(t, err, gateway.ErrNoChannel)
	n := anOrder("t", 1000)
	n.Type, n.Payee, n.Mode = code.Transfer, "cafe", code.Reserved
	_, err = d.Create(t.Context(), app, n)
	require.ErrorIs(t, err, gateway.ErrUnsupported)
}

// TestTwoReservationsOfOneOrder: the second is given up by itself.
func TestTwoReservationsOfOneOrder(t *testing.T) {
	d := start(t, reserving)
	o := d.reservation("k", 1000)
	d.one.after = func(string, channel.Result) (channel.Result, error) { return channel.Result{}, errLost }
	p := d.pay(o.ID, "p")
	d.one.caps.Authorise = false
	q := d.pay(o.ID, "q")
	require.Equal(t, "two", q.Account)
	require.Equal(t, order.Authorised, d.now(o.ID).State)
	d.one.after = nil
	d.pass(3*time.Second, time.Second)
	require.Zero(t, d.one.held[p.Number])
	require.Equal(t, int64(1000), d.two.held[q.Number])
	require.Equal(t, q.Number, d.now(o.ID).Payment)
	require.Equal(t, []string{gateway.FindSurplus}, d.findings(o.ID))
	d.agrees(o.ID)
}

// TestWhateverHappensAReservationIsTakenOnce runs random steps, losses and crashes against one reservation.
func TestWhateverHappensAReservationIsTakenOnce(t *testing.T) {
	dir := t.TempDir()
	var d *desk
	run, sound := 0, false
	defer func() { _ = d.store.Close() }()
	rapid.Check(t, func(t *rapid.T) {
		run++
		if !sound {
			if d != nil {
				_ = d.store.Close()
			}
			home := filepath.Join(dir, fmt.Sprint(run))
			require.NoError(t, os.MkdirAll(home, 0o700))
			d = newDesk(t, home, reserving)
		}
		sound = false
		d.again(t, run)
		lose := func() error {
			if rapid.IntRange(0, 3).Draw(t, "fate") == 0 {
				return errLost
			}
			return nil
		}
		for _, b := range []*bank{d.one, d.two} {
			b.before = func(string) error { return lose() }
			b.after = func(_ string, r channel.Result) (channel.Result, error) { return r, lose() }
		}
		o := d.reservation(d.key, 1000)
		ignore := func(gateway.Operation, error) {} // a refusal is as good as a yes here: what must hold is checked below
		for range rapid.IntRange(1, 15).Draw(t, "acts") {
			n := stepOf(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"), rapid.SampledFrom([]int64{300, 1000, 1300}).Draw(t, "amount"))
			switch rapid.SampledFrom([]string{"pay", "increment", "capture", "release", "refund", "time", "crash"}).Draw(t, "act") {
			case "pay":
				_, _ = d.Pay(d.ctx, app, o.ID, qr(n.Key))
			case "increment":
				ignore(d.Increment(d.ctx, app, o.ID, n))
			case "capture":
				ignore(d.Capture(d.ctx, app, o.ID, n))
			case "release":
				ignore(d.Release(d.ctx, app, o.ID, gateway.NewStep{Key: n.Key}))
			case "refund":
				ignore(d.refund(o.ID, n.Key, 300))
			case "time":
				d.pass(time.Duration(rapid.IntRange(1, 100).Draw(t, "seconds"))*time.Second, 50*time.Second)
			case "crash":
				left := rapid.IntRange(1, 6).Draw(t, "after")
				d.fault = func(string) error {
					if left--; left > 0 {
						return nil
					}
					return errDied
				}
				ignore(d.Capture(d.ctx, app, o.ID, n))
				_, _ = d.Scan(d.ctx)
				d.restart()
			}
			d.agrees(o.ID)
		}
		for _, b := range []*bank{d.one, d.two} {
			b.before, b.after = nil, nil
		}
		d.pass(9*24*time.Hour, 2*time.Hour)
		o = d.now(o.ID)
		require.Contains(t, []order.State{order.Closed, order.Paid, order.PartRefunded, order.Refunded}, o.State)
		kept := int64(0)
		for name, b := range map[string]*bank{"one": d.one, "two": d.two} {
			for _, p := range o.Payments {
				if at := b.payments[p.Number]; p.Account == name && at != nil {
					require.Zero(t, b.held[p.Number], "%s is %s", p.Number, p.State)
					require.LessOrEqual(t, at.charges, 1)
					kept += int64(at.charges)*at.Money.Amount.Minor() - at.back
				}
			}
		}
		require.Equal(t, o.Received.Minor()-o.Refunded.Minor(), kept)
		require.Equal(t, money.Minor(-kept).String(), d.worth())
		sound = true
	})
}
