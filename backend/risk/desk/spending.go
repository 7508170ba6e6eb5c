package desk

import (
	"context"

	"github.com/purselane/purselane/backend/risk/identity"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
)

// recall goes on with what this process has spent on identity questions today: a restart gives it no new budget.
func (d *Desk) recall(ctx context.Context) error {
	if d.cfg.Identity == nil {
		return nil
	}
	today := d.cfg.Identity.Spending().Day
	var all []store.IdentitySpending
	if err := d.store.View(ctx, func(tx *store.Tx) (err error) { all, err = tx.IdentitySpendings(ctx, today); return err }); err != nil {
		return err
	}
	for _, s := range all {
		if s.Process == d.cfg.Process {
			d.cfg.Identity.Restore(identity.Spending{Day: s.Day, Calls: s.Calls, Silent: s.Silent, Saved: s.Saved, Refusals: s.Refused, Spent: s.Spent,
				Answers: [4]int{identity.Match: s.Matched, identity.Mismatch: s.Wrong, identity.NotInDatabase: s.Absent}})
		}
	}
	d.spent = d.cfg.Identity.Spending()
	return nil
}

// keepSpending adds what was asked and spent since the last time.
func (d *Desk) keepSpending(ctx context.Context) error {
	if d.cfg.Identity == nil {
		return nil
	}
	now, was := d.cfg.Identity.Spending(), d.spent
	if now == was {
		return nil
	}
	if was.Day != now.Day {
		was = identity.Spending{}
	}
	more := store.IdentitySpending{Day: now.Day, Process: d.cfg.Process, Calls: now.Calls - was.Calls, Silent: now.Silent - was.Silent, Saved: now.Saved - was.Saved, Refused: now.Refusals - was.Refusals,
		Matched: now.Answers[identity.Match] - was.Answers[identity.Match], Wrong: now.Answers[identity.Mismatch] - was.Answers[identity.Mismatch],
		Absent: now.Answers[identity.NotInDatabase] - was.Answers[identity.NotInDatabase], Spent: money.Minor(now.Spent.Minor() - was.Spent.Minor()), Budget: now.Budget}
	if err := d.store.Update(ctx, func(tx *store.Tx) error { return tx.AddIdentitySpending(ctx, more) }); err != nil {
		return wrap("identity spending", err)
	}
	d.spent = now
	return nil
}
