package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

var (
	// ErrEdited says that an account's row was changed by somebody who has no key to seal it: its balance is not believed, and
	// nothing is posted to it until an officer has released it (`purselane books release`).
	ErrEdited = errors.New("the account's row was edited: it is frozen")
	// ErrSealed says that the books are sealed and the store was opened without the key, or with another one.
	ErrSealed = errors.New("the books are sealed with a key that was not given")
)

// accountRow is one row of the books: what its seal covers.
type accountRow struct {
	name     books.Account
	class    books.Class
	number   string
	balance  money.Amount
	switches int64 // -1: nobody has switched it
	version  int64
	edited   bool
	seal     []byte
	found    bool
}

// may is what the account may do.
func (r accountRow) may() books.Switches {
	if r.switches < 0 {
		return books.DefaultSwitches
	}
	return books.Switches(r.switches)
}

// sealer seals account rows. Without a key it neither seals nor checks.
type sealer struct{ key []byte }

// of is the seal of a row.
func (s sealer) of(r accountRow) []byte {
	if s.key == nil {
		return []byte{}
	}
	h := hmac.New(sha256.New, s.key)
	for _, text := range []string{"purselane-account-row-1", string(r.name), string(r.class), r.number} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(text))))
		h.Write([]byte(text))
	}
	edited := uint64(0)
	if r.edited {
		edited = 1
	}
	for _, n := range []uint64{uint64(r.balance.Minor()), uint64(r.switches), uint64(r.version), edited} {
		h.Write(binary.BigEndian.AppendUint64(nil, n))
	}
	return h.Sum(nil)
}

// keyID tells one key from another.
func (s sealer) keyID() []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte("purselane-account-key-1"))
	return h.Sum(nil)[:8]
}

// genuine reports whether a row is as this program wrote it, as far as the key at hand can tell.
func (s sealer) genuine(r accountRow) bool {
	if !r.found {
		return true
	}
	class, err := books.ClassOf(r.name)
	if err != nil || class != r.class {
		return false
	}
	return s.key == nil || hmac.Equal(r.seal, s.of(r))
}

// KnowsSeals reports whether the store was opened with the key that account rows are sealed with, so that an edited one is found.
func (t *Tx) KnowsSeals() bool { return t.seal.key != nil }

const accountColumns = `name, class, number, balance, switches, version, edited, seal`

func scanAccount(scan func(...any) error) (accountRow, error) {
	r := accountRow{found: true}
	var minor int64
	err := scan(&r.name, &r.class, &r.number, &minor, &r.switches, &r.version, &r.edited, &r.seal)
	r.balance = money.Minor(minor)
	return r, err
}

// account reads an account's row as it stands; one that was never used comes with found false.
func (t *Tx) account(ctx context.Context, a books.Account) (accountRow, error) {
	if r, known := t.ahead[a]; known {
		delete(t.ahead, a)
		return r, nil
	}
	if t.beside {
		return t.lockedAccount(ctx, a)
	}
	return t.readAccount(ctx, a, "")
}

func (t *Tx) readAccount(ctx context.Context, a books.Account, lock string) (accountRow, error) {
	r := accountRow{name: a, switches: -1}
	err := t.rows(ctx, "read account", func(scan func(...any) error) (err error) {
		r, err = scanAccount(scan)
		return err
	}, `SELECT `+accountColumns+` FROM account WHERE name = ?`+lock, string(a))
	return r, err
}

// lockedAccount is account for a Posting: the row stays as it is until the transaction ends. A row that is not there cannot be locked, and two that write the first
// line of an account would each write its balance; so it gets a row of nothing first, of which only one of the two is the maker. For that one the account has still to
// be found: nobody else has written lines of it, and lines that are there say that its row was taken away.
func (t *Tx) lockedAccount(ctx context.Context, a books.Account) (accountRow, error) {
	for {
		r, err := t.readAccount(ctx, a, t.dialect.forUpdate())
		if err != nil || r.found {
			r.found = r.found && !t.opened[a]
			return r, err
		}
		if err := t.openAccount(ctx, r); err != nil {
			return r, err
		}
	}
}

// openAccount writes the row of an account that has none, unless another one has written it meanwhile.
func (t *Tx) openAccount(ctx context.Context, r accountRow) error {
	var err error
	if r.class, err = books.ClassOf(r.name); err != nil {
		return err
	}
	if r.number, err = t.freeNumber(ctx, r.name); err != nil {
		return err
	}
	done, err := t.exec(ctx, "open account", `INSERT INTO account (name, class, number, balance, switches, version, edited, seal) VALUES (?, ?, ?, 0, ?, 0, 0, ?) ON CONFLICT (name) DO NOTHING`,
		string(r.name), string(r.class), r.number, r.switches, t.seal.of(r))
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return err
	}
	if t.opened == nil {
		t.opened = map[books.Account]bool{}
	}
	t.opened[r.name] = true
	return nil
}

// believed reads an account's row and checks its seal. A row that does not pass is remembered, and frozen as soon as a
// transaction can write. Error: [ErrEdited].
func (t *Tx) believed(ctx context.Context, a books.Account) (accountRow, error) {
	r, err := t.account(ctx, a)
	if err != nil {
		return r, err
	}
	if !t.seal.genuine(r) {
		t.edited = append(t.edited, a)
		return r, fmt.Errorf("account %s: %w (`purselane books prove` says what it held)", a, ErrEdited)
	}
	if r.edited {
		return r, fmt.Errorf("account %s: %w (`purselane books release` opens it again)", a, ErrEdited)
	}
	return r, nil
}

// lockAccounts locks the rows of an entry's accounts for a Posting, in the order of their names, and reads them once for all: the float's is everybody's, and whoever has it keeps
// the others waiting.
func (t *Tx) lockAccounts(ctx context.Context, lines []books.Line) error {
	t.ahead = nil
	if !t.beside {
		return nil
	}
	return t.lockAccountsAtOnce(ctx, lines)
}

// putAccount writes a row with its next version and its seal.
func (t *Tx) putAccount(ctx context.Context, r accountRow) error {
	return t.putAccounts(ctx, []accountRow{r})
}

// putAccounts is putAccount for several, each of another account. An account without a number is written before the next one gets its own.
func (t *Tx) putAccounts(ctx context.Context, rows []accountRow) error {
	var together []accountRow
	for _, r := range rows {
		if t.seal.key == nil && len(r.seal) > 0 {
			return fmt.Errorf("account %s: %w: the key file must open (--passphrase-file or --identity-file)", r.name, ErrSealed)
		}
		var err error
		if r.class, err = books.ClassOf(r.name); err != nil {
			return err
		}
		numbered := r.number != ""
		if !numbered {
			if r.number, err = t.freeNumber(ctx, r.name); err != nil {
				return err
			}
		}
		r.version++
		r.seal = t.seal.of(r)
		delete(t.opened, r.name) // it has lines now
		delete(t.ahead, r.name)
		if numbered && t.dialect == postgres {
			together = append(together, r)
			continue
		}
		if _, err := t.exec(ctx, "write account", `INSERT INTO account (`+accountColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`+accountReplaced,
			string(r.name), string(r.class), r.number, r.balance.Minor(), r.switches, r.version, r.edited, r.seal); err != nil {
			return err
		}
	}
	if together == nil {
		return nil
	}
	return t.putAccountsAtOnce(ctx, together)
}

const accountReplaced = ` ON CONFLICT (name) DO UPDATE SET class = excluded.class, number = excluded.number, balance = excluded.balance, switches = excluded.switches,
	version = excluded.version, edited = excluded.edited, seal = excluded.seal`

// freeNumber is the account's number, of the first attempt that no other account has.
func (t *Tx) freeNumber(ctx context.Context, a books.Account) (string, error) {
	for attempt := 0; ; attempt++ {
		n, err := books.Number(a, attempt)
		if err != nil {
			return "", err
		}
		var one int
		taken, err := t.one(ctx, "look for account number", `SELECT 1 FROM account WHERE number = ? AND name <> ?`, []any{n, string(a)}, &one)
		if err != nil || !taken {
			return n, err
		}
	}
}

// journalBalance is an account's balance by its lines alone.
func (t *Tx) journalBalance(ctx context.Context, a books.Account) (money.Amount, error) {
	var minor int64
	_, err := t.one(ctx, "sum of lines", `SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM journal_line WHERE account = ?`, []any{string(a)}, &minor)
	return money.Minor(minor), err
}
