package store

import (
	"context"
	"time"

	"github.com/purselane/purselane/internal/ids"
)

// GatewayAgreement is an agreement to debit. Its states and moves are package order's.
type GatewayAgreement struct {
	Number         string
	App            string
	IdempotencyKey string
	Digest         string
	Merchant       ids.MerchantID
	Payer          string
	Subject        string
	Attach         string
	Channel        string
	Context        string
	Currency       string
	State          string
	ChannelID      string // the channel's number of it
	Action         string // JSON, "" for none
	Code           string
	Message        string
	Terms          string // of what recurs, JSON; "" for none
	Progress       string // JSON
	Reload         string // by which a card is loaded when it holds little, JSON; "" for none
	LastOrder      string // of the last charge
	Lines          int    // of the timeline
	Tries          int    // since it came into its state
	Created        time.Time
	Changed        time.Time
	Signed         time.Time // zero: it is not
	Due            time.Time // when something is to be done about it; zero: never
}

func (a *GatewayAgreement) columns() []column {
	return []column{{"number", &a.Number}, {"app", &a.App}, {"idem", &a.IdempotencyKey}, {"digest", &a.Digest}, {"merchant", &a.Merchant}, {"payer", &a.Payer}, {"subject", &a.Subject},
		{"attach", &a.Attach}, {"channel", &a.Channel}, {"context", &a.Context}, {"currency", &a.Currency}, {"state", &a.State}, {"channel_id", &a.ChannelID}, {"action", &a.Action},
		{"code", &a.Code}, {"message", &a.Message}, {"terms", &a.Terms}, {"progress", &a.Progress}, {"reload", &a.Reload}, {"last_order", &a.LastOrder}, {"lines", &a.Lines}, {"tries", &a.Tries},
		{"created_ms", &a.Created}, {"changed_ms", &a.Changed}, {"signed_ms", &a.Signed}, {"due_ms", &a.Due}}
}

// AddGatewayAgreement writes a new agreement, and SetGatewayAgreement one that is known already.
func (t *Tx) AddGatewayAgreement(ctx context.Context, a GatewayAgreement) error {
	return t.addRow(ctx, "gateway_agreement", a.columns())
}
func (t *Tx) SetGatewayAgreement(ctx context.Context, a GatewayAgreement) error {
	return t.setRow(ctx, "gateway_agreement", a.columns())
}

func (t *Tx) gatewayAgreements(ctx context.Context, where string, args ...any) ([]GatewayAgreement, error) {
	var out []GatewayAgreement
	err := t.rows(ctx, "agreements", func(scan func(...any) error) error {
		var a GatewayAgreement
		err := scanColumns(scan, a.columns())
		out = append(out, a)
		return err
	}, `SELECT `+names((&GatewayAgreement{}).columns())+` FROM gateway_agreement WHERE `+where, args...)
	return out, err
}

// GatewayAgreement finds an agreement, or [ErrNotFound].
func (t *Tx) GatewayAgreement(ctx context.Context, number string) (GatewayAgreement, error) {
	all, err := t.gatewayAgreements(ctx, `number = ?`, number)
	return only("agreement", all, err)
}

// GatewayAgreementByKey finds an app's agreement by its idempotency key, or [ErrNotFound].
func (t *Tx) GatewayAgreementByKey(ctx context.Context, app, key string) (GatewayAgreement, error) {
	all, err := t.gatewayAgreements(ctx, `app = ? AND idem = ?`, app, key)
	return only("agreement", all, err)
}

// GatewayAgreements lists agreements, newest first, at most limit; of one app and in one state where these are not empty.
func (t *Tx) GatewayAgreements(ctx context.Context, app, state string, limit int) ([]GatewayAgreement, error) {
	return t.gatewayAgreements(ctx, `(? = '' OR app = ?) AND (? = '' OR state = ?) ORDER BY number DESC LIMIT ?`, app, app, state, state, limit)
}

// GatewayAgreementsDue lists agreements about which something is to be done, at most limit.
func (t *Tx) GatewayAgreementsDue(ctx context.Context, at time.Time, limit int) ([]GatewayAgreement, error) {
	return t.gatewayAgreements(ctx, `due_ms > 0 AND due_ms <= ? ORDER BY due_ms, number LIMIT ?`, at.UnixMilli(), limit)
}
