package store

import (
	"context"

	"github.com/purselane/purselane/internal/money"
)

// IdentitySpending is what one process's identity questions of a day were and cost.
type IdentitySpending struct {
	Day     string // 2006-01-02 where the scheme is
	Process string
	Calls   int // that were paid for
	Silent  int // without an answer, or not in time
	Saved   int // answers that needed no call
	Refused int // calls not made
	Matched int
	Wrong   int // not one person's
	Absent  int // in no database
	Spent   money.Amount
	Budget  money.Amount // of the process
}

const spendingColumns = `day, process, calls, silent, saved, refused, matched, wrong, absent, spent, budget`

// AddIdentitySpending adds to what a process has asked and spent in a day; the budget is as it is now.
func (t *Tx) AddIdentitySpending(ctx context.Context, s IdentitySpending) error {
	_, err := t.exec(ctx, "add identity spending", `INSERT INTO identity_spending (`+spendingColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (day, process) DO UPDATE SET calls = identity_spending.calls + excluded.calls, silent = identity_spending.silent + excluded.silent, saved = identity_spending.saved + excluded.saved,
			refused = identity_spending.refused + excluded.refused, matched = identity_spending.matched + excluded.matched, wrong = identity_spending.wrong + excluded.wrong,
			absent = identity_spending.absent + excluded.absent, spent = identity_spending.spent + excluded.spent, budget = excluded.budget`,
		s.Day, s.Process, s.Calls, s.Silent, s.Saved, s.Refused, s.Matched, s.Wrong, s.Absent, s.Spent.Minor(), s.Budget.Minor())
	return err
}

// IdentitySpendings lists what was asked and spent in a day, by process.
func (t *Tx) IdentitySpendings(ctx context.Context, day string) ([]IdentitySpending, error) {
	var out []IdentitySpending
	err := t.rows(ctx, "identity spending", func(scan func(...any) error) error {
		var s IdentitySpending
		var spent, budget int64
		err := scan(&s.Day, &s.Process, &s.Calls, &s.Silent, &s.Saved, &s.Refused, &s.Matched, &s.Wrong, &s.Absent, &spent, &budget)
		s.Spent, s.Budget = money.Minor(spent), money.Minor(budget)
		out = append(out, s)
		return err
	}, `SELECT `+spendingColumns+` FROM identity_spending WHERE day = ? ORDER BY process`, day)
	return out, err
}
