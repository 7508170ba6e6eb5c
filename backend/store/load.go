package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// LoadOrder is a load that an agent was paid for. Its states and moves are package topup's.
type LoadOrder struct {
	ID             string
	Agent          ids.AcquirerID
	IdempotencyKey string
	Amount         money.Amount
	State          string
	Card           *ids.CardNumber // nil while no card is bound
	Token          string          // of the card, read only
	Counter        uint16          // the card's online counter before the load
	Challenge      [6]byte         // of the newest session
	Bookings       int             // times the money left for a card
	Sessions       int
	Proof          string // how the credit is known, "" if it is not
	Created        time.Time
	Changed        time.Time
}

// LoadSession is one INITIALIZE FOR LOAD answer that was authorised.
type LoadSession struct {
	Order     string
	N         int // 1, 2, 3 …
	Booking   int
	Card      ids.CardNumber
	Counter   uint16       // online, before the load
	Balance   money.Amount // before the load
	Terminal  [6]byte
	Version   byte
	Algorithm byte
	Random    [4]byte
	MAC1      [4]byte
	DateTime  [7]byte // the host's, as MAC2 and TAC have it
	At        time.Time
}

// LoadFinding is something suspicious about an order.
type LoadFinding struct {
	Order   string
	Token   string // of the card that the order's money is with or was last on its way to, "" if none. Read only
	Counter uint16 // that card's online counter before the load. Read only
	Code    string
	Detail  string
	At      time.Time
}

// AddLoadOrder writes a new order.
func (t *Tx) AddLoadOrder(ctx context.Context, o LoadOrder) error {
	_, err := t.exec(ctx, "add load order", `INSERT INTO load_order (id, agent, idempotency_key, amount, state, created_ms, changed_ms) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		o.ID, string(o.Agent), o.IdempotencyKey, o.Amount.Minor(), o.State, o.Created.UnixMilli(), o.Changed.UnixMilli())
	return err
}

// Beginnings of the idempotency keys of load orders that nobody has paid an agent for: what an agent gives back of them is paid out of its till.
const (
	LoadOfCardLife = "card-life:"
	LoadOfCase     = "case:"
)

// LoadsPaidOut adds up what an agent has paid out from a moment on: loads of [LoadOfCardLife] and [LoadOfCase] that are in the state of one given back.
func (t *Tx) LoadsPaidOut(ctx context.Context, agent ids.AcquirerID, state string, from time.Time) (money.Amount, error) {
	var sum int64
	_, err := t.one(ctx, "loads paid out", `SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM load_order WHERE state = ? AND changed_ms >= ? AND agent = ?
		AND (idempotency_key >= ? AND idempotency_key < ? OR idempotency_key >= ? AND idempotency_key < ?)`,
		[]any{state, from.UnixMilli(), string(agent), LoadOfCardLife, after(LoadOfCardLife), LoadOfCase, after(LoadOfCase)}, &sum)
	return money.Minor(sum), err
}

// after is the first text that comes after all those that begin with a word and its colon.
func after(word string) string { return strings.TrimSuffix(word, ":") + ";" }

// SetLoadOrder writes what changes in an order's life: state, card, counter, challenge, tallies, proof, time.
func (t *Tx) SetLoadOrder(ctx context.Context, o LoadOrder) error {
	var card any
	if o.Card != nil {
		card = o.Card[:]
	}
	r, err := t.exec(ctx, "set load order", `UPDATE load_order SET state = ?, card = ?, counter = ?, challenge = ?, bookings = ?, sessions = ?, proof = ?,
		changed_ms = ? WHERE id = ?`,
		o.State, card, int(o.Counter), o.Challenge[:], o.Bookings, o.Sessions, o.Proof, o.Changed.UnixMilli(), o.ID)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("store: load order %s: %d rows changed: %w", o.ID, n, errors.Join(err, ErrNotFound))
	}
	return nil
}

const loadOrderColumns = `o.id, o.agent, o.idempotency_key, o.amount, o.state, o.card, COALESCE(k.token, ''), o.counter, o.challenge, o.bookings, o.sessions,
	o.proof, o.created_ms, o.changed_ms FROM load_order o LEFT JOIN card k ON k.number = o.card`

func scanLoadOrder(scan func(...any) error) (LoadOrder, error) {
	var o LoadOrder
	var card, challenge []byte
	var amount, created, changed int64
	if err := scan(&o.ID, &o.Agent, &o.IdempotencyKey, &amount, &o.State, &card, &o.Token, &o.Counter, &challenge, &o.Bookings, &o.Sessions,
		&o.Proof, &created, &changed); err != nil {
		return LoadOrder{}, err
	}
	o.Amount, o.Created, o.Changed = money.Minor(amount), time.UnixMilli(created), time.UnixMilli(changed)
	if len(card) > 0 {
		o.Card = new(ids.CardNumber)
		copy(o.Card[:], card)
	}
	copy(o.Challenge[:], challenge)
	return o, nil
}

func (t *Tx) loadOrders(ctx context.Context, rest string, args ...any) ([]LoadOrder, error) {
	var out []LoadOrder
	err := t.rows(ctx, "load orders", func(scan func(...any) error) error {
		o, err := scanLoadOrder(scan)
		out = append(out, o)
		return err
	}, `SELECT `+loadOrderColumns+` `+rest, args...)
	return out, err
}

func (t *Tx) loadOrder(ctx context.Context, rest string, args ...any) (LoadOrder, error) {
	all, err := t.loadOrders(ctx, rest, args...)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("load order: %w", ErrNotFound)
	}
	if err != nil {
		return LoadOrder{}, err
	}
	return all[0], nil
}

// LoadOrder finds an order, or ErrNotFound.
func (t *Tx) LoadOrder(ctx context.Context, id string) (LoadOrder, error) {
	return t.loadOrder(ctx, `WHERE o.id = ?`, id)
}

// LoadOrderByKey finds an agent's order by its idempotency key, or ErrNotFound.
func (t *Tx) LoadOrderByKey(ctx context.Context, agent ids.AcquirerID, key string) (LoadOrder, error) {
	return t.loadOrder(ctx, `WHERE o.agent = ? AND o.idempotency_key = ?`, string(agent), key)
}

// OpenLoadOrder finds the order whose money is on its way to the card, or ErrNotFound.
func (t *Tx) OpenLoadOrder(ctx context.Context, n ids.CardNumber) (LoadOrder, error) {
	return t.loadOrder(ctx, `WHERE o.card = ? AND o.state IN ('in_progress', 'uncertain')`, n[:])
}

// LoadOrders lists orders, newest first, at most limit; of one agent and in one state where these are not empty.
func (t *Tx) LoadOrders(ctx context.Context, agent ids.AcquirerID, state string, limit int) ([]LoadOrder, error) {
	return t.loadOrders(ctx, `WHERE (? = '' OR o.agent = ?) AND (? = '' OR o.state = ?) ORDER BY o.created_ms DESC, o.id LIMIT ?`,
		string(agent), string(agent), state, state, limit)
}

// LoadOrdersUnchangedSince lists the orders in a state that nothing happened to since at.
func (t *Tx) LoadOrdersUnchangedSince(ctx context.Context, state string, at time.Time) ([]LoadOrder, error) {
	return t.loadOrders(ctx, `WHERE o.state = ? AND o.changed_ms <= ? ORDER BY o.changed_ms, o.id`, state, at.UnixMilli())
}

// AddLoadSession writes an authorised INITIALIZE answer.
func (t *Tx) AddLoadSession(ctx context.Context, s LoadSession) error {
	_, err := t.exec(ctx, "add load session", `INSERT INTO load_session (order_id, n, booking, card, counter, balance, terminal, version, algorithm,
		random, mac1, date_time, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.Order, s.N, s.Booking, s.Card[:], int(s.Counter), s.Balance.Minor(), s.Terminal[:], int(s.Version), int(s.Algorithm),
		s.Random[:], s.MAC1[:], s.DateTime[:], s.At.UnixMilli())
	return err
}

// LoadSessions lists an order's sessions, oldest first.
func (t *Tx) LoadSessions(ctx context.Context, order string) ([]LoadSession, error) {
	var out []LoadSession
	err := t.rows(ctx, "load sessions", func(scan func(...any) error) error {
		s := LoadSession{Order: order}
		var card, terminal, random, mac1, dateTime []byte
		var balance, at int64
		if err := scan(&s.N, &s.Booking, &card, &s.Counter, &balance, &terminal, &s.Version, &s.Algorithm, &random, &mac1, &dateTime, &at); err != nil {
			return err
		}
		copy(s.Card[:], card)
		copy(s.Terminal[:], terminal)
		copy(s.Random[:], random)
		copy(s.MAC1[:], mac1)
		copy(s.DateTime[:], dateTime)
		s.Balance, s.At = money.Minor(balance), time.UnixMilli(at)
		out = append(out, s)
		return nil
	}, `SELECT n, booking, card, counter, balance, terminal, version, algorithm, random, mac1, date_time, at_ms FROM load_session WHERE order_id = ? ORDER BY n`, order)
	return out, err
}

// MoveLoad posts one step of an order's money, debit from credit.
func (t *Tx) MoveLoad(ctx context.Context, id, kind, day, order string, debit, credit books.Account, amount money.Amount) error {
	lines, err := books.Move(debit, credit, amount)
	if err != nil {
		return err
	}
	return t.Post(ctx, books.Entry{ID: id, Kind: kind, Day: day, Ref: order, Lines: lines})
}

// NoteLoad tells the card's shadow account of a load that is on its way or on the card, and audits the card again.
func (t *Tx) NoteLoad(ctx context.Context, n ids.CardNumber, l shadowaccount.Load, order string) error {
	if err := t.PutCardLoad(ctx, n, l, order); err != nil {
		return err
	}
	return t.auditCard(ctx, n)
}

// ForgetLoad takes back what NoteLoad told of a load that did not reach the card.
func (t *Tx) ForgetLoad(ctx context.Context, n ids.CardNumber, counter uint16) error {
	if err := t.DropCardLoad(ctx, n, counter); err != nil {
		return err
	}
	return t.auditCard(ctx, n)
}

// AddWitness notes what a card showed online.
func (t *Tx) AddWitness(ctx context.Context, n ids.CardNumber, at time.Time, counter uint16, balance money.Amount, agent ids.AcquirerID) error {
	_, err := t.exec(ctx, "add witness", `INSERT INTO load_witness (card, at_ms, counter, balance, agent) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		n[:], at.UnixMilli(), int(counter), balance.Minor(), string(agent))
	return err
}

// Witness is what a card showed online, its MAC1 verified.
type Witness struct {
	At      time.Time
	Counter uint16 // online
	Balance money.Amount
	Agent   ids.AcquirerID
}

// Witnesses lists what a card showed online, newest first.
func (t *Tx) Witnesses(ctx context.Context, n ids.CardNumber, limit int) ([]Witness, error) {
	var out []Witness
	err := t.rows(ctx, "witnesses", func(scan func(...any) error) error {
		var w Witness
		var at, balance int64
		if err := scan(&at, &w.Counter, &balance, &w.Agent); err != nil {
			return err
		}
		w.At, w.Balance = time.UnixMilli(at), money.Minor(balance)
		out = append(out, w)
		return nil
	}, `SELECT at_ms, counter, balance, agent FROM load_witness WHERE card = ? ORDER BY at_ms DESC, counter DESC LIMIT ?`, n[:], limit)
	return out, err
}

// AddLoadFinding notes something suspicious about an order; the same again changes nothing.
func (t *Tx) AddLoadFinding(ctx context.Context, f LoadFinding) error {
	_, err := t.exec(ctx, "add load finding", `INSERT INTO load_finding (order_id, code, detail, at_ms) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		f.Order, f.Code, f.Detail, f.At.UnixMilli())
	return err
}

// LoadFindings lists what is suspicious about orders, newest first, of one card or, with an empty token, of all.
func (t *Tx) LoadFindings(ctx context.Context, token string, limit int) ([]LoadFinding, error) {
	var out []LoadFinding
	err := t.rows(ctx, "load findings", func(scan func(...any) error) error {
		var f LoadFinding
		var at int64
		if err := scan(&f.Order, &f.Token, &f.Counter, &f.Code, &f.Detail, &at); err != nil {
			return err
		}
		f.At = time.UnixMilli(at)
		out = append(out, f)
		return nil
	}, `SELECT f.order_id, COALESCE(k.token, ''), COALESCE(v.counter, 0), f.code, f.detail, f.at_ms FROM load_finding f
		LEFT JOIN load_session v ON v.order_id = f.order_id AND v.n = (SELECT MAX(n) FROM load_session WHERE order_id = f.order_id)
		LEFT JOIN card k ON k.number = v.card WHERE ? = '' OR k.token = ? ORDER BY f.at_ms DESC, f.order_id, f.code LIMIT ?`, token, token, limit)
	return out, err
}

// HasAcquirer reports whether an acquirer is registered.
func (t *Tx) HasAcquirer(ctx context.Context, id ids.AcquirerID) (bool, error) {
	var n int
	return t.one(ctx, "acquirer", `SELECT 1 FROM acquirer WHERE id = ?`, []any{string(id)}, &n)
}
