package tcc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/shadowaccount/books"
)

// waiting holds what was paid by a part that must go back, until it has gone: the channel's bill has both.
const waiting books.Account = "suspense:combined"

// Remote is the participant of a payment channel. A channel that can reserve reserves, captures and releases; another one is paid by the try, and
// the cancel closes or refunds. The call stands between two transactions: the first one remembers that it is made, the second one what came of it.
type Remote struct {
	Store    *store.Store
	Channel  channel.Channel
	ID       string // of the channel: its account in the books is channel:<ID>
	Clock    clock.Clock
	Location *time.Location

	// Request makes the request of a leg: who pays, how, with which notification URL. The rest is filled in.
	Request func(context.Context, Leg) (channel.PayRequest, error)

	// OnTheWay is for how long after it was sent a request may still reach the channel. Until then a channel that does not know it proves nothing.
	OnTheWay time.Duration
}

func (p Remote) reserves(l Leg) (channel.Authoriser, bool) {
	a, can := p.Channel.(channel.Authoriser)
	return a, can && p.Channel.Capabilities().Authorise && !l.Direct
}

func (p Remote) ref(l Leg, b store.TCCBranch) channel.Ref {
	return channel.Ref{Number: l.number("P"), Money: l.Money, Sent: b.Began}
}

func (p Remote) step(l Leg, b store.TCCBranch, of string) channel.RefundRequest {
	return channel.RefundRequest{Number: l.number(of), Of: p.ref(l, b), Money: l.Money, Sent: b.Began, Reason: "combined payment " + l.XID}
}

// hear is [hear] in a transaction of its own, which writes what is about to be done.
func (p Remote) hear(ctx context.Context, l Leg, o Op) (b store.TCCBranch, duty Duty, before Branch, err error) {
	err = p.Store.Update(ctx, func(tx *store.Tx) error {
		var err error
		if b, duty, err = hear(ctx, tx, l, o, p.Clock.Now().Truncate(time.Second)); err != nil {
			return err
		}
		before = Branch(b.State)
		switch {
		case duty == Empty:
			b.State = string(Cancelled)
		case duty == Act && before == Unheard:
			b.State = string(Trying)
		case duty == Act && o == Cancel && before == Trying:
			b.State = string(Cancelling)
		case duty == Act && o == Cancel && before == Tried:
			b.State = string(Undoing)
		default:
			return nil
		}
		return tx.PutTCCBranch(ctx, b)
	})
	return b, duty, before, err
}

// became writes what came of it, unless somebody else has moved the branch on meanwhile.
func (p Remote) became(ctx context.Context, l Leg, from, to Branch, also func(*store.Tx) error) (moved bool, err error) {
	err = p.Store.Update(ctx, func(tx *store.Tx) error {
		moved = false
		b, err := tx.TCCBranch(ctx, l.XID, l.N)
		if err != nil || Branch(b.State) != from {
			return err
		}
		moved, b.State = true, string(to)
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		return tx.PutTCCBranch(ctx, b)
	})
	return moved, err
}

// Try has the channel reserve the amount, or charge it.
func (p Remote) Try(ctx context.Context, l Leg) (Answer, error) {
	b, duty, before, err := p.hear(ctx, l, Try)
	switch {
	case err != nil:
		return Answer{}, err
	case duty == Same:
		return Answer{Word: Done}, nil
	case duty == Never:
		return Answer{Word: No, Why: "it was refused or cancelled before"}, nil
	}
	res := channel.Result{Outcome: channel.Missing}
	if before == Trying { // it was called before: look first
		if res, err = p.Channel.Query(ctx, p.ref(l, b)); err != nil {
			return Answer{}, err
		}
	}
	if res.Outcome == channel.Missing {
		if res, err = p.call(ctx, l, b); err != nil {
			return Answer{}, err
		}
	}
	switch res.Outcome {
	case channel.Succeeded:
		if err := whole(l, res); err != nil {
			return Answer{}, err
		}
		moved, err := p.became(ctx, l, Trying, Tried, nil)
		if err != nil {
			return Answer{}, err
		}
		if !moved { // it was cancelled while the call was out, and the cancel gives it up, if need be once more
			return Answer{}, p.Late(ctx, l)
		}
		return Answer{Word: Done}, nil
	case channel.Failed, channel.Closed:
		_, err := p.became(ctx, l, Trying, Refused, nil)
		return Answer{Word: No, Why: res.Code, Class: res.Class}, err
	}
	return Answer{Word: Wait, Action: res.Action}, nil
}

func (p Remote) call(ctx context.Context, l Leg, b store.TCCBranch) (channel.Result, error) {
	r, err := p.Request(ctx, l)
	if err != nil {
		return channel.Result{}, err
	}
	r.Number, r.Money, r.Context, r.Sent, r.Expires = l.number("P"), l.Money, l.Context, b.Began, l.Until
	r.Subject, r.ReturnURL, r.ClientIP = l.Tell.Subject, l.Tell.ReturnURL, l.Tell.ClientIP
	if a, can := p.reserves(l); can {
		return a.Authorise(ctx, r)
	}
	return p.Channel.Pay(ctx, r)
}

// whole holds a success to what was asked for: less is no success.
func whole(l Leg, r channel.Result) error {
	if r.Number != l.number("P") || !r.Money.Amount.IsZero() && r.Money != l.Money {
		return fmt.Errorf("leg %d of %s: the channel speaks of %s over %v %s: somebody must look", l.N, l.XID, r.Number, r.Money.Amount, r.Money.Currency)
	}
	return nil
}

// Confirm has the channel take what is reserved.
func (p Remote) Confirm(ctx context.Context, l Leg) (Answer, error) {
	b, duty, _, err := p.hear(ctx, l, Confirm)
	if err != nil {
		return Answer{}, err
	}
	if duty == Same {
		return Answer{Word: Done}, nil
	}
	if a, can := p.reserves(l); can {
		res, err := a.Capture(ctx, p.step(l, b, "C"))
		if err != nil {
			return Answer{}, err
		}
		if res.Outcome != channel.Succeeded {
			return Answer{}, notYet(l, "capture", res)
		}
	}
	_, err = p.became(ctx, l, Tried, Confirmed, func(tx *store.Tx) error {
		e, err := entry(ctx, tx, p.Clock.Now().In(p.Location), l.number("P"), KindTaken, l.XID+" "+l.Context, books.Channel(p.ID), books.Account(l.Payee), l.Money.Amount)
		if err != nil {
			return err
		}
		return tx.Post(ctx, e)
	})
	if err != nil {
		return Answer{}, err
	}
	return Answer{Word: Done}, nil
}

// notYet is nil where the channel only has to be asked again.
func notYet(l Leg, what string, r channel.Result) error {
	if r.Outcome == channel.Failed || r.Outcome == channel.Closed || r.Outcome == channel.Missing {
		return fmt.Errorf("leg %d of %s: the channel says %v %s to the %s that it had promised: somebody must look", l.N, l.XID, r.Outcome, r.Code, what)
	}
	return nil
}

// Cancel finds out what the channel has, and has it give that up.
func (p Remote) Cancel(ctx context.Context, l Leg) (Answer, error) {
	b, duty, _, err := p.hear(ctx, l, Cancel)
	if err != nil {
		return Answer{}, err
	}
	if duty != Act {
		return Answer{Word: Done}, nil
	}
	res, err := p.Channel.Query(ctx, p.ref(l, b))
	if err != nil {
		return Answer{}, err
	}
	if res.Outcome == channel.Pending && p.Channel.Capabilities().Close {
		if res, err = p.Channel.Close(ctx, p.ref(l, b)); err != nil {
			return Answer{}, err
		}
	}
	switch res.Outcome {
	case channel.Failed, channel.Closed:
		return p.gone(ctx, l, nil)
	case channel.Missing:
		if Branch(b.State) == Undoing {
			return Answer{}, notYet(l, "payment", res)
		}
		if p.Clock.Now().Sub(b.Began) < p.OnTheWay {
			return Answer{}, nil // the request may still be on its way
		}
		return p.gone(ctx, l, nil)
	case channel.Succeeded:
		return p.giveUp(ctx, l, b)
	}
	return Answer{}, nil
}

// giveUp releases what is reserved, or refunds what was paid.
func (p Remote) giveUp(ctx context.Context, l Leg, b store.TCCBranch) (Answer, error) {
	if a, can := p.reserves(l); can {
		res, err := a.Release(ctx, p.step(l, b, "R"))
		if err != nil {
			return Answer{}, err
		}
		if res.Outcome != channel.Succeeded && res.Outcome != channel.Closed {
			return Answer{}, notYet(l, "release", res)
		}
		return p.gone(ctx, l, nil)
	}
	res, err := p.refund(ctx, p.step(l, b, "R"), Branch(b.State) == Undoing)
	if err != nil {
		return Answer{}, err
	}
	if res.Outcome != channel.Succeeded {
		return Answer{}, notYet(l, "refund", res)
	}
	return p.gone(ctx, l, func(tx *store.Tx) error {
		at := p.Clock.Now().In(p.Location)
		in, err1 := entry(ctx, tx, at, l.number("P"), KindTaken, l.XID+" "+l.Context, books.Channel(p.ID), waiting, l.Money.Amount)
		out, err2 := entry(ctx, tx, at, l.number("R"), KindBack, l.XID+" "+l.Context, waiting, books.Channel(p.ID), l.Money.Amount)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		return errors.Join(tx.Post(ctx, in), tx.Post(ctx, out))
	})
}

// refund asks for a refund; one that was asked for before is looked at first, because a channel may go on repeating its first answer to the same request.
func (p Remote) refund(ctx context.Context, r channel.RefundRequest, again bool) (channel.Result, error) {
	if again {
		res, err := p.Channel.QueryRefund(ctx, channel.RefundRef{Number: r.Number, Of: r.Of, Money: r.Money, Sent: r.Sent})
		if err != nil || res.Outcome != channel.Missing {
			return res, err
		}
	}
	return p.Channel.Refund(ctx, r)
}

// Late implements [LateHearer]: the channel has done what was given up already, so it has to be undone.
func (p Remote) Late(ctx context.Context, l Leg) error {
	_, err := p.became(ctx, l, Cancelled, Undoing, nil)
	return err
}

func (p Remote) gone(ctx context.Context, l Leg, also func(*store.Tx) error) (Answer, error) {
	for _, from := range []Branch{Cancelling, Undoing} {
		if _, err := p.became(ctx, l, from, Cancelled, also); err != nil {
			return Answer{}, err
		}
	}
	return Answer{Word: Done}, nil
}

// Refund has the channel give back a part.
func (p Remote) Refund(ctx context.Context, l Leg, r Refund) (Answer, error) {
	var b store.TCCBranch
	err := p.Store.View(ctx, func(tx *store.Tx) (err error) {
		b, err = tx.TCCBranch(ctx, l.XID, l.N)
		return err
	})
	if err != nil {
		return Answer{}, err
	}
	ask := p.step(l, b, "P")
	ask.Number, ask.Money.Amount, ask.Sent = r.Number, r.Amount, r.Sent.Truncate(time.Second)
	res, err := p.refund(ctx, ask, r.Again)
	if err != nil {
		return Answer{}, err
	}
	switch res.Outcome {
	case channel.Failed, channel.Closed, channel.Missing:
		return Answer{Word: No, Why: res.Code}, nil
	case channel.Succeeded:
	default:
		return Answer{}, nil
	}
	err = p.Store.Update(ctx, func(tx *store.Tx) error {
		e, err := entry(ctx, tx, p.Clock.Now().In(p.Location), r.Number, KindBack, l.XID+" "+l.Context, books.Account(l.Payee), books.Channel(p.ID), r.Amount)
		if err != nil {
			return err
		}
		return postOnce(ctx, tx, e)
	})
	if err != nil {
		return Answer{}, err
	}
	return Answer{Word: Done}, nil
}
