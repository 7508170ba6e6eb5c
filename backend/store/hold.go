package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// States of a hold; the text is stored and is an outside contract.
const (
	HoldOpen     = "open"     // its amount may not be used
	HoldReleased = "released" // its amount may be used again
	HoldSettled  = "settled"  // an entry took its amount; what the entry left may be used again
)

var (
	// ErrHoldEnded says that a hold has ended otherwise than it is asked to end now.
	ErrHoldEnded = errors.New("the hold has ended otherwise")
	// ErrNoHolds says that an account is not one whose owner can be promised a part of: only liabilities are.
	ErrNoHolds = errors.New("nothing can be held on such an account")
)

// AccountHold is a part of an account's balance that was promised and not paid yet.
type AccountHold struct {
	ID      string
	Account books.Account
	Amount  money.Amount
	Until   time.Time // when who holds it should have ended it; a hold does not end by itself, since the payment that it is for may still come
	State   string
	Entry   string // id of the entry that settled it, "" for none
}

// Hold freezes an amount of a liability account until it is released or settled: from then on no entry takes it but that of SettleHold. A hold of the same
// id and content changes nothing, whatever became of it; of other content it is [books.ErrConflict]. Errors: [books.ErrFunds], [books.ErrSwitched],
// [ErrNoHolds], [ErrEdited].
func (t *Tx) Hold(ctx context.Context, id string, a books.Account, amount money.Amount, until time.Time) error {
	if id == "" {
		return errors.New("hold: an id is needed: it is what makes asking twice hold once")
	}
	have, err := t.AccountHold(ctx, id)
	if err == nil {
		if have.Account != a || have.Amount != amount || have.Until.UnixMilli() != until.UnixMilli() {
			return fmt.Errorf("hold %s: %w", id, books.ErrConflict)
		}
		return nil
	}
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	f, r, err := t.funds(ctx, a)
	if err != nil {
		return fmt.Errorf("hold %s: %w", id, err)
	}
	// What is promised must be payable later, so an account that is closed to payments promises nothing.
	if err := books.Allow(r.may(), books.OpTransferOut); err != nil {
		return fmt.Errorf("hold %s: account %s: %w", id, a, err)
	}
	if _, err := f.Freeze(amount); err != nil {
		return fmt.Errorf("hold %s: account %s: %w", id, a, err)
	}
	if t.seal.key == nil && len(r.seal) > 0 {
		return fmt.Errorf("hold %s: %w", id, ErrSealed)
	}
	h := AccountHold{ID: id, Account: a, Amount: amount, Until: until, State: HoldOpen}
	_, err = t.exec(ctx, "hold", `INSERT INTO account_hold (id, account, amount, until_ms, state, entry, seal) VALUES (?, ?, ?, ?, ?, '', ?)`,
		id, string(a), amount.Minor(), until.UnixMilli(), HoldOpen, t.seal.ofHold(h))
	return err
}

// ReleaseHold gives what is held back for use. A released hold stays as it is. Errors: [ErrNotFound]; [ErrHoldEnded] if it was settled.
func (t *Tx) ReleaseHold(ctx context.Context, id string) error {
	h, err := t.AccountHold(ctx, id)
	if err != nil {
		return err
	}
	switch h.State {
	case HoldReleased:
		return nil
	case HoldSettled:
		return fmt.Errorf("release hold %s: entry %s settled it: %w", id, h.Entry, ErrHoldEnded)
	}
	return t.endHold(ctx, h, HoldReleased, "")
}

// SettleHold posts an entry that takes what is held: at most its amount, and what it leaves may be used again. Settling again with the same entry changes
// nothing. Errors: [ErrNotFound]; [ErrHoldEnded] if it was released or another entry settled it; [books.ErrFunds] if the entry takes more than is held;
// [books.ErrConflict] if the entry stands already; those of [Tx.Post].
func (t *Tx) SettleHold(ctx context.Context, id string, e books.Entry) error {
	h, err := t.AccountHold(ctx, id)
	if err != nil {
		return err
	}
	switch {
	case h.State == HoldSettled && h.Entry == e.ID:
		return t.Post(ctx, e) // which changes nothing, or raises the alarm over other content
	case h.State != HoldOpen:
		return fmt.Errorf("settle hold %s with entry %s: it is %s %s: %w", id, e.ID, h.State, h.Entry, ErrHoldEnded)
	}
	var one int
	stands, err := t.one(ctx, "look for entry", `SELECT 1 FROM journal_entry WHERE id = ?`, []any{e.ID}, &one)
	if err != nil {
		return err
	}
	if stands { // it took its amount from what was not held
		return fmt.Errorf("settle hold %s: entry %s was posted before: %w", id, e.ID, books.ErrConflict)
	}
	var taken money.Amount
	for _, l := range e.Lines {
		if l.Account == h.Account {
			if taken, err = taken.Add(l.Amount); err != nil {
				return fmt.Errorf("settle hold %s: %w", id, err)
			}
		}
	}
	if _, err := (books.Funds{Frozen: h.Amount}).SettleFromFrozen(taken); err != nil {
		return fmt.Errorf("settle hold %s: %w", id, err)
	}
	if err := t.endHold(ctx, h, HoldSettled, e.ID); err != nil {
		return err
	}
	return t.Post(ctx, e)
}

func (t *Tx) endHold(ctx context.Context, h AccountHold, state, entry string) error {
	if t.seal.key == nil {
		var seal []byte
		if _, err := t.one(ctx, "seal of hold", `SELECT seal FROM account_hold WHERE id = ?`, []any{h.ID}, &seal); err != nil {
			return err
		}
		if len(seal) > 0 {
			return fmt.Errorf("end hold %s: %w", h.ID, ErrSealed)
		}
	}
	h.State, h.Entry = state, entry
	_, err := t.exec(ctx, "end hold", `UPDATE account_hold SET state = ?, entry = ?, seal = ? WHERE id = ? AND state = 'open'`, state, entry, t.seal.ofHold(h), h.ID)
	return err
}

// Funds is what the owner of a liability account has: what may be used, and what is held. Errors: [ErrNoHolds], [ErrEdited].
func (t *Tx) Funds(ctx context.Context, a books.Account) (books.Funds, error) {
	f, _, err := t.funds(ctx, a)
	return f, err
}

func (t *Tx) funds(ctx context.Context, a books.Account) (books.Funds, accountRow, error) {
	class, err := books.ClassOf(a)
	if err != nil {
		return books.Funds{}, accountRow{}, err
	}
	if class != books.Liability {
		return books.Funds{}, accountRow{}, fmt.Errorf("account %s: %w", a, ErrNoHolds)
	}
	r, err := t.believed(ctx, a)
	if err != nil {
		return books.Funds{}, r, err
	}
	held, err := t.heldOf(ctx, a)
	if err != nil {
		return books.Funds{}, r, err
	}
	f, err := fundsOf(r.balance, held)
	return f, r, err
}

// fundsOf reads the owner's side of a liability's balance.
func fundsOf(balance, held money.Amount) (books.Funds, error) {
	owed, err := balance.Neg()
	if err != nil {
		return books.Funds{}, err
	}
	available, err := owed.Sub(held)
	return books.Funds{Available: available, Frozen: held}, err
}

func (t *Tx) heldOf(ctx context.Context, a books.Account) (money.Amount, error) {
	var minor int64
	_, err := t.one(ctx, "held of account", `SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM account_hold WHERE account = ? AND state = 'open'`, []any{string(a)}, &minor)
	return money.Minor(minor), err
}

// leavesHeld reports whether a line leaves what is held on its account. A fact is not asked: refusing it would not undo it. Error: [books.ErrFunds].
func (t *Tx) leavesHeld(ctx context.Context, kind string, r accountRow, l books.Line) error {
	if books.Fact(kind) || l.Amount.Sign() <= 0 {
		return nil
	}
	if class, err := books.ClassOf(l.Account); err != nil || class != books.Liability {
		return err
	}
	held, err := t.heldOf(ctx, l.Account)
	if err != nil || held.IsZero() {
		return err
	}
	f, err := fundsOf(r.balance, held)
	if err != nil {
		return err
	}
	if _, err := f.Pay(l.Amount); err != nil {
		return fmt.Errorf("account %s: %w: %v is held (`purselane books account`)", l.Account, err, held)
	}
	return nil
}

// AccountHold finds a hold, or ErrNotFound. Error: [ErrHoldEdited].
func (t *Tx) AccountHold(ctx context.Context, id string) (AccountHold, error) {
	var h AccountHold
	found := false
	err := t.rows(ctx, "hold", func(scan func(...any) error) error {
		var seal []byte
		var err error
		if h, seal, err = scanHold(scan); err != nil {
			return err
		}
		if found = true; !t.seal.genuineHold(h, seal) {
			return fmt.Errorf("hold %s: %w", id, ErrHoldEdited)
		}
		return nil
	}, `SELECT `+holdColumns+` FROM account_hold WHERE id = ?`, id)
	if err == nil && !found {
		err = fmt.Errorf("hold %s: %w", id, ErrNotFound)
	}
	return h, err
}

// OpenHolds lists an account's open holds, those that should end first at the top.
func (t *Tx) OpenHolds(ctx context.Context, a books.Account) ([]AccountHold, error) {
	return t.holds(ctx, `account = ? AND state = 'open' ORDER BY until_ms, id`, string(a))
}

// OverdueHolds lists the open holds of all accounts that should have ended before a moment, at most limit.
func (t *Tx) OverdueHolds(ctx context.Context, before time.Time, limit int) ([]AccountHold, error) {
	return t.holds(ctx, `state = 'open' AND until_ms < ? ORDER BY until_ms, id LIMIT ?`, before.UnixMilli(), limit)
}

func (t *Tx) holds(ctx context.Context, where string, args ...any) ([]AccountHold, error) {
	var out []AccountHold
	err := t.rows(ctx, "holds", func(scan func(...any) error) error {
		h, _, err := scanHold(scan)
		out = append(out, h)
		return err
	}, `SELECT `+holdColumns+` FROM account_hold WHERE `+where, args...)
	return out, err
}

const holdColumns = `id, account, amount, until_ms, state, entry, seal`

// scanHold reads a hold and its seal.
func scanHold(scan func(...any) error) (h AccountHold, seal []byte, err error) {
	var amount, until int64
	err = scan(&h.ID, &h.Account, &amount, &until, &h.State, &h.Entry, &seal)
	h.Amount, h.Until = money.Minor(amount), time.UnixMilli(until)
	return h, seal, err
}
