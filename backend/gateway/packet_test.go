package gateway_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
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

func aPacket(key string, minor int64, shares int, split gateway.Split) gateway.NewOrder {
	n := anOrder(key, minor)
	n.Type, n.Packet = code.RedPacket, &gateway.NewPacket{Shares: shares, Split: split}
	return n
}

// wrapped is a red packet that was paid over account one.
func (d *desk) wrapped(n gateway.NewOrder) gateway.Order {
	n.Merchant = d.shop
	o, err := d.Create(d.ctx, app, n)
	require.NoError(d.t, err)
	p := d.pay(o.ID, "p")
	require.True(d.t, d.one.pays(p.Number, false))
	require.NoError(d.t, d.notify("one", "", p.Number))
	o = d.now(o.ID)
	require.Equal(d.t, order.Held, o.State)
	return o
}

func (d *desk) claim(id, key, who string) (gateway.Claim, error) {
	return d.Claim(d.ctx, app, id, gateway.NewClaim{Key: key, Holder: "app." + who})
}

// TestARedPacketIsClaimed: one share for each holder, whoever asks how often, and together they are what was paid.
func TestARedPacketIsClaimed(t *testing.T) {
	d := start(t, func(c *gateway.Config) { c.Rand = rand.NewChaCha8([32]byte{1}) })
	for _, split := range []gateway.Split{gateway.Even, gateway.Lucky} {
		o := d.wrapped(aPacket(string(split), 1000, 3, split))
		require.Equal(t, "00010305001001000001", o.Context)
		require.Equal(t, "-10.00", d.balance(gateway.Held(d.shop)))
		sum := money.Amount{}
		for i, who := range []string{"ann", "bob", "cid"} {
			who += string(split)
			x, err := d.claim(o.ID, who, who)
			require.NoError(t, err)
			require.Equal(t, i+1, x.Share)
			require.Equal(t, "app."+who, x.Holder)
			for _, key := range []string{who, "other"} {
				again, err := d.claim(o.ID, key, who)
				require.NoError(t, err)
				require.Equal(t, x, again)
			}
			_, err = d.claim(o.ID, who, "eve")
			require.ErrorIs(t, err, gateway.ErrConflict)
			minus, err := x.Money.Amount.Neg()
			require.NoError(t, err)
			require.Equal(t, minus.String(), d.balance(books.HolderBalance(x.Holder)))
			sum, err = sum.Add(x.Money.Amount)
			require.NoError(t, err)
		}
		require.Equal(t, "10.00", sum.String())
		require.Equal(t, "0.00", d.balance(gateway.Held(d.shop)))
		require.Contains(t, d.findings(o.ID), gateway.FindConflict)
		_, err := d.claim(o.ID, "dan", "dan")
		require.ErrorIs(t, err, order.ErrState)
		d.pass(26*time.Hour, time.Hour)
		o = d.now(o.ID)
		require.Equal(t, order.Paid, o.State)
		require.Empty(t, o.Operations)
		require.Equal(t, "10.00", o.Packet.Claimed.String())
		require.Len(t, o.Packet.Claims, 3)
		d.agrees(o.ID)
	}
	require.Equal(t, "0.00", d.balance(books.HolderBalance("app.eve")))
	d.proves(t)
}

// TestWhatNobodyClaimsGoesBack to the payer over his channel after a day: a part, or the whole.
func TestWhatNobodyClaimsGoesBack(t *testing.T) {
	d := start(t, nil)
	for _, claims := range []int{0, 2} {
		o := d.wrapped(aPacket(fmt.Sprint(claims), 1000, 3, gateway.Even))
		for i := range claims {
			_, err := d.claim(o.ID, fmt.Sprint(i), fmt.Sprintf("h%d", i))
			require.NoError(t, err)
		}
		_, err := d.refund(o.ID, "r", 1000)
		require.ErrorIs(t, err, gateway.ErrUnsupported)
		_, err = d.Confirm(d.ctx, app, o.ID)
		require.ErrorIs(t, err, order.ErrState)
		d.pass(23*time.Hour, time.Hour)
		require.Equal(t, order.Held, d.now(o.ID).State)
		d.clock.Advance(time.Hour)
		_, err = d.claim(o.ID, "late", "late")
		require.ErrorIs(t, err, gateway.ErrExpired)
		d.pass(time.Minute, time.Second)
		o = d.now(o.ID)
		want, back := order.Refunded, "10.00"
		if claims > 0 {
			want, back = order.PartRefunded, "3.33"
		}
		require.Equal(t, want, o.State)
		require.Equal(t, back, o.Refunded.String())
		require.Equal(t, "0.00", d.balance(gateway.Held(d.shop)))
		_, err = d.claim(o.ID, "late", "late")
		require.ErrorIs(t, err, order.ErrState)
		if claims > 0 {
			x, err := d.claim(o.ID, "0", "h0")
			require.NoError(t, err, "he has it")
			require.Equal(t, "3.34", x.Money.Amount.String())
		}
		d.agrees(o.ID)
	}
	d.proves(t)
}

// TestARedPacketFromABalanceGoesBackToIt, and no money leaves the channels.
func TestARedPacketFromABalanceGoesBackToIt(t *testing.T) {
	d := start(t, nil)
	ch, err := balance.New(balance.Settings{Store: d.store, ID: "one", Currency: "CNY", Clock: d.clock})
	require.NoError(t, err)
	d.cfg = func(c *gateway.Config) { c.Accounts[0].Channel, c.Accounts[0].FeePPM = ch, 0 }
	d.serve()
	require.NoError(t, d.store.Update(d.ctx, func(tx *store.Tx) error {
		return balance.TopUp(d.ctx, tx, "t", holderAnn, noon.Format(time.DateOnly), "test", books.Funding, money.Minor(3000))
	}))
	o, err := d.Create(d.ctx, app, aPacket("k", 1000, 2, gateway.Even))
	require.NoError(t, err)
	_, err = d.claim(o.ID, "c", "bob")
	require.ErrorIs(t, err, order.ErrState, "it is not paid")
	_, err = d.Pay(d.ctx, app, o.ID, gateway.NewPayment{Key: "p", Product: channel.Balance, Payer: channel.Payer{Account: holderAnn}})
	require.NoError(t, err)
	_, err = d.claim(o.ID, "c", "bob")
	require.NoError(t, err)
	d.pass(25*time.Hour, time.Hour)
	require.Equal(t, "-25.00", d.balance(books.HolderBalance(holderAnn)))
	require.Equal(t, "-5.00", d.balance(books.HolderBalance("app.bob")))
	require.Equal(t, "0.00", d.balance(books.Channel("one")))
	require.Equal(t, "0.00", d.balance(gateway.Held(shop)))
	require.Equal(t, order.PartRefunded, d.now(o.ID).State)
}

// TestWhatAChannelDoesNotTakeBackStaysHeld, is found, and is tried again after a day.
func TestWhatAChannelDoesNotTakeBackStaysHeld(t *testing.T) {
	d := start(t, nil)
	o := d.wrapped(aPacket("k", 1000, 2, gateway.Even))
	_, err := d.claim(o.ID, "c", "ann")
	require.NoError(t, err)
	d.one.after = func(call string, r channel.Result) (channel.Result, error) {
		return channel.Result{Outcome: channel.Failed, Number: r.Number, Code: "NO"}, nil
	}
	d.pass(25*time.Hour, time.Hour)
	require.Equal(t, order.Held, d.now(o.ID).State)
	require.Equal(t, "-5.00", d.balance(gateway.Held(d.shop)))
	require.Contains(t, d.findings(o.ID), gateway.FindStuck)
	_, err = d.claim(o.ID, "late", "late")
	require.ErrorIs(t, err, gateway.ErrExpired)
	d.one.after = nil
	d.one.caps.Refund = false
	d.pass(24*time.Hour, time.Hour)
	require.Equal(t, order.Held, d.now(o.ID).State)
	d.one.caps.Refund = true
	d.pass(25*time.Hour, time.Hour)
	require.Equal(t, order.PartRefunded, d.now(o.ID).State)
	require.Equal(t, "0.00", d.balance(gateway.Held(d.shop)))
	d.agrees(o.ID)
}

// TestWhatIsFrozenIsNeitherClaimedNorGivenBack, and goes its way when it is not frozen any more.
func TestWhatIsFrozenIsNeitherClaimedNorGivenBack(t *testing.T) {
	d := start(t, nil)
	o := d.wrapped(aPacket("k", 1000, 2, gateway.Even))
	freeze := func(on, off books.Switches) {
		require.NoError(t, d.store.Update(d.ctx, func(tx *store.Tx) error {
			return tx.SwitchAccount(d.ctx, gateway.Held(d.shop), on, off, "ann", "test")
		}))
	}
	freeze(books.SwitchFrozen, 0)
	_, err := d.claim(o.ID, "c", "bob")
	require.ErrorIs(t, err, gateway.ErrFrozen)
	d.pass(25*time.Hour, time.Hour)
	require.Equal(t, order.Held, d.now(o.ID).State)
	require.Empty(t, d.now(o.ID).Operations)
	require.Equal(t, "-10.00", d.balance(gateway.Held(d.shop)))
	freeze(0, books.SwitchFrozen)
	d.pass(2*time.Hour, time.Hour)
	require.Equal(t, order.Refunded, d.now(o.ID).State)
	d.agrees(o.ID)
}

// TestManyClaimAtOnce: each holder asks twice at the same time, there are fewer shares than holders, and no share is given twice.
func TestManyClaimAtOnce(t *testing.T) {
	d := start(t, nil)
	o := d.wrapped(aPacket("k", 1000, 5, gateway.Lucky))
	var all sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		all.Go(func() { _, errs[i] = d.claim(o.ID, fmt.Sprint(i), fmt.Sprintf("h%d", i/2)) })
	}
	all.Wait()
	refused := 0
	for _, err := range errs {
		if err != nil {
			require.ErrorIs(t, err, order.ErrState)
			refused++
		}
	}
	require.Equal(t, 6, refused, "three holders of eight")
	o = d.now(o.ID)
	require.Equal(t, order.Paid, o.State)
	require.Equal(t, "10.00", o.Packet.Claimed.String())
	require.Equal(t, "0.00", d.balance(gateway.Held(d.shop)))
	d.agrees(o.ID)
}

func TestWhatIsNoRedPacket(t *testing.T) {
	d := start(t, nil)
	for want, change := range map[error][]func(*gateway.NewOrder){
		gateway.ErrRequest: {
			func(n *gateway.NewOrder) { n.Packet = nil },
			func(n *gateway.NewOrder) { n.Packet.Shares = 0 },
			func(n *gateway.NewOrder) { n.Packet.Shares = 101 },
			func(n *gateway.NewOrder) { n.Packet.Split = "fair" },
			func(n *gateway.NewOrder) { n.Money.Amount = money.Minor(1) },
			func(n *gateway.NewOrder) { n.Type, n.Mode = code.Pay, code.Instant },
			func(n *gateway.NewOrder) { n.Payee = "cafe" },
		},
		gateway.ErrUnsupported: {
			func(n *gateway.NewOrder) { n.Mode = code.Instant },
			func(n *gateway.NewOrder) { n.Mode = code.Escrow },
			func(n *gateway.NewOrder) { n.Type = code.Pay; n.Packet = nil; n.Mode = code.Deferred },
		},
	} {
		for i, f := range change {
			n := aPacket("k", 1000, 2, gateway.Even)
			f(&n)
			_, err := d.Create(d.ctx, app, n)
			require.ErrorIs(t, err, want, "%d", i)
		}
	}
	o := d.wrapped(aPacket("k", 1000, 2, gateway.Even))
	again, err := d.Create(d.ctx, app, aPacket("k", 1000, 2, gateway.Even))
	require.NoError(t, err)
	require.Equal(t, o, again)
	_, err = d.Create(d.ctx, app, aPacket("k", 1000, 3, gateway.Even))
	require.ErrorIs(t, err, gateway.ErrConflict)
	_, err = d.Claim(d.ctx, "other", o.ID, gateway.NewClaim{Key: "c", Holder: "other.ann"})
	require.ErrorIs(t, err, gateway.ErrUnknownOrder)
	for _, c := range []gateway.NewClaim{{Key: "c", Holder: "other.ann"}, {Key: "c", Holder: "app.Ann"}, {Key: "", Holder: "app.ann"}} {
		_, err = d.Claim(d.ctx, app, o.ID, c)
		require.ErrorIs(t, err, gateway.ErrRequest)
	}
	_, err = d.claim(d.paid("plain", 100).ID, "c", "ann")
	require.ErrorIs(t, err, order.ErrState)
}

// TestARedPacketSurvivesADeathAtEachPoint: each commit and each call of a day in which it is paid, claimed in part, and the rest goes back.
func TestARedPacketSurvivesADeathAtEachPoint(t *testing.T) {
	d := start(t, nil)
	for point := 1; ; point++ {
		d.again(t, point)
		who := func(i int) string { return fmt.Sprintf("p%dh%d", point, i) }
		life := func() error {
			n := aPacket(d.key, 1000, 3, gateway.Lucky)
			n.Merchant = d.shop
			o, err := d.Create(d.ctx, app, n)
			if err != nil {
				return err
			}
			for i := 1; o.State == order.Open && i < 5; i++ {
				p, err := d.Pay(d.ctx, app, o.ID, qr(fmt.Sprint(i)))
				if err != nil {
					return err
				}
				if d.one.pays(p.Number, false) || d.one.payments[p.Number] != nil {
					if err := d.notify("one", "", p.Number); err != nil {
						return err
					}
					break
				}
			}
			for i := range 2 {
				if _, err := d.claim(o.ID, who(i), who(i)); err != nil {
					return err
				}
			}
			d.clock.Advance(24 * time.Hour)
			_, err = d.Scan(d.ctx)
			return err
		}
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
		err := life()
		d.fault = nil
		if died == "" {
			require.NoError(t, err)
		} else {
			d.restart()
			d.pass(6*time.Minute, time.Minute) // what never arrived cannot arrive any more
			require.NoError(t, life(), "point %d (%s)", point, died)
		}
		d.pass(time.Minute, time.Second)
		o, err := d.OrderByKey(d.ctx, app, d.key)
		require.NoError(t, err)
		require.Equal(t, order.PartRefunded, o.State, "point %d (%s)", point, died)
		require.Len(t, o.Packet.Claims, 2)
		whole, err := o.Packet.Claimed.Add(o.Refunded)
		require.NoError(t, err)
		require.Equal(t, "10.00", whole.String())
		require.Equal(t, o.Refunded.Minor(), d.one.payments[o.Payment].back, "point %d (%s)", point, died)
		require.Equal(t, "0.00", d.balance(gateway.Held(d.shop)), "point %d (%s)", point, died)
		for i, x := range o.Packet.Claims {
			require.Equal(t, money.Minor(-x.Money.Amount.Minor()).String(), d.balance(books.HolderBalance("app."+who(i))))
		}
		d.agrees(o.ID)
		if died == "" {
			require.Greater(t, point, 20, "the walk has lost the points")
			return
		}
	}
}

// TestTheNightSeesAClaimThatWasNot posted, or that is another one.
func TestTheNightSeesAClaimThatWasNot(t *testing.T) {
	d := start(t, nil)
	o := d.wrapped(aPacket("k", 1000, 2, gateway.Even))
	var faults []string
	undone := fmt.Errorf("undone")
	require.ErrorIs(t, d.store.Update(d.ctx, func(tx *store.Tx) error {
		if err := tx.ClaimGatewayShare(d.ctx, store.GatewayShare{Order: o.ID, N: 1, Holder: "app.ann", IdempotencyKey: "c", At: d.clock.Now()}); err != nil {
			return err
		}
		if err := tx.Post(d.ctx, books.Entry{ID: store.GatewayClaimEntry(o.ID, 2), Kind: "gateway-claimed", Day: noon.Format(time.DateOnly), Ref: "x", Lines: []books.Line{
			{Account: gateway.Held(d.shop), Amount: money.Minor(500)}, {Account: books.HolderBalance("app.bob"), Amount: money.Minor(-500)}}}); err != nil {
			return err
		}
		row, err := tx.GatewayOrder(d.ctx, o.ID)
		if err != nil {
			return err
		}
		row.Refunded = money.Minor(501)
		if err := tx.SetGatewayOrder(d.ctx, row); err != nil {
			return err
		}
		if faults, err = tx.VerifyGateway(d.ctx); err != nil {
			return err
		}
		return undone
	}), undone)
	require.Equal(t, []string{
		"entry gateway:" + o.ID + ":claim:1 gave 0.00 to holder:app.ann:balance, the claim 5.00",
		"entry gateway:" + o.ID + ":claim:2 is a claim, and nobody has claimed that share",
		"red packet " + o.ID + ": 10.01 was claimed or went back, and 10.00 was received",
	}, faults)
}
