package bill

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
)

// edge is how far the two clocks, and the second in which a channel books, may lie apart.
const edge = 10 * time.Minute

// Day matches the bill of a day (YYYY-MM-DD, as the channel has its days) of an account. Errors: [channel.ErrNoBillYet], [channel.ErrUnsupported].
func Day(ctx context.Context, s *store.Store, account string, ch channel.Channel, day string) (Report, error) {
	can := ch.Capabilities()
	if !can.Bill {
		return Report{}, fmt.Errorf("bill of %s: %w", account, channel.ErrUnsupported)
	}
	zone := can.DayZone
	if zone == nil {
		zone = time.UTC
	}
	at, err := time.ParseInLocation(time.DateOnly, day, zone)
	if err != nil {
		return Report{}, fmt.Errorf("%q: want a day such as 2026-11-25", day)
	}
	from, until := at.Add(can.DayStart), at.AddDate(0, 0, 1).Add(can.DayStart)
	ours, err := moved(ctx, s, account, from, until)
	if err != nil {
		return Report{}, err
	}
	m, err := NewMatcher(account, day, ours, func(number string) (Entry, bool, error) { return find(ctx, s, account, number) })
	if err != nil {
		return Report{}, err
	}
	if _, returns := ch.(channel.Returner); returns {
		// A bank sends back within days; the bill names the pay-out by the channel's number.
		m.ByID(func(id string) (Entry, bool, error) {
			return byID(ctx, s, account, id, from.AddDate(0, 0, -returnsWithin), until)
		})
	}
	if err := ch.Bill(ctx, day, m.Row); err != nil {
		return Report{}, fmt.Errorf("bill of %s of %s: %w", account, day, err)
	}
	for _, side := range []struct {
		day  string
		near func(Entry) bool
	}{
		{at.AddDate(0, 0, -1).Format(time.DateOnly), func(e Entry) bool { return e.At.Before(from.Add(edge)) }},
		{at.AddDate(0, 0, 1).Format(time.DateOnly), func(e Entry) bool { return !e.At.Before(until.Add(-edge)) }},
	} {
		if err := elsewhere(ctx, ch, m, side.day, side.near); err != nil {
			return Report{}, err
		}
	}
	return m.Report(), nil
}

// elsewhere looks for those of ours at an end of the day on the bill beside it; while there is none yet, they may come there.
func elsewhere(ctx context.Context, ch channel.Channel, m *Matcher, day string, near func(Entry) bool) error {
	wanted := map[string]bool{}
	for _, e := range m.Left() {
		if near(e) {
			wanted[e.Number] = true
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	err := ch.Bill(ctx, day, func(r channel.BillRow) error {
		if wanted[r.Number] {
			m.Elsewhere(r.Number)
		}
		return nil
	})
	if errors.Is(err, channel.ErrNoBillYet) {
		for number := range wanted {
			m.Elsewhere(number)
		}
		return nil
	}
	return err
}

// moved are those of ours that moved in a span.
func moved(ctx context.Context, s *store.Store, account string, from, until time.Time) ([]Entry, error) {
	var out []Entry
	err := s.View(ctx, func(tx *store.Tx) error {
		out = nil
		payments, operations, err := tx.GatewayMoved(ctx, account, from, until)
		for _, p := range payments {
			if e, counts := paymentEntry(p); counts {
				out = append(out, e)
			}
		}
		for _, o := range operations {
			if e, counts := operationEntry(o); counts {
				out = append(out, e)
			}
		}
		return err
	})
	return out, err
}

// find is one of ours by number.
func find(ctx context.Context, s *store.Store, account, number string) (Entry, bool, error) {
	var e Entry
	counts := false
	err := s.View(ctx, func(tx *store.Tx) error {
		counts = false
		if p, err := tx.GatewayPayment(ctx, number); !errors.Is(err, store.ErrNotFound) {
			e, counts = paymentEntry(p)
			counts = counts && p.Channel == account
			return err
		}
		o, err := tx.GatewayOperation(ctx, number)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		e, counts = operationEntry(o)
		counts = counts && o.Channel == account
		return err
	})
	return e, counts && err == nil, err
}

// returnsWithin is how many days a bank may take to send a pay-out back.
const returnsWithin = 60

// byID is the one pay-out of ours whose number at the channel begins so.
func byID(ctx context.Context, s *store.Store, account, id string, from, until time.Time) (e Entry, one bool, err error) {
	err = s.View(ctx, func(tx *store.Tx) error {
		found := 0
		operations, err := tx.GatewaySent(ctx, account, from, until)
		for _, o := range operations {
			if is, counts := operationEntry(o); counts && is.Kind == channel.OfPayout && strings.HasPrefix(o.ChannelID, id) {
				e, found = is, found+1
			}
		}
		one = found == 1
		return err
	})
	return e, one, err
}

// paymentEntry is a payment; false for one that only reserves: its captures move the money.
func paymentEntry(p store.GatewayPayment) (Entry, bool) {
	kind := channel.OfPayment
	if channel.Product(p.Product) == channel.Payout {
		kind = channel.OfPayout
	}
	return Entry{Kind: kind, Number: p.Number, Order: p.Order, State: p.State, Done: order.PaymentState(p.State) == order.PaymentPaid,
		Money: channel.Money{Amount: p.Amount, Currency: p.Currency}, Fee: p.Fee, At: p.PaidAt}, !p.Reserve
}

// operationEntry is what was done to a payment; false for what moves no money at the channel by itself.
func operationEntry(o store.GatewayOperation) (Entry, bool) {
	e := Entry{Kind: channel.OfRefund, Number: o.Number, Of: o.Payment, Order: o.Order, State: o.State, Done: order.OperationState(o.State) == order.Done,
		Money: channel.Money{Amount: o.Amount, Currency: o.Currency}, Fee: o.Fee, At: o.DoneAt}
	kind, err := code.ParseAction(o.Kind)
	switch {
	case err != nil:
		return e, false
	case kind == code.Refund:
	case kind == code.Void:
		e.Void = true
	case kind == code.Payout || kind == code.Withdraw:
		e.Kind, e.Of, e.Done = channel.OfPayout, "", e.Done || order.OperationState(o.State) == order.Assumed
		e.Back = order.OperationState(o.State) == order.OpReturned && !o.DoneAt.IsZero()
	case kind == code.Capture:
		e.Kind, e.Of = channel.OfPayment, ""
	default:
		return e, false
	}
	return e, true
}
