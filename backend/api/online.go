package api

import (
	"context"

	"github.com/purselane/purselane/backend/kiosksale"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/internal/ids"
)

// OnlineSales sells loads that riders pay online: [kiosksale.Service].
type OnlineSales interface {
	Offer() (kiosksale.Offer, error)
	Create(ctx context.Context, agent ids.AcquirerID, n kiosksale.Order) (kiosksale.Sale, error)
	Sale(ctx context.Context, agent ids.AcquirerID, payment string) (kiosksale.Sale, error)
	Cancel(ctx context.Context, agent ids.AcquirerID, payment string) (kiosksale.Sale, error)
	Refund(ctx context.Context, agent ids.AcquirerID, payment string) (kiosksale.Sale, error)
	Sold(ctx context.Context, agent ids.AcquirerID, load topup.Order) (seller ids.AcquirerID, sold bool, err error)
}

// sellerOf is as whose the caller may work with a load order: its own name, or the gateway's for an order that was paid online at the caller's kiosk.
func (s *server) sellerOf(ctx context.Context, id string) (ids.AcquirerID, error) {
	agent := agentOf(ctx)
	if agent == "" {
		return agent, nil
	}
	o, err := s.TopUp.Order(ctx, "", id)
	if err != nil || o.Agent == agent {
		return agent, err
	}
	seller, sold, err := s.Online.Sold(ctx, agent, o)
	if sold {
		return seller, err
	}
	return agent, err
}

func (s *server) saleOf(v kiosksale.Sale) OnlineLoad {
	return OnlineLoad{Payment: v.Payment, Amount: v.Amount, Way: v.Way, State: OnlineLoadState(v.State), Qr: unlessEmpty(v.QR), Load: unlessEmpty(v.Load),
		Reason: unlessEmpty(OnlineLoadReason(v.Reason)), ExpiresAt: v.Expires.In(s.Location), ChangedAt: v.Changed.In(s.Location)}
}

// GetOnlineOffer says what can be paid online.
func (s *server) GetOnlineOffer(context.Context, GetOnlineOfferRequestObject) (GetOnlineOfferResponseObject, error) {
	o, err := s.Online.Offer()
	return GetOnlineOffer200JSONResponse{Currency: o.Currency, MaxAmount: o.MaxAmount, MaxBalance: o.MaxBalance, Ways: o.Ways}, err
}

// CreateOnlineLoad asks for a payment.
func (s *server) CreateOnlineLoad(ctx context.Context, r CreateOnlineLoadRequestObject) (CreateOnlineLoadResponseObject, error) {
	v, err := s.Online.Create(ctx, agentOf(ctx), kiosksale.Order{Key: r.Params.IdempotencyKey, Amount: r.Body.Amount, Way: r.Body.Way})
	return CreateOnlineLoad200JSONResponse(s.saleOf(v)), err
}

// GetOnlineLoad says how a payment stands.
func (s *server) GetOnlineLoad(ctx context.Context, r GetOnlineLoadRequestObject) (GetOnlineLoadResponseObject, error) {
	v, err := s.Online.Sale(ctx, agentOf(ctx), r.Payment)
	return GetOnlineLoad200JSONResponse(s.saleOf(v)), err
}

// CancelOnlineLoad ends a payment that nobody is to make.
func (s *server) CancelOnlineLoad(ctx context.Context, r CancelOnlineLoadRequestObject) (CancelOnlineLoadResponseObject, error) {
	v, err := s.Online.Cancel(ctx, agentOf(ctx), r.Payment)
	return CancelOnlineLoad200JSONResponse(s.saleOf(v)), err
}

// RefundOnlineLoad gives a payment back.
func (s *server) RefundOnlineLoad(ctx context.Context, r RefundOnlineLoadRequestObject) (RefundOnlineLoadResponseObject, error) {
	v, err := s.Online.Refund(ctx, agentOf(ctx), r.Payment)
	return RefundOnlineLoad200JSONResponse(s.saleOf(v)), err
}
