package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// Card is a card with its shadow account. Token stands for the number wherever a person or a URL could see it.
type Card struct {
	Number         ids.CardNumber
	Token          string
	Family         string  // of its purse, as records have it; "" is "ep"
	Issuer         [8]byte // of an EP purse
	Levels         int     // of key diversification of an EP purse, 1 or 2
	Status         string
	OpeningCounter uint32
	OpeningBalance money.Amount
	Shadow         money.Amount
	BlockedMS      int64 // Unix ms, 0: never

	// What the audit of the card's chain says (shadowaccount.Audit). Read only.
	Complete uint32       // every counter below it is accounted for
	Next     uint32       // one above the highest counter known
	Tail     money.Amount // balance after that
	Missing  int          // records known to be missing
}

// Card statuses.
const (
	CardActive  = "active"
	CardBlocked = "blocked"
	CardUnknown = "unknown" // its TAC verifies, and we never issued it
)

// MinTokenKey is the least length of a token key, in bytes.
const MinTokenKey = 16

// Token stands for a card number wherever a person or a URL could see it: 16 bytes of HMAC-SHA256 in hexadecimal. Without
// the key nobody can try numbers until one fits.
func Token(key []byte, n ids.CardNumber) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("purselane-card-token-1\x00"))
	h.Write(n[:])
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// IssueCard registers a card. Its opening balance must be zero: value reaches a card by a load. The same card again
// changes nothing, unless it was known only by records of it: then it is known as issued from now on.
func (t *Tx) IssueCard(ctx context.Context, c Card) error {
	if !c.OpeningBalance.IsZero() {
		return fmt.Errorf("card %v: opening balance %v: a card is issued empty and loaded", c.Number, c.OpeningBalance)
	}
	if c.Status == "" {
		c.Status = CardActive
	}
	if c.Token == "" {
		return fmt.Errorf("card %v: no token", c.Number)
	}
	if c.Family == "" {
		c.Family = "ep"
	}
	r, err := t.exec(ctx, "issue card", `INSERT INTO card (number, token, issuer, levels, status, opening_counter, opening_balance, shadow, complete, next, tail, family, loads_from)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?6, ?6, ?7, ?9, 0) ON CONFLICT (number) DO UPDATE SET issuer = excluded.issuer, levels = excluded.levels,
		status = CASE card.blocked_ms WHEN 0 THEN excluded.status ELSE ?10 END, opening_counter = excluded.opening_counter, family = excluded.family WHERE card.status = ?8 AND excluded.status <> ?8`,
		c.Number[:], c.Token, c.Issuer[:], c.Levels, c.Status, int64(c.OpeningCounter), c.OpeningBalance.Minor(), CardUnknown, c.Family, CardBlocked)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return err
	}
	return t.auditIfTapped(ctx, c.Number)
}

// auditIfTapped audits a card that is new in the registry, should it have left records before.
func (t *Tx) auditIfTapped(ctx context.Context, n ids.CardNumber) error {
	var one int
	tapped, err := t.one(ctx, "claims of card", `SELECT 1 FROM claim WHERE card = ? LIMIT 1`, []any{n[:]}, &one)
	if err != nil || !tapped {
		return err
	}
	return t.auditCard(ctx, n)
}

// BlockCard blocks a card from a moment on; a debit after that is a finding. Blocking again keeps the first moment. A card that we never
// issued keeps saying so, and is blocked once it is issued.
func (t *Tx) BlockCard(ctx context.Context, n ids.CardNumber, at time.Time) error {
	r, err := t.exec(ctx, "block card", `UPDATE card SET status = CASE status WHEN ? THEN status ELSE ? END, blocked_ms = CASE blocked_ms WHEN 0 THEN ? ELSE blocked_ms END WHERE number = ?`,
		CardUnknown, CardBlocked, at.UnixMilli(), n[:])
	if err != nil {
		return err
	}
	if changed, err := r.RowsAffected(); err != nil || changed != 1 {
		return fmt.Errorf("store: block card %v: %w", n, errors.Join(err, ErrNotFound))
	}
	return t.auditCard(ctx, n)
}

const cardColumns = `number, token, issuer, levels, status, opening_counter, opening_balance, shadow, blocked_ms, complete, next, tail, missing, family`

func scanCard(scan func(...any) error) (Card, error) {
	var c Card
	var number, issuer []byte
	var opening, shadow, tail int64
	if err := scan(&number, &c.Token, &issuer, &c.Levels, &c.Status, &c.OpeningCounter, &opening, &shadow, &c.BlockedMS,
		&c.Complete, &c.Next, &tail, &c.Missing, &c.Family); err != nil {
		return Card{}, err
	}
	copy(c.Number[:], number)
	copy(c.Issuer[:], issuer)
	c.OpeningBalance, c.Shadow, c.Tail = money.Minor(opening), money.Minor(shadow), money.Minor(tail)
	return c, nil
}

func (t *Tx) card(ctx context.Context, where string, args ...any) (Card, error) {
	var c Card
	found := false
	err := t.rows(ctx, "card", func(scan func(...any) error) error {
		var err error
		found = true
		c, err = scanCard(scan)
		return err
	}, `SELECT `+cardColumns+` FROM card WHERE `+where, args...)
	if err == nil && !found {
		err = fmt.Errorf("card: %w", ErrNotFound)
	}
	return c, err
}

// CardByNumber finds a card, or ErrNotFound.
func (t *Tx) CardByNumber(ctx context.Context, n ids.CardNumber) (Card, error) {
	return t.card(ctx, `number = ?`, n[:])
}

// lockedCard finds a card, and keeps others from changing anything of it until the transaction ends, or ErrNotFound.
func (t *Tx) lockedCard(ctx context.Context, n ids.CardNumber) (Card, error) {
	return t.card(ctx, `number = ?`+t.dialect.forUpdate(), n[:])
}

// lockCard is for who changes loads of a card: whoever posts its records locks its row first, reads its loads, and always writes the row. So of the two the second
// one sees what the first one did, or collides with it.
func (t *Tx) lockCard(ctx context.Context, n ids.CardNumber) error {
	if t.dialect == sqlite {
		return nil // there is one writer
	}
	_, err := t.lockedCard(ctx, n)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// CardByToken finds a card, or ErrNotFound.
func (t *Tx) CardByToken(ctx context.Context, token string) (Card, error) {
	return t.card(ctx, `token = ?`, token)
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
	if err := t.lockCard(ctx, n); err != nil {
		return err
	}
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
	if !found || amount != l.Amount.Minor() {
		if err := t.unsettleAudit(ctx, n, l.Counter, l.Amount); err != nil {
			return err
		}
	}
	if l.Loaded && !was {
		if err := t.moveShadow(ctx, n, l.Amount); err != nil {
			return err
		}
		return t.wantReview(ctx, n)
	}
	return nil
}

// wantReview asks for unproved claims of a card to be decided again, if it has any: a load that is now known to be on the
// card may explain what they left open.
func (t *Tx) wantReview(ctx context.Context, n ids.CardNumber) error {
	_, err := t.exec(ctx, "want review", `INSERT INTO review (card) SELECT DISTINCT card FROM claim WHERE card = ? AND proof = ? ON CONFLICT DO NOTHING`,
		n[:], int(shadowaccount.ProofNone))
	return err
}

// DropCardLoad forgets a load that did not reach the card. One that did stays.
func (t *Tx) DropCardLoad(ctx context.Context, n ids.CardNumber, counter uint16) error {
	if err := t.lockCard(ctx, n); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "drop card load", `DELETE FROM card_load WHERE card = ? AND counter = ? AND loaded = 0`, n[:], int64(counter)); err != nil {
		return err
	}
	return t.unsettleAudit(ctx, n, counter, money.Amount{})
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
