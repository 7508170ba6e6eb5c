package api

import (
	"context"
	"fmt"

	"github.com/purselane/purselane/backend/cardlife"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/internal/ids"
)

func (s *server) endOf(o cardlife.Order) CardEnd {
	return CardEnd{Id: o.ID, Kind: CardEndKind(o.Kind), State: CardEndState(o.State), Card: o.Token, Target: unlessEmpty(o.Target), Acquirer: unlessEmpty(string(o.Agent)),
		Reason: o.Reason, RequestedBy: o.RequestedBy, ApprovedBy: unlessEmpty(o.ApprovedBy), Amount: o.Amount, LoadOrder: unlessEmpty(o.LoadOrder),
		RequestedAt: o.Requested.In(s.Location), DueAt: o.Due.In(s.Location), ChangedAt: o.Changed.In(s.Location)}
}

// ListCardEnds lists orders.
func (s *server) ListCardEnds(ctx context.Context, r ListCardEndsRequestObject) (ListCardEndsResponseObject, error) {
	all, err := s.Life.Orders(ctx, cardlife.State(orDefault(r.Params.State)), limitOf(r.Params.Limit))
	out := ListCardEnds200JSONResponse{Orders: []CardEnd{}}
	for _, o := range all {
		out.Orders = append(out.Orders, s.endOf(o))
	}
	return out, err
}

// RequestCardEnd blocks a card and orders what becomes of its value. The caller is who asks: a name in the body could be anybody's.
func (s *server) RequestCardEnd(ctx context.Context, r RequestCardEndRequestObject) (RequestCardEndResponseObject, error) {
	ask := cardlife.Request{Kind: cardlife.Kind(r.Body.Kind), Agent: ids.AcquirerID(orDefault(r.Body.Acquirer)), Reason: r.Body.Reason, By: callerOf(ctx).Name}
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		c, err := card(ctx, tx, r.Body.Card)
		ask.Card = c.Number
		if err != nil || r.Body.Target == nil {
			return err
		}
		target, err := card(ctx, tx, *r.Body.Target)
		ask.Target = &target.Number
		return err
	})
	if err != nil {
		return nil, err
	}
	o, err := s.Life.Request(ctx, ask)
	if err != nil {
		return nil, err
	}
	return RequestCardEnd200JSONResponse(s.endOf(o)), nil
}

// EndCard ends a card that is in the caller's field: its MAC1 has said so.
func (s *server) EndCard(ctx context.Context, r EndCardRequestObject) (EndCardResponseObject, error) {
	c, err := initOf(*r.Body)
	if err != nil {
		return nil, err
	}
	info, err := s.TopUp.Lookup(ctx, agentOf(ctx), c)
	if err != nil {
		return nil, err
	}
	o, err := s.endAtDesk(ctx, c.Card, info.Open != nil)
	if err != nil {
		return nil, err
	}
	return EndCard200JSONResponse(o), nil
}

// EndECCard ends an electronic cash card that is in the caller's field: its cryptogram has said so.
func (s *server) EndECCard(ctx context.Context, r EndECCardRequestObject) (EndECCardResponseObject, error) {
	c, err := ecCardOf(*r.Body)
	if err != nil {
		return nil, err
	}
	info, err := s.TopUp.LookupEC(ctx, agentOf(ctx), c)
	if err != nil {
		return nil, err
	}
	o, err := s.endAtDesk(ctx, ids.CardNumber(c.PAN), info.Open != "")
	if err != nil {
		return nil, err
	}
	return EndECCard200JSONResponse(o), nil
}

// endAtDesk orders that a card's value is paid out where the card is. One whose load is open is refused while it can still say what became of it.
func (s *server) endAtDesk(ctx context.Context, card ids.CardNumber, open bool) (CardEnd, error) {
	if open {
		return CardEnd{}, fmt.Errorf("end card %v: %w", card, topup.ErrOpenLoad)
	}
	c := callerOf(ctx)
	o, err := s.Life.Request(ctx, cardlife.Request{Kind: cardlife.Cash, Card: card, Agent: c.Acquirer, Reason: "given back at the desk", By: c.Name, Present: true})
	return s.endOf(o), err
}

// GetCardEnd finds an order. An agent's are those at its own desk; another's is not there for it.
func (s *server) GetCardEnd(ctx context.Context, r GetCardEndRequestObject) (GetCardEndResponseObject, error) {
	o, err := s.Life.Order(ctx, r.Order)
	if err != nil {
		return nil, err
	}
	if desk := agentOf(ctx); desk != "" && o.Agent != desk {
		return nil, cardlife.ErrUnknownOrder
	}
	return GetCardEnd200JSONResponse(s.endOf(o)), nil
}

// ApproveCardEnd lets an order settle, in the caller's name.
func (s *server) ApproveCardEnd(ctx context.Context, r ApproveCardEndRequestObject) (ApproveCardEndResponseObject, error) {
	o, err := s.Life.Approve(ctx, r.Order, callerOf(ctx).Name)
	if err != nil {
		return nil, err
	}
	return ApproveCardEnd200JSONResponse(s.endOf(o)), nil
}

// CancelCardEnd ends an order whose value has not moved.
func (s *server) CancelCardEnd(ctx context.Context, r CancelCardEndRequestObject) (CancelCardEndResponseObject, error) {
	o, err := s.Life.Cancel(ctx, r.Order)
	if err != nil {
		return nil, err
	}
	return CancelCardEnd200JSONResponse(s.endOf(o)), nil
}
