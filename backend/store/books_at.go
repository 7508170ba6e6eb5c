package store

import (
	"context"
	"fmt"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// JournalLine is one line of an account.
type JournalLine struct {
	Entry, Kind, Day, Ref string
	Amount                money.Amount // debits positive
}

// AccountLines lists an account's lines through a clearing day, in one fixed order.
func (t *Tx) AccountLines(ctx context.Context, a books.Account, through string) ([]JournalLine, error) {
	return t.AccountLinesBetween(ctx, a, "", through)
}

// AccountLinesBetween lists an account's lines from one clearing day through another, in the order of [Tx.AccountLines].
func (t *Tx) AccountLinesBetween(ctx context.Context, a books.Account, from, through string) ([]JournalLine, error) {
	var out []JournalLine
	err := t.rows(ctx, "lines of account", func(scan func(...any) error) error {
		var l JournalLine
		var minor int64
		err := scan(&l.Entry, &l.Kind, &l.Day, &l.Ref, &minor)
		l.Amount = money.Minor(minor)
		out = append(out, l)
		return err
	}, `SELECT e.id, e.kind, e.day, e.ref, l.amount FROM journal_line l JOIN journal_entry e ON e.id = l.entry
		WHERE l.account = ? AND e.day >= ? AND e.day <= ? ORDER BY e.day, e.id, l.line`, string(a), from, through)
	return out, err
}

// BalanceAt is an account's balance at the end of a clearing day, by its lines alone.
func (t *Tx) BalanceAt(ctx context.Context, a books.Account, day string) (money.Amount, error) {
	return t.sumOfLines(ctx, a, `e.day <= ?`, day)
}

// OpeningAt is an account's balance at the beginning of a clearing day, by its lines alone.
func (t *Tx) OpeningAt(ctx context.Context, a books.Account, day string) (money.Amount, error) {
	return t.sumOfLines(ctx, a, `e.day < ?`, day)
}

func (t *Tx) sumOfLines(ctx context.Context, a books.Account, days, day string) (money.Amount, error) {
	var minor int64
	_, err := t.one(ctx, "balance at", `SELECT CAST(COALESCE(SUM(l.amount), 0) AS BIGINT) FROM journal_line l JOIN journal_entry e ON e.id = l.entry
		WHERE l.account = ? AND `+days, []any{string(a), day}, &minor)
	return money.Minor(minor), err
}

// Turnover is what our entries moved on an account through a clearing day: all there is to say of one whose balance somebody else keeps.
type Turnover struct {
	Debits, Credits money.Amount // both positive
}

// TurnoverAt sums an account's debits and credits through a clearing day.
func (t *Tx) TurnoverAt(ctx context.Context, a books.Account, day string) (Turnover, error) {
	var debits, credits int64
	_, err := t.one(ctx, "turnover", `SELECT CAST(COALESCE(SUM(CASE WHEN l.amount > 0 THEN l.amount ELSE 0 END), 0) AS BIGINT),
		CAST(COALESCE(SUM(CASE WHEN l.amount < 0 THEN -l.amount ELSE 0 END), 0) AS BIGINT)
		FROM journal_line l JOIN journal_entry e ON e.id = l.entry WHERE l.account = ? AND e.day <= ?`, []any{string(a), day}, &debits, &credits)
	return Turnover{money.Minor(debits), money.Minor(credits)}, err
}

// CardLine is one thing that moved a card's shadow balance: a load, a tap that stands or is inferred, or the card's end.
type CardLine struct {
	Day     string    // clearing day on which it came; "" of a load or an end without an entry
	What    string    // load, tap, or the kind of the life order that ended the card: transfer, cash, breakage
	Counter uint32    // the card's, online for a load, offline for a tap
	Ref     string    // the load order or the life order
	Tap     ids.TapID // of a tap
	At      int64     // Unix ms by the terminal's clock, of a tap
	Kind    int       // wire.Kind of a tap
	Place   string    // where the terminal of a tap stands
	Change  money.Amount
}

// CardLines lists all that made a card's shadow balance, in one fixed order. A tap stands with what it is worth now, in the day its first record came.
func (t *Tx) CardLines(ctx context.Context, n ids.CardNumber) ([]CardLine, error) {
	var out []CardLine
	err := t.rows(ctx, "lines of card", func(scan func(...any) error) error {
		var l CardLine
		var epoch, minor int64
		var rank int
		err := scan(&l.Day, &rank, &l.What, &l.Counter, &l.Ref, &l.Tap.Terminal, &epoch, &l.Tap.Tap, &l.At, &l.Kind, &l.Place, &minor)
		l.Tap.Epoch, l.Change = uint64(epoch), money.Minor(minor)
		out = append(out, l)
		return err
	}, `SELECT day, rank, what, counter, ref, terminal, epoch, tap, at_ms, kind, place, change FROM (
			SELECT COALESCE(e.day, '') AS day, 1 AS rank, 'load' AS what, l.counter AS counter, l.ref AS ref, '' AS terminal, 0 AS epoch, 0 AS tap, 0 AS at_ms, 0 AS kind, '' AS place, l.amount AS change
			FROM card_load l LEFT JOIN journal_entry e ON e.id = 'load:' || l.ref || ':loaded' WHERE l.card = ? AND l.loaded = 1
			UNION ALL SELECT c.day, 2, 'tap', c.counter, '', c.terminal, c.epoch, c.tap, c.at_ms, c.kind, COALESCE(x.place, ''), -c.amount
			FROM claim c LEFT JOIN terminal x ON x.id = c.terminal WHERE c.card = ? AND c.status IN (?, ?)
			UNION ALL SELECT COALESCE(e.day, ''), 3, o.kind, 0, o.id, '', 0, 0, 0, 0, '', -o.amount
			FROM life_order o LEFT JOIN journal_entry e ON e.id = 'card:' || o.id || ':' || o.kind WHERE o.card = ? AND o.state IN ('released', 'written_off')) x
		ORDER BY day, rank, counter, ref, terminal, epoch, tap`, n[:], n[:], int(shadowaccount.Stands), int(shadowaccount.Inferred), n[:])
	return out, err
}

// BankInTransit is what the account of payments on their way owes: those that left their parties' accounts and that no statement of the bank has shown yet,
// with transfers between own accounts that have arrived and not left, less those that have left and not arrived.
func (t *Tx) BankInTransit(ctx context.Context) (money.Amount, error) {
	payments, err := t.PaymentsInTransit(ctx)
	if err != nil {
		return money.Amount{}, err
	}
	var minor int64
	if _, err = t.one(ctx, "transfers on the way", `SELECT CAST(COALESCE(SUM(amount * (arrived - gone)), 0) AS BIGINT) FROM own_transfer WHERE gone <> arrived`, nil, &minor); err != nil {
		return money.Amount{}, err
	}
	return payments.Add(money.Minor(minor))
}

// PaymentsInTransit adds up the payments that left their parties' accounts and that no statement of the bank has shown yet.
func (t *Tx) PaymentsInTransit(ctx context.Context) (money.Amount, error) {
	var minor int64
	_, err := t.one(ctx, "payments on the way", `SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM bank_payment
		WHERE incoming = 0 AND moved = 1 AND state IN ('ordered', 'accepted')`, nil, &minor)
	return money.Minor(minor), err
}

// OrderSum adds up the load orders in a state.
func (t *Tx) OrderSum(ctx context.Context, state string) (money.Amount, error) {
	var minor int64
	_, err := t.one(ctx, "sum of orders", `SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM load_order WHERE state = ?`, []any{state}, &minor)
	return money.Minor(minor), err
}

// KeptProof is a nightly proof as it was kept.
type KeptProof struct {
	Day    string
	Run    int // 1, 2 … of the day; the last counts
	Passed bool
	Body   []byte // JSON
}

// KeepProof keeps a proof as the day's next run.
func (t *Tx) KeepProof(ctx context.Context, p KeptProof) error {
	last, _, err := t.LastProof(ctx, p.Day)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, "keep proof", `INSERT INTO books_proof (day, run, passed, body) VALUES (?, ?, ?, ?)`, p.Day, last.Run+1, p.Passed, p.Body)
	return err
}

// LastProof is the last run of a day's proof, and whether there was one.
func (t *Tx) LastProof(ctx context.Context, day string) (KeptProof, bool, error) {
	p := KeptProof{Day: day}
	found, err := t.one(ctx, "proof of day", `SELECT run, passed, body FROM books_proof WHERE day = ? ORDER BY run DESC LIMIT 1`, []any{day}, &p.Run, &p.Passed, &p.Body)
	if err != nil {
		return p, false, fmt.Errorf("proof of %s: %w", day, err)
	}
	return p, found, nil
}
