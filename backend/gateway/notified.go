package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/store"
)

// Notified takes a notification that came to an account's NotifyURL, and says how to answer it. It is kept when the answer says so: one that was heard
// before, and one that says what is known already, change nothing. The error is what the answer comes from, for the log; a forged notification is a
// [*channel.ForgedError] and changes nothing at all.
func (s *Service) Notified(ctx context.Context, account string, n channel.Notification) (channel.Reply, error) {
	a, known := s.accounts[account]
	if !known {
		return channel.Reply{Status: 404, Type: "text/plain", Body: []byte("no such channel account")}, fmt.Errorf("notification to channel account %q: %w", account, ErrUnknownAccount)
	}
	events, err := a.Channel.Notified(ctx, n)
	for _, e := range events {
		if err != nil {
			break
		}
		err = s.event(ctx, account, e)
	}
	if err != nil {
		err = fmt.Errorf("notification to channel account %s: %w", account, err)
		s.cfg.Log.WarnContext(ctx, "payment notification", "account", account, "error", err)
	}
	return a.Channel.Answer(err), err
}

// event does what a verified event says, and notes in the same transaction that it was heard.
func (s *Service) event(ctx context.Context, account string, e channel.Event) error {
	if number := bindingNumber(e.Result.Number); e.About == channel.OfAgreement && number != "" {
		return s.bindingEvent(ctx, account, number, e)
	}
	if e.About == channel.OfAgreement {
		return s.agreementEvent(ctx, account, e)
	}
	about := e.Result.Number
	var row store.GatewayPayment
	var operation store.GatewayOperation
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		switch e.About {
		case channel.OfPayment:
			row, err = tx.GatewayPayment(ctx, about)
		case channel.OfRefund, channel.OfPayout:
			operation, err = tx.GatewayOperation(ctx, about)
		default:
			err = store.ErrNotFound
		}
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		if known, err := s.part(ctx, e); known || err != nil {
			return err
		}
		// What we ask for is on disk before it is asked for, so this is not ours, however often it comes.
		return s.store.Update(ctx, func(tx *store.Tx) error {
			return s.find(ctx, tx, "", FindUnknownNumber, fmt.Sprintf("channel account %s tells of %q", account, about))
		})
	}
	if err != nil {
		return err
	}
	id, made := row.Order+operation.Order, row.Channel+operation.Channel // one of them is set
	return s.change(ctx, id, func(c *change) error {
		if made != account {
			return s.find(ctx, c.tx, id, FindOtherChannel, fmt.Sprintf("%s was made on %s, and %s tells of it", about, made, account))
		}
		if e.ID != "" {
			first, err := c.tx.HearGateway(ctx, account, e.ID, about, c.at)
			if err != nil || !first {
				return err
			}
		}
		var err error
		if e.About != channel.OfPayment {
			if operation, err = c.tx.GatewayOperation(ctx, about); err != nil {
				return err
			}
			return c.hearOperation(ctx, &operation, e.Result, ByNotification)
		}
		if row, err = c.tx.GatewayPayment(ctx, about); err != nil {
			return err
		}
		return c.hear(ctx, &row, e.Result, ByNotification)
	})
}

// part asks the channels whose payments have parts whether an event is of one.
func (s *Service) part(ctx context.Context, e channel.Event) (known bool, err error) {
	for id, a := range s.accounts {
		w, has := a.Channel.(channel.Whole)
		if !has {
			continue
		}
		whole, known, err := w.Part(ctx, e)
		if err != nil || known && whole.About == 0 {
			return known, err
		}
		if known {
			return true, s.event(ctx, id, whole)
		}
	}
	return false, nil
}
