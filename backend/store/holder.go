package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/internal/money"
)

// Kinds of changes of what holders have; the text is stored.
const (
	ChangeBalance = "balance"
	ChangePoints  = "points"
)

// States of a change; the text is stored.
const (
	ChangeAsked   = "asked"
	ChangeDone    = "done"
	ChangeRefused = "refused"
)

// HolderChange is a change of a holder's balance or points that one person asks for and another decides.
type HolderChange struct {
	ID         string
	Kind       string
	Holder     string
	Currency   string
	Amount     money.Amount // negative: less
	Expires    time.Time    // of points that are given; zero: never
	By         string
	Reason     string
	Asked      time.Time
	State      string
	DecidedBy  string
	DecidedWhy string
	Decided    time.Time // zero while it is asked for
}

const holderChangeColumns = `id, kind, holder, currency, amount, expires_ms, by, reason, asked_ms, state, decided_by, decided_why, decided_ms`

// AddHolderChange writes a change that is asked for.
func (t *Tx) AddHolderChange(ctx context.Context, c HolderChange) error {
	_, err := t.exec(ctx, "add holder change", `INSERT INTO holder_change (`+holderChangeColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.ID, c.Kind, c.Holder, c.Currency, c.Amount.Minor(), milliOrZero(c.Expires), c.By, c.Reason, c.Asked.UnixMilli(), c.State, c.DecidedBy, c.DecidedWhy, milliOrZero(c.Decided))
	return err
}

// DecideHolderChange writes how a change that is asked for has ended. Error: [ErrNotFound] if none of the id is asked for any more.
func (t *Tx) DecideHolderChange(ctx context.Context, c HolderChange) error {
	r, err := t.exec(ctx, "decide holder change", `UPDATE holder_change SET state = ?, decided_by = ?, decided_why = ?, decided_ms = ? WHERE id = ? AND state = ?`,
		c.State, c.DecidedBy, c.DecidedWhy, milliOrZero(c.Decided), c.ID, ChangeAsked)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("store: holder change %s: %d rows changed: %w", c.ID, n, errors.Join(err, ErrNotFound))
	}
	return nil
}

// HolderChange finds a change, or ErrNotFound.
func (t *Tx) HolderChange(ctx context.Context, id string) (HolderChange, error) {
	all, err := t.holderChanges(ctx, `id = ?`, id)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("holder change %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return HolderChange{}, err
	}
	return all[0], nil
}

// HolderChanges lists the newest changes in a state, "" for any, at most limit.
func (t *Tx) HolderChanges(ctx context.Context, state string, limit int) ([]HolderChange, error) {
	return t.holderChanges(ctx, `(state = ? OR ? = '') ORDER BY asked_ms DESC, id LIMIT ?`, state, state, limit)
}

func (t *Tx) holderChanges(ctx context.Context, where string, args ...any) ([]HolderChange, error) {
	var out []HolderChange
	err := t.rows(ctx, "holder changes", func(scan func(...any) error) error {
		var c HolderChange
		var amount, expires, asked, decided int64
		err := scan(&c.ID, &c.Kind, &c.Holder, &c.Currency, &amount, &expires, &c.By, &c.Reason, &asked, &c.State, &c.DecidedBy, &c.DecidedWhy, &decided)
		c.Amount, c.Expires, c.Asked, c.Decided = money.Minor(amount), timeOrZero(expires), time.UnixMilli(asked), timeOrZero(decided)
		out = append(out, c)
		return err
	}, `SELECT `+holderChangeColumns+` FROM holder_change WHERE `+where, args...)
	return out, err
}

// HolderPoints is what a holder has of one currency that is no money.
type HolderPoints struct {
	Currency string
	Balance  money.Amount
	Held     money.Amount
}

// PointsOf lists what a holder has, by currency.
func (t *Tx) PointsOf(ctx context.Context, holder string) ([]HolderPoints, error) {
	var out []HolderPoints
	err := t.rows(ctx, "points of holder", func(scan func(...any) error) error {
		var p HolderPoints
		var balance, held int64
		err := scan(&p.Currency, &balance, &held)
		p.Balance, p.Held = money.Minor(balance), money.Minor(held)
		out = append(out, p)
		return err
	}, `SELECT currency, balance, held FROM points_account WHERE holder = ? ORDER BY currency`, holder)
	return out, err
}

// PointsEntry is one line of a holder's points.
type PointsEntry struct {
	ID       string
	Currency string
	Amount   money.Amount // positive: more
	Ref      string
	At       time.Time
}

// PointsEntries lists a holder's lines, the oldest first.
func (t *Tx) PointsEntries(ctx context.Context, holder string) ([]PointsEntry, error) {
	var out []PointsEntry
	err := t.rows(ctx, "points entries", func(scan func(...any) error) error {
		var e PointsEntry
		var amount, at int64
		err := scan(&e.ID, &e.Currency, &amount, &e.Ref, &at)
		e.Amount, e.At = money.Minor(amount), time.UnixMilli(at)
		out = append(out, e)
		return err
	}, `SELECT id, currency, amount, ref, at_ms FROM points_entry WHERE holder = ? ORDER BY at_ms, id`, holder)
	return out, err
}

// PointsLot are points that expire.
type PointsLot struct {
	ID       string
	Holder   string
	Currency string
	Amount   money.Amount // as given
	Expires  time.Time
}

// AddPointsLot writes a lot. The points themselves are moved by [Tx.MovePoints].
func (t *Tx) AddPointsLot(ctx context.Context, l PointsLot) error {
	_, err := t.exec(ctx, "add points lot", `INSERT INTO points_lot (id, holder, currency, amount, expires_ms, ended) VALUES (?, ?, ?, ?, ?, 0)`,
		l.ID, l.Holder, l.Currency, l.Amount.Minor(), l.Expires.UnixMilli())
	return err
}

// PointsLotsDue lists the lots that have expired by a moment and are not ended, the first to expire first, at most limit.
func (t *Tx) PointsLotsDue(ctx context.Context, by time.Time, limit int) ([]PointsLot, error) {
	return t.pointsLots(ctx, `ended = 0 AND expires_ms <= ? ORDER BY expires_ms, id LIMIT ?`, by.UnixMilli(), limit)
}

// PointsLots lists a holder's lots of a currency, ended ones too, the first to expire first.
func (t *Tx) PointsLots(ctx context.Context, holder, currency string) ([]PointsLot, error) {
	return t.pointsLots(ctx, `holder = ? AND currency = ? ORDER BY expires_ms, id`, holder, currency)
}

// EndPointsLot ends a lot; one that is ended stays so. It reports whether this call did it.
func (t *Tx) EndPointsLot(ctx context.Context, id string) (bool, error) {
	r, err := t.exec(ctx, "end points lot", `UPDATE points_lot SET ended = 1 WHERE id = ? AND ended = 0`, id)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n == 1, err
}

func (t *Tx) pointsLots(ctx context.Context, where string, args ...any) ([]PointsLot, error) {
	var out []PointsLot
	err := t.rows(ctx, "points lots", func(scan func(...any) error) error {
		var l PointsLot
		var amount, expires int64
		err := scan(&l.ID, &l.Holder, &l.Currency, &amount, &expires)
		l.Amount, l.Expires = money.Minor(amount), time.UnixMilli(expires)
		out = append(out, l)
		return err
	}, `SELECT id, holder, currency, amount, expires_ms FROM points_lot WHERE `+where, args...)
	return out, err
}

// timeOrZero is what milliOrZero wrote.
func timeOrZero(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
