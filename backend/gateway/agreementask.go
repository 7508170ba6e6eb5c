package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/recurring"
	"github.com/purselane/purselane/backend/store"
)

// heardAgreement writes what a channel answered about an agreement, and when it is asked next.
func (s *Service) heardAgreement(ctx context.Context, number string, said channel.Signed, callErr error, by Source) (store.GatewayAgreement, error) {
	if err := s.fault("called"); err != nil {
		return store.GatewayAgreement{}, err
	}
	if callErr != nil {
		s.cfg.Log.WarnContext(ctx, "payment channel did not answer", "agreement", number, "error", callErr)
		said = channel.Signed{}
	}
	ctx = context.WithoutCancel(ctx)
	return s.covenant(ctx, "", number, func(c *covenant) error {
		was := c.a.State
		if err := c.hear(ctx, said, by); err != nil || c.a.State != was {
			return err
		}
		c.a.Tries++
		switch order.AgreementState(c.a.State) {
		case order.Signing:
			c.a.Due = c.at.Add(s.cfg.Schedule.Payment(order.Waiting, c.a.Tries))
		case order.Ending:
			c.a.Due = c.at.Add(s.cfg.Schedule.Payment(order.Unknown, c.a.Tries))
		}
		return nil
	})
}

// hear is what a channel's word on an agreement does, from whatever side it came.
func (c *covenant) hear(ctx context.Context, r channel.Signed, by Source) error {
	if r.Number != "" && r.Number != c.a.Number {
		return c.s.find(ctx, c.tx, c.a.Number, FindOtherNumber, fmt.Sprintf("agreement %s: the channel speaks of %s", c.a.Number, r.Number))
	}
	if c.a.Action == "" {
		var err error
		if c.a.Action, err = actionText(r.Action); err != nil {
			return err
		}
	}
	wait := c.s.cfg.MissingAfter
	if c.a.Action != "" {
		wait = signFor
	}
	state := order.AgreementState(c.a.State)
	e, means := order.AgreementEventOf(state, r.Outcome, c.at.Sub(c.a.Created) >= wait)
	if r.Agreement != "" && (means || state == order.Ending) {
		c.a.ChannelID = r.Agreement
	}
	if !means {
		return nil
	}
	if e == order.Signed && r.Agreement == "" {
		return nil // without the channel's number no debit can be made: it is asked again
	}
	c.a.Code, c.a.Message = r.Code, r.Message
	switch e {
	case order.Signed:
		c.a.Signed = c.at
	case order.AllOver:
		if err := c.over(recurring.Cancelled); err != nil {
			return err
		}
	}
	return c.move(ctx, e, by, r.Code)
}

// askAgreement asks a channel about an agreement that is being signed, or tells it that one is to end.
func (s *Service) askAgreement(ctx context.Context, row store.GatewayAgreement) error {
	_, signs, err := s.signsBy(row.Channel)
	if err != nil {
		s.cfg.Log.ErrorContext(ctx, "an agreement waits, and its channel account is not there any more", "agreement", row.Number, "account", row.Channel)
		_, err = s.heardAgreement(ctx, row.Number, channel.Signed{}, nil, ByQuery)
		return err
	}
	if err := s.fault("call"); err != nil {
		return err
	}
	limited, stop := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer stop()
	said, err := signs.QueryAgreement(limited, row.Number, row.ChannelID)
	if err == nil && said.Outcome == channel.Succeeded && row.State == string(order.Ending) {
		if row.ChannelID == "" {
			row.ChannelID = said.Agreement
		}
		said, err = signs.Unsign(limited, row.Number, row.ChannelID)
	}
	_, err = s.heardAgreement(ctx, row.Number, said, err, ByQuery)
	return err
}

// agreementEvent does what a verified event says of an agreement.
func (s *Service) agreementEvent(ctx context.Context, account string, e channel.Event) error {
	_, err := s.covenant(ctx, "", e.Result.Number, func(c *covenant) error {
		if c.a.Channel != account {
			return s.find(ctx, c.tx, c.a.Number, FindOtherChannel, fmt.Sprintf("%s was made on %s, and %s tells of it", c.a.Number, c.a.Channel, account))
		}
		if e.ID != "" {
			first, err := c.tx.HearGateway(ctx, account, e.ID, c.a.Number, c.at)
			if err != nil || !first {
				return err
			}
		}
		return c.hear(ctx, channel.Signed{Outcome: e.Result.Outcome, Number: e.Result.Number, Agreement: e.Agreement, Code: e.Result.Code, Class: e.Result.Class, Message: e.Result.Message}, ByNotification)
	})
	if errors.Is(err, ErrUnknownAgreement) {
		return s.store.Update(ctx, func(tx *store.Tx) error {
			return s.find(ctx, tx, "", FindUnknownNumber, fmt.Sprintf("channel account %s tells of agreement %q", account, e.Result.Number))
		})
	}
	return err
}

// scanAgreements does what is due about agreements, each by one worker.
func (s *Service) scanAgreements(ctx context.Context) (int, error) {
	var due []store.GatewayAgreement
	if err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		due, err = tx.GatewayAgreementsDue(ctx, s.now(), scanLimit)
		return err
	}); err != nil {
		return 0, err
	}
	last, errs := s.now().Add(s.cfg.Lease/2), []error(nil)
	for _, a := range due {
		if ctx.Err() != nil || !s.now().Before(last) {
			break
		}
		errs = append(errs, s.tend(ctx, a.Number))
	}
	return len(due), errors.Join(errs...)
}

// tend takes an agreement for the time of a lease, and does the next thing about it.
func (s *Service) tend(ctx context.Context, number string) error {
	mine := false
	row, err := s.covenant(ctx, "", number, func(c *covenant) error {
		if mine = !c.a.Due.IsZero() && !c.a.Due.After(c.at); mine {
			c.a.Due = c.at.Add(s.cfg.Lease)
		}
		return nil
	})
	if err != nil || !mine {
		return err
	}
	switch {
	case row.State != string(order.Active):
		return s.askAgreement(ctx, row)
	case row.Reload != "":
		return s.reload(ctx, row)
	case row.Terms == "":
		return s.askWhetherThere(ctx, row)
	}
	return s.recur(ctx, row)
}

// lookEvery is how often a channel is asked whether it still has an agreement that only its app debits.
const lookEvery = 24 * time.Hour

// askWhetherThere asks about such an agreement, and comes back to it.
func (s *Service) askWhetherThere(ctx context.Context, row store.GatewayAgreement) error {
	return s.foundOut(ctx, row, func(c *covenant) { c.dueAt(c.at.Add(lookEvery)) })
}

// foundOut asks whether the channel still has an agreement: its payer may have ended it there, and the channel's word of that may be lost. What the channel does not
// say for certain ends nothing; then goesOn says what comes next.
func (s *Service) foundOut(ctx context.Context, row store.GatewayAgreement, goesOn func(*covenant)) error {
	_, signs, err := s.signsBy(row.Channel)
	said := channel.Signed{}
	if err == nil {
		if err := s.fault("call"); err != nil {
			return err
		}
		limited, stop := context.WithTimeout(ctx, s.cfg.CallTimeout)
		defer stop()
		said, err = signs.QueryAgreement(limited, row.Number, row.ChannelID)
		if fault := s.fault("called"); fault != nil {
			return fault
		}
	}
	if err != nil {
		s.cfg.Log.WarnContext(ctx, "nobody says whether an agreement is still in force", "agreement", row.Number, "account", row.Channel, "error", err)
		said = channel.Signed{}
	}
	_, err = s.covenant(context.WithoutCancel(ctx), "", row.Number, func(c *covenant) error {
		if c.a.State != string(order.Active) {
			return nil // it has moved on meanwhile
		}
		if said.Outcome == channel.Closed {
			return c.hear(ctx, said, ByQuery)
		}
		goesOn(c)
		return nil
	})
	return err
}

// dueAt sets when something is to be done next.
func (c *covenant) dueAt(t time.Time) { c.a.Due = t.Truncate(time.Millisecond) }

// AgreementTimeline lists what happened to an app's agreement, in order. Error: [ErrUnknownAgreement].
func (s *Service) AgreementTimeline(ctx context.Context, app, number string) (out []Event, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		out = nil
		if _, err := ownedAgreement(ctx, tx, app, number); err != nil {
			return err
		}
		all, err := tx.GatewayTimeline(ctx, number)
		for _, l := range all {
			out = append(out, Event{At: l.At, About: l.About, Event: l.Event, Was: l.Was, Became: l.Became, Source: Source(l.Source), Context: l.Context, Detail: l.Detail})
		}
		return err
	})
	return out, err
}
