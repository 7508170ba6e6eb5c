package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/webhook"
	"github.com/purselane/purselane/backend/store"
)

// heardBinding writes what a channel answered about an opening, and when it is asked next.
func (s *Service) heardBinding(ctx context.Context, asked store.GatewayBinding, said channel.Signed, callErr error, by Source) (store.GatewayBinding, error) {
	if errors.Is(callErr, channel.ErrNotSent) {
		return s.neverSent(ctx, asked)
	}
	if callErr != nil {
		s.cfg.Log.WarnContext(ctx, "payment channel did not answer", "binding", asked.Number, "error", callErr)
		said = channel.Signed{}
	}
	return s.bindingChange(context.WithoutCancel(ctx), "", asked.Number, func(c *bindingChange) error {
		was := c.b.State
		if err := c.hear(ctx, asked.Attempt, said, by); err != nil || c.b.State != was {
			return err
		}
		c.askLater(said.Outcome)
		return nil
	})
}

// neverSent takes an opening back that has certainly not left.
func (s *Service) neverSent(ctx context.Context, asked store.GatewayBinding) (store.GatewayBinding, error) {
	return s.bindingChange(context.WithoutCancel(ctx), "", asked.Number, func(c *bindingChange) error {
		if c.b.State != string(order.Opening) || c.b.Attempt != asked.Attempt || !c.b.Called.Equal(asked.Called) {
			return nil
		}
		c.b.Code, c.b.Message = notSent, ""
		return c.move(ctx, order.BindNotThere, ByAnswer, notSent)
	})
}

// looks is how often a channel that says nothing is asked whether it still has what is bound.
const looks = 6

// askLater sets when a channel whose word has moved nothing is asked next.
func (c *bindingChange) askLater(o channel.Outcome) {
	c.b.Tries++
	state := order.BindingState(c.b.State)
	switch {
	case state == order.Opening && c.b.Way == byPage:
		c.b.Due = c.at.Add(c.s.cfg.Schedule.Payment(order.Waiting, c.b.Tries))
	case state == order.Opening, state == order.Unbinding:
		c.b.Due = c.at.Add(c.s.cfg.Schedule.Payment(order.Unknown, c.b.Tries))
	case state == order.Bound && o == channel.Unknown && c.b.Tries < looks:
		c.b.Due = c.at.Add(c.s.cfg.Schedule.Payment(order.Unknown, c.b.Tries))
	case state == order.Bound:
		c.b.Due = time.Time{}
	}
	if end := c.b.Called.Add(c.wait()); state == order.Opening && end.After(c.at) && c.b.Due.After(end) {
		c.b.Due = end // then a channel that does not know it never will
	}
}

// wait is how long after it was called a channel may still come to know an opening.
func (c *bindingChange) wait() time.Duration {
	if c.b.Way == byPage {
		return bindFor
	}
	return c.s.cfg.MissingAfter
}

// hear is what a channel's word on an opening does, from whatever side it came.
func (c *bindingChange) hear(ctx context.Context, attempt int, r channel.Signed, by Source) error {
	if r.Number != "" && r.Number != openingNumber(c.b) || attempt != c.b.Attempt {
		return c.s.find(ctx, c.tx, c.b.Number, FindOtherNumber, fmt.Sprintf("binding %s is at opening %d, and the channel speaks of %q", c.b.Number, c.b.Attempt, r.Number))
	}
	if c.b.Action == "" {
		var err error
		if c.b.Action, err = actionText(r.Action); err != nil {
			return err
		}
	}
	_, b, err := c.s.binder(c.b.Channel)
	if err != nil {
		return err
	}
	e, means := order.BindingEventOf(order.BindingState(c.b.State), order.BindingWord{Outcome: r.Outcome, ByPayer: r.Class == channel.ByPayer && !r.Duplicate, Proven: b.Binds().Proves || c.b.Way == byPage,
		OnItsWay: c.at.Sub(c.b.Called) < c.wait(), ByPage: c.b.Way == byPage, Tries: c.b.Attempt - 1, MaxTries: bindTries})
	if !means {
		return nil
	}
	switch e {
	case order.BindOpened, order.BindPreOpened:
		if r.Agreement == "" {
			return nil // without the channel's token no payment can be made: it is asked again
		}
		c.b.Token, c.b.Code, c.b.Message = c.s.sealToken(c.b.Number, r.Agreement), "", ""
		c.b.Unproven = c.b.Way == byPage || e == order.BindPreOpened
		if e == order.BindOpened {
			c.b.Bound = c.at
		}
	case order.Mistyped, order.BindRefused:
		return c.refuse(ctx, r, by, e == order.Mistyped)
	default:
		c.b.Code, c.b.Message = r.Code, r.Message
	}
	return c.move(ctx, e, by, r.Code)
}

// refuse notes why a channel does not bind. A payer who has mistyped may type again, which is another opening.
func (c *bindingChange) refuse(ctx context.Context, r channel.Signed, by Source, again bool) error {
	c.b.Code, c.b.Message = r.Code, r.Message
	if r.Duplicate {
		c.b.Code, c.b.Message = isDuplicate, "the card is bound elsewhere: unbind it there first"
	}
	if !again {
		return c.move(ctx, order.BindRefused, by, c.b.Code)
	}
	c.b.Attempt++
	return c.move(ctx, order.Mistyped, by, c.b.Code)
}

// askBinding asks a channel about an opening, or tells it that a binding is to end.
func (s *Service) askBinding(ctx context.Context, row store.GatewayBinding) (store.GatewayBinding, error) {
	_, b, err := s.binder(row.Channel)
	if err != nil {
		s.cfg.Log.ErrorContext(ctx, "a binding waits, and its channel account is not there any more", "binding", row.Number, "account", row.Channel)
		return s.bindingChange(ctx, "", row.Number, func(c *bindingChange) error { c.askLater(channel.Unknown); return nil })
	}
	number := openingNumber(row)
	said, err, died := s.callBinder(ctx, func(ctx context.Context) (channel.Signed, error) {
		said, err := b.QueryBinding(ctx, number)
		if err != nil || said.Outcome != channel.Succeeded || row.State != string(order.Unbinding) {
			return said, err
		}
		return b.Unbind(ctx, number, said.Agreement)
	})
	if died != nil {
		return row, died
	}
	if err != nil { // that a question was not sent says nothing of what it was about
		s.cfg.Log.WarnContext(ctx, "payment channel did not answer", "binding", row.Number, "error", err)
		said = channel.Signed{}
	}
	return s.heardBinding(ctx, row, said, nil, ByQuery)
}

// bindingEvent does what a verified event says of an opening.
func (s *Service) bindingEvent(ctx context.Context, account, number string, e channel.Event) error {
	_, err := s.bindingChange(ctx, "", number, func(c *bindingChange) error {
		if c.b.Channel != account {
			return s.find(ctx, c.tx, c.b.Number, FindOtherChannel, fmt.Sprintf("%s was made on %s, and %s tells of it", c.b.Number, c.b.Channel, account))
		}
		if e.ID != "" {
			first, err := c.tx.HearGateway(ctx, account, e.ID, c.b.Number, c.at)
			if err != nil || !first {
				return err
			}
		}
		return c.hear(ctx, c.b.Attempt, channel.Signed{Outcome: e.Result.Outcome, Number: e.Result.Number, Agreement: e.Agreement, Code: e.Result.Code, Class: e.Result.Class, Message: e.Result.Message}, ByNotification)
	})
	if errors.Is(err, ErrUnknownBinding) {
		return s.store.Update(ctx, func(tx *store.Tx) error {
			return s.find(ctx, tx, "", FindUnknownNumber, fmt.Sprintf("channel account %s tells of binding %q", account, number))
		})
	}
	return err
}

// scanBindings does what is due about bindings, each by one worker.
func (s *Service) scanBindings(ctx context.Context) (int, error) {
	var due []store.GatewayBinding
	if err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		due, err = tx.GatewayBindingsDue(ctx, s.now(), scanLimit)
		return err
	}); err != nil {
		return 0, err
	}
	last, errs := s.now().Add(s.cfg.Lease/2), []error(nil)
	for _, b := range due {
		if ctx.Err() != nil || !s.now().Before(last) {
			break
		}
		errs = append(errs, s.tendBinding(ctx, b.Number))
	}
	return len(due), errors.Join(errs...)
}

// tendBinding takes a binding for the time of a lease, and does the next thing about it.
func (s *Service) tendBinding(ctx context.Context, number string) error {
	mine := false
	row, err := s.bindingChange(ctx, "", number, func(c *bindingChange) error {
		if mine = !c.b.Due.IsZero() && !c.b.Due.After(c.at); !mine {
			return nil
		}
		switch order.BindingState(c.b.State) {
		case order.Applied, order.CodeSent, order.PreBound:
			mine = false
			return c.move(ctx, order.BindTimeOver, ByTime, "")
		}
		c.b.Due = c.at.Add(s.cfg.Lease)
		return nil
	})
	if err != nil || !mine {
		return err
	}
	if row.State == string(order.Bound) && row.PayOrder != "" {
		_, err = s.payBound(ctx, row)
		return err
	}
	_, err = s.askBinding(ctx, row)
	return err
}

// bindingChange is one transaction on one binding.
type bindingChange struct {
	s  *Service
	tx *store.Tx
	at time.Time
	b  store.GatewayBinding
}

// bindingChange runs f on an app's binding in one transaction and writes its row.
func (s *Service) bindingChange(ctx context.Context, app, number string, f func(*bindingChange) error) (row store.GatewayBinding, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		b, err := ownedBinding(ctx, tx, app, number)
		if err != nil {
			return err
		}
		c := bindingChange{s: s, tx: tx, at: s.now(), b: b}
		if err := f(&c); err != nil {
			return err
		}
		row = c.b
		return tx.SetGatewayBinding(ctx, c.b)
	})
	return row, err
}

// BindingMessage is the data of an event about a binding: binding.opened, binding.ended …
type BindingMessage struct {
	Binding string `json:"binding"`
	Key     string `json:"key"` // the app's name for it
	Holder  string `json:"holder"`
	Event   string `json:"event"`
	State   string `json:"state"`
	Detail  string `json:"detail,omitempty"` // the channel's code, or an order
	AtMS    int64  `json:"at_ms"`
	Attach  string `json:"attach"`
}

// tell writes a line of the binding's timeline, and leaves the message of it.
func (c *bindingChange) tell(ctx context.Context, event, was string, by Source, detail string) error {
	c.b.Lines++
	c.b.Changed = c.at
	if err := c.tx.AddGatewayLine(ctx, store.GatewayLine{Order: c.b.Number, N: c.b.Lines, At: c.at, About: c.b.Number, Event: event, Was: was, Became: c.b.State, Source: string(by),
		Context: c.b.Context, Detail: detail}); err != nil {
		return err
	}
	data, err := json.Marshal(BindingMessage{Binding: c.b.Number, Key: c.b.IdempotencyKey, Holder: c.b.Holder, Event: event, State: c.b.State, Detail: detail, AtMS: c.at.UnixMilli(), Attach: c.b.Attach})
	if err != nil {
		return err
	}
	m, err := webhook.Message(fmt.Sprintf("%s-%d", c.b.Number, c.b.Lines), c.b.Number, c.at, webhook.Notice{App: c.b.App, Type: "binding." + strings.ReplaceAll(event, "-", "_"), Data: data})
	if err != nil {
		return err
	}
	return c.tx.AddOutbox(ctx, m)
}

// move takes the binding on by its table.
func (c *bindingChange) move(ctx context.Context, e order.BindingEvent, by Source, detail string) error {
	was := c.b.State
	next, err := order.NextBinding(order.BindingState(was), e)
	if err != nil {
		return err
	}
	c.b.State, c.b.Tries, c.b.Due = string(next), 0, time.Time{}
	switch {
	case next == order.Applied || next == order.CodeSent:
		c.b.Due = c.b.Created.Add(bindFor)
	case next == order.PreBound:
		c.b.Due = c.at.Add(bindFor)
	case next == order.Opening: // the call has its time first
		c.b.Due = c.at.Add(c.s.cfg.CallTimeout + time.Second)
	case next == order.Unbinding || next == order.Bound && c.b.PayOrder != "":
		c.b.Due = c.at
	}
	if next == order.Unbound || next == order.BindingRefused || next == order.BindingExpired {
		c.b.PayOrder, c.b.Action = "", ""
	}
	if next == order.Unbound {
		c.b.Token = "" // of no use to anybody any more
	}
	return c.tell(ctx, string(e), was, by, detail)
}
