package gateway_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/bill"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/simulator/channel/unionpay"
)

// TestAPayOutThatComesBackInTheFileOfADay: UnionPay tells of it nowhere else. It is booked back once, two persons may send another, and both days' bills agree.
func TestAPayOutThatComesBackInTheFileOfADay(t *testing.T) {
	var s *unionpay.Sim
	d, x := paysOutOver(t, func(t *testing.T, d *desk) payoutChannel {
		sim, a, w := unionPay(t, d)
		s = sim
		return payoutChannel{adapter: a, weather: w, notices: sim.Notifier(), payee: "ref-payee", run: func() { sim.Settle(); sim.Notifier().Run(t.Context()) },
			sent: func(n string) int64 { _, fen, _ := sim.Count(n); return fen }}
	})
	stays, back := d.paysOutTo("stays", x.payee, 1000), d.paysOutTo("comes back", x.payee, 1400)
	d.clock.Advance(time.Minute)
	x.run()
	d.pass(time.Minute, 2*time.Second)
	require.Equal(t, order.Paid, d.now(back.ID).State)
	require.Equal(t, "-76.00", d.available())
	paid := day(d.clock.Now())

	d.clock.Advance(26 * time.Hour)
	returned := day(d.clock.Now())
	s.ReturnPayout(back.Operations[0].Number)
	_, err := d.Returns(d.ctx, "one", returned)
	require.ErrorIs(t, err, channel.ErrNoBillYet)
	d.clock.Advance(48 * time.Hour)

	before, err := bill.Day(t.Context(), d.store, "one", x.adapter, returned)
	require.NoError(t, err)
	require.Len(t, before.Differences, 1)
	require.Equal(t, bill.State, before.Differences[0].Class)
	require.Equal(t, back.Operations[0].Number, before.Differences[0].Number)

	for n, want := range []gateway.Returned{{Rows: 1, Ours: 1, Booked: 1}, {Rows: 1, Ours: 1}} {
		got, err := d.Returns(d.ctx, "one", returned)
		require.NoError(t, err)
		require.Equal(t, want, got, "read %d times", n+1)
	}
	got, err := d.Returns(d.ctx, "one", paid)
	require.NoError(t, err)
	require.Zero(t, got)

	now := d.now(back.ID)
	require.Equal(t, []any{order.Returned, order.OpReturned, "E84"}, []any{now.State, now.Operations[0].State, now.Operations[0].Code})
	require.Equal(t, order.Paid, d.now(stays.ID).State)
	require.Equal(t, "-90.00", d.available(), "the shop has it again")
	line, err := d.Timeline(d.ctx, app, back.ID)
	require.NoError(t, err)
	require.Contains(t, sources(line), gateway.ByBill)
	for _, one := range []string{paid, returned} {
		r, err := bill.Day(t.Context(), d.store, "one", x.adapter, one)
		require.NoError(t, err)
		require.Empty(t, r.Differences, one)
	}

	for _, by := range []string{"ann", "bob"} {
		_, _, err := d.Decide(d.ctx, back.Operations[0].Number, gateway.DecideResend, by, "the account was closed, and is open again")
		require.NoError(t, err)
	}
	d.pass(2*time.Minute, 2*time.Second)
	x.run()
	require.Equal(t, order.Paid, d.now(back.ID).State)
	require.Equal(t, "-76.00", d.available())
	d.agrees(back.ID)
	d.proves(t)

	_, err = d.Returns(d.ctx, "two", returned)
	require.ErrorIs(t, err, gateway.ErrUnsupported)
	_, err = d.Returns(d.ctx, "three", returned)
	require.ErrorIs(t, err, gateway.ErrUnknownAccount)
}

// TestAReturnOfAnotherSumIsNotBooked: a person must look.
func TestAReturnOfAnotherSumIsNotBooked(t *testing.T) {
	d, x := paysOutOver(t, payoutChannels["UnionPay"])
	o := d.paysOutTo("paid", x.payee, 1000)
	d.pass(2*time.Minute, 2*time.Second)
	id := d.now(o.ID).Operations[0].ChannelID
	require.Len(t, id, 21)
	cfg := d.cfg
	row := channel.Return{ChannelID: id[:20], Paid: d.clock.Now(), Money: channel.Money{Amount: o.Money.Amount, Currency: "CNY"}, Code: "E84", At: d.clock.Now()}
	d.cfg = func(c *gateway.Config) {
		cfg(c)
		c.Accounts[0].Channel = told{x.adapter, &row}
	}
	d.restart()

	row.Money.Currency = "HKD"
	got, err := d.Returns(d.ctx, "one", "2026-03-03")
	require.NoError(t, err)
	require.Equal(t, gateway.Returned{Rows: 1, Ours: 1}, got)
	require.Equal(t, order.Paid, d.now(o.ID).State)

	row.Money.Currency, row.ChannelID = "CNY", "2026030209000000000"
	got, err = d.Returns(d.ctx, "one", "2026-03-03")
	require.NoError(t, err)
	require.Equal(t, gateway.Returned{Rows: 1}, got, "no pay-out of ours")
	require.Equal(t, order.Paid, d.now(o.ID).State)
}

// told is a channel whose file has one row.
type told struct {
	channel.Channel
	row *channel.Return
}

func (c told) Payout(ctx context.Context, r channel.PayoutRequest) (channel.Result, error) {
	return c.Channel.(channel.Payouts).Payout(ctx, r)
}

func (c told) QueryPayout(ctx context.Context, r channel.Ref) (channel.Result, error) {
	return c.Channel.(channel.Payouts).QueryPayout(ctx, r)
}

func (c told) Returns(_ context.Context, _ string, each func(channel.Return) error) error {
	return each(*c.row)
}

func day(at time.Time) string { return at.In(time.FixedZone("UTC+8", 8*60*60)).Format(time.DateOnly) }

func sources(line []gateway.Event) (out []gateway.Source) {
	for _, e := range line {
		out = append(out, e.Source)
	}
	return out
}
