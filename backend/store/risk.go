package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// RiskRules is one version of the risk rules, as its file was.
type RiskRules struct {
	Version int
	Body    []byte // JSON
	At      time.Time
}

// RiskDecision is what risk decided of an attempt to pay, with what it was made of.
type RiskDecision struct {
	Payment string
	Proved  bool // the payer has proved more
	Order   string
	At      time.Time
	Version int // of the rules
	Outcome int // as package risk numbers them
	Rule    string
	Failed  string
	Facts   []byte // JSON
	Made    time.Time
	Amount  int64 // minor units

	Payer, Device, Card, Merchant []byte // keyed hashes, empty for not known
}

// RiskCode is a one-time code that was sent to a payer.
type RiskCode struct {
	Payment string
	Code    []byte    // keyed hash
	Sent    time.Time // zero: it could not be sent
	Count   int       // how many were sent for the payment
	Tries   int       // wrong ones since this one was
}

// ErrRiskRules says that a version of the risk rules was in use with other content, or that a newer one is.
var ErrRiskRules = errors.New("the risk rules do not follow those that were in use")

// UseRiskRules keeps a version that comes into use; one that is kept stays as it is. Error: [ErrRiskRules].
func (t *Tx) UseRiskRules(ctx context.Context, r RiskRules) error {
	newest, found, err := t.NewestRiskRules(ctx)
	switch {
	case err != nil:
		return err
	case found && newest.Version > r.Version:
		return fmt.Errorf("version %d: %w: version %d is: give the file a higher version", r.Version, ErrRiskRules, newest.Version)
	case found && newest.Version == r.Version && !bytes.Equal(newest.Body, r.Body):
		return fmt.Errorf("version %d: %w: what it says has changed: give the file a higher version", r.Version, ErrRiskRules)
	case found && newest.Version == r.Version:
		return nil
	}
	_, err = t.exec(ctx, "use risk rules", `INSERT INTO risk_rules (version, body, at_ms) VALUES (?, ?, ?)`, r.Version, r.Body, r.At.UnixMilli())
	return err
}

// NewestRiskRules are those in use; the second value is false where none ever were.
func (t *Tx) NewestRiskRules(ctx context.Context) (RiskRules, bool, error) {
	return t.riskRules(ctx, `SELECT version, body, at_ms FROM risk_rules ORDER BY version DESC LIMIT 1`)
}

// RiskRulesOf finds a version that was in use.
func (t *Tx) RiskRulesOf(ctx context.Context, version int) (RiskRules, bool, error) {
	return t.riskRules(ctx, `SELECT version, body, at_ms FROM risk_rules WHERE version = ?`, version)
}

func (t *Tx) riskRules(ctx context.Context, query string, args ...any) (RiskRules, bool, error) {
	var r RiskRules
	var at int64
	found, err := t.one(ctx, "risk rules", query, args, &r.Version, &r.Body, &at)
	r.At = time.UnixMilli(at)
	return r, found, err
}

// PutRiskDecision keeps a decision in place of that of the same attempt before, with or without a proof.
func (t *Tx) PutRiskDecision(ctx context.Context, d RiskDecision) error {
	_, err := t.exec(ctx, "put risk decision", `INSERT INTO risk_decision (payment, proved, order_id, at_ms, version, outcome, rule, failed, facts, made_ms, amount, payer, device, card, merchant)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (payment, proved) DO UPDATE SET at_ms = excluded.at_ms, version = excluded.version, outcome = excluded.outcome, rule = excluded.rule, failed = excluded.failed,
			facts = excluded.facts, payer = excluded.payer, device = excluded.device, card = excluded.card, merchant = excluded.merchant`,
		d.Payment, bit(d.Proved), d.Order, d.At.UnixMilli(), d.Version, d.Outcome, d.Rule, d.Failed, notNil(d.Facts), d.Made.UnixMilli(), d.Amount, notNil(d.Payer), notNil(d.Device), notNil(d.Card),
		notNil(d.Merchant))
	return err
}

// notNil is b as a blob that is not NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// RiskDecisionsOf lists what was decided of an order's attempts, in order.
func (t *Tx) RiskDecisionsOf(ctx context.Context, order string) ([]RiskDecision, error) {
	return t.riskDecisions(ctx, `WHERE order_id = ? ORDER BY at_ms, payment, proved`, order)
}

// RiskDecisions lists at most limit decisions of a span, its end not included, in order; after, if it is not zero, is the last that is known already.
func (t *Tx) RiskDecisions(ctx context.Context, from, until time.Time, after RiskDecision, limit int) ([]RiskDecision, error) {
	if after.Payment == "" {
		after.At = from
	}
	at := after.At.UnixMilli()
	return t.riskDecisions(ctx, `WHERE at_ms >= ? AND at_ms < ? AND (at_ms > ? OR payment > ? OR payment = ? AND proved > ?) ORDER BY at_ms, payment, proved LIMIT ?`,
		at, until.UnixMilli(), at, after.Payment, after.Payment, bit(after.Proved), limit)
}

func (t *Tx) riskDecisions(ctx context.Context, where string, args ...any) ([]RiskDecision, error) {
	var out []RiskDecision
	err := t.rows(ctx, "risk decisions", func(scan func(...any) error) error {
		var d RiskDecision
		var at, made int64
		err := scan(&d.Payment, &d.Proved, &d.Order, &at, &d.Version, &d.Outcome, &d.Rule, &d.Failed, &d.Facts, &made, &d.Amount, &d.Payer, &d.Device, &d.Card, &d.Merchant)
		d.At, d.Made = time.UnixMilli(at), time.UnixMilli(made)
		for _, id := range []*[]byte{&d.Payer, &d.Device, &d.Card, &d.Merchant} {
			if len(*id) == 0 {
				*id = nil // the engines differ
			}
		}
		out = append(out, d)
		return err
	}, `SELECT payment, proved, order_id, at_ms, version, outcome, rule, failed, facts, made_ms, amount, payer, device, card, merchant FROM risk_decision `+where, args...)
	return out, err
}

// LastUnassessed is when the last payment since a time was made that a channel was called for and risk was not asked about; zero: there is none.
func (t *Tx) LastUnassessed(ctx context.Context, since time.Time) (time.Time, error) {
	var ms int64
	_, err := t.one(ctx, "last unassessed payment", `SELECT COALESCE(MAX(p.created_ms), 0) FROM gateway_payment p WHERE p.created_ms >= ? AND p.sent_ms > 0
		AND NOT EXISTS (SELECT 1 FROM risk_decision d WHERE d.payment = p.number)`, []any{since.UnixMilli()}, &ms)
	return timeOf(ms), err
}

// RiskCode finds the code that was sent for a payment; its zero value: none was.
func (t *Tx) RiskCode(ctx context.Context, payment string) (RiskCode, error) {
	c := RiskCode{Payment: payment}
	var sent int64
	_, err := t.one(ctx, "risk code", `SELECT code, sent_ms, sent, tries FROM risk_code WHERE payment = ?`, []any{payment}, &c.Code, &sent, &c.Count, &c.Tries)
	c.Sent = timeOf(sent)
	return c, err
}

// PutRiskCode keeps it.
func (t *Tx) PutRiskCode(ctx context.Context, c RiskCode) error {
	_, err := t.exec(ctx, "put risk code", `INSERT INTO risk_code (payment, code, sent_ms, sent, tries) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (payment) DO UPDATE SET code = excluded.code, sent_ms = excluded.sent_ms, sent = excluded.sent, tries = excluded.tries`, c.Payment, notNil(c.Code), msOf(c.Sent), c.Count, c.Tries)
	return err
}
