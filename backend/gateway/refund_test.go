package gateway_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

func (d *desk) refund(id, key string, minor int64) (gateway.Operation, error) {
	return d.Refund(d.ctx, app, id, gateway.NewRefund{Key: key, Amount: money.Minor(minor)})
}

func TestRefundsInPartsNeverGiveMoreThanWasPaid(t *testing.T) {
	d := start(t, nil)
	o := d.paid("k", 1000)
	for i, minor := range []int64{333, 333, 334} {
		r, err := d.refund(o.ID, fmt.Sprint(i), minor)
		require.NoError(t, err)
		require.Equal(t, order.Done, r.State)
		require.Equal(t, code.Refund, r.Kind)
		require.Equal(t, "00010111001001000001", r.Context)
		again, err := d.refund(o.ID, fmt.Sprint(i), minor)
		require.NoError(t, err)
		require.Equal(t, r, again)
	}
	require.Equal(t, order.Refunded, d.now(o.ID).State)
	require.Equal(t, 3, d.one.count("refund"))
	require.Equal(t, "0.00", d.balance(books.FeeChannel), "the channel gives its fee back")
	require.Equal(t, "0.00", d.balance(books.Channel("one")))
	d.settled(o.ID)
	_, err := d.refund(o.ID, "more", 1)
	require.ErrorIs(t, err, order.ErrState)
	_, err = d.refund(o.ID, "0", 334)
	require.ErrorIs(t, err, gateway.ErrConflict)
	require.Equal(t, []string{gateway.FindConflict}, d.findings(o.ID))
}

func TestARefundThatIsRefusedIsBookedBack(t *testing.T) {
	d := start(t, nil)
	o := d.paid("k", 1000)
	d.one.after = func(call string, r channel.Result) (channel.Result, error) {
		return channel.Result{Outcome: channel.Failed, Number: r.Number, Code: "NO_FUNDS"}, nil
	}
	d.one.mu.Lock()
	d.one.payments[o.Payment].back = 1000 // nothing there to give
	d.one.mu.Unlock()
	r, err := d.refund(o.ID, "r", 400)
	require.NoError(t, err)
	require.Equal(t, order.OpFailed, r.State)
	require.Equal(t, "NO_FUNDS", r.Code)
	require.Equal(t, order.Paid, d.now(o.ID).State)
	d.one.payments[o.Payment].back = 0
	d.settled(o.ID)
	_, err = d.refund(o.ID, "s", 1001)
	require.ErrorIs(t, err, gateway.ErrTooMuch)
}

func TestALostRefundIsAskedForByItsNumber(t *testing.T) {
	for _, arrives := range []bool{true, false} {
		d := start(t, nil)
		o := d.paid("k", 1000)
		lose := func(call string) error {
			if call == "refund" {
				return errLost
			}
			return nil
		}
		if arrives {
			d.one.after = func(call string, r channel.Result) (channel.Result, error) { return r, lose(call) }
		} else {
			d.one.before = lose
		}
		r, err := d.refund(o.ID, "r", 400)
		require.NoError(t, err)
		require.Equal(t, order.OpUnknown, r.State)
		require.Equal(t, "4.00", d.now(o.ID).Refunding.String())
		_, err = d.refund(o.ID, "s", 601)
		require.ErrorIs(t, err, gateway.ErrTooMuch, "it may have gone")
		d.one.after, d.one.before = nil, nil
		d.pass(10*time.Second, time.Second)
		require.Equal(t, order.PartRefunded, d.now(o.ID).State)
		require.Equal(t, int64(400), d.one.payments[o.Payment].back)
		require.NoError(t, d.notify("one", "", r.Number), "late word of it changes nothing")
		d.settled(o.ID)
	}
}

func TestRefundsAtOnceNeverGiveMoreThanWasPaid(t *testing.T) {
	d := start(t, nil)
	o := d.paid("k", 1000)
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			_, err := d.refund(o.ID, fmt.Sprint(i/2), 300) // each asked for twice
			if err != nil {
				require.ErrorIs(t, err, gateway.ErrTooMuch)
			}
		}()
	}
	wait.Wait()
	d.pass(30*time.Second, time.Second)
	require.Equal(t, int64(900), d.one.payments[o.Payment].back)
	require.Equal(t, "9.00", d.now(o.ID).Refunded.String())
	d.settled(o.ID)
}

func TestAWholePaymentOfTheChannelsDayIsVoided(t *testing.T) {
	for name, c := range map[string]struct {
		wait    time.Duration
		minor   int64
		refuses bool
		kinds   []code.Action
	}{
		"same day":      {minor: 1000, kinds: []code.Action{code.Void}},
		"a part of it":  {minor: 400, kinds: []code.Action{code.Refund}},
		"after cut-off": {minor: 1000, wait: 11 * time.Hour, kinds: []code.Action{code.Refund}}, // the channel's day ends at 23:00
		"refused":       {minor: 1000, refuses: true, kinds: []code.Action{code.Void, code.Refund}},
	} {
		t.Run(name, func(t *testing.T) {
			d := start(t, func(c *gateway.Config) {
				v := voider{c.Accounts[0].Channel.(*bank)}
				v.caps.Void, v.caps.DayStart = true, -time.Hour
				c.Accounts[0].Channel = v
			})
			o := d.paid("k", 1000)
			d.clock.Advance(c.wait)
			if c.refuses {
				d.one.before = func(call string) error {
					if call == "void" {
						d.one.refunds = map[string]channel.Result{}
						d.one.payments[o.Payment].back = 1000
					} else if call == "refund" {
						d.one.payments[o.Payment].back = 0
					}
					return nil
				}
			}
			r, err := d.refund(o.ID, "r", c.minor)
			require.NoError(t, err)
			d.pass(5*time.Second, time.Second)
			var kinds []code.Action
			for _, x := range d.now(o.ID).Operations {
				kinds = append(kinds, x.Kind)
			}
			require.ElementsMatch(t, c.kinds, kinds)
			again, err := d.refund(o.ID, "r", c.minor)
			require.NoError(t, err)
			require.Equal(t, order.Done, again.State)
			require.Equal(t, c.refuses, again.Number != r.Number, "the refund stands for the void")
			require.Equal(t, c.minor, d.one.payments[o.Payment].back)
			d.settled(o.ID)
		})
	}
}

func TestWhatTheChannelGivesBackNoMoreIsRefused(t *testing.T) {
	d := start(t, nil)
	o := d.paid("k", 1000)
	d.clock.Advance(366 * 24 * time.Hour)
	_, err := d.refund(o.ID, "r", 400)
	require.ErrorIs(t, err, gateway.ErrWindow)
	d.one.caps.Refund = false
	_, err = d.refund(o.ID, "r", 400)
	require.ErrorIs(t, err, gateway.ErrUnsupported)
	open := d.order("open", 1000)
	_, err = d.refund(open.ID, "r", 400)
	require.ErrorIs(t, err, order.ErrState)
	_, err = d.Refund(t.Context(), "other", o.ID, gateway.NewRefund{Key: "r", Amount: money.Minor(1)})
	require.ErrorIs(t, err, gateway.ErrUnknownOrder)
	_, err = d.refund(o.ID, "r", 0)
	require.ErrorIs(t, err, gateway.ErrRequest)
}

// TestASurplusThatCannotGoBackIsAPersonsMatter: it stays in its suspense account, and is named.
func TestASurplusThatCannotGoBackIsAPersonsMatter(t *testing.T) {
	d := start(t, nil)
	o := d.order("k", 1000)
	p := d.pay(o.ID, "p")
	_, err := d.Close(t.Context(), app, o.ID)
	require.NoError(t, err)
	d.pass(time.Second, time.Second)
	require.True(t, d.one.pays(p.Number, true))
	d.one.payments[p.Number].back = 1000
	require.NoError(t, d.notify("one", "", p.Number))
	d.pass(time.Second, time.Second)
	require.Contains(t, d.findings(o.ID), gateway.FindStuck)
	require.Equal(t, "-10.00", d.balance("suspense:surplus"))
}

func TestATransferIsThePayees(t *testing.T) {
	d := start(t, nil)
	n := anOrder("k", 1000)
	n.Type, n.Payee = code.Transfer, "cafe"
	o, err := d.Create(t.Context(), app, n)
	require.NoError(t, err)
	p := d.pay(o.ID, "p")
	require.True(t, d.one.pays(p.Number, false))
	require.NoError(t, d.notify("one", "", p.Number))
	require.Equal(t, "-10.00", d.balance(gateway.Available("cafe")))
	r, err := d.refund(o.ID, "r", 1000)
	require.NoError(t, err)
	require.Equal(t, order.Done, r.State)
	require.Equal(t, "0.00", d.balance(gateway.Available("cafe")))
}

// TestAFrozenAccountStopsRefundsAndNoFacts: what a payer or a channel has done is booked, and set aside.
func TestAFrozenAccountStopsRefundsAndNoFacts(t *testing.T) {
	d := start(t, nil)
	freeze := func(on, off books.Switches) {
		require.NoError(t, d.store.Update(t.Context(), func(tx *store.Tx) error {
			return tx.SwitchAccount(t.Context(), gateway.Pending(shop), on, off, "officer", "test")
		}))
	}
	o := d.paid("k", 1000)
	d.one.before = func(string) error { return errLost }
	r, err := d.refund(o.ID, "r", 400)
	require.NoError(t, err)
	require.Equal(t, order.OpUnknown, r.State)
	require.Equal(t, "-6.00", d.balance(gateway.Pending(shop)))

	freeze(books.SwitchFrozen, 0)
	_, err = d.refund(o.ID, "s", 300)
	require.ErrorIs(t, err, books.ErrSwitched)
	d.one.before = nil
	d.one.payments[o.Payment].back = 1000 // the channel refuses
	d.pass(2*time.Second, time.Second)
	require.Equal(t, order.OpFailed, d.now(o.ID).Operations[0].State)
	require.Equal(t, "-4.00", d.balance(books.Aside(gateway.Pending(shop))))

	d.paid("l", 500)
	require.Equal(t, "-9.00", d.balance(books.Aside(gateway.Pending(shop))))
	require.Equal(t, "-6.00", d.balance(gateway.Pending(shop)))
}
