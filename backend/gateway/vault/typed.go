package vault

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/cardacquirer"
)

// ErrNotTyped says that what a payer has typed is not held any more.
var ErrNotTyped = errors.New("the vault holds nothing under this token: it was held for too long, or the process is another one: have the payer type it again")

type heldTyped struct {
	what  channel.Typed
	bound Bound
	until time.Time
}

// HoldTyped holds what a payer has typed to bind a card, in memory and for [HoldFor]. It goes nowhere but to the channel that binds. Errors: [bin.ErrNumber], [ErrExpires], [ErrFull].
func (v *Vault) HoldTyped(what channel.Typed) (Bound, error) {
	b, err := v.bound(cardacquirer.Card{Number: what.Number, Expires: what.Expires})
	if err != nil {
		return Bound{}, err
	}
	b.Token = typing + strings.ToLower(rand.Text())
	now := v.cfg.Clock.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	for token, h := range v.typed {
		if !now.Before(h.until) {
			delete(v.typed, token)
		}
	}
	if len(v.typed) >= maxHeld {
		return Bound{}, ErrFull
	}
	v.typed[b.Token] = heldTyped{what, b, now.Add(HoldFor)}
	return b, nil
}

func (v *Vault) stillTyped(ref string) (heldTyped, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	h, ok := v.typed[ref]
	if !ok || !v.cfg.Clock.Now().Before(h.until) {
		return heldTyped{}, ErrNotTyped
	}
	return h, nil
}

var _ channel.TypedVault = (*Vault)(nil)

// Typed opens a reference for one message to a channel. Error: [ErrNotTyped].
func (v *Vault) Typed(_ context.Context, ref string) (channel.Typed, error) {
	h, err := v.stillTyped(ref)
	return h.what, err
}

// OfTyped says what may be known of a card whose number was typed, and the keyed name of that number, which is the same whenever it is typed. Error: [ErrNotTyped].
func (v *Vault) OfTyped(ref string) (b Bound, card string, err error) {
	h, err := v.stillTyped(ref)
	if err != nil {
		return Bound{}, "", err
	}
	return h.bound, v.tokenOf(h.what.Number), nil
}
