package api

import (
	"context"
	"strings"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/code"
)

// GetHolder is what a holder has.
func (s *server) GetHolder(ctx context.Context, r GetHolderRequestObject) (GetHolderResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	name, err := holder(c.App, r.Holder)
	if err != nil {
		return nil, err
	}
	has, err := s.Gateway.Holding(ctx, name)
	if err != nil {
		return nil, err
	}
	out := GetHolder200JSONResponse{Holder: r.Holder, Currency: s.Gateway.Currency(), Available: has.Available, Held: has.Held, Points: []HolderPoints{}}
	for _, p := range has.Points {
		free, err := p.Balance.Sub(p.Held)
		if err != nil {
			return nil, err
		}
		out.Points = append(out.Points, HolderPoints{Currency: p.Currency, Available: free, Held: p.Held})
	}
	return out, nil
}

// payeeOf is an order's payee as its app names him.
func payeeOf(o gateway.Order) string {
	if o.Type == code.TopUp || strings.Contains(string(o.Payee), ".") { // no merchant's name has a dot
		return strings.TrimPrefix(string(o.Payee), o.App+".")
	}
	return string(o.Payee)
}
