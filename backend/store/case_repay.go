package store

import (
	"context"
	"fmt"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// Repayment is what a case gives back to the holder of a card for a debit that stands.
type Repayment struct {
	Agent     ids.AcquirerID // at whose desk or kiosk
	Amount    money.Amount
	LoadOrder string // that has the money, "" until the case is decided
}

// PutRepayment notes what a case gives back, in place of what was proposed before.
func (t *Tx) PutRepayment(ctx context.Context, id string, r Repayment) error {
	_, err := t.exec(ctx, "put repayment", `INSERT INTO case_repay (case_id, agent, amount, load_order) VALUES (?, ?, ?, ?)
		ON CONFLICT (case_id) DO UPDATE SET agent = excluded.agent, amount = excluded.amount, load_order = excluded.load_order`,
		id, string(r.Agent), r.Amount.Minor(), r.LoadOrder)
	return err
}

// DropRepayment takes back what a case proposed to give.
func (t *Tx) DropRepayment(ctx context.Context, id string) error {
	_, err := t.exec(ctx, "drop repayment", `DELETE FROM case_repay WHERE case_id = ? AND load_order = ''`, id)
	return err
}

// Repaid is what cases have given back for a claim.
func (t *Tx) Repaid(ctx context.Context, k TapKey) (money.Amount, error) {
	var minor int64
	_, err := t.one(ctx, "repaid of claim", `SELECT CAST(COALESCE(SUM(r.amount), 0) AS BIGINT) FROM claim_case x JOIN case_repay r ON r.case_id = x.id AND r.load_order <> ''
		WHERE x.card = ? AND x.counter = ? AND x.terminal = ? AND x.epoch = ? AND x.tap = ?`, k.args(), &minor)
	return money.Minor(minor), err
}

// RepaidCard is the card that a load order belongs to because a case repays its holder, or ErrNotFound.
func (t *Tx) RepaidCard(ctx context.Context, loadOrder string) (ids.CardNumber, error) {
	var raw []byte
	var n ids.CardNumber
	found, err := t.one(ctx, "card of repayment", `SELECT x.card FROM case_repay r JOIN claim_case x ON x.id = r.case_id WHERE r.load_order = ? AND r.load_order <> ''`, []any{loadOrder}, &raw)
	if err == nil && !found {
		err = fmt.Errorf("repayment by load order: %w", ErrNotFound)
	}
	copy(n[:], raw)
	return n, err
}
