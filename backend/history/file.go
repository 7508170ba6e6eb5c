package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	_ "modernc.org/sqlite" // the SQLite driver, pure Go

	"github.com/purselane/purselane/internal/money"
)

// Version of the file's tables. A file of another one is refused: it is made anew from what the outbox still has, see docs/history.md.
const Version = 1

var (
	// ErrVersion: the file was made by another version of the tables.
	ErrVersion = errors.New("the history's file has tables of another version")
	// ErrNone: there is no such file.
	ErrNone = errors.New("there is no history yet: name gateway.history in scheme.yaml, and serve")
)

const tables = `
CREATE TABLE event (
    id       TEXT PRIMARY KEY, -- the outbox's
    order_id TEXT NOT NULL,
    about    TEXT NOT NULL,    -- the order, a payment, a refund
    type     TEXT NOT NULL,    -- as order.paid
    state    TEXT NOT NULL,    -- that it came into
    at_ms    INTEGER NOT NULL  -- Unix milliseconds
) STRICT, WITHOUT ROWID;
CREATE INDEX event_order ON event (order_id, at_ms);
CREATE TABLE orders (
    id         TEXT PRIMARY KEY,
    app        TEXT NOT NULL,
    merchant   TEXT NOT NULL,
    context    TEXT NOT NULL,
    currency   TEXT NOT NULL,
    state      TEXT NOT NULL,
    amount     INTEGER NOT NULL, -- minor units
    received   INTEGER NOT NULL,
    refunded   INTEGER NOT NULL,
    fee        INTEGER NOT NULL,
    day        TEXT NOT NULL,    -- on which it was made, in the scheme's time zone
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX orders_day ON orders (day, app, created_ms);
CREATE TABLE mark (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    done_ms INTEGER NOT NULL, -- delivery of the last event that is here
    read_ms INTEGER NOT NULL  -- when the outbox was read last
) STRICT;
INSERT INTO mark VALUES (1, 0, 0);
`

// History is the file. It is safe for concurrent use.
type History struct{ db *sql.DB }

// Open opens the file, and makes it where there is none. Errors: [ErrVersion].
func Open(ctx context.Context, path string) (*History, error) { return open(ctx, path, true) }

// Look opens a file that is there, to read it. Errors: [ErrNone], [ErrVersion].
func Look(ctx context.Context, path string) (*History, error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("history %s: %w", path, ErrNone)
	}
	return open(ctx, path, false)
}

func open(ctx context.Context, path string, write bool) (*History, error) {
	v := url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(NORMAL)"}, "_txlock": {"immediate"}}
	if !write {
		v = url.Values{"_pragma": {"busy_timeout(10000)", "query_only(1)"}}
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+v.Encode())
	if err != nil {
		return nil, fmt.Errorf("history %s: %w", path, err)
	}
	h := &History{db}
	if err := h.prepare(ctx, write); err != nil {
		return nil, errors.Join(fmt.Errorf("history %s: %w", path, err), db.Close())
	}
	return h, nil
}

// prepare makes the tables in an empty file.
func (h *History) prepare(ctx context.Context, write bool) error {
	var version int
	if err := h.db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	if version == 0 && write {
		return h.update(ctx, func(tx *sql.Tx) error {
			if err := tx.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil || version == Version {
				return err // another process has made them
			}
			_, err := tx.ExecContext(ctx, tables+fmt.Sprintf("PRAGMA user_version = %d;", Version))
			return err
		})
	}
	if version != Version {
		return fmt.Errorf("%w: %d, want %d", ErrVersion, version, Version)
	}
	return nil
}

func (h *History) update(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := h.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to take back
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// Close closes the file.
func (h *History) Close() error { return h.db.Close() }

// Order is an order as it was when its last event came here.
type Order struct {
	ID, App, Merchant, Context, Currency, State string
	Amount, Received, Refunded, Fee             money.Amount
	Day                                         string
	Created, Changed                            time.Time
}

// Event is one change of an order, or of a payment or refund of it.
type Event struct {
	ID, Order, About, Type, State string
	At                            time.Time
}

// DayCount is what one app's orders of one day came to, in one currency.
type DayCount struct {
	Day, App, Currency         string
	Orders, Paid               int64
	Amount, Received, Refunded money.Amount
	Fee                        money.Amount
}

// Days counts orders by day, app and currency, from a day (YYYY-MM-DD) to another, both included; app "" is all.
func (h *History) Days(ctx context.Context, from, to, app string) (out []DayCount, err error) {
	err = h.each(ctx, func(scan func(...any) error) error {
		var d DayCount
		var amount, received, refunded, fee int64
		err := scan(&d.Day, &d.App, &d.Currency, &d.Orders, &d.Paid, &amount, &received, &refunded, &fee)
		d.Amount, d.Received, d.Refunded, d.Fee = money.Minor(amount), money.Minor(received), money.Minor(refunded), money.Minor(fee)
		out = append(out, d)
		return err
	}, `SELECT day, app, currency, COUNT(*), SUM(received > 0), SUM(amount), SUM(received), SUM(refunded), SUM(fee) FROM orders WHERE day >= ? AND day <= ? AND (? = '' OR app = ?)
		GROUP BY day, app, currency ORDER BY day, app, currency`, from, to, app, app)
	return out, err
}

// Orders lists the orders of a day by app and time, at most limit; app "" is all.
func (h *History) Orders(ctx context.Context, day, app string, limit int) (out []Order, err error) {
	err = h.each(ctx, func(scan func(...any) error) error {
		var o Order
		var amount, received, refunded, fee, created, changed int64
		err := scan(&o.ID, &o.App, &o.Merchant, &o.Context, &o.Currency, &o.State, &amount, &received, &refunded, &fee, &o.Day, &created, &changed)
		o.Amount, o.Received, o.Refunded, o.Fee = money.Minor(amount), money.Minor(received), money.Minor(refunded), money.Minor(fee)
		o.Created, o.Changed = time.UnixMilli(created), time.UnixMilli(changed)
		out = append(out, o)
		return err
	}, `SELECT id, app, merchant, context, currency, state, amount, received, refunded, fee, day, created_ms, changed_ms FROM orders WHERE day = ? AND (? = '' OR app = ?)
		ORDER BY app, created_ms, id LIMIT ?`, day, app, app, limit)
	return out, err
}

// Events lists what happened to an order, by time.
func (h *History) Events(ctx context.Context, order string) (out []Event, err error) {
	err = h.each(ctx, func(scan func(...any) error) error {
		var e Event
		var at int64
		err := scan(&e.ID, &e.Order, &e.About, &e.Type, &e.State, &at)
		e.At = time.UnixMilli(at)
		out = append(out, e)
		return err
	}, `SELECT id, order_id, about, type, state, at_ms FROM event WHERE order_id = ? ORDER BY at_ms, length(id), id`, order)
	return out, err
}

// has reports whether an event is here.
func (h *History) has(ctx context.Context, id string) (bool, error) {
	var one int
	err := h.db.QueryRowContext(ctx, `SELECT 1 FROM event WHERE id = ?`, id).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// Mark is how far the file has come: the delivery of the last event in it, and when the outbox was read last. Zero: never.
func (h *History) Mark(ctx context.Context) (done, read time.Time, err error) {
	var d, r int64
	err = h.db.QueryRowContext(ctx, `SELECT done_ms, read_ms FROM mark`).Scan(&d, &r)
	for _, x := range []struct {
		to *time.Time
		ms int64
	}{{&done, d}, {&read, r}} {
		if x.ms > 0 {
			*x.to = time.UnixMilli(x.ms)
		}
	}
	return done, read, err
}

func (h *History) each(ctx context.Context, f func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := h.db.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return fmt.Errorf("history: %w", err)
		}
	}
	return rows.Err()
}
