package store

import (
	"context"
	"fmt"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Post writes an entry and moves the balances of its accounts. An entry of the same id and content changes nothing;
// of the same id and other content is books.ErrConflict. An entry whose lines cancel out is not written.
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
	if _, err := t.exec(ctx, "write entry",
		`INSERT INTO journal_entry (id, kind, day, ref, digest) VALUES (?, ?, ?, ?, ?)`, e.ID, e.Kind, e.Day, e.Ref, digest); err != nil {
		return err
	}
	for i, l := range e.Lines {
		if _, err := t.exec(ctx, "write line",
			`INSERT INTO journal_line (entry, line, account, amount) VALUES (?, ?, ?, ?)`, e.ID, i, string(l.Account), l.Amount.Minor()); err != nil {
			return err
		}
		if err := t.move(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tx) move(ctx context.Context, l books.Line) error {
	class, err := books.ClassOf(l.Account)
	if err != nil {
		return err
	}
	before, err := t.Balance(ctx, l.Account)
	if err != nil {
		return err
	}
	after, err := before.Add(l.Amount)
	if err != nil {
		return fmt.Errorf("account %s: %w", l.Account, err)
	}
	_, err = t.exec(ctx, "move balance",
		`INSERT INTO account (name, class, balance) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET balance = excluded.balance`,
		string(l.Account), string(class), after.Minor())
	return err
}

// Balance is one account's balance, debits positive; an account never used has zero.
func (t *Tx) Balance(ctx context.Context, a books.Account) (money.Amount, error) {
	var minor int64
	_, err := t.one(ctx, "read balance", `SELECT balance FROM account WHERE name = ?`, []any{string(a)}, &minor)
	return money.Minor(minor), err
}

// TrialBalance lists every account by name.
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

// VerifyBooks recomputes every balance from the journal and checks what must always hold: each entry sums to zero, each
// account equals its lines, the float equals the sum of the shadow accounts, each shadow account equals the card's loads less its
// debits, and the posting groups' chain is unbroken.
// It returns every fault found; none is sound books.
func (t *Tx) VerifyBooks(ctx context.Context) ([]string, error) {
	var faults []string
	text := func(scan func(...any) error) error {
		var what string
		var minor int64
		if err := scan(&what, &minor); err != nil {
			return err
		}
		faults = append(faults, fmt.Sprintf("%s: off by %v", what, money.Minor(minor)))
		return nil
	}
	for _, q := range []struct{ what, sql string }{
		{"entries", `SELECT 'entry ' || entry, SUM(amount) FROM journal_line GROUP BY entry HAVING SUM(amount) <> 0`},
		{"accounts", `SELECT what, off FROM (SELECT 'account ' || a.name AS what, a.balance - COALESCE((SELECT SUM(amount) FROM journal_line l WHERE l.account = a.name), 0) AS off
			FROM account a) x WHERE off <> 0`},
		{"lines", `SELECT 'lines of an account that is not there: ' || account, SUM(amount) FROM journal_line
			WHERE account NOT IN (SELECT name FROM account) GROUP BY account`},
		{"float", `SELECT 'float against the sum of shadow accounts', off FROM
			(SELECT COALESCE((SELECT -balance FROM account WHERE name = 'float'), 0) - COALESCE((SELECT SUM(shadow) FROM card), 0) AS off) x WHERE off <> 0`},
		{"shadows", `SELECT what, off FROM (SELECT 'shadow account ' || token AS what, shadow - opening_balance
			- COALESCE((SELECT SUM(amount) FROM card_load l WHERE l.card = number AND l.loaded = 1), 0)
			+ COALESCE((SELECT SUM(amount) FROM claim c WHERE c.card = number AND c.status IN (1, 2)), 0) AS off FROM card) x WHERE off <> 0`},
	} {
		if err := t.rows(ctx, "verify "+q.what, text, q.sql); err != nil {
			return nil, err
		}
	}
	broken, err := t.verifyGroups(ctx)
	return append(faults, broken...), err
}
