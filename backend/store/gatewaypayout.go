package store

import (
	"context"
	"fmt"
	"time"
)

// GatewayDecision is what one person has decided about a pay-out, and another has not yet.
type GatewayDecision struct {
	Number string
	What   string
	By     string
	Reason string
	At     time.Time
}

// AddGatewayPayTo keeps whom a pay-out goes to, sealed.
func (t *Tx) AddGatewayPayTo(ctx context.Context, id string, sealed []byte) error {
	_, err := t.exec(ctx, "add pay-out account", `INSERT INTO gateway_pay_to (id, whom) VALUES (?, ?)`, id, sealed)
	return err
}

// GatewayPayTo finds whom a pay-out goes to, sealed, or [ErrNotFound].
func (t *Tx) GatewayPayTo(ctx context.Context, id string) (sealed []byte, err error) {
	found, err := t.one(ctx, "pay-out account", `SELECT whom FROM gateway_pay_to WHERE id = ?`, []any{id}, &sealed)
	if err == nil && !found {
		err = fmt.Errorf("pay-out account %s: %w", id, ErrNotFound)
	}
	return sealed, err
}

// PutGatewayDecision keeps what one person has decided about a pay-out that nothing is decided about.
func (t *Tx) PutGatewayDecision(ctx context.Context, d GatewayDecision) error {
	_, err := t.exec(ctx, "put decision", `INSERT INTO gateway_decision (number, what, by, reason, at_ms) VALUES (?, ?, ?, ?, ?)`, d.Number, d.What, d.By, d.Reason, d.At.UnixMilli())
	return err
}

// GatewayDecision finds what one person has decided about a pay-out, and reports whether there is such.
func (t *Tx) GatewayDecision(ctx context.Context, number string) (GatewayDecision, bool, error) {
	d := GatewayDecision{Number: number}
	var at int64
	found, err := t.one(ctx, "decision", `SELECT what, by, reason, at_ms FROM gateway_decision WHERE number = ?`, []any{number}, &d.What, &d.By, &d.Reason, &at)
	d.At = time.UnixMilli(at)
	return d, found, err
}

// DropGatewayDecision forgets what one person has decided about a pay-out.
func (t *Tx) DropGatewayDecision(ctx context.Context, number string) error {
	_, err := t.exec(ctx, "drop decision", `DELETE FROM gateway_decision WHERE number = ?`, number)
	return err
}

// GatewayPayouts lists pay-outs in a state, or all where it is empty, newest first, at most limit.
func (t *Tx) GatewayPayouts(ctx context.Context, state string, limit int) ([]GatewayOperation, error) {
	return t.gatewayOperations(ctx, `pay_to <> '' AND (? = '' OR state = ?) ORDER BY number DESC LIMIT ?`, state, state, limit)
}
