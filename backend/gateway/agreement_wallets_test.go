package gateway_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	alipayadapter "github.com/purselane/purselane/backend/gateway/channel/alipay"
	wechatadapter "github.com/purselane/purselane/backend/gateway/channel/wechat"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/recurring"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/alipay"
	"github.com/purselane/purselane/simulator/channel/wechat"
)

// wallet is a channel that signs agreements, with its simulator.
type wallet struct {
	real    channel.Channel
	weather *sim.Weather
	notices *sim.Notifier
	run     func(context.Context) int
	signs   func(channel.Action) error        // the payer opens what he was given, and signs
	ends    func(number string) error         // the payer ends it at the channel
	booked  func(payment string) (int, int64) // how often, and how much
}

func alipayWallet(t *testing.T, d *desk) wallet {
	s := alipay.New(alipay.Options{Clock: d.clock, Seed: 1})
	real, err := alipayadapter.New(s.Settings())
	require.NoError(t, err)
	return wallet{
		real: real, weather: s.Weather, notices: s.Notices, run: s.Run, ends: s.EndAtAlipay,
		signs:  func(a channel.Action) error { return s.Sign(a.URL, alipay.Payer{}) },
		booked: func(n string) (int, int64) { times, sum, _ := s.Booked(n); return times, sum },
	}
}

func wechatWallet(t *testing.T, d *desk) wallet {
	s := wechat.New(wechat.Options{Clock: d.clock, Seed: 1})
	real, err := wechatadapter.New(s.Settings())
	require.NoError(t, err)
	return wallet{
		real: real, weather: s.Weather, notices: s.Notices, run: s.Run, ends: s.EndInWeChat,
		signs:  func(a channel.Action) error { return s.Sign(a.URL, wechat.Payer{}) },
		booked: func(n string) (int, int64) { times, sum, _ := s.Booked(n); return times, sum },
	}
}

// TestAgreementsOverWallets goes the whole way with real adapters and simulators that verify their signatures: a payer signs, is debited once for each order and
// every month, and ends agreements at the channel, once told of and once found by asking.
func TestAgreementsOverWallets(t *testing.T) {
	for name, open := range map[string]func(*testing.T, *desk) wallet{"alipay": alipayWallet, "wechat": wechatWallet} {
		t.Run(name, func(t *testing.T) { overWallet(t, open) })
	}
}

func overWallet(t *testing.T, open func(*testing.T, *desk) wallet) {
	d := start(t, nil)
	w := open(t, d)
	d.cfg = func(c *gateway.Config) { c.Accounts[0].Channel = w.real }
	d.restart()
	forged, signing := 0, ""
	w.notices.Receive(func(ctx context.Context, _ string, n channel.Notification) channel.Reply {
		answer, err := d.Notified(ctx, "one", n)
		var bad *channel.ForgedError
		if errors.As(err, &bad) {
			forged++
			if signing != "" {
				require.Equal(t, order.Signing, d.agreement(signing).State, "a forged notice of a signing")
			}
			return answer
		}
		require.NoError(t, err)
		signing = ""
		return answer
	})
	goes := func(total, step time.Duration) {
		for range int(total / step) {
			d.pass(step, step)
			w.run(t.Context())
		}
	}
	signed := func(n gateway.NewAgreement) gateway.Agreement {
		asked, err := d.Sign(d.ctx, app, n)
		require.NoError(t, err)
		require.Equal(t, order.Signing, asked.State)
		signing = asked.Number
		w.weather.Set(sim.Faults{NotifyForged: 1, NotifyDoubled: 1})
		require.NoError(t, w.signs(asked.Action))
		w.run(t.Context())
		w.weather.Set(sim.Faults{})
		a := d.agreement(asked.Number)
		require.Equal(t, order.Active, a.State, "told, and not asked")
		return a
	}
	debits := func(a gateway.Agreement, key string) (gateway.Order, error) {
		o := d.order(key, 515)
		_, err := d.Pay(d.ctx, app, o.ID, gateway.NewPayment{Key: "p", Product: channel.Agreement, Payer: channel.Payer{Agreement: a.Number}})
		goes(2*time.Minute, 2*time.Second)
		return d.now(o.ID), err
	}
	paid := func(a gateway.Agreement, key string) {
		t.Helper()
		o, err := debits(a, key)
		require.NoError(t, err)
		require.Equal(t, order.Paid, o.State)
		times, sum := w.booked(o.Payments[0].Number)
		require.Equal(t, 1, times)
		require.EqualValues(t, 515, sum)
		d.agrees(o.ID)
	}
	rides := func(key string) gateway.Agreement {
		return signed(gateway.NewAgreement{Key: key, Product: 1, Merchant: shop, Payer: "rider-8", Currency: "CNY", Subject: "rides"})
	}

	told := rides("told")
	require.Positive(t, forged)
	paid(told, "debit")
	w.weather.Next(sim.Pay, sim.Fate{Cut: sim.CutAfter})
	paid(told, "answer lost")
	require.NoError(t, w.ends(told.Number))
	w.run(t.Context())
	require.Equal(t, order.EndedThen, d.agreement(told.Number).State)
	late, err := debits(told, "after the end")
	require.ErrorIs(t, err, order.ErrState)
	require.Empty(t, late.Payments)

	silent := rides("nobody tells")
	w.weather.Set(sim.Faults{NotifyLost: 1})
	require.NoError(t, w.ends(silent.Number))
	w.run(t.Context())
	late, err = debits(silent, "after an end that nobody knows of")
	require.NoError(t, err)
	require.NotEqual(t, order.Paid, late.State)
	times, _ := w.booked(late.Payments[0].Number)
	require.Zero(t, times)
	require.Equal(t, order.Failed, late.Payments[0].State)
	require.Equal(t, order.Active, d.agreement(silent.Number).State)
	w.weather.Unreachable(true)
	goes(25*time.Hour, time.Hour)
	require.Equal(t, order.Active, d.agreement(silent.Number).State, "nobody answers, which says nothing")
	w.weather.Unreachable(false)
	goes(25*time.Hour, time.Hour)
	require.Equal(t, order.EndedThen, d.agreement(silent.Number).State, "found by asking")
	w.weather.Set(sim.Faults{})

	month := signed(monthly("monthly"))
	goes(10*time.Minute, 10*time.Second)
	require.Equal(t, recurring.Good, d.agreement(month.Number).Standing)
	first := d.now(d.agreement(month.Number).LastOrder)
	require.Equal(t, order.Paid, first.State)
	times, sum := w.booked(first.Payments[0].Number)
	require.Equal(t, 1, times)
	require.EqualValues(t, 3000, sum)
	w.weather.Set(sim.Faults{NotifyLost: 1})
	require.NoError(t, w.ends(month.Number))
	goes(31*24*time.Hour, time.Hour)
	ended := d.agreement(month.Number)
	require.Equal(t, order.EndedThen, ended.State, "found by asking, before its next payment")
	require.Equal(t, recurring.Ended, ended.Standing)
	require.Equal(t, first.ID, ended.LastOrder, "nothing was charged after it")
	w.weather.Set(sim.Faults{})

	ours := rides("we end it")
	over, err := d.EndAgreement(d.ctx, app, ours.Number)
	require.NoError(t, err)
	require.Equal(t, order.EndedThen, over.State)
	require.Error(t, w.ends(ours.Number), "the channel has it no more")
	d.proves(t)
}
