package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/webhook"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
)

// change is one transaction on one order.
type change struct {
	s  *Service
	tx *store.Tx
	at time.Time
	o  store.GatewayOrder
}

// change runs f on an order in one transaction and writes the order's row.
func (s *Service) change(ctx context.Context, id string, f func(*change) error) error {
	return s.store.Together(ctx, func(tx *store.Tx) error {
		o, err := tx.GatewayOrder(ctx, id)
		if err != nil {
			return err
		}
		c := change{s: s, tx: tx, at: s.now(), o: o}
		if err := f(&c); err != nil {
			return err
		}
		return tx.SetGatewayOrder(ctx, c.o)
	})
}

// Message is the data of the event that the app hears of by its webhooks. The event's type is what it is about, a dot, and what happened:
// order.paid, payment.waiting, refund.done; dashes are written as underscores.
type Message struct {
	Order   string `json:"order"`
	Key     string `json:"key"`   // the app's name for the order
	About   string `json:"about"` // number of the order, the payment or the operation
	Event   string `json:"event"`
	State   string `json:"state"` // that it came into
	Context string `json:"context"`
	AtMS    int64  `json:"at_ms"`
	Attach  string `json:"attach"`
}

// kinds are the first words of event types, by the first letter of the number.
var kinds = map[byte]string{order.OfOrder: "order", order.OfPayment: "payment", order.OfOperation: "refund"}

// tell writes a line of the timeline, and leaves the message of it.
func (c *change) tell(ctx context.Context, about, event, was, became string, by Source, context, detail string) error {
	return c.tellOf(ctx, kinds[about[0]], about, event, was, became, by, context, detail)
}

// tellOf is tell of an operation that is no refund.
func (c *change) tellOf(ctx context.Context, what, about, event, was, became string, by Source, context, detail string) error {
	c.o.Lines++
	c.o.Changed = c.at
	if err := c.tx.AddGatewayLine(ctx, store.GatewayLine{Order: c.o.ID, N: c.o.Lines, At: c.at, About: about, Event: event, Was: was, Became: became, Source: string(by),
		Context: context, Detail: detail}); err != nil {
		return err
	}
	data, err := json.Marshal(Message{Order: c.o.ID, Key: c.o.IdempotencyKey, About: about, Event: event, State: became, Context: context, AtMS: c.at.UnixMilli(), Attach: c.o.Attach})
	if err != nil {
		return err
	}
	m, err := webhook.Message(fmt.Sprintf("%s-%d", c.o.ID, c.o.Lines), c.o.ID, c.at, webhook.Notice{App: c.o.App, Type: what + "." + strings.ReplaceAll(event, "-", "_"), Data: data})
	if err != nil {
		return err
	}
	return c.tx.AddOutbox(ctx, m)
}

// move takes the order on by its table.
func (c *change) move(ctx context.Context, e order.Event, by Source, detail string) error {
	was := c.o.State
	next, err := order.Next(order.State(was), e)
	if err != nil {
		return err
	}
	c.o.State = string(next)
	if !next.Awaits() && !(earning(was) && earning(c.o.State)) {
		c.o.Due = time.Time{}
	}
	return c.tell(ctx, c.o.ID, string(e), was, c.o.State, by, c.o.Context, detail)
}

// movePayment takes a payment on by its table.
func (c *change) movePayment(ctx context.Context, p *store.GatewayPayment, e order.PaymentEvent, by Source, detail string) error {
	was := p.State
	next, err := order.NextPayment(order.PaymentState(was), e)
	if err != nil {
		return err
	}
	p.State, p.Changed, p.Tries, p.Ask = string(next), c.at, 0, time.Time{}
	if next.InDoubt() {
		p.Ask = c.at.Add(c.s.cfg.Schedule.Payment(next, 0))
	}
	if next == order.Calling { // first the answer has its time
		p.Ask = c.at.Add(c.s.cfg.CallTimeout + time.Second)
	}
	if err := c.tx.SetGatewayPayment(ctx, *p); err != nil {
		return err
	}
	return c.tell(ctx, p.Number, string(e), was, p.State, by, p.Context, detail)
}

// hear is what a channel's word on a payment does, from whatever side it came. A word that means nothing any more changes nothing.
func (c *change) hear(ctx context.Context, p *store.GatewayPayment, r channel.Result, by Source) error {
	state := order.PaymentState(p.State)
	if r.Number != "" && r.Number != p.Number {
		if err := c.s.find(ctx, c.tx, c.o.ID, FindOtherNumber, fmt.Sprintf("payment %s: the channel speaks of %s", p.Number, r.Number)); err != nil {
			return err
		}
		r = channel.Result{} // of something else, so it says nothing of this one
	}
	if r.Outcome == channel.Succeeded && !r.Money.Amount.IsZero() && (r.Money.Amount.Cmp(p.Amount) != 0 || r.Money.Currency != p.Currency) {
		if err := c.s.find(ctx, c.tx, c.o.ID, FindAmount, fmt.Sprintf("payment %s over %v %s: the channel says %v %s", p.Number, p.Amount, p.Currency, r.Money.Amount, r.Money.Currency)); err != nil {
			return err
		}
		r = channel.Result{} // not what was asked for, so it proves nothing: a person looks, and the payment stays in doubt
	}
	// What the payer was handed may be known to the channel only once he opens it, as an Alipay QR code: until its end nothing is gone.
	gone := !p.Sent.IsZero() && c.at.Sub(p.Sent) >= c.s.cfg.MissingAfter && (p.Action == "" || !c.at.Before(p.Expires))
	e, means := order.EventOf(state, r.Outcome, p.Reserve, gone)
	if !means {
		if state == order.PaymentPaid && (r.Outcome == channel.Failed || r.Outcome == channel.Closed) {
			return c.s.find(ctx, c.tx, c.o.ID, FindContradiction, fmt.Sprintf("payment %s was paid, and the channel says %v %s", p.Number, r.Outcome, r.Code))
		}
		return nil
	}
	if r.ChannelID != "" && p.ChannelID != "" && r.ChannelID != p.ChannelID {
		if err := c.s.find(ctx, c.tx, c.o.ID, FindOtherNumber, fmt.Sprintf("payment %s: was %s, now %s", p.Number, p.ChannelID, r.ChannelID)); err != nil {
			return err
		}
	}
	if p.ChannelID == "" {
		p.ChannelID = r.ChannelID
	}
	if r.Bank != "" {
		p.Bank = r.Bank
	}
	p.Code, p.Class, p.Message = r.Code, int(r.Class), r.Message
	if p.Action == "" {
		var err error
		if p.Action, err = actionText(r.Action); err != nil {
			return err
		}
	}
	if e == order.Succeeded || e == order.Late || e == order.Reserved {
		p.Surplus = !order.State(c.o.State).Awaits()
	}
	came := e == order.Succeeded || e == order.Late
	if came {
		p.PaidAt = r.At
		if p.PaidAt.IsZero() {
			p.PaidAt = c.at
		}
		var err error
		if p.Fee, err = p.Amount.MulRatio(c.s.accounts[p.Channel].FeePPM, 1_000_000); err != nil {
			return err
		}
	}
	if err := c.movePayment(ctx, p, e, by, r.Code); err != nil {
		return err
	}
	switch {
	case came && p.Surplus:
		return c.surplus(ctx, p)
	case came:
		return c.paid(ctx, p, p.Amount, by)
	case e == order.Reserved:
		return c.reserved(ctx, p, by)
	case p.State == string(order.Failed) || p.State == string(order.PaymentClosed):
		return c.ended(ctx, by)
	}
	return nil
}

// paid: the order has its money. Attempts that are still out are ended soon.
func (c *change) paid(ctx context.Context, p *store.GatewayPayment, amount money.Amount, by Source) error {
	c.o.Payment, c.o.Received, c.o.Fee, c.o.PaidAt, c.o.Context = p.Number, amount, p.Fee, c.at, p.Context
	e := order.MoneyCame
	if c.escrow() || c.packet() {
		e = order.MoneyHeld
	}
	if err := c.move(ctx, e, by, ""); err != nil {
		return err
	}
	if c.waits(); c.escrow() {
		c.o.Due = c.at.Add(c.s.cfg.HoldFor)
	}
	if c.packet() {
		if err := c.claimable(ctx); err != nil {
			return err
		}
	}
	if err := c.postPaid(ctx, p, c.earns(), amount); err != nil {
		return err
	}
	if c.loads() {
		if err := c.s.cfg.OnPaid(ctx, c.tx, orderOf(c.o)); err != nil {
			return fmt.Errorf("order %s is paid: %w", c.o.ID, notKept{err})
		}
	}
	return c.askSoon(ctx, p.Number)
}

// notKept is what Config.OnPaid returned.
type notKept struct{ error }

func (n notKept) Unwrap() error { return n.error }

// askSoon has the order's other attempts that are in doubt asked about at once.
func (c *change) askSoon(ctx context.Context, but string) error {
	all, err := c.tx.GatewayPayments(ctx, c.o.ID)
	if err != nil {
		return err
	}
	for _, q := range all {
		if q.Number == but || !order.PaymentState(q.State).InDoubt() || q.State == string(order.Calling) {
			continue
		}
		q.Ask = c.at
		if err := c.tx.SetGatewayPayment(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// surplus: the money came, and the order does not need it. It goes back by itself.
func (c *change) surplus(ctx context.Context, p *store.GatewayPayment) error {
	if err := c.s.find(ctx, c.tx, c.o.ID, FindSurplus, fmt.Sprintf("payment %s over %v was not needed: order is %s", p.Number, p.Amount, c.o.State)); err != nil {
		return err
	}
	if err := c.postPaid(ctx, p, surplusAccount, p.Amount); err != nil {
		return err
	}
	_, err := c.giveBack(ctx, p, back{key: "surplus:" + p.Number, amount: p.Amount, reason: "paid twice, or too late", source: surplusAccount})
	return err
}

// ended closes the order when it waited for its last attempt to end.
func (c *change) ended(ctx context.Context, by Source) error {
	if c.o.State != string(order.Closing) {
		return nil
	}
	all, err := c.tx.GatewayPayments(ctx, c.o.ID)
	if err != nil {
		return err
	}
	for _, q := range all {
		if !order.PaymentState(q.State).Ended() {
			return nil
		}
	}
	return c.move(ctx, order.Ended, by, "")
}

// typeOf is what the order does.
func (c *change) typeOf() code.Action { return orderOf(c.o).Type }

// actionText and actionOf keep what a payer's device needs.
func actionText(a channel.Action) (string, error) {
	if a.QR == "" && a.URL == "" && a.Params == nil && a.Form == nil {
		return "", nil
	}
	raw, err := json.Marshal(a)
	return string(raw), err
}

func actionOf(text string) (a channel.Action) {
	if text != "" {
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			panic("gateway: a payment's action is not what was written") // actionText wrote it
		}
	}
	return a
}
