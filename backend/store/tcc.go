package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// TCC is a combined payment as its coordinator keeps it. States and moves are package tcc's.
type TCC struct {
	XID     string
	Digest  string
	State   string
	Why     string
	Until   time.Time
	Next    time.Time
	Tries   int
	Made    time.Time
	Changed time.Time

	// What the channels of its legs are told of it.
	Subject   string
	ReturnURL string // where the payer's browser goes after paying
	ClientIP  string // of the payer
}

// TCCLeg is one participant's part of it.
type TCCLeg struct {
	XID         string
	Leg         int
	Participant string
	Account     string
	Currency    string
	Amount      money.Amount
	Worth       money.Amount
	Payee       string
	Context     string
	Direct      bool
	Done        bool
}

// TCCBranch is what a participant has done of a leg.
type TCCBranch struct {
	XID    string
	Branch int
	Digest string
	State  string // "" for one that was not heard of
	Began  time.Time
}

// TCCRefund is one leg's part of a refund.
type TCCRefund struct {
	Number string
	Leg    int
	XID    string
	Rule   string
	Worth  money.Amount
	Amount money.Amount
	State  string
	At     time.Time
	Tries  int // since it was ordered
}

// AddTCC writes a new combined payment with its legs.
func (t *Tx) AddTCC(ctx context.Context, p TCC, legs []TCCLeg) error {
	if _, err := t.exec(ctx, "add combined payment", `INSERT INTO tcc (xid, digest, state, why, until_ms, next_ms, tries, made_ms, changed_ms, subject, return_url, client_ip) VALUES (?, ?, ?, '', ?, ?, 0, ?, ?, ?, ?, ?)`,
		p.XID, p.Digest, p.State, p.Until.UnixMilli(), p.Next.UnixMilli(), p.Made.UnixMilli(), p.Changed.UnixMilli(), p.Subject, p.ReturnURL, p.ClientIP); err != nil {
		return err
	}
	for _, l := range legs {
		if _, err := t.exec(ctx, "add leg", `INSERT INTO tcc_leg (xid, leg, participant, account, currency, amount, worth, payee, context, direct, done) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
			l.XID, l.Leg, l.Participant, l.Account, l.Currency, l.Amount.Minor(), l.Worth.Minor(), l.Payee, l.Context, asBit(l.Direct)); err != nil {
			return err
		}
	}
	return nil
}

func asBit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TCC finds a combined payment with its legs, or ErrNotFound.
func (t *Tx) TCC(ctx context.Context, xid string) (TCC, []TCCLeg, error) {
	p := TCC{XID: xid}
	var until, next, made, changed int64
	found, err := t.one(ctx, "combined payment", `SELECT digest, state, why, until_ms, next_ms, tries, made_ms, changed_ms, subject, return_url, client_ip FROM tcc WHERE xid = ?`, []any{xid},
		&p.Digest, &p.State, &p.Why, &until, &next, &p.Tries, &made, &changed, &p.Subject, &p.ReturnURL, &p.ClientIP)
	if err == nil && !found {
		err = fmt.Errorf("combined payment %s: %w", xid, ErrNotFound)
	}
	if err != nil {
		return TCC{}, nil, err
	}
	p.Until, p.Next, p.Made, p.Changed = time.UnixMilli(until), time.UnixMilli(next), time.UnixMilli(made), time.UnixMilli(changed)
	var legs []TCCLeg
	err = t.rows(ctx, "legs", func(scan func(...any) error) error {
		l := TCCLeg{XID: xid}
		var amount, worth int64
		var direct, done int
		err := scan(&l.Leg, &l.Participant, &l.Account, &l.Currency, &amount, &worth, &l.Payee, &l.Context, &direct, &done)
		l.Amount, l.Worth, l.Direct, l.Done = money.Minor(amount), money.Minor(worth), direct == 1, done == 1
		legs = append(legs, l)
		return err
	}, `SELECT leg, participant, account, currency, amount, worth, payee, context, direct, done FROM tcc_leg WHERE xid = ? ORDER BY leg`, xid)
	return p, legs, err
}

// MoveTCC writes a payment's next state, unless it has left the state that it is moved from, and when it is due. Its legs' steps are to be done anew.
func (t *Tx) MoveTCC(ctx context.Context, xid, from, to, why string, at, next time.Time) (moved bool, err error) {
	r, err := t.exec(ctx, "move combined payment", `UPDATE tcc SET state = ?, why = ?, tries = 0, next_ms = ?, changed_ms = ? WHERE xid = ? AND state = ?`,
		to, why, next.UnixMilli(), at.UnixMilli(), xid, from)
	if err != nil {
		return false, err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	_, err = t.exec(ctx, "begin a step of all legs", `UPDATE tcc_leg SET done = 0 WHERE xid = ?`, xid)
	return true, err
}

// DoneTCCLeg writes that a leg's step of a state was done, unless the payment has left the state.
func (t *Tx) DoneTCCLeg(ctx context.Context, xid string, leg int, state string) error {
	_, err := t.exec(ctx, "leg is done", `UPDATE tcc_leg SET done = 1 WHERE xid = ? AND leg = ? AND EXISTS (SELECT 1 FROM tcc WHERE tcc.xid = tcc_leg.xid AND tcc.state = ?)`, xid, leg, state)
	return err
}

// LaterTCC writes when a payment is looked at again, unless it has left the state.
func (t *Tx) LaterTCC(ctx context.Context, xid, state string, next time.Time) (still bool, err error) {
	r, err := t.exec(ctx, "look at combined payment later", `UPDATE tcc SET tries = tries + 1, next_ms = ? WHERE xid = ? AND state = ?`, next.UnixMilli(), xid, state)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// DueTCC lists payments that are on their way and due, the longest due first.
func (t *Tx) DueTCC(ctx context.Context, at time.Time, limit int) ([]string, error) {
	var out []string
	err := t.rows(ctx, "due combined payments", func(scan func(...any) error) error {
		var xid string
		err := scan(&xid)
		out = append(out, xid)
		return err
	}, `SELECT xid FROM tcc WHERE state IN ('trying', 'confirming', 'cancelling') AND next_ms <= ? ORDER BY next_ms, xid LIMIT ?`, at.UnixMilli(), limit)
	return out, err
}

// TCCBranch is what a participant has done of a branch; one that it has not heard of has no state.
func (t *Tx) TCCBranch(ctx context.Context, xid string, branch int) (TCCBranch, error) {
	b := TCCBranch{XID: xid, Branch: branch}
	var began int64
	_, err := t.one(ctx, "branch", `SELECT digest, state, began_ms FROM tcc_branch WHERE xid = ? AND branch = ?`, []any{xid, branch}, &b.Digest, &b.State, &began)
	b.Began = time.UnixMilli(began)
	return b, err
}

// PutTCCBranch writes it.
func (t *Tx) PutTCCBranch(ctx context.Context, b TCCBranch) error {
	_, err := t.exec(ctx, "put branch", `INSERT INTO tcc_branch (xid, branch, digest, state, began_ms) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (xid, branch) DO UPDATE SET state = excluded.state`, b.XID, b.Branch, b.Digest, b.State, b.Began.UnixMilli())
	return err
}

// LateTCCBranches lists branches that have to be undone after their payment has ended.
func (t *Tx) LateTCCBranches(ctx context.Context, limit int) ([]TCCBranch, error) {
	var out []TCCBranch
	err := t.rows(ctx, "late branches", func(scan func(...any) error) error {
		var b TCCBranch
		err := scan(&b.XID, &b.Branch)
		out = append(out, b)
		return err
	}, `SELECT b.xid, b.branch FROM tcc_branch b JOIN tcc ON tcc.xid = b.xid WHERE b.state = 'undoing' AND tcc.state = 'cancelled' ORDER BY b.xid, b.branch LIMIT ?`, limit)
	return out, err
}

// AddTCCRefund writes a refund's part, and when it is due.
func (t *Tx) AddTCCRefund(ctx context.Context, r TCCRefund, next time.Time) error {
	_, err := t.exec(ctx, "add refund of a leg", `INSERT INTO tcc_refund (number, leg, xid, rule, worth, amount, state, at_ms, next_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.Number, r.Leg, r.XID, r.Rule, r.Worth.Minor(), r.Amount.Minor(), r.State, r.At.UnixMilli(), next.UnixMilli())
	return err
}

// EndTCCRefund writes how a part that was ordered has ended.
func (t *Tx) EndTCCRefund(ctx context.Context, number string, leg int, state string) error {
	_, err := t.exec(ctx, "end refund of a leg", `UPDATE tcc_refund SET state = ? WHERE number = ? AND leg = ? AND state = 'ordered'`, state, number, leg)
	return err
}

// TCCRefunds lists the parts of all refunds of a payment.
func (t *Tx) TCCRefunds(ctx context.Context, xid string) ([]TCCRefund, error) {
	return t.tccRefunds(ctx, `xid = ? ORDER BY at_ms, number, leg`, xid)
}

// TCCRefund lists the parts of one refund.
func (t *Tx) TCCRefund(ctx context.Context, number string) ([]TCCRefund, error) {
	return t.tccRefunds(ctx, `number = ? ORDER BY leg`, number)
}

// OpenTCCRefunds lists parts that are ordered, not done and due, the longest due first.
func (t *Tx) OpenTCCRefunds(ctx context.Context, at time.Time, limit int) ([]TCCRefund, error) {
	return t.tccRefunds(ctx, `state = 'ordered' AND next_ms <= ? ORDER BY next_ms, number, leg LIMIT ?`, at.UnixMilli(), limit)
}

// LaterTCCRefund writes when a part that is not done is looked at again.
func (t *Tx) LaterTCCRefund(ctx context.Context, number string, leg int, next time.Time) error {
	_, err := t.exec(ctx, "look at refund of a leg later", `UPDATE tcc_refund SET tries = tries + 1, next_ms = ? WHERE number = ? AND leg = ? AND state = 'ordered'`, next.UnixMilli(), number, leg)
	return err
}

func (t *Tx) tccRefunds(ctx context.Context, where string, args ...any) ([]TCCRefund, error) {
	var out []TCCRefund
	err := t.rows(ctx, "refunds of legs", func(scan func(...any) error) error {
		var r TCCRefund
		var worth, amount, at int64
		err := scan(&r.Number, &r.Leg, &r.XID, &r.Rule, &worth, &amount, &r.State, &at, &r.Tries)
		r.Worth, r.Amount, r.At = money.Minor(worth), money.Minor(amount), time.UnixMilli(at)
		out = append(out, r)
		return err
	}, `SELECT number, leg, xid, rule, worth, amount, state, at_ms, tries FROM tcc_refund WHERE `+where, args...)
	return out, err
}

// EntryDay is the day of an entry that stands in the books, "" for none.
func (t *Tx) EntryDay(ctx context.Context, id string) (string, error) {
	var day string
	_, err := t.one(ctx, "day of entry", `SELECT day FROM journal_entry WHERE id = ?`, []any{id}, &day)
	return day, err
}

// ErrPoints says that there are fewer points than are asked for.
var ErrPoints = errors.New("not enough points")

// Points is what a holder has of a currency that is no money, and how much of it is held.
func (t *Tx) Points(ctx context.Context, holder, currency string) (balance, held money.Amount, err error) {
	var b, h int64
	_, err = t.one(ctx, "points", `SELECT balance, held FROM points_account WHERE holder = ? AND currency = ?`, []any{holder, currency}, &b, &h)
	return money.Minor(b), money.Minor(h), err
}

func (t *Tx) putPoints(ctx context.Context, holder, currency string, balance, held money.Amount) error {
	_, err := t.exec(ctx, "put points", `INSERT INTO points_account (holder, currency, balance, held) VALUES (?, ?, ?, ?)
		ON CONFLICT (holder, currency) DO UPDATE SET balance = excluded.balance, held = excluded.held`, holder, currency, balance.Minor(), held.Minor())
	return err
}

// HoldPoints holds more of a holder's points, or less where amount is negative. Who asks remembers that it has. Error: [ErrPoints].
func (t *Tx) HoldPoints(ctx context.Context, holder, currency string, amount money.Amount) error {
	balance, held, err := t.Points(ctx, holder, currency)
	if err != nil {
		return err
	}
	if held, err = held.Add(amount); err != nil {
		return err
	}
	if held.Sign() < 0 || held.Cmp(balance) > 0 {
		return fmt.Errorf("hold %v %s of %s: %w", amount, currency, holder, ErrPoints)
	}
	return t.putPoints(ctx, holder, currency, balance, held)
}

// MovePoints gives points from one holder to another, "" for nobody: so they are issued, and taken back. An entry of the same id and content
// changes nothing. Errors: [ErrPoints] where less is free; [books.ErrConflict] for other content.
func (t *Tx) MovePoints(ctx context.Context, id, from, to, currency string, amount money.Amount, ref string, at time.Time) error {
	if amount.Sign() <= 0 || from == to {
		return errors.New("points: an amount and two holders are needed")
	}
	less, err := amount.Neg()
	if err != nil {
		return err
	}
	lines, same := 0, 0
	err = t.rows(ctx, "look for points entry", func(scan func(...any) error) error {
		var holder, in string
		var by int64
		err := scan(&holder, &in, &by)
		lines++
		if in == currency && (holder == from && by == less.Minor() || holder == to && by == amount.Minor()) {
			same++
		}
		return err
	}, `SELECT holder, currency, amount FROM points_entry WHERE id = ?`, id)
	if err != nil {
		return err
	}
	if sides := len(withoutEmpty(from, to)); lines > 0 && (lines != sides || same != sides) {
		return fmt.Errorf("points entry %s: %w", id, books.ErrConflict)
	}
	if lines > 0 {
		return nil
	}
	for _, side := range []struct {
		holder string
		by     money.Amount
	}{{from, less}, {to, amount}} {
		if side.holder == "" {
			continue
		}
		balance, held, err := t.Points(ctx, side.holder, currency)
		if err != nil {
			return err
		}
		if balance, err = balance.Add(side.by); err != nil {
			return err
		}
		if side.by.Sign() < 0 && balance.Cmp(held) < 0 {
			return fmt.Errorf("take %v %s of %s: %w", amount, currency, side.holder, ErrPoints)
		}
		if err := t.putPoints(ctx, side.holder, currency, balance, held); err != nil {
			return err
		}
		if _, err := t.exec(ctx, "write points entry", `INSERT INTO points_entry (id, holder, currency, amount, ref, at_ms) VALUES (?, ?, ?, ?, ?, ?)`,
			id, side.holder, currency, side.by.Minor(), ref, at.UnixMilli()); err != nil {
			return err
		}
	}
	return nil
}

func withoutEmpty(all ...string) (out []string) {
	for _, s := range all {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// VerifyPoints names the holders whose points are not what their entries say.
func (t *Tx) VerifyPoints(ctx context.Context) ([]string, error) {
	var out []string
	err := t.rows(ctx, "verify points", func(scan func(...any) error) error {
		var holder, currency string
		err := scan(&holder, &currency)
		out = append(out, holder+" "+currency)
		return err
	}, `SELECT a.holder, a.currency FROM points_account a WHERE a.held < 0 OR a.held > a.balance
		OR a.balance <> (SELECT CAST(COALESCE(SUM(e.amount), 0) AS BIGINT) FROM points_entry e WHERE e.holder = a.holder AND e.currency = a.currency) ORDER BY a.holder, a.currency`)
	return out, err
}
