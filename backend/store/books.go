package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Post writes an entry and moves the balances of its accounts. An entry of the same id and content changes nothing;
// of the same id and other content is books.ErrConflict. An entry whose lines cancel out is not written.
//
// An account whose row was edited, whose switches forbid it, or of which not enough would be left for what is held ([Tx.Hold]), refuses the entry:
// [ErrEdited], [books.ErrSwitched], [books.ErrFunds]. An entry that tells what
// a card has done already is not refused; its line for that account is set aside in suspense (books.Aside).
func (t *Tx) Post(ctx context.Context, e books.Entry) error {
	if err := e.Check(); err != nil {
		return err
	}
	e, err := e.Compact()
	if err != nil {
		return err
	}
	if len(e.Lines) == 0 {
		return nil
	}
	digest := e.Digest()
	var have string
	found, err := t.one(ctx, "look for entry", `SELECT digest FROM journal_entry WHERE id = ?`, []any{e.ID}, &have)
	if err != nil {
		return err
	}
	if found {
		if have != digest {
			return fmt.Errorf("entry %q: %w", e.ID, books.ErrConflict)
		}
		return nil
	}
	if err := t.lockAccounts(ctx, e.Lines); err != nil {
		return err
	}
	accounts := make([]accountRow, len(e.Lines))
	for i := range e.Lines {
		if e.Lines[i], accounts[i], err = t.takes(ctx, e.Kind, e.Lines[i]); err != nil {
			return fmt.Errorf("entry %q: %w", e.ID, err)
		}
	}
	if _, err := t.exec(ctx, "write entry",
		`INSERT INTO journal_entry (id, kind, day, ref, digest) VALUES (?, ?, ?, ?, ?)`, e.ID, e.Kind, e.Day, e.Ref, digest); err != nil {
		return err
	}
	if err := t.writeLines(ctx, e); err != nil {
		return err
	}
	return t.moveAccounts(ctx, e.Lines, accounts)
}

// writeLines writes the lines of an entry.
func (t *Tx) writeLines(ctx context.Context, e books.Entry) error {
	if t.dialect == postgres {
		return t.writeLinesAtOnce(ctx, e)
	}
	for i, l := range e.Lines {
		if _, err := t.exec(ctx, "write line",
			`INSERT INTO journal_line (entry, line, account, amount) VALUES (?, ?, ?, ?)`, e.ID, i, string(l.Account), l.Amount.Minor()); err != nil {
			return err
		}
	}
	return nil
}

// moveAccounts adds the amounts of lines to the balances of their accounts. An account is written once, however many lines it has: an entry names each once, but one of
// them may be that in which the line of another is set aside.
func (t *Tx) moveAccounts(ctx context.Context, lines []books.Line, accounts []accountRow) error {
	var moved []accountRow
	for i, l := range lines {
		at := slices.IndexFunc(moved, func(r accountRow) bool { return r.name == accounts[i].name })
		if at < 0 {
			at, moved = len(moved), append(moved, accounts[i])
		}
		var err error
		if moved[at].balance, err = moved[at].balance.Add(l.Amount); err != nil {
			return fmt.Errorf("account %s: %w", moved[at].name, err)
		}
	}
	return t.putAccounts(ctx, moved)
}

// takes finds the account that a line of an entry goes to: the line's own, or, where that is frozen and the entry tells a fact, the one
// in which such lines are set aside.
func (t *Tx) takes(ctx context.Context, kind string, l books.Line) (books.Line, accountRow, error) {
	r, err := t.believed(ctx, l.Account)
	if err == nil {
		var gone bool
		if gone, err = t.vanished(ctx, r); gone {
			t.edited = append(t.edited, l.Account)
			err = fmt.Errorf("account %s: %w: its row is gone", l.Account, ErrEdited)
		}
	}
	if err == nil {
		err = allowed(kind, r, l)
	}
	if err == nil {
		err = t.leavesHeld(ctx, kind, r, l)
	}
	if err == nil || !books.Fact(kind) || !errors.Is(err, ErrEdited) && !errors.Is(err, books.ErrSwitched) {
		return l, r, err
	}
	if errors.Is(err, ErrEdited) {
		if err := t.freeze(ctx, l.Account); err != nil {
			return l, r, err
		}
	}
	l.Account = books.Aside(l.Account)
	r, err = t.believed(ctx, l.Account)
	return l, r, err
}

// allowed reports why an account's switches do not allow what a line does to it.
func allowed(kind string, r accountRow, l books.Line) error {
	if r.may() == books.DefaultSwitches {
		return nil
	}
	class, err := books.ClassOf(l.Account)
	if err != nil {
		return err
	}
	after, err := r.balance.Add(l.Amount)
	if err != nil {
		return fmt.Errorf("account %s: %w", l.Account, err)
	}
	do := []books.Operation{books.OperationOf(kind, class, l)}
	if books.Overdrawn(class, after.Sign()) && books.Overdrawn(class, l.Amount.Sign()) {
		do = append(do, books.OpOverdraw)
	}
	for _, o := range do {
		if err := books.Allow(r.may(), o); err != nil {
			return fmt.Errorf("account %s: %w", l.Account, err)
		}
	}
	return nil
}

// Balance is one account's balance, debits positive; an account never used has zero. Error: [ErrEdited].
func (t *Tx) Balance(ctx context.Context, a books.Account) (money.Amount, error) {
	r, err := t.believed(ctx, a)
	if err != nil {
		return money.Amount{}, err
	}
	return r.balance, nil
}

// TrialBalance lists every account by name, edited ones with what they hold.
func (t *Tx) TrialBalance(ctx context.Context) ([]books.Balance, error) {
	var out []books.Balance
	err := t.rows(ctx, "trial balance", func(scan func(...any) error) error {
		var b books.Balance
		var minor int64
		if err := scan(&b.Account, &b.Class, &minor); err != nil {
			return err
		}
		b.Amount = money.Minor(minor)
		out = append(out, b)
		return nil
	}, `SELECT name, class, balance FROM account ORDER BY name`)
	return out, err
}
