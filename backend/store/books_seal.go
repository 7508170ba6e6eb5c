package store

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Codes of notes on accounts. They are an outside contract.
const (
	NoteEdited   = "ACCOUNT_EDITED" // its row was changed by somebody without the key: alarm
	NoteReleased = "RELEASED"       // an officer had its balance made anew from the journal
	NoteSwitched = "SWITCHED"       // an officer turned switches
)

// sealBooks seals the books when they are first opened with a key: each row that equals its lines. One that does not is frozen. A key other
// than the one they were sealed with is [ErrSealed].
func (s *Store) sealBooks(ctx context.Context) error {
	if s.opt.BooksKey == nil {
		return nil
	}
	seal := sealer{s.opt.BooksKey}
	known := func(tx *Tx) (bool, error) {
		var have []byte
		found, err := tx.one(ctx, "seal of the books", `SELECT key_id FROM account_seal WHERE one = 1`, nil, &have)
		if err == nil && found && !hmac.Equal(have, seal.keyID()) {
			err = fmt.Errorf("store: %w: it is another one", ErrSealed)
		}
		return found, err
	}
	var done bool
	if err := s.View(ctx, func(tx *Tx) (err error) { done, err = known(tx); return err }); err != nil || done {
		return err
	}
	return s.Update(ctx, func(tx *Tx) error {
		if done, err := known(tx); err != nil || done {
			return err // another process was quicker
		}
		all, err := tx.accounts(ctx)
		if err != nil {
			return err
		}
		begun := false // somebody took the note away that the books are sealed
		for _, r := range all {
			begun = begun || len(r.seal) > 0
		}
		for _, r := range all {
			if err := tx.sealFirst(ctx, r, begun); err != nil {
				return err
			}
		}
		_, err = tx.exec(ctx, "note the seal", `INSERT INTO account_seal (one, key_id) VALUES (1, ?)`, seal.keyID())
		return err
	})
}

func (t *Tx) sealFirst(ctx context.Context, r accountRow, begun bool) error {
	lines, err := t.journalBalance(ctx, r.name)
	if err != nil {
		return err
	}
	if begun && !t.seal.genuine(r) || lines != r.balance {
		return t.freezeRow(ctx, r)
	}
	if begun {
		return nil
	}
	return t.putAccount(ctx, r)
}

func (t *Tx) accounts(ctx context.Context) ([]accountRow, error) {
	var out []accountRow
	err := t.rows(ctx, "accounts", func(scan func(...any) error) error {
		r, err := scanAccount(scan)
		out = append(out, r)
		return err
	}, `SELECT `+accountColumns+` FROM account ORDER BY name`)
	return out, err
}

// noteEdited is f, and the accounts that its last run found edited.
func noteEdited(f func(*Tx) error) (func(*Tx) error, func() []books.Account) {
	var edited []books.Account
	return func(t *Tx) error {
		err := f(t)
		edited = t.edited
		return err
	}, func() []books.Account { return edited }
}

// freezeEdited freezes, in a transaction of its own, the accounts whose rows a transaction found edited: that one may have read only, or
// been rolled back for it. The error joins its own.
func (s *Store) freezeEdited(ctx context.Context, edited []books.Account, err error) error {
	if len(edited) == 0 {
		return err
	}
	return errors.Join(err, s.Update(ctx, func(tx *Tx) error {
		for _, a := range edited {
			if err := tx.freeze(ctx, a); err != nil {
				return err
			}
		}
		return nil
	}))
}

// freeze closes an account whose row is not genuine.
func (t *Tx) freeze(ctx context.Context, a books.Account) error {
	r, err := t.account(ctx, a)
	if err != nil || r.edited {
		return err
	}
	gone, err := t.vanished(ctx, r)
	if err != nil || !gone && t.seal.genuine(r) {
		return err
	}
	return t.freezeRow(ctx, r)
}

func (t *Tx) freezeRow(ctx context.Context, r accountRow) error {
	if t.seal.key == nil && len(r.seal) > 0 {
		return nil // whoever has the key will find it too
	}
	lines, err := t.journalBalance(ctx, r.name)
	if err != nil {
		return err
	}
	detail := fmt.Sprintf("its row held %v, its lines say %v", r.balance, lines)
	// What else was in the row was as easy to change: only the name is kept, and the balance, which tells what was tried.
	frozen := accountRow{name: r.name, balance: r.balance, switches: -1, version: r.version, edited: true}
	if err := t.putAccount(ctx, frozen); err != nil {
		return err
	}
	return t.note(ctx, AccountNote{Account: r.name, Version: r.version + 1, Code: NoteEdited, Detail: detail})
}

// vanished reports whether an account that is not there has lines in the journal: somebody took its row away.
func (t *Tx) vanished(ctx context.Context, r accountRow) (bool, error) {
	if r.found || t.seal.key == nil {
		return false, nil
	}
	var one int
	return t.one(ctx, "lines of account", `SELECT 1 FROM journal_line WHERE account = ? LIMIT 1`, []any{string(r.name)}, &one)
}

// AccountNote is something done to an account beside entries.
type AccountNote struct {
	Account books.Account
	Version int64  // of the account's row with it
	Code    string // NoteEdited …
	By      string // the officer, "" for the program itself
	Detail  string
}

func (t *Tx) note(ctx context.Context, n AccountNote) error {
	_, err := t.exec(ctx, "note on account", `INSERT INTO account_note (account, version, code, officer, detail) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		string(n.Account), n.Version, n.Code, n.By, n.Detail)
	return err
}

// AccountNotes lists the notes on an account, or with an empty name on all, latest first of each account.
func (t *Tx) AccountNotes(ctx context.Context, a books.Account) ([]AccountNote, error) {
	var out []AccountNote
	err := t.rows(ctx, "notes on accounts", func(scan func(...any) error) error {
		var n AccountNote
		err := scan(&n.Account, &n.Version, &n.Code, &n.By, &n.Detail)
		out = append(out, n)
		return err
	}, `SELECT account, version, code, officer, detail FROM account_note WHERE ? = '' OR account = ? ORDER BY account, version DESC, code`, string(a), string(a))
	return out, err
}

// BooksAccount is an account with what may be done to it.
type BooksAccount struct {
	Name     books.Account
	Number   string // "" until the account was first written by this version
	Balance  money.Amount
	Switches books.Switches
	Edited   bool // its row was edited: the balance is not to be believed
}

// FindAccount finds an account by its name or its number, or ErrNotFound. One whose row was edited is found too.
func (t *Tx) FindAccount(ctx context.Context, nameOrNumber string) (BooksAccount, error) {
	var r accountRow
	err := t.rows(ctx, "find account", func(scan func(...any) error) (err error) {
		r, err = scanAccount(scan)
		return err
	}, `SELECT `+accountColumns+` FROM account WHERE name = ? OR number = ? AND number <> '' ORDER BY name LIMIT 1`, nameOrNumber, nameOrNumber)
	if err == nil && !r.found {
		err = fmt.Errorf("account %q: %w", nameOrNumber, ErrNotFound)
	}
	return BooksAccount{r.name, r.number, r.balance, r.may(), r.edited || !t.seal.genuine(r)}, err
}

// SwitchAccount turns switches of an account on and off. by and reason are noted with it.
func (t *Tx) SwitchAccount(ctx context.Context, a books.Account, on, off books.Switches, by, reason string) error {
	if by == "" || reason == "" {
		return errors.New("switch account: say who does it and why")
	}
	r, err := t.believed(ctx, a)
	if err != nil {
		return err
	}
	was := r.may()
	now := was&^off | on
	if now == was {
		return nil
	}
	r.switches = int64(now)
	if err := t.putAccount(ctx, r); err != nil {
		return err
	}
	return t.note(ctx, AccountNote{Account: a, Version: r.version + 1, Code: NoteSwitched, By: by, Detail: fmt.Sprintf("%v, was %v: %s", now, was, reason)})
}

// ReleaseAccount opens an account again that was frozen because its row was edited: its balance is made anew from the journal, which must be
// sound, and its switches are those of a new account. It then moves what was set aside for the account, of an account frozen by its switches too, to
// where it was meant to go. by and reason are noted with it.
func (t *Tx) ReleaseAccount(ctx context.Context, a books.Account, day, by, reason string) error {
	if by == "" || reason == "" {
		return errors.New("release account: say who does it and why")
	}
	r, err := t.account(ctx, a)
	if err != nil {
		return err
	}
	gone, err := t.vanished(ctx, r)
	if err != nil {
		return err
	}
	if r.edited || gone || !t.seal.genuine(r) {
		faults, err := t.VerifyJournal(ctx)
		if err != nil {
			return err
		}
		if len(faults) > 0 {
			return fmt.Errorf("release account %s: the journal, from which its balance would be made, is not sound either: %s", a, faults[0])
		}
		r.edited, r.switches, r.number = false, -1, ""
		if r.balance, err = t.journalBalance(ctx, a); err != nil {
			return err
		}
		if err := t.putAccount(ctx, r); err != nil {
			return err
		}
		if err := t.note(ctx, AccountNote{Account: a, Version: r.version + 1, Code: NoteReleased, By: by, Detail: fmt.Sprintf("with %v by its lines: %s", r.balance, reason)}); err != nil {
			return err
		}
	}
	aside, err := t.Balance(ctx, books.Aside(a))
	if err != nil {
		return err
	}
	lines, err := books.Move(a, books.Aside(a), aside)
	if err != nil {
		return err
	}
	id := fmt.Sprintf("%s:%s:%d", books.KindRelease, a, r.version+1)
	return t.Post(ctx, books.Entry{ID: id, Kind: books.KindRelease, Day: day, Ref: by, Lines: lines})
}

// SetAside lists the accounts that lines were set aside for and that have not got them back, with what lies there.
func (t *Tx) SetAside(ctx context.Context) ([]books.Balance, error) {
	all, err := t.TrialBalance(ctx)
	if err != nil {
		return nil, err
	}
	var out []books.Balance
	for _, b := range all {
		if b.Account != books.Meant(b.Account) && !b.Amount.IsZero() {
			out = append(out, b)
		}
	}
	return out, nil
}
