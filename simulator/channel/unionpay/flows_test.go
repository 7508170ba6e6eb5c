package unionpay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/unionpay"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/channeltest"
	"github.com/purselane/purselane/simulator/channel/unionpay"
)

func (s *stand) ref(number string) channel.Ref {
	return channel.Ref{Number: number, Sent: s.first(number)}
}

func (s *stand) netBank(t *testing.T, number string) adapter.Form {
	t.Helper()
	got, err := s.a.Pay(t.Context(), channel.PayRequest{Number: number, Product: channel.NetBank, Money: cny(2000), Sent: s.first(number), Expires: s.clock.Now().Add(15 * time.Minute),
		NotifyURL: notifyTo, ReturnURL: "https://shop.example/back", Payer: channel.Payer{Bank: "01020000"}})
	require.NoError(t, err)
	require.Equal(t, channel.Pending, got.Outcome)
	require.Equal(t, "https://gateway.unionpay.example/gateway/api/frontTransReq.do", got.Action.URL)
	require.Equal(t, "https://shop.example/back", got.Action.Form["frontUrl"])
	return adapter.Form(got.Action.Form)
}

func (s *stand) outcome(t *testing.T, number string) channel.Outcome {
	t.Helper()
	got, err := s.a.Query(t.Context(), s.ref(number))
	require.NoError(t, err)
	return got.Outcome
}

func TestNetBankingIsPaidByTheBackNotificationAlone(t *testing.T) {
	s := open(t)
	var events []channel.Event
	s.sim.Notifier().Receive(func(ctx context.Context, _ string, n channel.Notification) channel.Reply {
		got, err := s.a.Notified(ctx, n)
		require.NoError(t, err)
		events = append(events, got...)
		return s.a.Answer(nil)
	})
	const number = "20261125100000000002"
	form := s.netBank(t, number)
	require.Equal(t, channel.Missing, s.outcome(t, number), "before the payer is there nobody knows the order")
	require.ErrorIs(t, s.sim.Visit(form, poor), unionpay.ErrPage)
	require.Equal(t, channel.Failed, s.outcome(t, number))

	form = s.netBank(t, number+"9")
	require.NoError(t, s.sim.Visit(form, rich))
	s.sim.Notifier().Run(t.Context())
	require.Len(t, events, 2)
	require.Equal(t, channel.Failed, events[0].Result.Outcome)
	require.Equal(t, channel.OfPayment, events[1].About)
	require.Equal(t, channel.Succeeded, events[1].Result.Outcome)
	require.Equal(t, cny(2000), events[1].Result.Money)
	require.NotEmpty(t, events[1].ID)
	require.ErrorIs(t, s.sim.Visit(form, rich), unionpay.ErrPage, "nobody pays an order twice")
	times, _, _ := s.sim.Count(number + "9")
	require.Equal(t, 1, times)
}

func TestAFormThatWasChangedOrIsLateIsNotPaid(t *testing.T) {
	s := open(t)
	form := s.netBank(t, "20261125100000000003")
	form["txnAmt"] = "1"
	require.ErrorContains(t, s.sim.Visit(form, rich), "signature")

	form = s.netBank(t, "20261125100000000004")
	s.clock.Advance(16 * time.Minute)
	require.ErrorIs(t, s.sim.Visit(form, rich), unionpay.ErrExpired)
	require.Equal(t, channel.Missing, s.outcome(t, "20261125100000000004"))
	s.weather.Set(sim.Faults{LateSuccess: true})
	require.NoError(t, s.sim.Visit(form, rich))
	require.Equal(t, channel.Succeeded, s.outcome(t, "20261125100000000004"))
}

func TestAnOrderOfAnotherSecondIsAnotherOrder(t *testing.T) {
	s := open(t)
	r := s.quick("20261125100000000005", 500, channeltest.Pays)
	r.Sent = time.Time{}
	_, err := s.a.Pay(t.Context(), r)
	require.ErrorIs(t, err, channel.ErrNotSent, "without its second it could be charged twice")
	_, err = s.a.Query(t.Context(), channel.Ref{Number: r.Number})
	require.Error(t, err)
}

func TestAcceptedIsNotPaid(t *testing.T) {
	s := open(t)
	const number = "20261125100000000006"
	got, err := s.a.Pay(t.Context(), s.quick(number, 500, channeltest.Declines))
	require.NoError(t, err)
	require.Equal(t, channel.Pending, got.Outcome, "00 says accepted")
	s.clock.Advance(unionpay.DebitAfter)
	last, err := s.a.Query(t.Context(), s.ref(number))
	require.NoError(t, err)
	require.Equal(t, channel.Failed, last.Outcome)
	require.Equal(t, "64", last.Code)
	require.Equal(t, channel.ByPayer, last.Class)
}

func TestACardIsOpenedOnOurPage(t *testing.T) {
	s := open(t)
	r := channel.SignRequest{Number: "open0000000000000001", NotifyURL: notifyTo}
	data := adapter.CardData{Number: poor, Phone: "13800000002", CVN2: "248", Expires: "3012"}
	code, err := s.a.SendCode(t.Context(), r, data)
	require.NoError(t, err)
	require.Equal(t, channel.Pending, code.Outcome)

	wrong := data
	wrong.CVN2 = "249"
	got, err := s.a.Open(t.Context(), r, wrong)
	require.NoError(t, err)
	require.Equal(t, channel.Failed, got.Outcome)
	require.Equal(t, "65", got.Code)

	data.Code = "000000"
	got, err = s.a.Open(t.Context(), r, data)
	require.NoError(t, err)
	require.Equal(t, "71", got.Code)
	require.Equal(t, channel.ByPayer, got.Class)

	data.Code = s.sim.Text(r.Number)
	got, err = s.a.Open(t.Context(), r, data)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, got.Outcome)
	require.NotEmpty(t, got.Agreement)
	again, err := s.a.Open(t.Context(), r, data)
	require.NoError(t, err)
	require.Equal(t, got.Agreement, again.Agreement, "the same opening is the same token")

	for range 2 {
		ended, err := s.a.Forget(t.Context(), r.Number, got.Agreement)
		require.NoError(t, err)
		require.Equal(t, channel.Closed, ended.Outcome)
	}
	opened, err := s.a.Opened(t.Context(), r.Number)
	require.NoError(t, err)
	require.Equal(t, channel.Closed, opened.Outcome)
	pay := s.quick("20261125100000000007", 100, channeltest.Pays)
	pay.Payer.Token = got.Agreement
	paid, err := s.a.Pay(t.Context(), pay)
	require.NoError(t, err)
	require.Equal(t, channel.Failed, paid.Outcome)
	require.Equal(t, "80", paid.Code)
}

func TestACardAndAnAgreementAreOpenedOnUnionPaysPage(t *testing.T) {
	s := open(t)
	var events []channel.Event
	s.sim.Notifier().Receive(func(ctx context.Context, _ string, n channel.Notification) channel.Reply {
		got, err := s.a.Notified(ctx, n)
		require.NoError(t, err)
		events = append(events, got...)
		return s.a.Answer(nil)
	})
	page, err := s.a.OpenPage(t.Context(), channel.SignRequest{Number: "open0000000000000002", NotifyURL: notifyTo})
	require.NoError(t, err)
	none, err := s.a.Opened(t.Context(), "open0000000000000002")
	require.NoError(t, err)
	require.Equal(t, channel.Missing, none.Outcome)
	require.NoError(t, s.sim.Visit(page.Action.Form, rich))
	opened, err := s.a.Opened(t.Context(), "open0000000000000002")
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, opened.Outcome)

	page, err = s.a.Sign(t.Context(), channel.SignRequest{Number: "sign0000000000000001", NotifyURL: notifyTo})
	require.NoError(t, err)
	require.Equal(t, channel.Pending, page.Outcome)
	require.NoError(t, s.sim.Visit(page.Action.Form, rich))
	s.sim.Notifier().Run(t.Context())
	require.Len(t, events, 2)
	require.Equal(t, opened.Agreement, events[0].Agreement)
	require.Equal(t, channel.OfAgreement, events[1].About)
	require.Equal(t, "sign0000000000000001", events[1].Agreement)

	s.sim.EndAtBank("sign0000000000000001")
	ended, err := s.a.QueryAgreement(t.Context(), "sign0000000000000001", "")
	require.NoError(t, err)
	require.Equal(t, channel.Closed, ended.Outcome, "the payer has ended it at the bank")
}

func TestAfterTheDayAPaymentIsRefundedNotVoided(t *testing.T) {
	s := open(t)
	const number = "20261125100000000008"
	_, err := s.a.Pay(t.Context(), s.quick(number, 500, channeltest.Pays))
	require.NoError(t, err)
	s.clock.Set(time.Date(2026, 11, 25, 15, 0, 0, 0, time.UTC)) // 23:00 there: the next day has begun
	r := channel.RefundRequest{Number: "20261125230000000001", Of: s.ref(number), Money: cny(500), Sent: s.clock.Now(), NotifyURL: notifyTo}
	void, err := s.a.Void(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, channel.Failed, void.Outcome)
	require.Equal(t, "35", void.Code)
	r.Number = "20261125230000000002"
	refund, err := s.a.Refund(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, channel.Pending, refund.Outcome)
}

func TestAPayoutThatTheBankSendsBackIsInTheErrorFile(t *testing.T) {
	s := open(t)
	const number = "20261125100000000009"
	_, err := s.a.Payout(t.Context(), channel.PayoutRequest{Number: number, Money: cny(800), Sent: s.first(number), Account: "ref-payee", Name: "张三"})
	require.NoError(t, err)
	s.clock.Advance(time.Minute)
	paid, err := s.a.QueryPayout(t.Context(), s.ref(number))
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, paid.Outcome)
	require.EqualValues(t, 800, s.sim.Balance(payee))

	s.clock.Advance(30 * time.Hour) // the day after
	s.sim.ReturnPayout(number)
	require.Zero(t, s.sim.Balance(payee))
	s.clock.Advance(36 * time.Hour)
	rows := func(day string) (out []channel.BillRow) {
		require.NoError(t, s.a.Bill(t.Context(), day, func(r channel.BillRow) error { out = append(out, r); return nil }))
		return out
	}
	first, second := rows("2026-11-25"), rows("2026-11-26")
	require.Len(t, first, 1)
	require.Equal(t, channel.OfPayout, first[0].Kind)
	require.Equal(t, number, first[0].Number)
	require.Len(t, second, 1)
	require.Equal(t, channel.OfRefund, second[0].Kind)
	require.Equal(t, cny(800), second[0].Money)
	require.True(t, strings.HasPrefix(paid.ChannelID, second[0].ChannelID), "%s speaks of %s", second[0].ChannelID, paid.ChannelID)
	require.Len(t, second[0].ChannelID, 20)

	var back []channel.Return
	require.NoError(t, s.a.Returns(t.Context(), "2026-11-26", func(r channel.Return) error { back = append(back, r); return nil }))
	require.Len(t, back, 1)
	require.Equal(t, []any{second[0].ChannelID, cny(800), "E84"}, []any{back[0].ChannelID, back[0].Money, back[0].Code})
	require.NoError(t, s.a.Returns(t.Context(), "2026-11-25", func(channel.Return) error { return errors.New("none came back on that day") }))
}

func TestCardDataPrintAsNothing(t *testing.T) {
	d := adapter.CardData{Number: poor, CVN2: "248", Phone: "13800000002", Name: "张三"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		text := fmt.Sprintf(verb, d) + fmt.Sprintf(verb, &d) + fmt.Sprintf(verb, struct{ C adapter.CardData }{d})
		require.NotContains(t, text, "248", verb)
		require.NotContains(t, text, poor, verb)
		require.NotContains(t, text, "1380", verb)
	}
	_, err := json.Marshal(d)
	require.ErrorContains(t, err, "not kept")
}

// TestWhatLeavesHoldsNoCardInTheClear reads every byte that goes to UnionPay and comes back.
func TestWhatLeavesHoldsNoCardInTheClear(t *testing.T) {
	s := open(t)
	var wire bytes.Buffer
	c := settings(s.sim, s.clock, s.weather)
	c.HTTP = recorder{c.HTTP, &wire}
	a, err := adapter.New(c)
	require.NoError(t, err)
	_, err = a.Open(t.Context(), channel.SignRequest{Number: "open0000000000000003"}, adapter.CardData{Number: poor, Phone: "13800000002", CVN2: "248", Expires: "3012"})
	require.NoError(t, err)
	_, err = a.Payout(t.Context(), channel.PayoutRequest{Number: "20261125100000000010", Money: cny(1), Sent: s.clock.Now(), Account: "ref-payee", Name: "Zhang"})
	require.NoError(t, err)
	for _, secret := range []string{poor, payee, "cvn2", "13800000002", "Zhang"} {
		require.NotContains(t, wire.String(), secret)
	}
	require.Contains(t, wire.String(), "accNo=")
}

type recorder struct {
	channel.Doer
	to *bytes.Buffer
}

func (r recorder) Do(q *http.Request) (*http.Response, error) {
	body, err := q.GetBody()
	if err != nil {
		return nil, err
	}
	if _, err := r.to.ReadFrom(body); err != nil {
		return nil, err
	}
	return r.Doer.Do(q)
}
