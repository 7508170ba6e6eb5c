package store

import (
	"context"
	"fmt"
	"time"

	"github.com/purselane/purselane/internal/money"
)

// OwnAccount is what is kept to on one of the scheme's own accounts at banks.
type OwnAccount struct {
	ID       string // "trust", or another
	Minimum  money.Amount
	MostOnce money.Amount // zero: no limit
	MostDay  money.Amount // zero: no limit
	NotedAt  time.Time
}

// PutOwnAccount notes what is kept to on an own account, in place of what was.
func (t *Tx) PutOwnAccount(ctx context.Context, a OwnAccount) error {
	_, err := t.exec(ctx, "put own account", `INSERT INTO own_account (id, minimum, most_once, most_day, noted_ms) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET minimum = excluded.minimum, most_once = excluded.most_once, most_day = excluded.most_day, noted_ms = excluded.noted_ms`,
		a.ID, a.Minimum.Minor(), a.MostOnce.Minor(), a.MostDay.Minor(), a.NotedAt.UnixMilli())
	return err
}

// OwnAccounts lists the own accounts that something is kept to on, by id.
func (t *Tx) OwnAccounts(ctx context.Context) ([]OwnAccount, error) {
	var out []OwnAccount
	err := t.rows(ctx, "own accounts", func(scan func(...any) error) error {
		var a OwnAccount
		var minimum, once, day, noted int64
		err := scan(&a.ID, &minimum, &once, &day, &noted)
		a.Minimum, a.MostOnce, a.MostDay, a.NotedAt = money.Minor(minimum), money.Minor(once), money.Minor(day), time.UnixMilli(noted)
		out = append(out, a)
		return err
	}, `SELECT id, minimum, most_once, most_day, noted_ms FROM own_account ORDER BY id`)
	return out, err
}

// OwnTransfer is money that moves from one own account to another.
type OwnTransfer struct {
	ID         string
	Number     int // from 1
	From, To   string
	Amount     money.Amount
	Currency   string
	Reason     string
	State      string // proposed, ordered, rejected, returned, done, refused
	ProposedBy string
	ProposedAt time.Time
	DecidedBy  string
	DecidedAt  time.Time // zero until then
	Note       string

	// As it was ordered.
	Day       string
	Initiator string
	Source    PartyAccount // name, number and bank alone
	Target    PartyAccount

	Gone, Arrived bool // as the statements of the two accounts say
}

// PutOwnTransfer writes a transfer, or what has become of it.
func (t *Tx) PutOwnTransfer(ctx context.Context, x OwnTransfer) error {
	_, err := t.exec(ctx, "put own transfer", `INSERT INTO own_transfer (id, number, from_id, to_id, amount, currency, reason, state, proposed_by, proposed_ms, decided_by, decided_ms, note, day, initiator,
			from_name, from_number, from_bank, to_name, to_number, to_bank, gone, arrived) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, decided_by = excluded.decided_by, decided_ms = excluded.decided_ms, note = excluded.note, day = excluded.day,
			initiator = excluded.initiator, from_name = excluded.from_name, from_number = excluded.from_number, from_bank = excluded.from_bank, to_name = excluded.to_name,
			to_number = excluded.to_number, to_bank = excluded.to_bank, gone = excluded.gone, arrived = excluded.arrived`,
		x.ID, x.Number, x.From, x.To, x.Amount.Minor(), x.Currency, x.Reason, x.State, x.ProposedBy, x.ProposedAt.UnixMilli(), x.DecidedBy, milliOrZero(x.DecidedAt), x.Note, x.Day, x.Initiator,
		x.Source.Name, x.Source.Number, x.Source.Bank, x.Target.Name, x.Target.Number, x.Target.Bank, asInt(x.Gone), asInt(x.Arrived))
	return err
}

// OwnTransfer finds a transfer, or ErrNotFound.
func (t *Tx) OwnTransfer(ctx context.Context, id string) (OwnTransfer, error) {
	all, err := t.ownTransfers(ctx, `WHERE id = ?`, id)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("transfer %q: %w", id, ErrNotFound)
	}
	if err != nil {
		return OwnTransfer{}, err
	}
	return all[0], nil
}

// OwnTransfers lists transfers, the latest first, at most limit; in one state where that is not empty.
func (t *Tx) OwnTransfers(ctx context.Context, state string, limit int) ([]OwnTransfer, error) {
	return t.ownTransfers(ctx, `WHERE (? = '' OR state = ?) ORDER BY number DESC LIMIT ?`, state, state, limit)
}

// LastOwnTransfer is the number of the latest transfer, 0 for none.
func (t *Tx) LastOwnTransfer(ctx context.Context) (int, error) {
	var n int
	_, err := t.one(ctx, "last own transfer", `SELECT COALESCE(MAX(number), 0) FROM own_transfer`, nil, &n)
	return n, err
}

// OwnOrdered is what transfers ordered on a day take from an own account, unless they came back, and what of all days is ordered and has not left it yet.
func (t *Tx) OwnOrdered(ctx context.Context, id, day string) (ofDay, waiting money.Amount, err error) {
	var a, b int64
	_, err = t.one(ctx, "ordered transfers", `SELECT CAST(COALESCE(SUM(CASE WHEN day = ? THEN amount ELSE 0 END), 0) AS BIGINT), CAST(COALESCE(SUM(CASE WHEN state = 'ordered' AND gone = 0 THEN amount ELSE 0 END), 0) AS BIGINT)
		FROM own_transfer WHERE from_id = ? AND state IN ('ordered', 'done')`, []any{day, id}, &a, &b)
	return money.Minor(a), money.Minor(b), err
}

func (t *Tx) ownTransfers(ctx context.Context, where string, args ...any) ([]OwnTransfer, error) {
	var out []OwnTransfer
	err := t.rows(ctx, "own transfers", func(scan func(...any) error) error {
		var x OwnTransfer
		var amount, proposed, decided int64
		var gone, arrived int
		err := scan(&x.ID, &x.Number, &x.From, &x.To, &amount, &x.Currency, &x.Reason, &x.State, &x.ProposedBy, &proposed, &x.DecidedBy, &decided, &x.Note, &x.Day, &x.Initiator,
			&x.Source.Name, &x.Source.Number, &x.Source.Bank, &x.Target.Name, &x.Target.Number, &x.Target.Bank, &gone, &arrived)
		x.Amount, x.ProposedAt, x.Gone, x.Arrived = money.Minor(amount), time.UnixMilli(proposed), gone == 1, arrived == 1
		if decided > 0 {
			x.DecidedAt = time.UnixMilli(decided)
		}
		out = append(out, x)
		return err
	}, `SELECT id, number, from_id, to_id, amount, currency, reason, state, proposed_by, proposed_ms, decided_by, decided_ms, note, day, initiator,
			from_name, from_number, from_bank, to_name, to_number, to_bank, gone, arrived FROM own_transfer `+where, args...)
	return out, err
}

// BankBalance is a closing balance as a bank's statement says it.
type BankBalance struct {
	Account, Day, Statement string
	Amount                  money.Amount
	Currency                string
	ReadAt                  time.Time
}

// PutBankBalance notes a closing balance. Of one day the last that was read counts.
func (t *Tx) PutBankBalance(ctx context.Context, b BankBalance) error {
	_, err := t.exec(ctx, "put bank balance", `INSERT INTO bank_balance (account, day, statement, amount, currency, read_ms) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (account, day) DO UPDATE SET statement = excluded.statement, amount = excluded.amount, currency = excluded.currency, read_ms = excluded.read_ms`,
		b.Account, b.Day, b.Statement, b.Amount.Minor(), b.Currency, b.ReadAt.UnixMilli())
	return err
}

// LastBankBalance is the closing balance of the latest day that a statement told of an account, and whether there is one.
func (t *Tx) LastBankBalance(ctx context.Context, account string) (BankBalance, bool, error) {
	b := BankBalance{Account: account}
	var amount, read int64
	found, err := t.one(ctx, "bank balance", `SELECT day, statement, amount, currency, read_ms FROM bank_balance WHERE account = ? ORDER BY day DESC LIMIT 1`, []any{account},
		&b.Day, &b.Statement, &amount, &b.Currency, &read)
	b.Amount, b.ReadAt = money.Minor(amount), time.UnixMilli(read)
	return b, found, err
}
