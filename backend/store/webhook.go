package store

import (
	"context"
	"fmt"
	"time"
)

// WebhookEndpoint is where a caller wants to be told of events.
type WebhookEndpoint struct {
	ID        string
	App       string
	URL       string
	Events    string // patterns, separated by blanks
	Active    bool
	Created   time.Time
	CreatedBy string
}

// WebhookSecret signs messages to an endpoint until its end.
type WebhookSecret struct {
	Number  int64
	Sealed  []byte
	UntilMS int64 // Unix milliseconds; 0: no end
}

// WebhookDelivery is a message to an endpoint, and what became of it.
type WebhookDelivery struct {
	Endpoint string
	ID       string
	App      string
	Event    string
	Body     []byte
	AtMS     int64
	State    string
	Attempts int   // since it was last asked for
	DueMS    int64 // of the next attempt
	Status   int   // of the last attempt's answer, 0 for none
	Error    string
	DoneMS   int64
}

// PutWebhookEndpoint writes an endpoint.
func (t *Tx) PutWebhookEndpoint(ctx context.Context, e WebhookEndpoint) error {
	_, err := t.exec(ctx, "put webhook endpoint", `INSERT INTO webhook_endpoint (id, app, url, events, active, created_ms, created_by) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET url = excluded.url, events = excluded.events, active = excluded.active`,
		e.ID, e.App, e.URL, e.Events, e.Active, e.Created.UnixMilli(), e.CreatedBy)
	return err
}

// WebhookEndpoints lists the endpoints of an app, or of all where it is empty, by id.
func (t *Tx) WebhookEndpoints(ctx context.Context, app string) ([]WebhookEndpoint, error) {
	return t.webhookEndpoints(ctx, `? = '' OR app = ? ORDER BY id`, app, app)
}

// WebhookEndpoint finds an endpoint, or [ErrNotFound].
func (t *Tx) WebhookEndpoint(ctx context.Context, id string) (WebhookEndpoint, error) {
	all, err := t.webhookEndpoints(ctx, `id = ?`, id)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("webhook endpoint %q: %w", id, ErrNotFound)
	}
	if err != nil {
		return WebhookEndpoint{}, err
	}
	return all[0], nil
}

func (t *Tx) webhookEndpoints(ctx context.Context, where string, args ...any) ([]WebhookEndpoint, error) {
	var out []WebhookEndpoint
	err := t.rows(ctx, "webhook endpoints", func(scan func(...any) error) error {
		var e WebhookEndpoint
		var created int64
		err := scan(&e.ID, &e.App, &e.URL, &e.Events, &e.Active, &created, &e.CreatedBy)
		e.Created = time.UnixMilli(created)
		out = append(out, e)
		return err
	}, `SELECT id, app, url, events, active, created_ms, created_by FROM webhook_endpoint WHERE `+where, args...)
	return out, err
}

// PutWebhookSecret writes a secret of an endpoint, or its end.
func (t *Tx) PutWebhookSecret(ctx context.Context, endpoint string, s WebhookSecret) error {
	_, err := t.exec(ctx, "put webhook secret", `INSERT INTO webhook_secret (endpoint, number, secret, until_ms) VALUES (?, ?, ?, ?)
		ON CONFLICT (endpoint, number) DO UPDATE SET secret = excluded.secret, until_ms = excluded.until_ms`, endpoint, s.Number, s.Sealed, s.UntilMS)
	return err
}

// WebhookSecrets lists every secret that an endpoint has had, the newest first.
func (t *Tx) WebhookSecrets(ctx context.Context, endpoint string) ([]WebhookSecret, error) {
	var out []WebhookSecret
	err := t.rows(ctx, "webhook secrets", func(scan func(...any) error) error {
		var s WebhookSecret
		err := scan(&s.Number, &s.Sealed, &s.UntilMS)
		out = append(out, s)
		return err
	}, `SELECT number, secret, until_ms FROM webhook_secret WHERE endpoint = ? ORDER BY number DESC`, endpoint)
	return out, err
}

// AddWebhookDelivery adds a message. The same one again, by endpoint and id, changes nothing.
func (t *Tx) AddWebhookDelivery(ctx context.Context, d WebhookDelivery) error {
	_, err := t.exec(ctx, "add webhook delivery", `INSERT INTO webhook_delivery (endpoint, id, app, event, body, at_ms, state, attempts, due_ms, lease_by, lease_ms, status, error, done_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, '', 0, 0, '', 0) ON CONFLICT (endpoint, id) DO NOTHING`, d.Endpoint, d.ID, d.App, d.Event, d.Body, d.AtMS, d.State, d.DueMS)
	return err
}

// DueWebhookEndpoints lists the active endpoints that have a message waiting which is due and nobody's.
func (t *Tx) DueWebhookEndpoints(ctx context.Context, nowMS int64) ([]string, error) {
	var out []string
	err := t.rows(ctx, "due webhook endpoints", func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		out = append(out, id)
		return err
	}, `SELECT e.id FROM webhook_endpoint e WHERE e.active = 1 AND EXISTS (SELECT 1 FROM webhook_delivery d
		WHERE d.endpoint = e.id AND d.state = 'waiting' AND d.due_ms <= ? AND d.lease_ms <= ?) ORDER BY e.id`, nowMS, nowMS)
	return out, err
}

// LeaseWebhookDeliveries takes messages to an endpoint that are due for one process until a moment, the longest due first, at most limit.
func (t *Tx) LeaseWebhookDeliveries(ctx context.Context, endpoint, by string, nowMS, untilMS int64, limit int) ([]WebhookDelivery, error) {
	out, err := t.webhookDeliveries(ctx, `endpoint = ? AND state = 'waiting' AND due_ms <= ? AND lease_ms <= ? ORDER BY due_ms, id LIMIT ?`, endpoint, nowMS, nowMS, limit)
	if err != nil {
		return nil, err
	}
	for _, d := range out {
		if _, err := t.exec(ctx, "lease webhook delivery", `UPDATE webhook_delivery SET lease_by = ?, lease_ms = ? WHERE endpoint = ? AND id = ?`, by, untilMS, d.Endpoint, d.ID); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// NoteWebhookAttempt notes what came of an attempt by a process that still has the message, and reports whether it had.
func (t *Tx) NoteWebhookAttempt(ctx context.Context, d WebhookDelivery, by string) (bool, error) {
	r, err := t.exec(ctx, "note webhook attempt", `UPDATE webhook_delivery SET state = ?, attempts = ?, due_ms = ?, status = ?, error = ?, done_ms = ?, lease_by = '', lease_ms = 0
		WHERE endpoint = ? AND id = ? AND lease_by = ? AND state = 'waiting'`, d.State, d.Attempts, d.DueMS, d.Status, d.Error, d.DoneMS, d.Endpoint, d.ID, by)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n == 1, err
}

// SetWebhookDelivery writes the state of a message and when it is due, and takes it from whoever has it.
func (t *Tx) SetWebhookDelivery(ctx context.Context, d WebhookDelivery) error {
	_, err := t.exec(ctx, "set webhook delivery", `UPDATE webhook_delivery SET state = ?, attempts = ?, due_ms = ?, done_ms = ?, lease_by = '', lease_ms = 0 WHERE endpoint = ? AND id = ?`,
		d.State, d.Attempts, d.DueMS, d.DoneMS, d.Endpoint, d.ID)
	return err
}

// WebhookDelivery finds a message, or [ErrNotFound].
func (t *Tx) WebhookDelivery(ctx context.Context, endpoint, id string) (WebhookDelivery, error) {
	all, err := t.webhookDeliveries(ctx, `endpoint = ? AND id = ?`, endpoint, id)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("message %q to endpoint %q: %w", id, endpoint, ErrNotFound)
	}
	if err != nil {
		return WebhookDelivery{}, err
	}
	return all[0], nil
}

// WebhookDeliveries lists the messages to an app's endpoints, latest first, at most limit; of all apps and in any state where those are empty.
func (t *Tx) WebhookDeliveries(ctx context.Context, app, state string, limit int) ([]WebhookDelivery, error) {
	return t.webhookDeliveries(ctx, `(? = '' OR app = ?) AND (? = '' OR state = ?) ORDER BY at_ms DESC, endpoint, id LIMIT ?`, app, app, state, state, limit)
}

func (t *Tx) webhookDeliveries(ctx context.Context, where string, args ...any) ([]WebhookDelivery, error) {
	var out []WebhookDelivery
	err := t.rows(ctx, "webhook deliveries", func(scan func(...any) error) error {
		var d WebhookDelivery
		err := scan(&d.Endpoint, &d.ID, &d.App, &d.Event, &d.Body, &d.AtMS, &d.State, &d.Attempts, &d.DueMS, &d.Status, &d.Error, &d.DoneMS)
		out = append(out, d)
		return err
	}, `SELECT endpoint, id, app, event, body, at_ms, state, attempts, due_ms, status, error, done_ms FROM webhook_delivery WHERE `+where, args...)
	return out, err
}

// PruneWebhookDeliveries forgets messages that were delivered before a moment, and says how many. Dead ones are kept.
func (t *Tx) PruneWebhookDeliveries(ctx context.Context, beforeMS int64) (int64, error) {
	r, err := t.exec(ctx, "forget webhook deliveries", `DELETE FROM webhook_delivery WHERE state = 'delivered' AND done_ms < ?`, beforeMS)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}
