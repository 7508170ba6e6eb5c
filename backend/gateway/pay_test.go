package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/webhook"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

func TestAnOrderIsMadeOnce(t *testing.T) {
	d := start(t, nil)
	o := d.order("k", 1000)
	require.Equal(t, order.Open, o.State)
	require.Equal(t, o.ID, d.order("k", 1000).ID)
	_, err := d.Create(t.Context(), app, anOrder("k", 1001))
	require.ErrorIs(t, err, gateway.ErrConflict)
	require.Equal(t, []string{gateway.FindConflict}, d.findings(o.ID))
	other, err := d.Create(t.Context(), "other", anOrder("k", 1001))
	require.NoError(t, err)
	require.NotEqual(t, o.ID, other.ID)
	_, err = d.Order(t.Context(), "other", o.ID)
	require.ErrorIs(t, err, gateway.ErrUnknownOrder)
	d.agrees(o.ID)
}

func TestAnOrderThatDoesNotFitIsRefused(t *testing.T) {
	d := start(t, nil)
	for name, change := range map[string]func(*gateway.NewOrder){
		"key": func(n *gateway.NewOrder) { n.Key = "" }, "currency": func(n *gateway.NewOrder) { n.Money.Currency = "USD" },
		"amount": func(n *gateway.NewOrder) { n.Money.Amount = money.Minor(0) }, "too much": func(n *gateway.NewOrder) { n.Money.Amount = money.Minor(50_000_01) },
		"subject": func(n *gateway.NewOrder) { n.Subject = "\xff" }, "merchant": func(n *gateway.NewOrder) { n.Merchant = "a.b" },
		"expires": func(n *gateway.NewOrder) { n.Expires = 25 * time.Hour }, "payee": func(n *gateway.NewOrder) { n.Payee = "p" },
	} {
		n := anOrder("k", 1000)
		change(&n)
		_, err := d.Create(t.Context(), app, n)
		require.ErrorIs(t, err, gateway.ErrRequest, name)
	}
	n := anOrder("k", 1000)
	n.Type = code.TopUp
	_, err := d.Create(t.Context(), app, n)
	require.ErrorIs(t, err, gateway.ErrUnsupported)
	n = anOrder("k", 1000)
	n.Product = 9
	_, err = d.Create(t.Context(), app, n)
	require.ErrorIs(t, err, code.ErrUnknown)
}

func TestAPaymentEndToEnd(t *testing.T) {
	d := start(t, nil)
	o := d.order("k", 1000)
	p := d.pay(o.ID, "p")
	require.Equal(t, order.Waiting, p.State)
	require.Equal(t, "pay://"+p.Number, p.Action.QR)
	require.Equal(t, "00010101001001000001", p.Context)
	require.Equal(t, p, d.pay(o.ID, "p"), "the same attempt")
	require.Equal(t, 1, d.one.count("pay"))

	require.True(t, d.one.pays(p.Number, false))
	require.NoError(t, d.notify("one", "", p.Number))
	require.NoError(t, d.notify("one", "", p.Number), "a second one changes nothing")
	require.NoError(t, d.notify("one", "again", p.Number), "nor one with another id")
	o = d.now(o.ID)
	require.Equal(t, order.Paid, o.State)
	require.Equal(t, p.Context, o.Context)
	require.Equal(t, "10.00", o.Received.String())
	require.Equal(t, "9.94", d.balance(books.Channel("one")))
	require.Equal(t, "0.06", d.balance(books.FeeChannel))
	require.Empty(t, d.findings(o.ID))
	d.settled(o.ID)
	_, err := d.Pay(t.Context(), app, o.ID, qr("q"))
	require.ErrorIs(t, err, order.ErrState)

	var types []string
	require.NoError(t, d.store.View(t.Context(), func(tx *store.Tx) error {
		all, err := tx.OutboxWaiting(t.Context(), 100)
		for _, m := range all {
			var n webhook.Notice
			require.NoError(t, json.Unmarshal(m.Body, &n))
			require.Equal(t, app, n.App)
			require.Equal(t, webhook.Topic, m.Topic)
			types = append(types, n.Type)
		}
		require.JSONEq(t, `{"order":"`+o.ID+`","key":"k","about":"`+o.ID+`","event":"paid","state":"paid","context":"`+o.Context+`","at_ms":`+fmt.Sprint(noon.UnixMilli())+`,"attach":""}`,
			string(noticeData(t, all[len(all)-1].Body)))
		return err
	}))
	require.Equal(t, []string{"order.created", "payment.created", "payment.called", "payment.accepted", "payment.paid", "order.paid"}, types)
}

func noticeData(t *testing.T, body []byte) []byte {
	var n webhook.Notice
	require.NoError(t, json.Unmarshal(body, &n))
	return n.Data
}

func TestTheSamePaymentKeyWithOtherContentIsAnAlarm(t *testing.T) {
	d := start(t, nil)
	o := d.order("k", 1000)
	d.pay(o.ID, "p")
	n := qr("p")
	n.Product = channel.Code
	_, err := d.Pay(t.Context(), app, o.ID, n)
	require.ErrorIs(t, err, gateway.ErrConflict)
	require.Equal(t, []string{gateway.FindConflict}, d.findings(o.ID))
	n = qr("c")
	n.Payer.Token = "4111111111111111"
	_, err = d.Pay(t.Context(), app, o.ID, n)
	require.ErrorIs(t, err, gateway.ErrCardNumber)
	require.NotContains(t, err.Error(), "4111")
}

// TestANotificationBeforeTheAnswer: it is here before Pay has returned.
func TestANotificationBeforeTheAnswer(t *testing.T) {
	d := start(t, nil)
	o := d.order("k", 1000)
	d.one.after = func(call string, r channel.Result) (channel.Result, error) {
		if call == "pay" {
			d.one.mu.Unlock()
			require.True(t, d.one.pays(r.Number, false))
			require.NoError(t, d.notify("one", "", r.Number))
			d.one.mu.Lock()
		}
		return r, nil // Pending: it was made before the payer paid
	}
	p := d.pay(o.ID, "p")
	require.Equal(t, order.PaymentPaid, p.State)
	d.settled(o.ID)
}

func TestAnotherAmountProvesNothing(t *testing.T) {
	d := start(t, nil)
	o := d.order("k", 1000)
	p := d.pay(o.ID, "p")
	require.True(t, d.one.pays(p.Number, false))
	require.NoError(t, d.notify("one", "cheap", p.Number))
	require.Equal(t, order.Open, d.now(o.ID).State)
	require.Equal(t, []string{gateway.FindAmount}, d.findings(o.ID))
	d.pass(5*time.Second, 5*time.Second)
	require.Equal(t, order.Paid, d.now(o.ID).State, "the channel was asked")
	d.settled(o.ID)
}

func TestForgedStrangeAndMisdirectedNotificationsChangeNothing(t *testing.T) {
	d := start(t, nil)
	o := d.order("k", 1000)
	p := d.pay(o.ID, "p")
	require.True(t, d.one.pays(p.Number, false))
	var forged *channel.ForgedError
	require.ErrorAs(t, d.notify("one", "forged", p.Number), &forged)
	require.NoError(t, d.notify("two", "", p.Number))
	require.NoError(t, d.notify("one", "", "P-of-nobody"))
	_, err := d.Notified(t.Context(), "three", channel.Notification{})
	require.ErrorIs(t, err, gateway.ErrUnknownAccount)
	require.Equal(t, order.Open, d.now(o.ID).State)
	require.Equal(t, []string{gateway.FindOtherChannel}, d.findings(o.ID))
	require.Contains(t, d.findings(""), gateway.FindUnknownNumber)
}

func TestALostAnswerIsAskedAbout(t *testing.T) {
	d := start(t, nil)
	o := d.order("k", 1000)
	d.one.after = func(call string, r channel.Result) (channel.Result, error) {
		if call == "pay" || call == "query" {
			return channel.Result{}, errLost
		}
		return r, nil
	}
	p := d.pay(o.ID, "p")
	require.Equal(t, order.Unknown, p.State)
	require.True(t, d.one.pays(p.Number, false))
	var asked []time.Duration
	for s := time.Second; s <= 70*time.Second; s += time.Second {
		before := d.one.count("query")
		d.pass(time.Second, time.Second)
		if d.one.count("query") > before {
			asked = append(asked, s)
		}
	}
	require.Equal(t, []time.Duration{1 * time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second, 31 * time.Second, 63 * time.Second}, asked)
	d.one.after = nil
	d.pass(2*time.Minute, time.Minute)
	d.settled(o.ID)
	require.Equal(t, order.Paid, d.now(o.ID).State)
}

func TestWhatNeverArrivedIsGivenUpOnlyWhenItCannotArrive(t *testing.T) {
	d := start(t, nil)
	o := d.order("k", 1000)
	d.one.before = func(call string) error {
		if call == "pay" {
			return errLost
		}
		return nil
	}
	p := d.pay(o.ID, "p")
	d.pass(4*time.Minute, 4*time.Second)
	require.Equal(t, order.Unknown, d.now(o.ID).Payments[0].State)
	d.pass(10*time.Minute, 10*time.Second)
	require.Equal(t, order.Failed, d.now(o.ID).Payments[0].State)
	require.Equal(t, order.Open, d.now(o.ID).State, "another attempt may be made")
	require.NotEqual(t, p.Number, d.pay(o.ID, "q").Number)
}

func TestARefusalGoesOnToAnotherChannel(t *testing.T) {
	for name, c := range map[string]struct {
		r     channel.Result
		err   error
		calls int
	}{
		"the channel is at fault": {r: channel.Result{Outcome: channel.Failed, Class: channel.ByChannel}, calls: 1},
		"not sent":                {err: errors.Join(errLost, channel.ErrNotSent), calls: 1},
		"the payer has no money":  {r: channel.Result{Outcome: channel.Failed, Class: channel.ByPayer}},
		"suspicious":              {r: channel.Result{Outcome: channel.Failed, Class: channel.ByRisk}},
		"nobody knows":            {err: errLost},
	} {
		t.Run(name, func(t *testing.T) {
			d := start(t, nil)
			o := d.order("k", 1000)
			d.one.after = func(call string, r channel.Result) (channel.Result, error) {
				if call == "pay" {
					return c.r, c.err
				}
				return r, nil
			}
			p := d.pay(o.ID, "p")
			require.Equal(t, c.calls, d.two.count("pay"))
			require.Len(t, d.now(o.ID).Payments, 1+c.calls)
			require.Equal(t, c.calls == 1, p.State == order.Waiting)
			d.agrees(o.ID)
		})
	}
}

func TestTheLastRefusalIsTheAnswerWhenNoChannelIsLeft(t *testing.T) {
	d := start(t, nil)
	for _, b := range []*bank{d.one, d.two} {
		b.after = func(string, channel.Result) (channel.Result, error) {
			return channel.Result{Outcome: channel.Failed, Class: channel.ByIssuer, Code: "ISSUER_AWAY"}, nil
		}
	}
	o := d.order("k", 1000)
	p := d.pay(o.ID, "p")
	require.Equal(t, order.Failed, p.State)
	require.Equal(t, "two", p.Account)
	require.Equal(t, "ISSUER_AWAY", p.Code)
	require.Equal(t, order.Open, d.now(o.ID).State)
	_, err := d.Pay(t.Context(), app, o.ID, gateway.NewPayment{Key: "x", Product: channel.Card})
	require.ErrorIs(t, err, gateway.ErrNoChannel)
}

type risk func(gateway.Assessed) gateway.Verdict

func (r risk) Assess(_ context.Context, a gateway.Assessed) (gateway.Assessment, error) {
	return gateway.Assessment{Verdict: r(a), Why: "rule 7"}, nil
}

func TestRiskBlocksOrWantsMore(t *testing.T) {
	d := start(t, func(c *gateway.Config) {
		c.Risk = risk(func(a gateway.Assessed) gateway.Verdict {
			switch {
			case a.IP == "192.0.2.66":
				return gateway.Block
			case a.Proof == "":
				return gateway.Challenge
			}
			return gateway.Pass
		})
	})
	o := d.order("k", 1000)
	n := qr("p")
	n.IP = "192.0.2.66"
	p, err := d.Pay(t.Context(), app, o.ID, n)
	require.NoError(t, err)
	require.Equal(t, order.Failed, p.State)
	require.Equal(t, channel.ByRisk, p.Class)
	q := d.pay(o.ID, "q")
	require.Equal(t, order.Challenged, q.State)
	require.Equal(t, order.Challenged, d.pay(o.ID, "q").State)
	require.Zero(t, d.one.count("pay")+d.two.count("pay"))
	n = qr("q")
	n.Proof = "123456"
	p, err = d.Pay(t.Context(), app, o.ID, n)
	require.NoError(t, err)
	require.Equal(t, q.Number, p.Number)
	require.Equal(t, order.Waiting, p.State)
	d.agrees(o.ID)
}

// A card that has expired pays nothing; what it paid before it did is still answered under its key.
func TestAnExpiredCardPaysNothing(t *testing.T) {
	var expired error
	d := start(t, func(c *gateway.Config) {
		c.Cards = func(context.Context, string) (string, string, error) { return "", "", expired }
	})
	o, n := d.order("k", 1000), qr("p")
	n.Payer.Token = "card_one"
	before, err := d.Pay(t.Context(), app, o.ID, n)
	require.NoError(t, err)
	expired = gateway.ErrCardExpired
	after, err := d.Pay(t.Context(), app, o.ID, n)
	require.NoError(t, err)
	require.Equal(t, before.Number, after.Number)
	n.Key = "q"
	_, err = d.Pay(t.Context(), app, o.ID, n)
	require.ErrorIs(t, err, gateway.ErrCardExpired)
	require.Equal(t, 1, d.one.count("pay")+d.two.count("pay"))
}

func TestAnOrderEndsWithItsTime(t *testing.T) {
	d := start(t, nil)
	o := d.order("k", 1000)
	p := d.pay(o.ID, "p")
	d.pass(30*time.Minute, 10*time.Second)
	d.pass(10*time.Second, 5*time.Second)
	require.Equal(t, order.Closed, d.now(o.ID).State)
	require.Equal(t, 1, d.one.count("close"))
	_, err := d.Pay(t.Context(), app, o.ID, qr("q"))
	require.ErrorIs(t, err, order.ErrState)
	d.settled(o.ID)

	// Late success: it comes all the same, and goes back by itself.
	require.True(t, d.one.pays(p.Number, true))
	require.NoError(t, d.notify("one", "", p.Number))
	d.pass(5*time.Second, 5*time.Second)
	require.Equal(t, order.Closed, d.now(o.ID).State)
	require.Contains(t, d.findings(o.ID), gateway.FindSurplus)
	require.Equal(t, 1, d.one.count("refund"))
	d.settled(o.ID)
}

func TestAnOrderIsClosedByItsApp(t *testing.T) {
	d := start(t, nil)
	o := d.order("k", 1000)
	p := d.pay(o.ID, "p")
	got, err := d.Close(t.Context(), app, o.ID)
	require.NoError(t, err)
	require.Equal(t, order.Closing, got.State)
	require.True(t, d.one.pays(p.Number, false), "somebody was faster")
	d.pass(time.Second, time.Second)
	require.Equal(t, order.Paid, d.now(o.ID).State)
	d.settled(o.ID)
	_, err = d.Close(t.Context(), app, o.ID)
	require.ErrorIs(t, err, order.ErrState)
	o = d.order("l", 1000)
	got, err = d.Close(t.Context(), app, o.ID)
	require.NoError(t, err)
	require.Equal(t, order.Closed, got.State)
}

func TestAPasswordThatNeverComesTakesTheCodePaymentBack(t *testing.T) {
	d := start(t, nil)
	o := d.order("k", 1000)
	n := qr("p")
	n.Product, n.Payer.Code = channel.Code, "134567890123456789"
	p, err := d.Pay(t.Context(), app, o.ID, n)
	require.NoError(t, err)
	require.Equal(t, order.Waiting, p.State)
	d.pass(50*time.Second, time.Second)
	require.Equal(t, order.PaymentClosed, d.now(o.ID).Payments[0].State)
	require.Equal(t, order.Open, d.now(o.ID).State)
}

// TestTwoChannelsPaidOneOrder: the second payment goes back by itself (E37).
func TestTwoChannelsPaidOneOrder(t *testing.T) {
	d := start(t, nil)
	o := d.order("k", 1000)
	p := d.pay(o.ID, "p")
	d.one.caps.Products = nil // the payer changes to the other channel
	q := d.pay(o.ID, "q")
	require.Equal(t, "two", q.Account)
	require.True(t, d.one.pays(p.Number, false))
	require.True(t, d.two.pays(q.Number, false))
	require.NoError(t, d.notify("two", "", q.Number))
	require.Equal(t, q.Number, d.now(o.ID).Payment)
	d.pass(time.Second, time.Second) // the other attempt is closed at once: somebody was faster
	d.pass(time.Second, time.Second)
	require.Equal(t, []string{gateway.FindSurplus}, d.findings(o.ID))
	require.Equal(t, int64(1000), d.one.payments[p.Number].back)
	require.Zero(t, d.two.payments[q.Number].back)
	require.Equal(t, order.Paid, d.now(o.ID).State)
	require.Equal(t, "10.00", d.now(o.ID).Received.String())
	d.settled(o.ID)
}

// TestOneOfTwoWorkersAsks: what one has, another leaves.
func TestOneOfTwoWorkersAsks(t *testing.T) {
	d := start(t, nil)
	o := d.order("k", 1000)
	d.pay(o.ID, "p")
	first := *d
	second := *d
	second.open()
	defer second.store.Close()
	d.clock.Advance(4 * time.Second)
	d.one.after = func(call string, r channel.Result) (channel.Result, error) {
		d.one.mu.Unlock()
		n, err := second.Scan(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
		d.one.mu.Lock()
		return r, nil
	}
	n, err := first.Scan(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

// TestAPayerChoosesACompany: the account that the rules would take first is left out, and a company that takes nothing is said to.
func TestAPayerChoosesACompany(t *testing.T) {
	d := start(t, nil)
	n := qr("p")
	n.Company = 2
	p, err := d.Pay(d.ctx, app, d.order("k", 1000).ID, n)
	require.NoError(t, err)
	require.Equal(t, "two", p.Account)
	n.Company = 3
	_, err = d.Pay(d.ctx, app, d.order("k2", 1000).ID, n)
	require.ErrorIs(t, err, gateway.ErrNoChannel)
}
