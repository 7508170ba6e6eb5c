package store

import (
	"context"
	"fmt"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// Card is a card with its shadow account. Token stands for the number wherever a person or a URL could see it.
type Card struct {
	Number         ids.CardNumber
	Token          string
	Issuer         [8]byte
	Levels         int // of key diversification, 1 or 2
	Status         string
	OpeningCounter uint16
	OpeningBalance money.Amount
	Shadow         money.Amount
}

// Card statuses.
const (
	CardActive  = "active"
	CardBlocked = "blocked"
	CardUnknown = "unknown" // its TAC verifies, and we never issued it
)

// IssueCard registers a card. Its opening balance must be zero: value reaches a card by a load. The same card again
// changes nothing.
func (t *Tx) IssueCard(ctx context.Context, c Card) error {
	if !c.OpeningBalance.IsZero() {
		return fmt.Errorf("card %v: opening balance %v: a card is issued empty and loaded", c.Number, c.OpeningBalance)
	}
	if c.Status == "" {
		c.Status = CardActive
	}
	_, err := t.exec(ctx, "issue card", `INSERT INTO card (number, token, issuer, levels, status, opening_counter, opening_balance, shadow)
		VALUES (?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT (number) DO NOTHING`,
		c.Number[:], c.Token, c.Issuer[:], c.Levels, c.Status, int(c.OpeningCounter), c.OpeningBalance.Minor())
	return err
}

const cardColumns = `number, token, issuer, levels, status, opening_counter, opening_balance, shadow`

func scanCard(scan func(...any) error) (Card, error) {
	var c Card
	var number, issuer []byte
	var opening, shadow int64
	if err := scan(&number, &c.Token, &issuer, &c.Levels, &c.Status, &c.OpeningCounter, &opening, &shadow); err != nil {
		return Card{}, err
	}
	copy(c.Number[:], number)
	copy(c.Issuer[:], issuer)
	c.OpeningBalance, c.Shadow = money.Minor(opening), money.Minor(shadow)
	return c, nil
}

func (t *Tx) card(ctx context.Context, where string, arg any) (Card, error) {
	var c Card
	found := false
	err := t.rows(ctx, "card", func(scan func(...any) error) error {
		var err error
		found = true
		c, err = scanCard(scan)
		return err
	}, `SELECT `+cardColumns+` FROM card WHERE `+where+` = ?`, arg)
	if err == nil && !found {
		err = fmt.Errorf("card: %w", ErrNotFound)
	}
	return c, err
}

// CardByNumber finds a card, or ErrNotFound.
func (t *Tx) CardByNumber(ctx context.Context, n ids.CardNumber) (Card, error) {
	return t.card(ctx, "number", n[:])
}

// CardByToken finds a card, or ErrNotFound.
func (t *Tx) CardByToken(ctx context.Context, token string) (Card, error) {
	return t.card(ctx, "token", token)
}

// Cards lists cards by token, after the token given, at most limit.
func (t *Tx) Cards(ctx context.Context, after string, limit int) ([]Card, error) {
	var out []Card
	err := t.rows(ctx, "cards", func(scan func(...any) error) error {
		c, err := scanCard(scan)
		out = append(out, c)
		return err
	}, `SELECT `+cardColumns+` FROM card WHERE token > ? ORDER BY token LIMIT ?`, after, limit)
	return out, err
}

// moveShadow adds change to a card's shadow balance. The books' float must move by the opposite in the same transaction.
func (t *Tx) moveShadow(ctx context.Context, n ids.CardNumber, change money.Amount) error {
	if change.IsZero() {
		return nil
	}
	r, err := t.exec(ctx, "move shadow", `UPDATE card SET shadow = shadow + ? WHERE number = ?`, change.Minor(), n[:])
	if err != nil {
		return err
	}
	if changed, err := r.RowsAffected(); err != nil || changed != 1 {
		return fmt.Errorf("store: move shadow of %v: %d rows changed: %w", n, changed, ErrNotFound)
	}
	return nil
}

// PutCardLoad notes a load that was authorised (loaded false) or is on the card (loaded true). A load that becomes
// loaded adds its amount to the shadow balance; the caller posts the entry in the same transaction. Telling the same
// again changes nothing.
func (t *Tx) PutCardLoad(ctx context.Context, n ids.CardNumber, l shadowaccount.Load, ref string) error {
	var amount int64
	var was bool
	found, err := t.one(ctx, "card load", `SELECT amount, loaded FROM card_load WHERE card = ? AND counter = ?`, []any{n[:], int(l.Counter)}, &amount, &was)
	if err != nil {
		return err
	}
	if found && was && (!l.Loaded || amount != l.Amount.Minor()) {
		return fmt.Errorf("store: card %v: load %d is on the card with %v: it cannot become %v", n, l.Counter, money.Minor(amount), l.Amount)
	}
	if _, err := t.exec(ctx, "put card load", `INSERT INTO card_load (card, counter, amount, loaded, ref) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (card, counter) DO UPDATE SET amount = excluded.amount, loaded = excluded.loaded, ref = excluded.ref`,
		n[:], int(l.Counter), l.Amount.Minor(), l.Loaded, ref); err != nil {
		return err
	}
	if l.Loaded && !was {
		return t.moveShadow(ctx, n, l.Amount)
	}
	return nil
}

// DropCardLoad forgets a load that did not reach the card. One that did stays.
func (t *Tx) DropCardLoad(ctx context.Context, n ids.CardNumber, counter uint16) error {
	_, err := t.exec(ctx, "drop card load", `DELETE FROM card_load WHERE card = ? AND counter = ? AND loaded = 0`, n[:], int(counter))
	return err
}

// CardLoads lists the loads of a card by online counter.
func (t *Tx) CardLoads(ctx context.Context, n ids.CardNumber) ([]shadowaccount.Load, error) {
	var out []shadowaccount.Load
	err := t.rows(ctx, "card loads", func(scan func(...any) error) error {
		var l shadowaccount.Load
		var amount int64
		if err := scan(&l.Counter, &amount, &l.Loaded); err != nil {
			return err
		}
		l.Amount = money.Minor(amount)
		out = append(out, l)
		return nil
	}, `SELECT counter, amount, loaded FROM card_load WHERE card = ? ORDER BY counter`, n[:])
	return out, err
}
