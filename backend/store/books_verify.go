package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// VerifyBooks recomputes every balance from the journal and checks what must always hold: each entry is whole and sums to zero, each
// account equals its lines and is sealed, each hold is as it was written, the float equals the sum of the shadow accounts, each shadow account equals the card's
// loads less its debits, and the posting groups' chain is unbroken.
// It returns every fault found; none is sound books.
func (t *Tx) VerifyBooks(ctx context.Context) ([]string, error) {
	var faults []string
	for _, verify := range []func(context.Context) ([]string, error){t.VerifyJournal, t.VerifyAccounts, t.VerifyHolds, t.VerifyShadows, t.VerifyGroups} {
		found, err := verify(ctx)
		if err != nil {
			return nil, err
		}
		faults = append(faults, found...)
	}
	return faults, nil
}

// VerifyJournal reads every entry and its lines: each must sum to zero and be what was posted under its id.
func (t *Tx) VerifyJournal(ctx context.Context) ([]string, error) {
	var faults []string
	var e books.Entry
	var digest string
	done := func() {
		if e.ID == "" {
			return
		}
		var total money.Amount
		var err error
		for _, l := range e.Lines {
			if total, err = total.Add(l.Amount); err != nil {
				faults = append(faults, fmt.Sprintf("entry %s: %v", e.ID, err))
				return
			}
		}
		if !total.IsZero() {
			faults = append(faults, fmt.Sprintf("entry %s: off by %v", e.ID, total))
		}
		if e.Digest() != digest {
			faults = append(faults, fmt.Sprintf("entry %s: it is not what was posted", e.ID))
		}
	}
	err := t.rows(ctx, "journal", func(scan func(...any) error) error {
		var next books.Entry
		var nextDigest string
		var l books.Line
		var minor int64
		if err := scan(&next.ID, &next.Kind, &next.Day, &next.Ref, &nextDigest, &l.Account, &minor); err != nil {
			return err
		}
		if next.ID != e.ID {
			done()
			e, digest = next, nextDigest
		}
		if l.Amount = money.Minor(minor); l.Account != "" {
			e.Lines = append(e.Lines, l)
		}
		return nil
	}, `SELECT e.id, e.kind, e.day, e.ref, e.digest, COALESCE(l.account, ''), COALESCE(l.amount, 0) FROM journal_entry e
		LEFT JOIN journal_line l ON l.entry = e.id ORDER BY e.id, l.line`)
	done()
	return faults, err
}

// JournalBalances recomputes every balance from the journal's lines alone.
func (t *Tx) JournalBalances(ctx context.Context) (map[books.Account]money.Amount, error) {
	out := map[books.Account]money.Amount{}
	err := t.rows(ctx, "lines of the journal", func(scan func(...any) error) error {
		var a books.Account
		var minor int64
		if err := scan(&a, &minor); err != nil {
			return err
		}
		sum, err := out[a].Add(money.Minor(minor))
		out[a] = sum
		return err
	}, `SELECT account, amount FROM journal_line ORDER BY account, entry, line`)
	return out, err
}

// VerifyAccounts compares every account's row with the journal and with its seal.
func (t *Tx) VerifyAccounts(ctx context.Context) ([]string, error) {
	lines, err := t.JournalBalances(ctx)
	if err != nil {
		return nil, err
	}
	var faults []string
	err = t.rows(ctx, "accounts", func(scan func(...any) error) error {
		r, err := scanAccount(scan)
		if err != nil {
			return err
		}
		off, err := r.balance.Sub(lines[r.name])
		if err != nil {
			return err
		}
		if !off.IsZero() {
			faults = append(faults, fmt.Sprintf("account %s: off by %v", r.name, off))
		}
		switch {
		case !t.seal.genuine(r):
			faults = append(faults, fmt.Sprintf("account %s: its row was edited: the seal does not fit", r.name))
		case r.edited:
			faults = append(faults, fmt.Sprintf("account %s: it is frozen since its row was found edited", r.name))
		}
		delete(lines, r.name)
		return nil
	}, `SELECT `+accountColumns+` FROM account ORDER BY name`)
	for _, a := range slices.Sorted(maps.Keys(lines)) {
		faults = append(faults, fmt.Sprintf("lines of an account that is not there: %s: off by %v", a, lines[a]))
	}
	return faults, err
}

// VerifyShadows compares the shadow accounts with what made them, and their sum with the float.
func (t *Tx) VerifyShadows(ctx context.Context) ([]string, error) {
	var faults []string
	err := t.rows(ctx, "shadow accounts", func(scan func(...any) error) error {
		var token string
		var off int64
		err := scan(&token, &off)
		faults = append(faults, fmt.Sprintf("shadow account %s: off by %v", token, money.Minor(off)))
		return err
	}, `SELECT token, off FROM (SELECT token, CAST(shadow - opening_balance
			- COALESCE((SELECT SUM(amount) FROM card_load l WHERE l.card = number AND l.loaded = 1), 0)
			+ COALESCE((SELECT SUM(amount) FROM claim c WHERE c.card = number AND c.status IN (?, ?)), 0)
			+ COALESCE((SELECT SUM(amount) FROM life_order o WHERE o.card = number AND o.state IN ('released', 'written_off')), 0) AS BIGINT) AS off FROM card) x WHERE off <> 0 ORDER BY token`,
		int(shadowaccount.Stands), int(shadowaccount.Inferred))
	if err != nil {
		return nil, err
	}
	shadows, err := t.ShadowSum(ctx)
	if err != nil {
		return nil, err
	}
	lines, err := t.JournalBalances(ctx)
	if err != nil {
		return nil, err
	}
	float, err := lines[books.Float].Add(lines[books.Aside(books.Float)])
	if err != nil {
		return nil, err
	}
	if float, err = float.Neg(); err != nil {
		return nil, err
	}
	off, err := float.Sub(shadows)
	if err == nil && !off.IsZero() {
		faults = append(faults, fmt.Sprintf("float against the sum of shadow accounts: off by %v", off))
	}
	return faults, err
}

// ShadowSum adds up the shadow accounts of all cards.
func (t *Tx) ShadowSum(ctx context.Context) (money.Amount, error) {
	var minor int64
	_, err := t.one(ctx, "sum of shadow accounts", `SELECT CAST(COALESCE(SUM(shadow), 0) AS BIGINT) FROM card`, nil, &minor)
	return money.Minor(minor), err
}

// VerifyGroups recomputes the chain of posting groups, each group's digest from its journal entry, and its evidence from the records.
func (t *Tx) VerifyGroups(ctx context.Context) ([]string, error) { return t.verifyGroups(ctx) }
