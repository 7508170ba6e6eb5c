package channeltest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
)

// stand is a bench in use.
type stand struct {
	*Bench
	t        *testing.T
	ctx      context.Context
	caps     channel.Capabilities
	requests map[string]channel.PayRequest
	sent     map[string]time.Time
	raw      []channel.Notification
	events   []channel.Event
	forged   int
	accept   bool
}

func open(t *testing.T, make Maker) *stand {
	b := make(t)
	s := &stand{Bench: b, t: t, ctx: t.Context(), caps: b.Channel.Capabilities(), requests: map[string]channel.PayRequest{}, sent: map[string]time.Time{}, accept: true}
	if b.Notifier != nil {
		b.Notifier.Receive(s.receive)
	}
	return s
}

// receive is the gateway's end of notifications, as small as it can be.
func (s *stand) receive(ctx context.Context, _ string, n channel.Notification) channel.Reply {
	n.At = s.Clock.Now()
	s.raw = append(s.raw, n)
	events, err := s.Channel.Notified(ctx, n)
	var forged *channel.ForgedError
	if errors.As(err, &forged) {
		s.forged++
		return s.Channel.Answer(err)
	}
	require.NoError(s.t, err, "a notification that the channel sent")
	if !s.accept {
		return s.Channel.Answer(errors.New("the database is away"))
	}
	s.events = append(s.events, events...)
	return s.Channel.Answer(nil)
}

// notifications lets the channel send what is due.
func (s *stand) notifications() {
	if s.Notifier != nil {
		s.Notifier.Run(s.ctx)
	}
}

var numbers atomic.Int64

func number() string {
	return fmt.Sprintf("ct%020d", numbers.Add(1))
}

func minor(m channel.Money) int64 { return m.Amount.Minor() }

func (s *stand) request(number string, amount int64, will Will) channel.PayRequest {
	r := s.Request(number, amount, will)
	require.Equal(s.t, number, r.Number, "the bench must keep the number")
	require.Equal(s.t, amount, minor(r.Money), "the bench must keep the amount")
	if r.Sent.IsZero() {
		r.Sent = s.Clock.Now().Truncate(time.Second) // as the gateway does
	}
	s.requests[number] = r
	return r
}

// ask sends a payment request, and holds the answer to the rules that hold for every answer.
func (s *stand) ask(r channel.PayRequest) (channel.Result, error) {
	if _, again := s.sent[r.Number]; !again {
		s.sent[r.Number] = r.Sent
	}
	res, err := s.Channel.Pay(s.ctx, r)
	s.check(r.Number, res, err)
	return res, err
}

// check is true of every answer about a payment.
func (s *stand) check(number string, res channel.Result, err error) {
	s.t.Helper()
	truth := s.Truth(number)
	require.LessOrEqual(s.t, truth.Charges, 1, "the payer was charged more than once")
	if errors.Is(err, channel.ErrNotSent) {
		require.Zero(s.t, truth.Charges, "not sent, and yet charged")
	}
	if err != nil {
		require.False(s.t, res.Outcome.Final(), "an error says nothing about the money, but the result is %v", res.Outcome)
		return
	}
	switch res.Outcome {
	case channel.Succeeded:
		require.Equal(s.t, 1, truth.Charges, "a success without a charge")
		require.Equal(s.t, number, res.Number, "a result must name our number")
		if !res.Money.Amount.IsZero() {
			require.Equal(s.t, truth.Paid, minor(res.Money), "the amount of a success")
			require.Equal(s.t, s.requests[number].Money.Currency, res.Money.Currency)
		}
	case channel.Failed, channel.Closed, channel.Missing:
		require.Zero(s.t, truth.Charges, "%v, but the payer was charged", res.Outcome)
	}
}

func (s *stand) ref(number string) channel.Ref {
	return channel.Ref{Number: number, Money: s.requests[number].Money, Sent: s.sent[number]}
}

func (s *stand) query(number string) channel.Result {
	s.t.Helper()
	res, err := s.Channel.Query(s.ctx, s.ref(number))
	require.NoError(s.t, err)
	s.check(number, res, nil)
	return res
}

// patience is how often, and how far apart by the clock, the suite asks for what is under way.
const (
	patience = 40
	between  = time.Minute
)

// await asks until the channel's word is final.
func (s *stand) await(number string) channel.Result {
	s.t.Helper()
	var res channel.Result
	for range patience {
		if res = s.query(number); res.Outcome.Final() {
			return res
		}
		s.Clock.Advance(between)
		s.notifications()
	}
	require.Fail(s.t, "no final word", "payment %s is still %v", number, res.Outcome)
	return res
}

// pay has a payment made, whatever it takes.
func (s *stand) pay(amount int64) string {
	s.t.Helper()
	n := number()
	_, err := s.ask(s.request(n, amount, Pays))
	require.NoError(s.t, err)
	require.NoError(s.t, s.Act(n))
	require.Equal(s.t, channel.Succeeded, s.await(n).Outcome)
	s.notifications()
	return n
}

func (s *stand) refundOf(payment, refund string, amount int64) channel.RefundRequest {
	r := s.requests[payment]
	return channel.RefundRequest{Number: refund, Of: s.ref(payment), Sent: s.Clock.Now(), Reason: "returned", NotifyURL: r.NotifyURL,
		Money: channel.Money{Amount: money.Minor(amount), Currency: r.Money.Currency}}
}

func refundRef(r channel.RefundRequest, sent time.Time) channel.RefundRef {
	return channel.RefundRef{Number: r.Number, Of: r.Of, Money: r.Money, Sent: sent}
}

// settle asks for a refund and waits for the channel's last word on it.
func (s *stand) settle(r channel.RefundRequest) channel.Result {
	s.t.Helper()
	res, err := s.Channel.Refund(s.ctx, r)
	require.NoError(s.t, err)
	return s.settled(r, r.Sent, res)
}

func (s *stand) settled(r channel.RefundRequest, sent time.Time, res channel.Result) channel.Result {
	s.t.Helper()
	for range patience {
		if res.Outcome.Final() {
			return res
		}
		s.Clock.Advance(between)
		s.notifications()
		var err error
		res, err = s.Channel.QueryRefund(s.ctx, refundRef(r, sent))
		require.NoError(s.t, err)
	}
	require.Fail(s.t, "no final word", "refund %s is still %v", r.Number, res.Outcome)
	return res
}

// told finds the events about a number.
func (s *stand) told(about channel.Subject, number string) []channel.Event {
	var out []channel.Event
	for _, e := range s.events {
		if e.About == about && e.Result.Number == number {
			out = append(out, e)
		}
	}
	return out
}

// succeeded reports that an event said that a payment was made.
func (s *stand) succeeded(number string) bool {
	for _, e := range s.told(channel.OfPayment, number) {
		if e.Result.Outcome == channel.Succeeded {
			return true
		}
	}
	return false
}

// untilTold moves the clock from one try of the notifier to the next, until a success was told.
func (s *stand) untilTold(number string) {
	s.t.Helper()
	for range patience {
		s.notifications()
		if s.succeeded(number) {
			return
		}
		due, more := s.Notifier.Next()
		require.True(s.t, more, "the channel has given up to tell of a payment")
		s.Clock.Set(due)
	}
	require.Fail(s.t, "nothing was told")
}
