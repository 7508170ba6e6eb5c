package gateway_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/balance"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

const holderAnn = "till.ann"

func aFill(key string, minor int64) gateway.NewOrder {
	n := anOrder(key, minor)
	n.Type, n.Payee = code.TopUp, holderAnn
	return n
}

func (d *desk) fills(t *testing.T, key string, minor int64) (gateway.Order, gateway.Payment) {
	o, err := d.Create(d.ctx, app, aFill(key, minor))
	require.NoError(t, err)
	p := d.pay(o.ID, "p")
	require.True(t, d.one.pays(p.Number, false))
	require.NoError(t, d.notify("one", "", p.Number))
	return d.now(o.ID), p
}

// TestABalanceIsFilledOnce: by what was paid, however often the channel tells, and a refund takes no more than may be used.
func TestABalanceIsFilledOnce(t *testing.T) {
	d, _ := loads(t)
	o, p := d.fills(t, "k", 2000)
	require.NoError(t, d.notify("one", "", p.Number))
	require.Equal(t, order.Paid, o.State)
	require.EqualValues(t, holderAnn, o.Payee)
	require.Equal(t, "-20.00", d.balance(books.HolderBalance(holderAnn)))
	require.Equal(t, "0.00", d.balance(books.Funding), "no card is loaded with it")
	has, err := d.Holding(d.ctx, holderAnn)
	require.NoError(t, err)
	require.Equal(t, gateway.Holding{Available: money.Minor(2000)}, has)
	d.proves(t)

	require.NoError(t, d.store.Update(d.ctx, func(tx *store.Tx) error {
		return tx.Hold(d.ctx, "h", books.HolderBalance(holderAnn), money.Minor(1200), d.clock.Now().Add(24*time.Hour))
	}))
	_, err = d.refund(o.ID, "r1", 801)
	require.ErrorIs(t, err, gateway.ErrFunds)
	r, err := d.refund(o.ID, "r1", 800)
	require.NoError(t, err)
	require.Equal(t, order.Done, r.State)
	again, err := d.refund(o.ID, "r1", 800)
	require.NoError(t, err)
	require.Equal(t, r.Number, again.Number)
	require.Equal(t, order.PartRefunded, d.now(o.ID).State)
	has, err = d.Holding(d.ctx, holderAnn)
	require.NoError(t, err)
	require.Equal(t, gateway.Holding{Held: money.Minor(1200)}, has)
	d.agrees(o.ID)
	d.proves(t)
}

// TestARefusedRefundIsTheHoldersAgain: nothing waits for a person, as it would with a card.
func TestARefusedRefundIsTheHoldersAgain(t *testing.T) {
	d, _ := loads(t)
	o, _ := d.fills(t, "k", 2000)
	d.one.after = func(call string, r channel.Result) (channel.Result, error) {
		if call == "refund" {
			r = channel.Result{Outcome: channel.Failed, Number: r.Number, Code: "NO"}
		}
		return r, nil
	}
	r, err := d.refund(o.ID, "r", 2000)
	require.NoError(t, err)
	require.Equal(t, order.OpFailed, r.State)
	require.Equal(t, "-20.00", d.balance(books.HolderBalance(holderAnn)))
	require.Equal(t, "0.00", d.balance("suspense:surplus"))
	d.proves(t)
}

// TestAFrozenBalanceIsFilledAside: the money has come, and is the holder's when his account is opened again.
func TestAFrozenBalanceIsFilledAside(t *testing.T) {
	d, _ := loads(t)
	d.fills(t, "k", 100)
	require.NoError(t, d.store.Update(d.ctx, func(tx *store.Tx) error {
		return tx.SwitchAccount(d.ctx, books.HolderBalance(holderAnn), books.SwitchFrozen, 0, "bob", "a case")
	}))
	o, _ := d.fills(t, "k2", 2000)
	require.Equal(t, order.Paid, o.State)
	require.Equal(t, "-1.00", d.balance(books.HolderBalance(holderAnn)))
	require.Equal(t, "-20.00", d.balance(books.Aside(books.HolderBalance(holderAnn))))
	require.NoError(t, d.store.Update(d.ctx, func(tx *store.Tx) error {
		if err := tx.SwitchAccount(d.ctx, books.HolderBalance(holderAnn), 0, books.SwitchFrozen, "bob", "the case is closed"); err != nil {
			return err
		}
		return tx.ReleaseAccount(d.ctx, books.HolderBalance(holderAnn), d.clock.Now().Format(time.DateOnly), "bob", "the case is closed")
	}))
	require.Equal(t, "-21.00", d.balance(books.HolderBalance(holderAnn)))
	d.proves(t)
}

func TestWhatFillsNoBalance(t *testing.T) {
	d := start(t, nil) // nobody loads cards here: a balance is filled all the same
	o, err := d.Create(d.ctx, app, aFill("k", 2000))
	require.NoError(t, err)
	for _, p := range []channel.Product{channel.Balance, channel.Combined} {
		_, err = d.Pay(d.ctx, app, o.ID, gateway.NewPayment{Key: "p", Product: p, Payer: channel.Payer{Account: "till.bob"}})
		require.ErrorIs(t, err, gateway.ErrUnsupported)
	}
	n := aFill("k2", 2000)
	n.Payee = "Ann:x"
	_, err = d.Create(d.ctx, app, n)
	require.ErrorIs(t, err, gateway.ErrRequest)
	n.Type, n.Payee = code.Pay, holderAnn
	_, err = d.Create(d.ctx, app, n)
	require.ErrorIs(t, err, gateway.ErrRequest)
	_, err = d.Holding(d.ctx, "Ann:x")
	require.ErrorIs(t, err, gateway.ErrRequest)
}

// TestABalanceIsTransferred: from one holder to another, once, and back as far as the other has it; no money leaves the channels.
func TestABalanceIsTransferred(t *testing.T) {
	d := start(t, nil)
	ch, err := balance.New(balance.Settings{Store: d.store, ID: "one", Currency: "CNY", Clock: d.clock})
	require.NoError(t, err)
	d.cfg = func(c *gateway.Config) { c.Accounts[0].Channel, c.Accounts[0].FeePPM = ch, 0 }
	d.serve()
	const bob = "till.bob"
	require.NoError(t, d.store.Update(d.ctx, func(tx *store.Tx) error {
		return balance.TopUp(d.ctx, tx, "t", holderAnn, noon.Format(time.DateOnly), "test", books.Funding, money.Minor(3000))
	}))
	n := anOrder("k", 2000)
	n.Type, n.Payee = code.Transfer, bob
	o, err := d.Create(d.ctx, app, n)
	require.NoError(t, err)
	require.Equal(t, "00010102000000000000", o.Context, "it has its code before there is a channel")
	from := func(key, who string) gateway.NewPayment {
		return gateway.NewPayment{Key: key, Product: channel.Balance, Payer: channel.Payer{Account: who}}
	}
	for range 2 {
		p, err := d.Pay(d.ctx, app, o.ID, from("p", holderAnn))
		require.NoError(t, err)
		require.Equal(t, order.PaymentPaid, p.State)
	}
	have := func(ann, other string) {
		t.Helper()
		require.Equal(t, ann, d.balance(books.HolderBalance(holderAnn)))
		require.Equal(t, other, d.balance(books.HolderBalance(bob)))
		require.Equal(t, "0.00", d.balance(books.Channel("one")))
	}
	have("-10.00", "-20.00")
	require.Equal(t, "00010102001010000001", d.now(o.ID).Context)

	over := anOrder("k2", 1001)
	over.Type, over.Payee = code.Transfer, bob
	o2, err := d.Create(d.ctx, app, over)
	require.NoError(t, err)
	p, err := d.Pay(d.ctx, app, o2.ID, from("p", holderAnn))
	require.NoError(t, err)
	require.Equal(t, order.Failed, p.State)
	require.Equal(t, balance.NoFunds, p.Code)
	have("-10.00", "-20.00")

	require.NoError(t, d.store.Update(d.ctx, func(tx *store.Tx) error {
		return tx.Hold(d.ctx, "h", books.HolderBalance(bob), money.Minor(1500), d.clock.Now().Add(time.Hour))
	}))
	_, err = d.refund(o.ID, "r", 501)
	require.ErrorIs(t, err, gateway.ErrFunds)
	_, err = d.refund(o.ID, "r", 500)
	require.NoError(t, err)
	have("-15.00", "-15.00")
	d.agrees(o.ID)

	n.Key, n.Payee = "k3", "till.Bob"
	_, err = d.Create(d.ctx, app, n)
	require.ErrorIs(t, err, gateway.ErrRequest)
}
