package store

import (
	"context"
	"fmt"
	"time"
)

// App is a merchant's system that calls the gateway.
type App struct {
	ID           string
	Name         string
	Registration string
	Contact      string
	State        string
	Terms        []byte // JSON
	Created      time.Time
	CreatedBy    string
}

// AppAsk is what one person has asked to be done to an app, and another has not agreed to yet.
type AppAsk struct {
	App    string
	Event  string
	Body   []byte
	By     string
	Reason string
	AtMS   int64
}

// AppKey verifies an app's requests until its end.
type AppKey struct {
	App     string
	ID      string
	Kind    string
	Sealed  []byte
	SinceMS int64
	UntilMS int64 // Unix milliseconds; 0: no end
}

// AppTrail is one thing that was done to an app.
type AppTrail struct {
	Number int64
	AtMS   int64
	By     string
	What   string
	Detail string
}

// AddApp adds an app, and reports whether there was none of its id.
func (t *Tx) AddApp(ctx context.Context, a App) (bool, error) {
	r, err := t.exec(ctx, "add app", `INSERT INTO app (id, name, registration, contact, state, terms, created_ms, created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		a.ID, a.Name, a.Registration, a.Contact, a.State, a.Terms, a.Created.UnixMilli(), a.CreatedBy)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n == 1, err
}

// SetApp writes an app's state and terms.
func (t *Tx) SetApp(ctx context.Context, id, state string, terms []byte) error {
	_, err := t.exec(ctx, "set app", `UPDATE app SET state = ?, terms = ? WHERE id = ?`, state, terms, id)
	return err
}

// App finds an app, or [ErrNotFound].
func (t *Tx) App(ctx context.Context, id string) (App, error) {
	all, err := t.apps(ctx, `id = ?`, id)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("app %q: %w", id, ErrNotFound)
	}
	if err != nil {
		return App{}, err
	}
	return all[0], nil
}

// Apps lists the apps in a state, or all where it is empty, by id.
func (t *Tx) Apps(ctx context.Context, state string) ([]App, error) {
	return t.apps(ctx, `? = '' OR state = ? ORDER BY id`, state, state)
}

// AppSteps is how many things were ever done to apps: it grows with each.
func (t *Tx) AppSteps(ctx context.Context) (n int64, err error) {
	_, err = t.one(ctx, "app steps", `SELECT COUNT(*) FROM app_trail`, nil, &n)
	return n, err
}

func (t *Tx) apps(ctx context.Context, where string, args ...any) ([]App, error) {
	var out []App
	err := t.rows(ctx, "apps", func(scan func(...any) error) error {
		var a App
		var created int64
		err := scan(&a.ID, &a.Name, &a.Registration, &a.Contact, &a.State, &a.Terms, &created, &a.CreatedBy)
		a.Created = time.UnixMilli(created)
		out = append(out, a)
		return err
	}, `SELECT id, name, registration, contact, state, terms, created_ms, created_by FROM app WHERE `+where, args...)
	return out, err
}

// PutAppAsk writes what somebody asks for.
func (t *Tx) PutAppAsk(ctx context.Context, a AppAsk) error {
	_, err := t.exec(ctx, "put app ask", `INSERT INTO app_ask (app, event, body, by, reason, at_ms) VALUES (?, ?, ?, ?, ?, ?)`, a.App, a.Event, a.Body, a.By, a.Reason, a.AtMS)
	return err
}

// AppAsk finds what is asked to be done to an app, and reports whether anything is.
func (t *Tx) AppAsk(ctx context.Context, app string) (AppAsk, bool, error) {
	a := AppAsk{App: app}
	found, err := t.one(ctx, "app ask", `SELECT event, body, by, reason, at_ms FROM app_ask WHERE app = ?`, []any{app}, &a.Event, &a.Body, &a.By, &a.Reason, &a.AtMS)
	return a, found, err
}

// DropAppAsk forgets what is asked to be done to an app.
func (t *Tx) DropAppAsk(ctx context.Context, app string) error {
	_, err := t.exec(ctx, "drop app ask", `DELETE FROM app_ask WHERE app = ?`, app)
	return err
}

// PutAppKey writes a key of an app, or its end.
func (t *Tx) PutAppKey(ctx context.Context, k AppKey) error {
	_, err := t.exec(ctx, "put app key", `INSERT INTO app_key (app, id, kind, key, since_ms, until_ms) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (app, id) DO UPDATE SET key = excluded.key, until_ms = excluded.until_ms`, k.App, k.ID, k.Kind, k.Sealed, k.SinceMS, k.UntilMS)
	return err
}

// AppKeys lists every key that an app has had, the newest first.
func (t *Tx) AppKeys(ctx context.Context, app string) ([]AppKey, error) {
	return t.appKeys(ctx, `app = ? ORDER BY since_ms DESC, id`, app)
}

// AppKey finds a key of an app, or [ErrNotFound].
func (t *Tx) AppKey(ctx context.Context, app, id string) (AppKey, error) {
	all, err := t.appKeys(ctx, `app = ? AND id = ?`, app, id)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("key %q of app %q: %w", id, app, ErrNotFound)
	}
	if err != nil {
		return AppKey{}, err
	}
	return all[0], nil
}

func (t *Tx) appKeys(ctx context.Context, where string, args ...any) ([]AppKey, error) {
	var out []AppKey
	err := t.rows(ctx, "app keys", func(scan func(...any) error) error {
		var k AppKey
		err := scan(&k.App, &k.ID, &k.Kind, &k.Sealed, &k.SinceMS, &k.UntilMS)
		out = append(out, k)
		return err
	}, `SELECT app, id, kind, key, since_ms, until_ms FROM app_key WHERE `+where, args...)
	return out, err
}

// UseAppNonce notes a nonce of an app, and reports whether it had not been used before. A nonce is used again when it was forgotten only.
func (t *Tx) UseAppNonce(ctx context.Context, app, nonce string, untilMS int64) (bool, error) {
	r, err := t.exec(ctx, "use app nonce", `INSERT INTO app_nonce (app, nonce, until_ms) VALUES (?, ?, ?) ON CONFLICT (app, nonce) DO NOTHING`, app, nonce, untilMS)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n == 1, err
}

// PruneAppNonces forgets nonces that ended before a moment, and says how many.
func (t *Tx) PruneAppNonces(ctx context.Context, beforeMS int64) (int64, error) {
	r, err := t.exec(ctx, "forget app nonces", `DELETE FROM app_nonce WHERE until_ms < ?`, beforeMS)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// NoteApp adds to an app's trail. Its number is the next one.
func (t *Tx) NoteApp(ctx context.Context, app string, e AppTrail) error {
	_, err := t.exec(ctx, "note app", `INSERT INTO app_trail (app, number, at_ms, by, what, detail) VALUES (?, (SELECT COALESCE(MAX(number), 0) + 1 FROM app_trail WHERE app = ?), ?, ?, ?, ?)`,
		app, app, e.AtMS, e.By, e.What, e.Detail)
	return err
}

// AppTrail lists what was done to an app, in order.
func (t *Tx) AppTrail(ctx context.Context, app string) ([]AppTrail, error) {
	var out []AppTrail
	err := t.rows(ctx, "app trail", func(scan func(...any) error) error {
		var e AppTrail
		err := scan(&e.Number, &e.AtMS, &e.By, &e.What, &e.Detail)
		out = append(out, e)
		return err
	}, `SELECT number, at_ms, by, what, detail FROM app_trail WHERE app = ? ORDER BY number`, app)
	return out, err
}
