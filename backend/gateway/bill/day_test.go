package bill_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/bill"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/money"
)

// paper is a channel that has bills and nothing else. Its days begin at 23:00.
type paper struct {
	channel.Channel
	days map[string][]channel.BillRow
	none bool
}

func (p paper) Capabilities() channel.Capabilities {
	return channel.Capabilities{Bill: !p.none, DayZone: time.UTC, DayStart: -time.Hour}
}

func (p paper) Bill(_ context.Context, day string, each func(channel.BillRow) error) error {
	rows, there := p.days[day]
	if !there {
		return channel.ErrNoBillYet
	}
	for _, r := range rows {
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

func cny(minor int64) channel.Money {
	return channel.Money{Amount: money.Minor(minor), Currency: "CNY"}
}

func row(kind channel.Subject, number string, minor int64) channel.BillRow {
	return channel.BillRow{Kind: kind, Number: number, ChannelID: "id-" + number, Money: cny(minor), Fee: money.Minor(1)}
}

func TestADaysBillAgainstTheStore(t *testing.T) {
	s, err := store.Open(t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "bill.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 11, day, hour, minute, 0, 0, time.UTC) }
	n := 0
	pay := func(number, state string, minor int64, paid time.Time, change ...func(*store.GatewayPayment)) {
		n++
		p := store.GatewayPayment{Number: number, Order: "O" + number, N: 1, Channel: "wechat", Amount: money.Minor(minor), Currency: "CNY", State: state, Fee: money.Minor(1), Created: paid, Changed: paid, PaidAt: paid, Expires: paid}
		for _, f := range change {
			f(&p)
		}
		require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error { return tx.AddGatewayPayment(t.Context(), p) }))
	}
	do := func(number, of, kind, state string, minor int64, done time.Time) {
		o := store.GatewayOperation{Number: number, Order: "O" + of, Payment: of, Kind: kind, IdempotencyKey: number, Channel: "wechat", Amount: money.Minor(minor), Currency: "CNY", State: state, Created: done, Changed: done, DoneAt: done}
		require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error { return tx.AddGatewayOperation(t.Context(), o) }))
	}
	pay("P1", "paid", 1000, at(24, 12, 0))
	pay("P2", "paid", 2000, at(23, 23, 1)) // this day, but the channel has it on the one before
	pay("P3", "paid", 3000, at(24, 22, 59))
	pay("P4", "paid", 4000, at(24, 23, 1)) // the next day
	pay("P5", "paid", 5000, at(24, 9, 0), func(p *store.GatewayPayment) { p.Channel = "alipay" })
	pay("P6", "unknown", 6000, at(24, 9, 0))
	pay("P7", "paid", 7000, at(24, 10, 0)) // voided: the bill has neither
	pay("P8", "paid", 8000, at(24, 10, 0), func(p *store.GatewayPayment) { p.Reserve = true })
	do("R1", "P1", "refund", "done", 400, at(24, 13, 0))
	do("R2", "P1", "refund", "failed", 100, at(24, 13, 0))
	do("V7", "P7", "void", "done", 7000, at(24, 10, 5))
	do("C8", "P8", "capture", "done", 7500, at(24, 11, 0))
	do("I8", "P8", "increment", "done", 500, at(24, 11, 0))

	ch := paper{days: map[string][]channel.BillRow{
		"2026-11-23": {row(channel.OfPayment, "P2", 2000)},
		"2026-11-24": {row(channel.OfPayment, "P1", 1000), row(channel.OfRefund, "R1", 400), row(channel.OfPayment, "C8", 7500)},
	}}
	r, err := bill.Day(t.Context(), s, "wechat", ch, "2026-11-24")
	require.NoError(t, err)
	require.True(t, r.Clean(), "%+v", r.Differences)
	require.Equal(t, 5, r.Matched)
	require.Equal(t, 2, r.Neighbours, "P2 is on the bill before, and P3 may come on the one after")
	require.Equal(t, bill.Sums{Payments: 2, Paid: money.Minor(8500), Refunds: 1, Back: money.Minor(400), Fees: money.Minor(1)}, r.Bill)

	// The next bill is there, without P3; and a payment we do not hold as paid is on this one, and another's.
	ch.days["2026-11-25"] = []channel.BillRow{row(channel.OfPayment, "P4", 4000)}
	ch.days["2026-11-24"] = append(ch.days["2026-11-24"], row(channel.OfPayment, "P6", 6000), row(channel.OfPayment, "P5", 5000), row(channel.OfRefund, "", 70), row(channel.OfRefund, "R2", 100))
	r, err = bill.Day(t.Context(), s, "wechat", ch, "2026-11-24")
	require.NoError(t, err)
	var got []string
	for _, d := range r.Differences {
		got = append(got, string(d.Class)+" "+d.What+" "+d.Number+" "+d.Ours.String()+" "+d.Theirs.String())
	}
	require.Equal(t, []string{"extra refund  0.00 0.70", "extra payment P5 0.00 50.00", "missing payment P3 30.00 0.00", "state payment P6 60.00 60.00", "state refund R2 1.00 1.00"}, got)

	_, err = bill.Day(t.Context(), s, "wechat", ch, "2026-11-26")
	require.ErrorIs(t, err, channel.ErrNoBillYet)
	_, err = bill.Day(t.Context(), s, "wechat", ch, "soon")
	require.ErrorContains(t, err, "soon")
	_, err = bill.Day(t.Context(), s, "wechat", paper{none: true}, "2026-11-24")
	require.ErrorIs(t, err, channel.ErrUnsupported)
}
