package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// LifeOrder says what becomes of the value of a card that will not be used again. Its states and moves are package cardlife's.
type LifeOrder struct {
	ID          string
	Kind        string
	Card        ids.CardNumber
	Token       string          // of the card, read only
	Target      *ids.CardNumber // that the value goes to, nil for none
	TargetToken string          // read only
	Agent       ids.AcquirerID
	State       string
	Reason      string
	RequestedBy string
	ApprovedBy  string
	Requested   time.Time
	Due         time.Time
	Changed     time.Time
	Amount      money.Amount // that left the card's shadow account
	LoadOrder   string       // that has the value now, "" for none
}

// AddLifeOrder writes a new order.
func (t *Tx) AddLifeOrder(ctx context.Context, o LifeOrder) error {
	target := []byte{}
	if o.Target != nil {
		target = o.Target[:]
	}
	_, err := t.exec(ctx, "add life order", `INSERT INTO life_order (id, kind, card, target, agent, state, reason, requested_by, approved_by, requested_ms, due_ms, changed_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, o.ID, o.Kind, o.Card[:], target, string(o.Agent), o.State, o.Reason, o.RequestedBy, o.ApprovedBy,
		o.Requested.UnixMilli(), o.Due.UnixMilli(), o.Changed.UnixMilli())
	return err
}

// SetLifeOrder writes what changes in an order's life: state, approval, due time, amount, load order, time.
func (t *Tx) SetLifeOrder(ctx context.Context, o LifeOrder) error {
	r, err := t.exec(ctx, "set life order", `UPDATE life_order SET state = ?, approved_by = ?, due_ms = ?, changed_ms = ?, amount = ?, load_order = ? WHERE id = ?`,
		o.State, o.ApprovedBy, o.Due.UnixMilli(), o.Changed.UnixMilli(), o.Amount.Minor(), o.LoadOrder, o.ID)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("store: life order %s: %d rows changed: %w", o.ID, n, errors.Join(err, ErrNotFound))
	}
	return nil
}

func (t *Tx) lifeOrders(ctx context.Context, rest string, args ...any) ([]LifeOrder, error) {
	var out []LifeOrder
	err := t.rows(ctx, "life orders", func(scan func(...any) error) error {
		var o LifeOrder
		var card, target []byte
		var requested, due, changed, amount int64
		if err := scan(&o.ID, &o.Kind, &card, &o.Token, &target, &o.TargetToken, &o.Agent, &o.State, &o.Reason, &o.RequestedBy, &o.ApprovedBy,
			&requested, &due, &changed, &amount, &o.LoadOrder); err != nil {
			return err
		}
		copy(o.Card[:], card)
		if len(target) > 0 {
			o.Target = new(ids.CardNumber)
			copy(o.Target[:], target)
		}
		o.Requested, o.Due, o.Changed, o.Amount = time.UnixMilli(requested), time.UnixMilli(due), time.UnixMilli(changed), money.Minor(amount)
		out = append(out, o)
		return nil
	}, `SELECT o.id, o.kind, o.card, COALESCE(k.token, ''), o.target, COALESCE(n.token, ''), o.agent, o.state, o.reason, o.requested_by, o.approved_by,
			o.requested_ms, o.due_ms, o.changed_ms, o.amount, o.load_order
		FROM life_order o LEFT JOIN card k ON k.number = o.card LEFT JOIN card n ON n.number = o.target `+rest, args...)
	return out, err
}

func (t *Tx) lifeOrder(ctx context.Context, rest string, args ...any) (LifeOrder, error) {
	all, err := t.lifeOrders(ctx, rest, args...)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("life order: %w", ErrNotFound)
	}
	if err != nil {
		return LifeOrder{}, err
	}
	return all[0], nil
}

// LifeOrder finds an order, or ErrNotFound.
func (t *Tx) LifeOrder(ctx context.Context, id string) (LifeOrder, error) {
	return t.lifeOrder(ctx, `WHERE o.id = ?`, id)
}

// OpenLifeOrder finds the order of a card that is not done, or ErrNotFound.
func (t *Tx) OpenLifeOrder(ctx context.Context, n ids.CardNumber) (LifeOrder, error) {
	return t.lifeOrder(ctx, `WHERE o.card = ? AND o.state IN ('requested', 'settling')`, n[:])
}

// LifeOrderOfLoad finds the order whose value a load order has, or ErrNotFound.
func (t *Tx) LifeOrderOfLoad(ctx context.Context, loadOrder string) (LifeOrder, error) {
	return t.lifeOrder(ctx, `WHERE o.load_order = ? AND o.load_order <> ''`, loadOrder)
}

// LifeOrders lists orders, newest first, at most limit; in one state where that is not empty.
func (t *Tx) LifeOrders(ctx context.Context, state string, limit int) ([]LifeOrder, error) {
	return t.lifeOrders(ctx, `WHERE (? = '' OR o.state = ?) ORDER BY o.requested_ms DESC, o.id LIMIT ?`, state, state, limit)
}

// LifeOrdersDue lists the orders in a state whose time has come, the oldest first.
func (t *Tx) LifeOrdersDue(ctx context.Context, state string, at time.Time) ([]LifeOrder, error) {
	return t.lifeOrders(ctx, `WHERE o.state = ? AND o.due_ms <= ? ORDER BY o.due_ms, o.id`, state, at.UnixMilli())
}

// TakeShadow takes an amount off a card's shadow account and posts it to another account, in one entry of that kind about an order.
func (t *Tx) TakeShadow(ctx context.Context, n ids.CardNumber, amount money.Amount, to books.Account, id, kind, day, order string) error {
	lines, err := books.Move(books.Float, to, amount)
	if err != nil {
		return err
	}
	less, err := amount.Neg()
	if err != nil {
		return err
	}
	if err := t.moveShadow(ctx, n, less); err != nil {
		return err
	}
	if err := t.Post(ctx, books.Entry{ID: id, Kind: kind, Day: day, Ref: order, Lines: lines}); err != nil {
		return err
	}
	return t.auditCard(ctx, n)
}

// CardActivity is the newest moment at which anything is known of a card: a tap's own time, or a change of a load for it. Zero for never.
func (t *Tx) CardActivity(ctx context.Context, n ids.CardNumber) (time.Time, error) {
	var ms int64
	_, err := t.one(ctx, "card activity", `SELECT COALESCE(MAX(at), 0) FROM (
		SELECT MAX(at_ms) AS at FROM claim WHERE card = ? UNION ALL SELECT MAX(changed_ms) FROM load_order WHERE card = ?) AS seen`, []any{n[:], n[:]}, &ms)
	if err != nil || ms == 0 {
		return time.Time{}, err
	}
	return time.UnixMilli(ms), nil
}

// OpenClaims counts the claims of a card whose outcome nobody knows.
func (t *Tx) OpenClaims(ctx context.Context, n ids.CardNumber, status int) (int, error) {
	var count int
	_, err := t.one(ctx, "open claims", `SELECT COUNT(*) FROM claim WHERE card = ? AND status = ?`, []any{n[:], status}, &count)
	return count, err
}
