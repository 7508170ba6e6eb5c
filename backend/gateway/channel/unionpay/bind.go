package unionpay

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/gateway/channel"
)

var _ channel.Binder = (*Adapter)(nil)

// Binds: on UnionPay's page, and by what the payer types where the vault holds that. An account whose contract checks neither phone nor person says so.
func (a *Adapter) Binds() channel.Binds {
	_, typed := a.s.Vault.(channel.TypedVault)
	return channel.Binds{Page: a.s.TokenID != "", Typed: a.s.TokenID != "" && typed, Code: !a.s.Unchecked, Proves: !a.s.Unchecked}
}

// BindPage is [Adapter.OpenPage].
func (a *Adapter) BindPage(ctx context.Context, r channel.SignRequest) (channel.Signed, error) {
	return a.OpenPage(ctx, r)
}

// BindCode is [Adapter.SendCode] for what the vault holds.
func (a *Adapter) BindCode(ctx context.Context, r channel.SignRequest) (channel.Signed, error) {
	c, err := a.cardData(ctx, r.Payer.Token, "")
	if err != nil {
		return channel.Signed{}, err
	}
	return a.SendCode(ctx, r, c)
}

// Bind is [Adapter.Open] for what the vault holds.
func (a *Adapter) Bind(ctx context.Context, r channel.SignRequest, code string) (channel.Signed, error) {
	c, err := a.cardData(ctx, r.Payer.Token, code)
	if err != nil {
		return channel.Signed{}, err
	}
	return a.Open(ctx, r, c)
}

// cardData opens a reference at the last moment.
func (a *Adapter) cardData(ctx context.Context, ref, code string) (CardData, error) {
	v, can := a.s.Vault.(channel.TypedVault)
	if !can {
		return CardData{}, fmt.Errorf("unionpay: the vault holds nothing that was typed: %w", errors.Join(channel.ErrUnsupported, channel.ErrNotSent))
	}
	t, err := v.Typed(ctx, ref)
	if err != nil {
		return CardData{}, errors.Join(err, channel.ErrNotSent)
	}
	return CardData{Number: t.Number, Expires: t.Expires, CVN2: t.CVN2, Phone: t.Phone, Name: t.Name, IDType: t.IDType, IDNumber: t.IDNumber, Code: code}, nil
}

// QueryBinding is [Adapter.Opened].
func (a *Adapter) QueryBinding(ctx context.Context, number string) (channel.Signed, error) {
	return a.Opened(ctx, number)
}

// Unbind is [Adapter.Forget].
func (a *Adapter) Unbind(ctx context.Context, number, token string) (channel.Signed, error) {
	return a.Forget(ctx, number, token)
}
