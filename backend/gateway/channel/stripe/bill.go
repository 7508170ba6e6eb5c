package stripe

import (
	"context"
	"fmt"
	"time"

	api "github.com/stripe/stripe-go/v85"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
)

// billReady is after what time a day gets no more rows.
const billReady = 10 * time.Minute

// Bill reads the balance transactions of a day, UTC, newest first: payments and refunds of ours, as they were asked for, with what Stripe
// made of them in the account's own currency. Disputes, failed refunds, Stripe's other fees and its pay-outs to the bank are not in it.
func (c *Channel) Bill(ctx context.Context, day string, each func(channel.BillRow) error) error {
	from, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return fmt.Errorf("Stripe: %q is no day: %w", day, err)
	}
	to := from.AddDate(0, 0, 1)
	if c.set.Clock.Now().Before(to.Add(billReady)) {
		return channel.ErrNoBillYet
	}
	list := &api.BalanceTransactionListParams{CreatedRange: &api.RangeQueryParams{GreaterThanOrEqual: from.Unix(), LesserThan: to.Unix()}, Expand: []*string{api.String("data.source")}}
	list.Limit = api.Int64(100)
	for bt, err := range c.client.V1BalanceTransactions.List(ctx, list).All(ctx) {
		if err != nil {
			return unread(err)
		}
		row, ours, err := billRow(bt)
		if err != nil {
			return fmt.Errorf("Stripe: bill of %s: %s: %w", day, bt.ID, err)
		}
		if !ours {
			continue
		}
		if err := each(row); err != nil {
			return err
		}
	}
	return nil
}

// billRow reads a balance transaction; false for one that is no payment or refund of ours.
func billRow(bt *api.BalanceTransaction) (channel.BillRow, bool, error) {
	row := channel.BillRow{At: time.Unix(bt.Created, 0), Fee: money.Minor(bt.Fee)}
	if bt.Source == nil {
		return row, false, nil
	}
	settled := bt.Amount
	var n int64
	var in api.Currency
	switch {
	case (bt.Type == api.BalanceTransactionTypeCharge || bt.Type == api.BalanceTransactionTypePayment) && bt.Source.Charge != nil:
		s := bt.Source.Charge
		row.Kind, row.Number, n, in = channel.OfPayment, s.Metadata[ours], s.AmountCaptured, s.Currency
		row.ChannelID = s.ID
		if s.PaymentIntent != nil {
			row.ChannelID = s.PaymentIntent.ID
		}
	case (bt.Type == api.BalanceTransactionTypeRefund || bt.Type == api.BalanceTransactionTypePaymentRefund) && bt.Source.Refund != nil:
		s := bt.Source.Refund
		row.Kind, row.Number, row.Of, row.ChannelID, n, in = channel.OfRefund, s.Metadata[ours], s.Metadata[ofPayment], s.ID, s.Amount, s.Currency
		settled = -settled
	}
	if number(row.Number) != nil {
		return row, false, nil
	}
	var err error
	if row.Money, err = amount(n, in); err != nil {
		return row, false, err
	}
	got, err := amount(settled, bt.Currency)
	if err != nil {
		return row, false, err
	}
	if got.Currency != row.Money.Currency {
		row.Settled = got
	}
	return row, true, nil
}
