package edge

import (
	"context"
	"fmt"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/tap"
)

// ask is what a till asks of a lane.
type ask struct {
	ctx     context.Context
	amount  money.Amount
	request string
	reply   chan<- answer // has room for one
}

type answer struct {
	result tap.Result
	err    error
}

// Charge asks the lane for an amount: the next card at its reader pays, as with Sell, while Run serves the lane. It
// returns when a card has paid or was refused. A card that left too early is waited for until ctx ends; the error is
// ctx's then and the result tells how far it came, and the same request may be asked again, now or in a week.
func (t *Terminal) Charge(ctx context.Context, lane int, amount money.Amount, requestID string) (tap.Result, error) {
	_, _, known, err := t.asked(lane, amount, requestID)
	if err != nil {
		return tap.Result{Outcome: tap.OutOfService, Reason: err.Error()}, err
	}
	if known != nil {
		return *known, nil
	}
	reply := make(chan answer, 1)
	select {
	case t.asks[lane] <- ask{ctx, amount, requestID, reply}:
	case <-ctx.Done():
		return noCard, fmt.Errorf("terminal: lane %d is busy or not running: %w", lane, ctx.Err())
	}
	got := <-reply // the lane watches ctx too
	return got.result, got.err
}

// noCard is how far a request came that no card was presented for.
var noCard = tap.Result{Outcome: tap.PresentAgain, Reason: "no card was presented: nothing taken"}

// sell serves what tills ask until ctx ends. A card in the field while nothing is asked for is left alone.
func (l *lane) sell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-l.t.asks[l.index]:
			l.charge(ctx, a)
			l.is(LaneIdle, nil) // nobody looks at the reader until the next request: that is no reader that hangs
		}
	}
}

// charge serves one request. It replies as soon as the outcome is there, and then waits for the card to leave.
func (l *lane) charge(ctx context.Context, a ask) {
	wait, cancel := context.WithCancel(a.ctx)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	result := noCard
	for {
		card, err := l.wait(wait)
		if err != nil {
			a.reply <- answer{result, fmt.Errorf("terminal: request %s: no card any more: %w", a.request, err)}
			return
		}
		result, err = l.t.Sell(context.WithoutCancel(ctx), l.index, card, a.amount, a.request)
		if err != nil || result.Outcome != tap.PresentAgain {
			a.reply <- answer{result, err}
			l.end(ctx, card, result, err)
			return
		}
		l.end(wait, card, result, err)
	}
}
