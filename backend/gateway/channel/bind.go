package channel

import (
	"context"
	"errors"
	"fmt"
)

// Typed is what a payer types to bind a card. It is held in memory, sent and forgotten: it prints as nothing but its last four digits, in whatever way
// it is printed, and has no form in which it could be kept.
type Typed struct {
	Number   string
	Expires  string // YYMM, of a credit card
	CVN2     string // of a credit card
	Phone    string // the number that the bank knows
	Name     string
	IDType   string // as the channel numbers them; 01: identity card
	IDNumber string
}

// Format prints a masked number for every verb.
func (t Typed) Format(s fmt.State, _ rune) {
	last := ""
	if len(t.Number) > 8 {
		last = t.Number[len(t.Number)-4:]
	}
	_, _ = fmt.Fprint(s, "card …"+last)
}

// MarshalJSON refuses: what was typed is not kept.
func (Typed) MarshalJSON() ([]byte, error) {
	return nil, errors.New("what a payer has typed is not kept")
}

// MarshalText refuses likewise.
func (Typed) MarshalText() ([]byte, error) {
	return nil, errors.New("what a payer has typed is not kept")
}

// TypedVault opens the reference under which what a payer has typed is held. Only an adapter asks it, at the last moment.
type TypedVault interface {
	Typed(ctx context.Context, ref string) (Typed, error)
}

// Binds is how a channel binds cards.
type Binds struct {
	Page   bool // on a page of its own, where nobody can prove whose card it is
	Typed  bool // by what the payer types on our side
	Code   bool // the payer's bank sends him a code first
	Proves bool // what is checked of what was typed proves whose card it is
}

// Binder is a channel that binds cards: a payment of product [Quick] then needs no card data. In a [SignRequest] of what was typed, Payer.Token is the vault's
// reference. Of what is bound, [Signed].Agreement is the channel's token, which is never a card number and is kept sealed.
type Binder interface {
	Binds() Binds

	// BindPage has the payer bind a card on the channel's page: the Action to take there.
	BindPage(context.Context, SignRequest) (Signed, error)

	// BindCode has the payer's bank send him a code. The result is Pending once it is sent.
	BindCode(context.Context, SignRequest) (Signed, error)

	// Bind binds a card, with the code that was sent for the same number, or "" where none was. One that the channel has bound already, for whomever, is
	// Failed with [Signed].Duplicate, at whatever step the channel finds it.
	Bind(ctx context.Context, r SignRequest, code string) (Signed, error)

	// QueryBinding asks what became of an opening by its number. Closed: it was bound, and has ended.
	QueryBinding(ctx context.Context, number string) (Signed, error)

	// Unbind ends what was bound. What has ended already is Closed, too.
	Unbind(ctx context.Context, number, token string) (Signed, error)
}
