package kiosk

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/internal/money"
)

// EndState of a card's end, as the backend's API has it.
type EndState string

// States of a card's end (docs/card-life.md).
const (
	EndRequested EndState = "requested" // the card is blocked; an operator must approve
	EndSettling  EndState = "settling"  // approved; it waits for the card's last records
	EndReleased  EndState = "released"  // what was left is a paid load order at the desk
	EndEmpty     EndState = "empty"     // nothing was left
	EndCancelled EndState = "cancelled" // an operator has taken it back; the card stays blocked
)

// End is the end of a card whose value is paid out at the desk. Its order is what the holder's receipt shows.
type End struct {
	Order  string
	Cash   bool // the value is for the holder's hand; else it is for another card
	State  EndState
	Token  string       // names the card without its number
	Amount money.Amount // that was left; zero unless released
	Load   string       // the load order that has it; "" unless released
	Asked  time.Time
	Due    time.Time // when it may be released, at the earliest
}

// EndHost is a backend that ends cards too. Its calls are as those of [Host].
type EndHost interface {
	CashHost
	// EndCard verifies the card, blocks it and orders that its value is paid out at this agent's desk.
	EndCard(ctx context.Context, c CardInit) (End, error)
	// EndCash does it for electronic cash.
	EndCash(ctx context.Context, c CashRequest) (End, error)
	// End finds an order at this agent's desk.
	End(ctx context.Context, order string) (End, error)
	// Refund notes that an order's money was given back.
	Refund(ctx context.Context, id string) (Order, error)
}

var _ EndHost = (*HTTPHost)(nil)

// Ended is what a presentation of a card that is given back came to.
type Ended struct {
	Seen        // just before its end
	End  *End   // nil: the card is not ended; Why says why
	Why  string // the card's or the backend's reason
}

// EndCard ends a card that its holder gives back. First it is as with [Look]: an open load is settled, and a load that waits for the card is put on it, for
// after its end nothing reaches a card. Then the backend blocks it and orders what is left of it paid out. Nothing on the card is changed, so a card that left
// (an error of package apdu) is presented again: until an operator has dealt with it the order is the same one. Other errors are as those of [Load].
func EndCard(ctx context.Context, card apdu.Transmitter, host EndHost, r Request) (Ended, error) {
	seen, err := Look(ctx, card, host, r)
	out := Ended{Seen: seen}
	switch {
	case err != nil:
		return out, err
	case seen.Refusal != "":
		out.Why = seen.Refusal
		return out, nil
	case seen.Waiting != nil && !seen.Blocked:
		out.Why = "a load of " + seen.Waiting.Amount.String() + " waits for this card, and was not put on it: " + seen.Why
		return out, nil
	}
	r.OrderID, r.IdempotencyKey = "end", ""
	if r, err = r.withDefaults(); err != nil {
		return out, err
	}
	l := &loading{Request: r, host: host}
	p, err := l.choose(ctx, card)
	var end End
	if err == nil {
		l.Step("ending the card")
		end, err = p.end(ctx, host, seen.Token)
	}
	if err != nil && !left(err) && (refused(err) || decided(err)) {
		out.Why = err.Error()
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("end the card: %w", err)
	}
	out.End = &end
	return out, nil
}

// end implements purse.
func (p *epPurse) end(ctx context.Context, host EndHost, token string) (End, error) {
	var err error
	if p.public, err = p.card.ReadPublic(ctx); err != nil {
		return End{}, err
	}
	shown, err := p.initialize(ctx, inquiry, p.Terminal)
	if err != nil {
		return End{}, err
	}
	info, err := host.Lookup(ctx, shown)
	if err == nil && info.Token != token {
		err = ErrOtherSeen
	}
	if err != nil {
		return End{}, err
	}
	return host.EndCard(ctx, shown)
}

// end implements purse.
func (p *cashPurse) end(ctx context.Context, host EndHost, token string) (End, error) {
	info, err := host.LookupCash(ctx, p.request)
	if err == nil && info.Token != token {
		err = ErrOtherSeen
	}
	if err != nil {
		return End{}, err
	}
	return host.EndCash(ctx, p.request)
}

// Paying is what [PayOut] found.
type Paying struct {
	End  End
	Now  bool // hand End.Amount over: this call has noted it as paid out
	Then bool // it was paid out, or loaded onto another card, before: hand nothing over
}

// PayOut pays the holder of a receipt. It is noted before money is handed over, so that whoever is not sure asks again and reads Then: nobody is
// paid twice. While the order is not released nothing is changed.
func PayOut(ctx context.Context, host EndHost, order string) (Paying, error) {
	fail := func(err error) (Paying, error) { return Paying{}, fmt.Errorf("pay out: %w", err) }
	end, err := host.End(ctx, order)
	if err != nil {
		return fail(err)
	}
	if !end.Cash {
		return fail(fmt.Errorf("order %s: %w", end.Order, ErrNotCash))
	}
	if end.State != EndReleased {
		return Paying{End: end}, nil
	}
	load, err := host.Order(ctx, end.Load)
	if err != nil {
		return fail(err)
	}
	if load.State != Paid {
		return Paying{End: end, Then: true}, nil
	}
	if _, err := host.Refund(ctx, end.Load); err != nil {
		return fail(err)
	}
	return Paying{End: end, Now: true}, nil
}

// endJSON is the API's form.
type endJSON struct {
	ID     string       `json:"id"`
	Kind   string       `json:"kind"`
	State  EndState     `json:"state"`
	Card   string       `json:"card"`
	Amount money.Amount `json:"amount"`
	Load   string       `json:"load_order"`
	Asked  time.Time    `json:"requested_at"`
	Due    time.Time    `json:"due_at"`
}

func (e *endJSON) whole() bool {
	if !isOrderID(e.Load) {
		return false
	}
	switch e.State {
	case EndRequested, EndSettling, EndEmpty, EndCancelled:
		return e.ID != "" && e.Card != "" && !e.Due.IsZero()
	case EndReleased:
		return e.ID != "" && e.Card != "" && e.Amount.Sign() > 0 && e.Load != ""
	}
	return false
}

func (e endJSON) end() End {
	return End{Order: e.ID, Cash: e.Kind == "cash", State: e.State, Token: e.Card, Amount: e.Amount, Load: e.Load, Asked: e.Asked, Due: e.Due}
}

// EndCard implements EndHost.
func (h *HTTPHost) EndCard(ctx context.Context, c CardInit) (End, error) {
	var out endJSON
	err := h.call(ctx, http.MethodPost, []string{"v1", "cards", "end"}, "", codeInit(c), &out)
	return out.end(), err
}

// EndCash implements EndHost.
func (h *HTTPHost) EndCash(ctx context.Context, c CashRequest) (End, error) {
	var out endJSON
	err := h.call(ctx, http.MethodPost, []string{"v1", "cards", "end-ec"}, "", codeCash(c), &out)
	return out.end(), err
}

// End implements EndHost.
func (h *HTTPHost) End(ctx context.Context, order string) (End, error) {
	var out endJSON
	err := h.call(ctx, http.MethodGet, []string{"v1", "card-ends", order}, "", nil, &out)
	return out.end(), err
}

// Refund implements EndHost.
func (h *HTTPHost) Refund(ctx context.Context, id string) (Order, error) {
	var out orderJSON
	err := h.call(ctx, http.MethodPost, []string{"v1", "loads", id, "refund"}, "", nil, &out)
	return orderOf(out, err)
}
