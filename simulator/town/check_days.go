package town

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// closeDays closes what is left, proves that every day sums to zero and that closing it again gives the same bytes, and
// holds what the days settled against the truth.
func (w *town) closeDays(o owed) {
	b := w.backend
	last := ""
	b.view(func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.TapsThrough(ctx, "9999-12-31")
		for _, t := range all {
			last = max(last, t.Day)
		}
		return err
	})
	today := w.clock.Now().In(w.zone).Format(time.DateOnly)
	if last > today {
		w.fail("settlement", nobody, "a tap is cleared on %s, and today is %s", last, today)
	}
	for day := opening.In(w.zone); ; day = day.AddDate(0, 0, 1) {
		name := day.Format(time.DateOnly)
		if name > today {
			break
		}
		if !slices.ContainsFunc(b.closed, func(o settlement.Output) bool { return o.Report.Day == name }) {
			b.closeDay(name)
		}
	}
	settled := map[ids.MerchantID]money.Amount{}
	for _, day := range b.closed {
		again, err := settlement.Close(w.ctx, b.store, day.Report.Day, settlement.Options{Now: w.clock.Now(), Location: w.zone})
		if err != nil {
			w.fail("settlement", nobody, "closing %s again: %v", day.Report.Day, err)
		}
		files, was := again.Files(), day.Files()
		if len(files) != len(was) {
			w.fail("settlement", nobody, "closing %s again gives %d files, not %d", day.Report.Day, len(files), len(was))
		}
		for i := range files {
			if files[i].Name != was[i].Name || !bytes.Equal(files[i].Body, was[i].Body) {
				w.fail("settlement", nobody, "closing %s again gives another %s", day.Report.Day, was[i].Name)
			}
		}
		if p := day.Report.Proof; !p.ZeroSum.IsZero() {
			w.fail("settlement", nobody, "day %s: its positions sum to %v: %s", day.Report.Day, p.ZeroSum, p.Identity)
		}
		for _, a := range day.Report.Acquirers {
			for _, m := range a.Merchants {
				id := ids.MerchantID(m.ID)
				settled[id] = plus(settled[id], plus(m.Accepted.Amount, m.Adjustments.Amount))
			}
		}
	}
	for _, m := range merchants {
		if settled[m.ID] != o.posted[m.ID] {
			w.fail("settlement", nobody, "merchant %s: all days settled %v, his taps are worth %v", m.ID, settled[m.ID], o.posted[m.ID])
		}
	}
}

// pay pays every closed day by two persons, and proposes it again, which must be refused: then nobody is owed anything but the holders, and the
// trust account holds that and what the scheme has earned.
func (w *town) pay() {
	b := w.backend
	propose := func(day string) (store.Proposal, error) {
		return settlement.ProposePay(w.ctx, b.store, day, "bank "+day, "clerk", "the town's books end here", w.clock.Now())
	}
	for _, day := range b.closed {
		p, err := propose(day.Report.Day)
		if err == nil {
			_, _, err = settlement.Approve(w.ctx, b.store, p.ID, "cashier", settlement.BankOptions{Now: w.clock.Now(), Location: w.zone})
		}
		if err != nil {
			w.fail("settlement", nobody, "%v", err)
		}
		if _, err := propose(day.Report.Day); !errors.Is(err, settlement.ErrPaid) {
			w.fail("settlement", nobody, "%s is paid, and paying it again says: %v", day.Report.Day, err)
		}
	}
	b.view(func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.TrialBalance(ctx)
		if err != nil {
			return err
		}
		trust, holders, earned := money.Amount{}, money.Amount{}, money.Amount{}
		for _, a := range all {
			switch {
			case a.Account == books.Trust:
				trust = a.Amount
			case a.Account == books.Float || a.Account == books.Funding || a.Account == books.LoadInProgress:
				holders = less(holders, a.Amount)
			case a.Class == books.Income:
				earned = less(earned, a.Amount)
			case a.Class == books.Suspense || strings.HasSuffix(string(a.Account), ":held"):
			case !a.Amount.IsZero():
				w.fail("settlement", nobody, "every day is paid, and %s holds %v", a.Account, a.Amount)
			}
		}
		if want := plus(holders, earned); trust != want {
			w.fail("value", nobody, "every day is paid: the trust account holds %v; holders are owed %v and %v is earned", trust, holders, earned)
		}
		return nil
	})
}
