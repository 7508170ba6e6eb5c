package store

import (
	"context"
	"strings"
	"time"
)

// GatewayBinding is a bound card. Its states and moves are package order's.
type GatewayBinding struct {
	Number         string
	App            string
	Holder         string
	IdempotencyKey string
	Digest         string
	Channel        string
	Context        string
	Way            string // typed | page
	State          string
	Card           string // the vault's keyed name for the number; "" : not known
	Last           string // four digits
	Bank           string
	Kind           string // debit, credit, prepaid
	Token          string // the channel's, sealed, in base64
	Unproven       bool   // nobody proved whose card it is
	Attach         string
	Action         string // JSON, "" for none
	Code           string
	Message        string
	PayOrder       string // an order to pay once it is bound
	Attempt        int    // of opening at the channel: part of the number there
	Codes          int    // asked for
	Lines          int    // of the timeline
	Tries          int    // since it came into its state
	Created        time.Time
	Changed        time.Time
	Called         time.Time // when the channel was last asked to bind; zero: never
	Bound          time.Time // zero: it is not
	Due            time.Time // when something is to be done about it; zero: never
}

func (b *GatewayBinding) columns() []column {
	return []column{{"number", &b.Number}, {"app", &b.App}, {"holder", &b.Holder}, {"idem", &b.IdempotencyKey}, {"digest", &b.Digest}, {"channel", &b.Channel}, {"context", &b.Context},
		{"way", &b.Way}, {"state", &b.State}, {"card", &b.Card}, {"last", &b.Last}, {"bank", &b.Bank}, {"kind", &b.Kind}, {"token", &b.Token}, {"unproven", &b.Unproven}, {"attach", &b.Attach},
		{"action", &b.Action}, {"code", &b.Code}, {"message", &b.Message}, {"pay_order", &b.PayOrder}, {"attempt", &b.Attempt}, {"codes", &b.Codes}, {"lines", &b.Lines}, {"tries", &b.Tries},
		{"created_ms", &b.Created}, {"changed_ms", &b.Changed}, {"called_ms", &b.Called}, {"bound_ms", &b.Bound}, {"due_ms", &b.Due}}
}

// AddGatewayBinding writes a new binding, and SetGatewayBinding one that is known already.
func (t *Tx) AddGatewayBinding(ctx context.Context, b GatewayBinding) error {
	return t.addRow(ctx, "gateway_binding", b.columns())
}
func (t *Tx) SetGatewayBinding(ctx context.Context, b GatewayBinding) error {
	return t.setRow(ctx, "gateway_binding", b.columns())
}

func (t *Tx) gatewayBindings(ctx context.Context, where string, args ...any) ([]GatewayBinding, error) {
	var out []GatewayBinding
	err := t.rows(ctx, "bindings", func(scan func(...any) error) error {
		var b GatewayBinding
		err := scanColumns(scan, b.columns())
		out = append(out, b)
		return err
	}, `SELECT `+names((&GatewayBinding{}).columns())+` FROM gateway_binding WHERE `+where, args...)
	return out, err
}

// GatewayBinding finds a binding, or [ErrNotFound].
func (t *Tx) GatewayBinding(ctx context.Context, number string) (GatewayBinding, error) {
	all, err := t.gatewayBindings(ctx, `number = ?`, number)
	return only("binding", all, err)
}

// GatewayBindingByKey finds an app's binding by its idempotency key, or [ErrNotFound].
func (t *Tx) GatewayBindingByKey(ctx context.Context, app, key string) (GatewayBinding, error) {
	all, err := t.gatewayBindings(ctx, `app = ? AND idem = ?`, app, key)
	return only("binding", all, err)
}

// GatewayBindings lists bindings, newest first, at most limit; of one app, one holder and in one state where these are not empty.
func (t *Tx) GatewayBindings(ctx context.Context, app, holder, state string, limit int) ([]GatewayBinding, error) {
	return t.gatewayBindings(ctx, `(? = '' OR app = ?) AND (? = '' OR holder = ?) AND (? = '' OR state = ?) ORDER BY number DESC LIMIT ?`, app, app, holder, holder, state, state, limit)
}

// GatewayBindingsIn lists a holder's bindings that are in one of these states: at least one.
func (t *Tx) GatewayBindingsIn(ctx context.Context, app, holder string, states ...string) ([]GatewayBinding, error) {
	args := []any{app, holder}
	for _, s := range states {
		args = append(args, s)
	}
	return t.gatewayBindings(ctx, `app = ? AND holder = ? AND state IN (?`+strings.Repeat(", ?", len(states)-1)+`) ORDER BY number`, args...)
}

// GatewayBindingsDue lists bindings about which something is to be done, at most limit.
func (t *Tx) GatewayBindingsDue(ctx context.Context, at time.Time, limit int) ([]GatewayBinding, error) {
	return t.gatewayBindings(ctx, `due_ms > 0 AND due_ms <= ? ORDER BY due_ms, number LIMIT ?`, at.UnixMilli(), limit)
}
