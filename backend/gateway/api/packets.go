package api

import (
	"context"
	"strings"

	"github.com/purselane/purselane/backend/gateway"
)

// ClaimShare gives a holder a share of a red packet.
func (s *server) ClaimShare(ctx context.Context, r ClaimShareRequestObject) (ClaimShareResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	name, err := holder(c.App, r.Body.Holder)
	if err != nil {
		return nil, err
	}
	x, err := s.Gateway.Claim(ctx, c.App, r.Order, gateway.NewClaim{Key: r.Body.Key, Holder: name})
	if err != nil {
		return nil, err
	}
	return ClaimShare200JSONResponse(claimOf(c.App, x)), nil
}

func claimOf(app string, x gateway.Claim) Claim {
	return Claim{Key: x.Key, Holder: strings.TrimPrefix(x.Holder, app+"."), Share: x.Share, Amount: x.Money.Amount, Currency: x.Money.Currency, At: x.At.UTC()}
}

// packetOf is an order's red packet, nil where it is none.
func packetOf(o gateway.Order) *Packet {
	if o.Packet == nil {
		return nil
	}
	out := Packet{Shares: o.Packet.Shares, Split: string(o.Packet.Split), Until: moment(o.Packet.Until), Claimed: o.Packet.Claimed, Claims: []Claim{}}
	for _, x := range o.Packet.Claims {
		out.Claims = append(out.Claims, claimOf(o.App, x))
	}
	return &out
}
