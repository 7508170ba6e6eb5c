package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// Case is a claim that officers decide. Its states and moves are package cases'.
type Case struct {
	ID         string
	Claim      TapKey
	Kind       string
	State      string
	Opened     time.Time
	Due        time.Time
	Proposal   string // "" for none
	ProposedBy string
	Repay      Repayment // zero but in a case that proposes or decided one; read only, PutRepayment writes it

	// As they are now; read only.
	Token    string
	Merchant ids.MerchantID
	Amount   money.Amount
	Status   shadowaccount.Status
}

// CaseEvent is a row of a case's trail.
type CaseEvent struct {
	At     time.Time
	Event  string
	By     string
	Detail string
}

// AddCase writes a new case.
func (t *Tx) AddCase(ctx context.Context, c Case) error {
	_, err := t.exec(ctx, "add case", `INSERT INTO claim_case (id, card, counter, terminal, epoch, tap, kind, state, opened_ms, due_ms, proposal, proposed_by)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, c.ID, c.Claim.Card, int64(c.Claim.Counter), string(c.Claim.Terminal), int64(c.Claim.Epoch), int64(c.Claim.Tap), c.Kind, c.State,
		c.Opened.UnixMilli(), c.Due.UnixMilli(), c.Proposal, c.ProposedBy)
	return err
}

// SetCase writes what changes in a case's life: state and proposal.
func (t *Tx) SetCase(ctx context.Context, c Case) error {
	r, err := t.exec(ctx, "set case", `UPDATE claim_case SET state = ?, proposal = ?, proposed_by = ? WHERE id = ?`, c.State, c.Proposal, c.ProposedBy, c.ID)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("store: case %s: %d rows changed: %w", c.ID, n, errors.Join(err, ErrNotFound))
	}
	return nil
}

// AddCaseEvent adds to a case's trail.
func (t *Tx) AddCaseEvent(ctx context.Context, id string, e CaseEvent) error {
	var last int64
	if _, err := t.one(ctx, "last event of case", `SELECT COALESCE(MAX(number), 0) FROM claim_case_event WHERE case_id = ?`, []any{id}, &last); err != nil {
		return err
	}
	_, err := t.exec(ctx, "add event of case", `INSERT INTO claim_case_event (case_id, number, at_ms, event, by_whom, detail) VALUES (?, ?, ?, ?, ?, ?)`,
		id, last+1, e.At.UnixMilli(), e.Event, e.By, e.Detail)
	return err
}

// CaseEvents lists a case's trail, oldest first.
func (t *Tx) CaseEvents(ctx context.Context, id string) ([]CaseEvent, error) {
	var out []CaseEvent
	err := t.rows(ctx, "events of case", func(scan func(...any) error) error {
		var e CaseEvent
		var at int64
		err := scan(&at, &e.Event, &e.By, &e.Detail)
		e.At = time.UnixMilli(at)
		out = append(out, e)
		return err
	}, `SELECT at_ms, event, by_whom, detail FROM claim_case_event WHERE case_id = ? ORDER BY number`, id)
	return out, err
}

func (t *Tx) cases(ctx context.Context, rest string, args ...any) ([]Case, error) {
	var out []Case
	err := t.rows(ctx, "cases", func(scan func(...any) error) error {
		var c Case
		var epoch, opened, due, amount int64
		var repay int64
		err := scan(&c.ID, &c.Claim.Card, &c.Claim.Counter, &c.Claim.Terminal, &epoch, &c.Claim.Tap, &c.Kind, &c.State, &opened, &due, &c.Proposal, &c.ProposedBy,
			&c.Repay.Agent, &repay, &c.Repay.LoadOrder, &c.Token, &c.Merchant, &amount, &c.Status)
		c.Claim.Epoch, c.Opened, c.Due, c.Amount, c.Repay.Amount = uint64(epoch), time.UnixMilli(opened), time.UnixMilli(due), money.Minor(amount), money.Minor(repay)
		out = append(out, c)
		return err
	}, `SELECT x.id, x.card, x.counter, x.terminal, x.epoch, x.tap, x.kind, x.state, x.opened_ms, x.due_ms, x.proposal, x.proposed_by,
			COALESCE(r.agent, ''), COALESCE(r.amount, 0), COALESCE(r.load_order, ''), k.token, c.merchant, c.amount, c.status
		FROM claim_case x JOIN card k ON k.number = x.card LEFT JOIN case_repay r ON r.case_id = x.id
		JOIN claim c ON c.card = x.card AND c.counter = x.counter AND c.terminal = x.terminal AND c.epoch = x.epoch AND c.tap = x.tap `+rest, args...)
	return out, err
}

// Case finds a case, or ErrNotFound.
func (t *Tx) Case(ctx context.Context, id string) (Case, error) {
	all, err := t.cases(ctx, `WHERE x.id = ?`, id)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("case %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Case{}, err
	}
	return all[0], nil
}

// Cases lists cases, those that are due first at the top, at most limit; in one state where that is not empty.
func (t *Tx) Cases(ctx context.Context, state string, limit int) ([]Case, error) {
	return t.cases(ctx, `WHERE (? = '' OR x.state = ?) ORDER BY x.due_ms, x.id LIMIT ?`, state, state, limit)
}

// RunningCases lists cases that are not done, those that are due first at the top, at most limit, and counts them all.
func (t *Tx) RunningCases(ctx context.Context, limit int) ([]Case, int64, error) {
	var n int64
	if _, err := t.one(ctx, "running cases in all", `SELECT COUNT(*) FROM claim_case WHERE state IN ('open', 'proposed')`, nil, &n); err != nil {
		return nil, 0, err
	}
	all, err := t.cases(ctx, `WHERE x.state IN ('open', 'proposed') ORDER BY x.due_ms, x.id LIMIT ?`, limit)
	return all, n, err
}

// RunningCase finds the case of a claim that is not done, or ErrNotFound.
func (t *Tx) RunningCase(ctx context.Context, k TapKey) (Case, error) {
	all, err := t.cases(ctx, `WHERE x.card = ? AND x.counter = ? AND x.terminal = ? AND x.epoch = ? AND x.tap = ? AND x.state IN ('open', 'proposed')`,
		k.Card, int64(k.Counter), string(k.Terminal), int64(k.Epoch), int64(k.Tap))
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("running case: %w", ErrNotFound)
	}
	if err != nil {
		return Case{}, err
	}
	return all[0], nil
}

// CasesOfClaim counts the cases of a claim, also those that are done.
func (t *Tx) CasesOfClaim(ctx context.Context, k TapKey) (int, error) {
	var n int
	_, err := t.one(ctx, "cases of claim", `SELECT COUNT(*) FROM claim_case WHERE card = ? AND counter = ? AND terminal = ? AND epoch = ? AND tap = ?`,
		[]any{k.Card, int64(k.Counter), string(k.Terminal), int64(k.Epoch), int64(k.Tap)}, &n)
	return n, err
}

// isExpired says of the claim of a case x that the last closed day let it expire.
const isExpired = `EXISTS (SELECT 1 FROM settled s WHERE s.card = x.card AND s.counter = x.counter AND s.terminal = x.terminal AND s.epoch = x.epoch AND s.tap = x.tap AND s.expired = 1)`

// OvercomeCases lists running cases whose claims have decided themselves, at most limit: a claim that came too late has when it no longer stands so, and one
// that a holder wants back when it no longer stands.
func (t *Tx) OvercomeCases(ctx context.Context, limit int) ([]Case, error) {
	return t.cases(ctx, `WHERE x.state IN ('open', 'proposed') AND (x.kind NOT IN ('expired', 'goodwill') AND c.status IN (?, ?, ?) OR x.kind = 'expired' AND NOT `+isExpired+`
		OR x.kind = 'goodwill' AND c.status NOT IN (?, ?)) ORDER BY x.id LIMIT ?`,
		int(shadowaccount.Stands), int(shadowaccount.Inferred), int(shadowaccount.Void), int(shadowaccount.Stands), int(shadowaccount.Inferred), limit)
}

// ExpiredClaims lists claims that closed days let expire and of which officers have not decided, and that never had a case which ended otherwise than by the
// claim itself; at most limit.
func (t *Tx) ExpiredClaims(ctx context.Context, limit int) ([]TapKey, error) {
	return t.expiredClaims(ctx, `s.expired = 1 AND s.late = 1 AND NOT EXISTS (SELECT 1 FROM claim_case x
			WHERE x.card = s.card AND x.counter = s.counter AND x.terminal = s.terminal AND x.epoch = s.epoch AND x.tap = s.tap AND x.kind = 'expired' AND x.state <> 'moot')
		ORDER BY s.card, s.counter, s.terminal, s.epoch, s.tap LIMIT ?`, limit)
}

func (t *Tx) expiredClaims(ctx context.Context, where string, args ...any) ([]TapKey, error) {
	var out []TapKey
	err := t.rows(ctx, "expired claims", func(scan func(...any) error) error {
		var k TapKey
		var epoch int64
		err := scan(&k.Card, &k.Counter, &k.Terminal, &epoch, &k.Tap)
		k.Epoch = uint64(epoch)
		out = append(out, k)
		return err
	}, `SELECT s.card, s.counter, s.terminal, s.epoch, s.tap FROM settled s WHERE `+where, args...)
	return out, err
}

const ofClaim = `s.card = ? AND s.counter = ? AND s.terminal = ? AND s.epoch = ? AND s.tap = ? AND s.expired = 1`

func (k TapKey) args() []any {
	return []any{k.Card, int64(k.Counter), string(k.Terminal), int64(k.Epoch), int64(k.Tap)}
}

// Expired reports whether the last closed day let a claim expire.
func (t *Tx) Expired(ctx context.Context, k TapKey) (bool, error) {
	all, err := t.expiredClaims(ctx, ofClaim, k.args()...)
	return len(all) > 0, err
}

// DecideLate notes what officers decided of a claim that the last closed day let expire; the next day that closes does it. Error: [ErrNotFound] if it did not.
func (t *Tx) DecideLate(ctx context.Context, k TapKey, l Late) error {
	r, err := t.exec(ctx, "decide late", `UPDATE settled SET late = ? WHERE card = ? AND counter = ? AND terminal = ? AND epoch = ? AND tap = ? AND expired = 1`,
		append([]any{int(l)}, k.args()...)...)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("store: expired claim of tap %v: %d rows changed: %w", ids.TapID{Terminal: k.Terminal, Epoch: k.Epoch, Tap: k.Tap}, n, errors.Join(err, ErrNotFound))
	}
	return nil
}

// UndecidedClaim is a claim that nothing has decided.
type UndecidedClaim struct {
	TapKey
	Status shadowaccount.Status
}

// AgedClaims lists the claims that came at a moment or before, that nothing has decided and that never had a case which ended otherwise than by the claim itself;
// the oldest first, at most limit.
func (t *Tx) AgedClaims(ctx context.Context, received time.Time, limit int) ([]UndecidedClaim, error) {
	return t.undecided(ctx, `c.status IN (3, 4, 5) AND c.received_ms <= ? AND NOT EXISTS (SELECT 1 FROM claim_case x
			WHERE x.card = c.card AND x.counter = c.counter AND x.terminal = c.terminal AND x.epoch = c.epoch AND x.tap = c.tap AND x.state <> 'moot' AND x.kind <> 'goodwill')
		ORDER BY c.received_ms, c.card, c.counter, c.terminal, c.epoch, c.tap LIMIT ?`, received.UnixMilli(), limit)
}

// ClaimsOfTap lists a tap's claims, whatever they are worth: one, but for a terminal that told of two counters. It walks all claims.
func (t *Tx) ClaimsOfTap(ctx context.Context, tap ids.TapID) ([]UndecidedClaim, error) {
	return t.undecided(ctx, `c.terminal = ? AND c.epoch = ? AND c.tap = ? ORDER BY c.card, c.counter`, string(tap.Terminal), int64(tap.Epoch), int64(tap.Tap))
}

func (t *Tx) undecided(ctx context.Context, where string, args ...any) ([]UndecidedClaim, error) {
	var out []UndecidedClaim
	err := t.rows(ctx, "undecided claims", func(scan func(...any) error) error {
		var c UndecidedClaim
		var epoch int64
		err := scan(&c.Card, &c.Counter, &c.Terminal, &epoch, &c.Tap, &c.Status)
		c.Epoch = uint64(epoch)
		out = append(out, c)
		return err
	}, `SELECT c.card, c.counter, c.terminal, c.epoch, c.tap, c.status FROM claim c WHERE `+where, args...)
	return out, err
}
