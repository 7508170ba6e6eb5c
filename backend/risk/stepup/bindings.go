package stepup

import (
	"context"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
)

// Bindings sends and checks the gateway's own codes for cards that a channel binds without checking whose they are. Their codes have a key of their own.
type Bindings struct {
	Codes *Codes
	Vault channel.TypedVault // where the phone is that the payer has typed
}

var _ gateway.PhoneCodes = Bindings{}

// Send implements [gateway.PhoneCodes]. The payer of the message is the phone's number, its payment the binding; it has no order and no amount.
func (b Bindings) Send(ctx context.Context, of gateway.Binding, typed string) error {
	what, err := b.Vault.Typed(ctx, typed)
	if err != nil {
		return err
	}
	return b.Codes.Send(ctx, gateway.Assessed{Order: gateway.Order{App: of.App}, Payment: gateway.Payment{Number: of.Number}, Payer: channel.Payer{Account: what.Phone}})
}

// Check implements [gateway.PhoneCodes].
func (b Bindings) Check(ctx context.Context, of gateway.Binding, code string) (bool, error) {
	return b.Codes.Check(ctx, of.Number, code)
}
