package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// saleBody asks for a sale.
type saleBody struct {
	Request string `json:"request"` // the till's own name of the sale: its idempotency key
	Amount  string `json:"amount"`  // such as 12.50
	Lane    *int   `json:"lane"`    // needed where there are several tills
}

// saleAnswer is what became of a sale.
type saleAnswer struct {
	Request string `json:"request"`
	State   string `json:"state"` // completed, refused, unknown, voided, aged, no-card
	Outcome string `json:"outcome"`
	Amount  string `json:"amount,omitempty"` // taken, or at stake while the state is unknown
	Balance string `json:"balance,omitempty"`
	Card    string `json:"card,omitempty"`
	Tap     string `json:"tap,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// States of a sale. An outside contract.
const (
	stateCompleted = "completed" // debited: hand the goods over
	stateRefused   = "refused"   // nothing was taken
	stateUnknown   = "unknown"   // a card may have been debited: only that card can tell
	stateVoided    = "voided"    // the card has shown that it was not debited
	stateAged      = "aged"      // the card cannot tell any more: ask the operator
	stateNoCard    = "no-card"   // none came in time: nothing was taken
)

// sell takes an amount from the next card. It answers when a card has paid or was refused, or when none came in time.
func (s *server) sell(w http.ResponseWriter, r *http.Request) {
	var body saleBody
	if !read(w, r, &body) {
		return
	}
	amount, err := money.Parse(body.Amount)
	if err != nil {
		probRequest.with("amount: " + err.Error()).write(w)
		return
	}
	if amount.Sign() <= 0 || amount.Cmp(tap.MaxSale()) > 0 { // else a rider would be asked for a card first
		probRequest.with(fmt.Sprintf("amount: %v: want more than 0.00 and at most %v", amount, tap.MaxSale())).write(w)
		return
	}
	lane, p := s.till(body.Lane)
	if p != nil {
		p.write(w)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.Patience)
	defer cancel()
	result, err := s.Terminal.Charge(ctx, lane, amount, body.Request)
	// What the journal knows counts for more than how this call ended.
	sale, found, saleErr := s.Terminal.Sale(body.Request)
	switch {
	case err != nil && ctx.Err() == nil:
		problemOf(err).write(w)
	case saleErr != nil:
		problemOf(saleErr).write(w)
	case found:
		write(w, http.StatusOK, answerOf(sale))
	default:
		a := fill(result, tap.Pattern{})
		out := saleAnswer{Request: body.Request, State: stateRefused, Outcome: a.Outcome, Card: a.Card, Reason: a.Reason}
		if err != nil {
			out.State = stateNoCard
		}
		write(w, http.StatusOK, out)
	}
}

// till is the lane that was named, or the only one that sells amounts.
func (s *server) till(named *int) (int, *problem) {
	if named != nil {
		return *named, nil
	}
	h, err := s.Terminal.Health()
	if err != nil {
		p := problemOf(err)
		return 0, &p
	}
	found := -1
	for _, l := range h.Lanes {
		if l.Mode != "sale" {
			continue
		}
		if found >= 0 {
			p := probLane.with("several lanes sell amounts: name one")
			return 0, &p
		}
		found = l.Lane
	}
	if found < 0 {
		p := probLane.with("no lane of this terminal sells amounts")
		return 0, &p
	}
	return found, nil
}

// sale tells what became of a request.
func (s *server) sale(w http.ResponseWriter, r *http.Request) {
	sale, found, err := s.Terminal.Sale(r.PathValue("request"))
	switch {
	case err != nil:
		problemOf(err).write(w)
	case !found:
		probUnknownSale.write(w)
	default:
		write(w, http.StatusOK, answerOf(sale))
	}
}

// whyNoVoid says, by the card family of a completed sale, why it cannot be taken back at a terminal. What became of it stays as it is: it is refunded elsewhere.
var whyNoVoid = map[string]string{
	"ep":      "an EP purse has no command that gives a purchase back: value comes back only by a load that the issuer authorises. Refund it where cards are loaded",
	"ec":      "electronic cash has no command that gives a purchase back: value comes back only by an issuer script. Refund it where cards are loaded",
	"desfire": "this scheme's records know no credit at a terminal, and no terminal has the key for one. Refund it at the operator's desk",
}

// void says whether a sale is taken back. What was not taken needs no void, and no family can give a completed one back here.
func (s *server) void(w http.ResponseWriter, r *http.Request) {
	sale, found, err := s.Terminal.Sale(r.PathValue("request"))
	switch {
	case err != nil:
		problemOf(err).write(w)
	case !found:
		probUnknownSale.write(w)
	case sale.State == wire.State_STATE_VOIDED:
		write(w, http.StatusOK, answerOf(sale))
	case sale.State == wire.State_STATE_COMPLETED:
		probVoid.with(cmp.Or(whyNoVoid[sale.Family], "no card family gives a purchase back at a terminal. Refund it where cards are loaded")).write(w)
	default:
		probVoid.with("its outcome is not known yet: present the same card").write(w)
	}
}

func answerOf(s edge.Sale) saleAnswer {
	r := s.Result()
	a := fill(r, tap.Pattern{})
	out := saleAnswer{Request: s.Request, Outcome: a.Outcome, Amount: s.Amount.String(), Card: a.Card, Tap: a.Tap, Reason: a.Reason}
	switch s.State {
	case wire.State_STATE_COMPLETED:
		out.State, out.Balance, out.Outcome, out.Reason = stateCompleted, s.Balance.String(), tap.Granted.String(), ""
	case wire.State_STATE_VOIDED:
		out.State = stateVoided
	case wire.State_STATE_AGED:
		out.State = stateAged
	default:
		out.State = stateUnknown
	}
	return out
}
