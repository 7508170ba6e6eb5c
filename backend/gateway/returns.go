package gateway

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
)

// Returned is what a channel's file of a day has told of pay-outs that came back.
type Returned struct {
	Rows   int // error items that the file has
	Ours   int // of them about pay-outs of ours
	Booked int // of those booked back now; the others were before
}

// beforePaid is how long before the time that a file tells a pay-out may have been sent.
const beforePaid = 7 * 24 * time.Hour

// Returns reads a channel's file of a day and books back the pay-outs that came back; read again it changes nothing. Rows about anything else are left
// to the match of the day's bill. Errors: [ErrUnknownAccount], [ErrUnsupported], [channel.ErrNoBillYet].
func (s *Service) Returns(ctx context.Context, account, day string) (Returned, error) {
	var out Returned
	a, known := s.accounts[account]
	if !known {
		return out, fmt.Errorf("returned pay-outs of channel account %q: %w", account, ErrUnknownAccount)
	}
	tells, can := a.Channel.(channel.Returner)
	if !can {
		return out, fmt.Errorf("channel account %s has no file of returned pay-outs: %w", account, ErrUnsupported)
	}
	var rows []channel.Return
	if err := tells.Returns(ctx, day, func(r channel.Return) error { rows = append(rows, r); return nil }); err != nil {
		return out, fmt.Errorf("returned pay-outs of channel account %s of %s: %w", account, day, err)
	}
	out.Rows = len(rows)
	for _, r := range rows {
		ours, booked, err := s.returned(ctx, account, r)
		if err != nil {
			return out, err
		}
		out.Ours += ours
		out.Booked += booked
	}
	return out, nil
}

func (s *Service) returned(ctx context.Context, account string, r channel.Return) (ours, booked int, err error) {
	var o store.GatewayOperation
	err = s.store.View(ctx, func(tx *store.Tx) error {
		ours = 0
		operations, err := tx.GatewaySent(ctx, account, r.Paid.Add(-beforePaid), r.Paid.Add(time.Hour))
		for _, one := range operations {
			if paysOut(one.Kind) && r.ChannelID != "" && strings.HasPrefix(one.ChannelID, r.ChannelID) {
				o, ours = one, ours+1
			}
		}
		return err
	})
	switch {
	case err != nil || ours == 0:
		return 0, 0, err
	case ours > 1:
		return 0, 0, s.store.Update(ctx, func(tx *store.Tx) error {
			return s.find(ctx, tx, o.Order, FindReturned, fmt.Sprintf("channel account %s: %d pay-outs begin with %s, and one came back: nothing is booked", account, ours, r.ChannelID))
		})
	}
	err = s.change(ctx, o.Order, func(c *change) error {
		booked = 0
		o, err := c.tx.GatewayOperation(ctx, o.Number)
		if err != nil || o.State == string(order.OpReturned) {
			return err
		}
		if o.Amount.Cmp(r.Money.Amount) != 0 || o.Currency != r.Money.Currency {
			return s.find(ctx, c.tx, c.o.ID, FindAmount, fmt.Sprintf("%s %s over %v %s: %v %s came back, and nothing is booked", o.Kind, o.Number, o.Amount, o.Currency, r.Money.Amount, r.Money.Currency))
		}
		booked = 1
		return c.hearOperation(ctx, &o, channel.Result{Outcome: channel.Failed, Number: o.Number, ChannelID: o.ChannelID, Code: r.Code, Class: channel.ByIssuer,
			Message: "its bank sent it back on " + r.At.Format(time.DateOnly)}, ByBill)
	})
	return 1, booked, err
}
