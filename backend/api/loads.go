package api

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/ids"
)

// defaultLimit is the document's, of lists.
const defaultLimit = 100

func limitOf(l *Limit) int {
	if l == nil {
		return defaultLimit
	}
	return *l
}

// orDefault is the value pointed to, or the zero value.
func orDefault[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// unlessEmpty points to the value, or is nil for the zero value: a field that is left out.
func unlessEmpty[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func upper(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }

// unhex fills dst from hexadecimal digits. The gate has checked their form; the error is for a document that has changed.
func unhex(dst []byte, digits string) error {
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != len(dst) {
		return refusal{codeRequest, "a value is not hexadecimal of its length"}
	}
	copy(dst, raw)
	return nil
}

func initOf(c CardInit) (topup.CardInit, error) {
	out := topup.CardInit{Levels: c.KeyLevels, Version: c.KeyVersion, Algorithm: c.Algorithm, Balance: c.Balance, Counter: c.OnlineCounter, Amount: c.Amount}
	return out, errors.Join(unhex(out.Card[:], c.CardNumber), unhex(out.Issuer[:], c.Issuer), unhex(out.Random[:], c.Random),
		unhex(out.MAC1[:], c.Mac1), unhex(out.Terminal[:], c.Terminal))
}

func (s *server) orderOf(o topup.Order) LoadOrder {
	return LoadOrder{Id: o.ID, IdempotencyKey: o.IdempotencyKey, Agent: unlessEmpty(string(o.Agent)), Amount: o.Amount, State: LoadState(o.State),
		Card: unlessEmpty(o.Token), Proof: unlessEmpty(LoadOrderProof(o.Proof)), CreatedAt: o.Created.In(s.Location), ChangedAt: o.Changed.In(s.Location)}
}

// agentOf is whose orders the caller may see: an agent's own, or, for an operator, all.
func agentOf(ctx context.Context) ids.AcquirerID { return callerOf(ctx).Acquirer }

// LookupCard says what is known of the card in the field.
func (s *server) LookupCard(ctx context.Context, r LookupCardRequestObject) (LookupCardResponseObject, error) {
	c, err := initOf(*r.Body)
	if err != nil {
		return nil, err
	}
	info, err := s.TopUp.Lookup(ctx, agentOf(ctx), c)
	if err != nil {
		return nil, err
	}
	out := LookupCard200JSONResponse{Token: info.Token, Blocked: unlessEmpty(info.Blocked)}
	if o := info.Open; o != nil {
		out.OpenLoad = &OpenLoad{Order: o.Order, Amount: o.Amount, OnlineCounter: o.Counter, Challenge: o.Challenge.String()}
	}
	out.Waiting = waitingOf(info.Waiting)
	return out, nil
}

func waitingOf(w *topup.Waiting) *WaitingLoad {
	if w == nil {
		return nil
	}
	return &WaitingLoad{Order: w.Order, Amount: w.Amount}
}

// ListLoads lists orders.
func (s *server) ListLoads(ctx context.Context, r ListLoadsRequestObject) (ListLoadsResponseObject, error) {
	all, err := s.TopUp.Orders(ctx, agentOf(ctx), topup.State(orDefault(r.Params.State)), limitOf(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	out := ListLoads200JSONResponse{Loads: []LoadOrder{}}
	for _, o := range all {
		out.Loads = append(out.Loads, s.orderOf(o))
	}
	return out, nil
}

// CreateLoad books a load that was paid for.
func (s *server) CreateLoad(ctx context.Context, r CreateLoadRequestObject) (CreateLoadResponseObject, error) {
	o, err := s.TopUp.CreateOrder(ctx, agentOf(ctx), topup.CreateOrder{IdempotencyKey: r.Params.IdempotencyKey, Amount: r.Body.Amount})
	if err != nil {
		return nil, err
	}
	return CreateLoad200JSONResponse(s.orderOf(o)), nil
}

// GetLoad finds an order.
func (s *server) GetLoad(ctx context.Context, r GetLoadRequestObject) (GetLoadResponseObject, error) {
	seller, err := s.sellerOf(ctx, r.Id)
	if err != nil {
		return nil, err
	}
	o, err := s.TopUp.Order(ctx, seller, r.Id)
	if err != nil {
		return nil, err
	}
	return GetLoad200JSONResponse(s.orderOf(o)), nil
}

// AuthoriseLoad takes MAC1 and gives MAC2.
func (s *server) AuthoriseLoad(ctx context.Context, r AuthoriseLoadRequestObject) (AuthoriseLoadResponseObject, error) {
	c, err := initOf(*r.Body)
	if err != nil {
		return nil, err
	}
	seller, err := s.sellerOf(ctx, r.Id)
	if err != nil {
		return nil, err
	}
	a, err := s.TopUp.Authorise(ctx, seller, r.Id, c)
	if err != nil {
		return nil, err
	}
	return AuthoriseLoad200JSONResponse{DateTime: upper(a.DateTime[:]), Mac2: a.MAC2.String(), Challenge: a.Challenge.String()}, nil
}

// ConfirmLoad takes the TAC of CREDIT FOR LOAD.
func (s *server) ConfirmLoad(ctx context.Context, r ConfirmLoadRequestObject) (ConfirmLoadResponseObject, error) {
	var tac ep.MAC
	if err := unhex(tac[:], r.Body.Tac); err != nil {
		return nil, err
	}
	seller, err := s.sellerOf(ctx, r.Id)
	if err != nil {
		return nil, err
	}
	o, err := s.TopUp.Confirm(ctx, seller, r.Id, tac)
	if err != nil {
		return nil, err
	}
	return ConfirmLoad200JSONResponse(s.orderOf(o)), nil
}

// DoubtLoad notes that CREDIT was not answered.
func (s *server) DoubtLoad(ctx context.Context, r DoubtLoadRequestObject) (DoubtLoadResponseObject, error) {
	seller, err := s.sellerOf(ctx, r.Id)
	if err != nil {
		return nil, err
	}
	o, err := s.TopUp.Uncertain(ctx, seller, r.Id)
	if err != nil {
		return nil, err
	}
	return DoubtLoad200JSONResponse(s.orderOf(o)), nil
}

// ResolveLoad settles an open load by what the card says. The order may be another agent's, so little is told of it.
func (s *server) ResolveLoad(ctx context.Context, r ResolveLoadRequestObject) (ResolveLoadResponseObject, error) {
	var e topup.Evidence
	if r.Body.Tac != nil {
		e.TAC = new(ep.MAC)
		if err := unhex(e.TAC[:], *r.Body.Tac); err != nil {
			return nil, err
		}
	}
	if r.Body.Init != nil {
		c, err := initOf(*r.Body.Init)
		if err != nil {
			return nil, err
		}
		e.Init = &c
	}
	o, err := s.TopUp.Resolve(ctx, agentOf(ctx), r.Id, e)
	if err != nil {
		return nil, err
	}
	return ResolveLoad200JSONResponse{Id: o.ID, State: LoadState(o.State)}, nil
}

// RefundLoad notes that the money was given back.
func (s *server) RefundLoad(ctx context.Context, r RefundLoadRequestObject) (RefundLoadResponseObject, error) {
	o, err := s.TopUp.Refund(ctx, agentOf(ctx), r.Id)
	if err != nil {
		return nil, err
	}
	return RefundLoad200JSONResponse(s.orderOf(o)), nil
}
