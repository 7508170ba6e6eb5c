package api

import (
	"context"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/internal/ids"
)

// ListOrders lists the app's orders.
func (s *server) ListOrders(ctx context.Context, r ListOrdersRequestObject) (ListOrdersResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	limit := 50
	if r.Params.Limit != nil {
		limit = *r.Params.Limit
	}
	all, err := s.Gateway.Orders(ctx, c.App, order.State(orDefault(r.Params.State)), orDefault(r.Params.After), limit+1)
	if err != nil {
		return nil, err
	}
	out := Orders{Orders: []Order{}}
	if len(all) > limit {
		all = all[:limit]
		out.Next = &all[limit-1].ID
	}
	for _, o := range all {
		out.Orders = append(out.Orders, orderOf(o))
	}
	return ListOrders200JSONResponse(out), nil
}

// ConfirmOrder hands over what is held.
func (s *server) ConfirmOrder(ctx context.Context, r ConfirmOrderRequestObject) (ConfirmOrderResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	o, err := s.Gateway.Confirm(ctx, c.App, r.Order)
	if err != nil {
		return nil, err
	}
	return ConfirmOrder200JSONResponse(orderOf(o)), nil
}

// StepOrder takes a step of a reservation.
func (s *server) StepOrder(ctx context.Context, r StepOrderRequestObject) (StepOrderResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	n := gateway.NewStep{Key: r.Body.Key, Amount: orDefault(r.Body.Amount)}
	do := s.Gateway.Capture
	switch r.Body.Kind {
	case code.Increment.String():
		do = s.Gateway.Increment
	case code.Release.String():
		do = s.Gateway.Release
	}
	o, err := do(ctx, c.App, r.Order, n)
	return StepOrder200JSONResponse(operationOf(o)), err
}

// Withdraw pays out.
func (s *server) Withdraw(ctx context.Context, r WithdrawRequestObject) (WithdrawResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	n := gateway.NewWithdrawal{Key: r.Body.Key, Product: code.Product(r.Body.Product), Merchant: ids.MerchantID(r.Body.Merchant), Money: channel.Money{Amount: r.Body.Amount, Currency: r.Body.Currency},
		Subject: r.Body.Subject, Attach: orDefault(r.Body.Attach), To: *payToOf(&r.Body.To)}
	if !c.Terms.For(n.Merchant) {
		return nil, errMerchant
	}
	o, err := s.Gateway.Withdraw(ctx, c.App, n)
	if err != nil {
		return nil, err
	}
	return Withdraw200JSONResponse(orderOf(o)), nil
}

// GetEarnings is what a merchant has.
func (s *server) GetEarnings(ctx context.Context, r GetEarningsRequestObject) (GetEarningsResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	m := ids.MerchantID(r.Merchant)
	if !c.Terms.For(m) {
		return nil, errMerchant
	}
	e, err := s.Gateway.Earnings(ctx, m)
	return GetEarnings200JSONResponse{Merchant: r.Merchant, Currency: s.Gateway.Currency(), Pending: e.Pending, Available: e.Available}, err
}

func payToOf(p *PayTo) *gateway.PayTo {
	if p == nil {
		return nil
	}
	return &gateway.PayTo{Account: p.Account, Name: orDefault(p.Name), Bank: orDefault(p.Bank)}
}

func operationOf(o gateway.Operation) Operation {
	return Operation{Number: o.Number, Key: appsKey(o), Payment: unlessEmpty(o.Payment), Kind: o.Kind.String(), Amount: o.Money.Amount, Currency: o.Money.Currency, State: string(o.State),
		Action: actionOf(o.Action), Code: unlessEmpty(o.Code), Message: unlessEmpty(o.Message), Created: o.Created.UTC(), Changed: o.Changed.UTC(), Done: moment(o.DoneAt)}
}
