package town

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/kiosk"
)

// sale is a load that a kiosk took money for: the truth about what was paid.
type sale struct {
	key      string
	amount   money.Amount
	rider    *rider
	order    string // once the backend has told
	refunded bool
}

// host is the backend as the kiosks reach it: a call may not arrive, its answer may be lost, and a few tries later the
// kiosk gives up. It calls the service itself; what HTTP does to a call is tested where HTTP is.
type host struct{ w *town }

var _ kiosk.Host = host{}

// hostTries is how often a kiosk makes a call before it gives up.
const hostTries = 3

// kinds of refusal, as the backend says them and as a kiosk hears them.
var kinds = []struct{ said, heard error }{
	{topup.ErrConflict, kiosk.ErrConflict}, {topup.ErrAmount, kiosk.ErrAmount}, {topup.ErrMaxBalance, kiosk.ErrMaxBalance},
	{topup.ErrUnknownOrder, kiosk.ErrUnknownOrder}, {topup.ErrUnknownCard, kiosk.ErrUnknownCard}, {topup.ErrCardBlocked, kiosk.ErrCardBlocked},
	{topup.ErrCardData, kiosk.ErrCardData}, {topup.ErrMAC1, kiosk.ErrMAC1}, {topup.ErrTAC, kiosk.ErrTAC}, {topup.ErrOtherCard, kiosk.ErrOtherCard},
	{topup.ErrOpenLoad, kiosk.ErrOpenLoad}, {topup.ErrStale, kiosk.ErrStale}, {topup.ErrChallenge, kiosk.ErrChallenge},
	{topup.ErrState, kiosk.ErrState}, {topup.ErrEvidence, kiosk.ErrEvidence},
}

// call makes one call of the backend, with everything that can happen to it on the way.
func call[T any](h host, name string, f func(*topup.Service) (T, error)) (T, error) {
	var none T
	for range hostTries {
		lost := chance(h.w.rng, h.w.faults.KioskAnswer)
		if lost && h.w.rng.IntN(2) == 0 || h.w.backend.store == nil {
			h.w.log.add(nobody, "%s does not reach the backend", name)
			continue
		}
		h.w.backend.stale, h.w.backend.idle = true, false
		out, err := f(h.w.backend.topup)
		if h.w.backend.died(err) {
			continue
		}
		if lost {
			h.w.log.add(nobody, "the answer to %s is lost", name)
			continue
		}
		for _, k := range kinds {
			if errors.Is(err, k.said) {
				return none, fmt.Errorf("%w: %w", k.heard, err)
			}
		}
		must(err)
		return out, nil
	}
	return none, fmt.Errorf("%s: %w", name, kiosk.ErrUnavailable)
}

func orderOf(o topup.Order, err error) (kiosk.Order, error) {
	return kiosk.Order{ID: o.ID, Amount: o.Amount, State: kiosk.State(o.State)}, err
}

func initOf(c kiosk.CardInit) topup.CardInit {
	return topup.CardInit{Card: c.Card, Issuer: c.Issuer, Levels: c.Levels, Version: c.Answer.Version, Algorithm: c.Answer.Algorithm,
		Balance: c.Answer.Balance, Counter: c.Answer.Counter, Random: c.Answer.Random, MAC1: c.Answer.MAC1, Amount: c.Amount, Terminal: c.Terminal}
}

// CreateOrder implements kiosk.Host.
func (h host) CreateOrder(ctx context.Context, key string, amount money.Amount) (kiosk.Order, error) {
	return orderOf(call(h, "create order "+key, func(s *topup.Service) (topup.Order, error) {
		return s.CreateOrder(ctx, agent, topup.CreateOrder{IdempotencyKey: key, Amount: amount})
	}))
}

// Order implements kiosk.Host.
func (h host) Order(ctx context.Context, id string) (kiosk.Order, error) {
	return orderOf(call(h, "order", func(s *topup.Service) (topup.Order, error) { return s.Order(ctx, agent, id) }))
}

// Lookup implements kiosk.Host.
func (h host) Lookup(ctx context.Context, c kiosk.CardInit) (kiosk.CardInfo, error) {
	info, err := call(h, "look up", func(s *topup.Service) (topup.CardInfo, error) { return s.Lookup(ctx, agent, initOf(c)) })
	out := kiosk.CardInfo{Token: info.Token}
	if o := info.Open; o != nil {
		out.Open = &kiosk.OpenLoad{Order: o.Order, Amount: o.Amount, Counter: o.Counter, Challenge: o.Challenge}
	}
	return out, err
}

// Authorise implements kiosk.Host.
func (h host) Authorise(ctx context.Context, id string, c kiosk.CardInit) (kiosk.Authorisation, error) {
	a, err := call(h, "authorise", func(s *topup.Service) (topup.Authorisation, error) { return s.Authorise(ctx, agent, id, initOf(c)) })
	return kiosk.Authorisation(a), err
}

// Confirm implements kiosk.Host.
func (h host) Confirm(ctx context.Context, id string, tac ep.MAC) (kiosk.Order, error) {
	return orderOf(call(h, "confirm", func(s *topup.Service) (topup.Order, error) { return s.Confirm(ctx, agent, id, tac) }))
}

// Uncertain implements kiosk.Host.
func (h host) Uncertain(ctx context.Context, id string) (kiosk.Order, error) {
	return orderOf(call(h, "uncertain", func(s *topup.Service) (topup.Order, error) { return s.Uncertain(ctx, agent, id) }))
}

// Resolve implements kiosk.Host.
func (h host) Resolve(ctx context.Context, id string, e kiosk.Evidence) (kiosk.Order, error) {
	evidence := topup.Evidence{TAC: e.TAC}
	if e.Init != nil {
		c := initOf(*e.Init)
		evidence.Init = &c
	}
	return orderOf(call(h, "resolve", func(s *topup.Service) (topup.Order, error) { return s.Resolve(ctx, agent, id, evidence) }))
}

// loadOutcome is what a visit to a kiosk came to, for the rider.
type loadOutcome int

const (
	loadDone  loadOutcome = iota
	loadAgain             // the card left, or the backend could not be reached
)

// visitKiosk is one presentation of a card at a kiosk.
func (w *town) visitKiosk(r *rider, s *sale, number int) loadOutcome {
	r.card.terminal, r.card.intent = nobody, nil
	field := present(r.card, w.drawTear(14))
	request := kiosk.Request{Terminal: kioskNumber(number), IdempotencyKey: s.key, Amount: s.amount}
	if s.order != "" && w.rng.IntN(2) == 0 {
		request.IdempotencyKey, request.OrderID, request.Amount = "", s.order, money.Amount{}
	}
	before := r.card.loaded
	result, err := kiosk.Load(w.ctx, field, host{w}, request)
	field.leave()
	if result.Order != "" {
		s.order = result.Order
	}
	if errors.Is(err, kiosk.ErrUnavailable) {
		w.tally.LoadsDoubted++
		w.log.add(r.index, "load %s of %v at kiosk %d: backend not available; balance %v", s.key, s.amount, number, r.card.Balance())
		return loadAgain
	}
	if err != nil {
		w.fail("load", r.index, "load %s of %v at kiosk %d is refused: %v", s.key, s.amount, number, err)
	}
	w.log.add(r.index, "load %s of %v at kiosk %d: %v, balance %v", s.key, s.amount, number, result.Outcome, r.card.Balance())
	switch result.Outcome {
	case kiosk.PresentAgain:
		w.tally.LoadsDoubted++
		return loadAgain
	case kiosk.DoneUnconfirmed:
		w.tally.LoadsDoubted++
		if less(r.card.loaded, before).Cmp(s.amount) < 0 {
			w.fail("load", r.index, "load %s: the kiosk says it is on the card, and the card has taken only %v", s.key, less(r.card.loaded, before))
		}
		if w.rng.IntN(4) > 0 { // else the kiosk forgets it: the card's own word must do
			w.confirmLater(s, *result.TAC)
		}
		return loadDone
	case kiosk.LoadDone, kiosk.AlreadyDone:
		return loadDone
	}
	w.fail("load", r.index, "load %s: the card refused it: %s", s.key, result.Reason)
	return loadAgain
}

// confirmLater hands in the TAC of a load until the backend has taken it.
func (w *town) confirmLater(s *sale, tac ep.MAC) {
	w.later(time.Duration(1+w.rng.IntN(30))*time.Minute, func() {
		_, err := host{w}.Confirm(w.ctx, s.order, tac)
		if errors.Is(err, kiosk.ErrUnavailable) {
			w.confirmLater(s, tac)
			return
		}
		if err != nil {
			w.fail("load", s.rider.index, "load %s: its TAC is refused: %v", s.key, err)
		}
		w.log.add(s.rider.index, "load %s is confirmed", s.key)
	})
}

// bookLater tells the backend of money that a kiosk took and could not book: the kiosk keeps the sale's key until it is.
func (w *town) bookLater(s *sale) {
	w.later(time.Duration(1+w.rng.IntN(20))*time.Minute, func() {
		if s.order != "" {
			return
		}
		o, err := host{w}.CreateOrder(w.ctx, s.key, s.amount)
		if errors.Is(err, kiosk.ErrUnavailable) {
			w.bookLater(s)
			return
		}
		if err != nil {
			w.fail("load", s.rider.index, "sale %s is refused: %v", s.key, err)
		}
		s.order = o.ID
		w.log.add(s.rider.index, "sale %s is booked as %s", s.key, o.ID)
	})
}

// riderOf finds the rider of a card, nobody for a card that is not of the town.
func (w *town) riderOf(n ids.CardNumber) int {
	for i := range riders {
		if cardNumber(i) == n {
			return i
		}
	}
	return nobody
}
