package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// GatewayOrder is what a payer owes. Its states and moves are package order's.
type GatewayOrder struct {
	ID             string
	App            string
	IdempotencyKey string
	Digest         string // of what was ordered
	Context        string
	Merchant       ids.MerchantID
	Payee          ids.MerchantID // of a transfer; of a top-up the holder whose balance it fills; "" for none
	Amount         money.Amount
	Currency       string
	Subject        string
	Attach         string
	State          string
	Payment        string       // that pays it
	Reserved       money.Amount // at the channel
	Received       money.Amount
	Refunding      money.Amount // on its way back
	Refunded       money.Amount
	Fee            money.Amount // that the channel keeps
	Lines          int          // of the timeline
	Created        time.Time
	Changed        time.Time
	Expires        time.Time
	PaidAt         time.Time // zero while it is not
	Earned         time.Time // when what it earned became available; zero: it is not
	Due            time.Time // when time alone moves it; zero: never
}

// GatewayPayment is one attempt to pay an order.
type GatewayPayment struct {
	Number         string
	Order          string
	N              int // 1, 2, 3 … within the order
	IdempotencyKey string
	Digest         string
	Channel        string // our account at a channel
	Context        string
	Product        string
	Amount         money.Amount
	Currency       string
	Reserve        bool // reserves only
	State          string
	Surplus        bool // the order did not need its money
	ChannelID      string
	Action         string // JSON, "" for none
	Bank           string
	Code           string
	Class          int
	Message        string
	Fee            money.Amount
	Created        time.Time
	Changed        time.Time
	Sent           time.Time // zero: the channel was not called
	PaidAt         time.Time // by the channel's clock
	Expires        time.Time
	Asking
}

// GatewayOperation is done to a payment: a refund, a void, or a step of a reservation. The pay-out of a withdrawal has none.
type GatewayOperation struct {
	Number         string
	Order          string
	Payment        string // that it is done to
	Kind           string
	IdempotencyKey string
	Digest         string
	Channel        string
	Context        string
	Amount         money.Amount
	Currency       string
	Reason         string
	Source         books.Account // that the money is taken from, "" for none
	Fee            money.Amount
	State          string
	ChannelID      string
	Code           string
	Class          int
	Message        string
	Created        time.Time
	Changed        time.Time
	DoneAt         time.Time
	Sent           time.Time // of a pay-out: when the channel was called; zero: never
	PayTo          string    // of a pay-out: where it is kept whom it goes to
	Action         string    // of a pay-out: JSON, what its payee needs to take it; "" for nothing
	Asking
}

// Asking is when a channel is asked about a payment or an operation.
type Asking struct {
	Slice int       // of time in which it was made: which worker asks
	Tries int       // since it came into its state
	Ask   time.Time // zero: never
}

// GatewayLine is one line of an order's timeline.
type GatewayLine struct {
	Order   string
	N       int
	At      time.Time
	About   string // the order, a payment or an operation
	Event   string
	Was     string // state before, "" for a thing that is new
	Became  string
	Source  string // who said so
	Context string
	Detail  string
}

// GatewayFinding is something suspicious about an order.
type GatewayFinding struct {
	Order  string
	Code   string
	Detail string
	At     time.Time
}

// stamp and unstamp keep the zero time as 0.
func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func unstamp(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// column is one column of a table with where it is read to and what is written.
type column struct {
	name string
	at   any // a pointer
}

func names(all []column) string {
	var out []string
	for _, c := range all {
		out = append(out, c.name)
	}
	return strings.Join(out, ", ")
}

// value is what is written of a field: times in milliseconds, amounts in minor units, truth as 0 and 1.
func (c column) value() any {
	switch v := c.at.(type) {
	case *time.Time:
		return stamp(*v)
	case *money.Amount:
		return v.Minor()
	case *bool:
		return bit(*v)
	case *string:
		return *v
	case *int:
		return *v
	case *ids.MerchantID:
		return string(*v)
	case *books.Account:
		return string(*v)
	}
	panic(fmt.Sprintf("store: column %s of type %T", c.name, c.at))
}

// scanColumns reads a row into its fields.
func scanColumns(scan func(...any) error, all []column) error {
	raw := make([]any, len(all))
	for i, c := range all {
		switch c.at.(type) {
		case *time.Time, *money.Amount, *bool:
			raw[i] = new(int64)
		default:
			raw[i] = c.at
		}
	}
	if err := scan(raw...); err != nil {
		return err
	}
	for i, c := range all {
		switch v := c.at.(type) {
		case *time.Time:
			*v = unstamp(*raw[i].(*int64))
		case *money.Amount:
			*v = money.Minor(*raw[i].(*int64))
		case *bool:
			*v = *raw[i].(*int64) != 0
		}
	}
	return nil
}

// addRow writes a new row, and setRow a row that is there, by its first column. What a row is born with and keeps is left as it is: a column that is written moves
// its entries in indexes, also where it stays the same.
func (t *Tx) addRow(ctx context.Context, table string, all []column) error {
	args := make([]any, len(all))
	for i, c := range all {
		args[i] = c.value()
	}
	_, err := t.exec(ctx, "add "+table, `INSERT INTO `+table+` (`+names(all)+`) VALUES (?`+strings.Repeat(", ?", len(all)-1)+`)`, args...)
	return err
}

func (t *Tx) setRow(ctx context.Context, table string, all []column, keeps ...string) error {
	var set []string
	var args []any
	for _, c := range all[1:] {
		if slices.Contains(keeps, c.name) {
			continue
		}
		set = append(set, c.name+" = ?")
		args = append(args, c.value())
	}
	r, err := t.exec(ctx, "set "+table, `UPDATE `+table+` SET `+strings.Join(set, ", ")+` WHERE `+all[0].name+` = ?`, append(args, all[0].value())...)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("store: set %s %v: %d rows changed: %w", table, all[0].value(), n, errors.Join(err, ErrNotFound))
	}
	return nil
}

func (o *GatewayOrder) columns() []column {
	return []column{{"id", &o.ID}, {"app", &o.App}, {"idem", &o.IdempotencyKey}, {"digest", &o.Digest}, {"context", &o.Context}, {"merchant", &o.Merchant}, {"payee", &o.Payee},
		{"amount", &o.Amount}, {"currency", &o.Currency}, {"subject", &o.Subject}, {"attach", &o.Attach}, {"state", &o.State}, {"payment", &o.Payment},
		{"reserved", &o.Reserved}, {"received", &o.Received}, {"refunding", &o.Refunding}, {"refunded", &o.Refunded}, {"fee", &o.Fee}, {"lines", &o.Lines},
		{"created_ms", &o.Created}, {"changed_ms", &o.Changed}, {"expires_ms", &o.Expires}, {"paid_ms", &o.PaidAt}, {"earned_ms", &o.Earned}, {"due_ms", &o.Due}}
}

func (p *GatewayPayment) columns() []column {
	return []column{{"number", &p.Number}, {"order_id", &p.Order}, {"n", &p.N}, {"idem", &p.IdempotencyKey}, {"digest", &p.Digest}, {"channel", &p.Channel}, {"context", &p.Context},
		{"product", &p.Product}, {"amount", &p.Amount}, {"currency", &p.Currency}, {"reserve", &p.Reserve}, {"state", &p.State}, {"surplus", &p.Surplus},
		{"channel_id", &p.ChannelID}, {"action", &p.Action}, {"bank", &p.Bank}, {"code", &p.Code}, {"class", &p.Class}, {"message", &p.Message}, {"fee", &p.Fee},
		{"created_ms", &p.Created}, {"changed_ms", &p.Changed}, {"sent_ms", &p.Sent}, {"paid_ms", &p.PaidAt}, {"expires_ms", &p.Expires},
		{"slice", &p.Slice}, {"tries", &p.Tries}, {"ask_ms", &p.Ask}}
}

func (o *GatewayOperation) columns() []column {
	return []column{{"number", &o.Number}, {"order_id", &o.Order}, {"payment", &o.Payment}, {"kind", &o.Kind}, {"idem", &o.IdempotencyKey}, {"digest", &o.Digest}, {"channel", &o.Channel},
		{"context", &o.Context}, {"amount", &o.Amount}, {"currency", &o.Currency}, {"reason", &o.Reason},
		{"source", &o.Source}, {"fee", &o.Fee}, {"state", &o.State}, {"channel_id", &o.ChannelID}, {"code", &o.Code}, {"class", &o.Class}, {"message", &o.Message},
		{"created_ms", &o.Created}, {"changed_ms", &o.Changed}, {"done_ms", &o.DoneAt}, {"sent_ms", &o.Sent}, {"pay_to", &o.PayTo}, {"action", &o.Action}, {"slice", &o.Slice}, {"tries", &o.Tries}, {"ask_ms", &o.Ask}}
}

// AddGatewayOrder, AddGatewayPayment and AddGatewayOperation write what is new; the Set methods write what is known already, but for
// what names it, where it belongs and when it was made.
func (t *Tx) AddGatewayOrder(ctx context.Context, o GatewayOrder) error {
	return t.addRow(ctx, "gateway_order", o.columns())
}
func (t *Tx) SetGatewayOrder(ctx context.Context, o GatewayOrder) error {
	return t.setRow(ctx, "gateway_order", o.columns(), "app", "idem", "digest", "created_ms")
}
func (t *Tx) AddGatewayPayment(ctx context.Context, p GatewayPayment) error {
	return t.addRow(ctx, "gateway_payment", p.columns())
}
func (t *Tx) SetGatewayPayment(ctx context.Context, p GatewayPayment) error {
	return t.setRow(ctx, "gateway_payment", p.columns(), "order_id", "n", "idem", "digest", "channel", "created_ms", "slice")
}
func (t *Tx) AddGatewayOperation(ctx context.Context, o GatewayOperation) error {
	return t.addRow(ctx, "gateway_operation", o.columns())
}
func (t *Tx) SetGatewayOperation(ctx context.Context, o GatewayOperation) error {
	return t.setRow(ctx, "gateway_operation", o.columns(), "order_id", "payment", "kind", "idem", "digest", "channel", "created_ms", "slice")
}

func (t *Tx) gatewayOrders(ctx context.Context, where string, args ...any) ([]GatewayOrder, error) {
	var out []GatewayOrder
	err := t.rows(ctx, "gateway orders", func(scan func(...any) error) error {
		var o GatewayOrder
		err := scanColumns(scan, o.columns())
		out = append(out, o)
		return err
	}, `SELECT `+names((&GatewayOrder{}).columns())+` FROM gateway_order WHERE `+where, args...)
	return out, err
}

func (t *Tx) gatewayPayments(ctx context.Context, where string, args ...any) ([]GatewayPayment, error) {
	var out []GatewayPayment
	err := t.rows(ctx, "gateway payments", func(scan func(...any) error) error {
		var p GatewayPayment
		err := scanColumns(scan, p.columns())
		out = append(out, p)
		return err
	}, `SELECT `+names((&GatewayPayment{}).columns())+` FROM gateway_payment WHERE `+where, args...)
	return out, err
}

func (t *Tx) gatewayOperations(ctx context.Context, where string, args ...any) ([]GatewayOperation, error) {
	var out []GatewayOperation
	err := t.rows(ctx, "gateway operations", func(scan func(...any) error) error {
		var o GatewayOperation
		err := scanColumns(scan, o.columns())
		out = append(out, o)
		return err
	}, `SELECT `+names((&GatewayOperation{}).columns())+` FROM gateway_operation WHERE `+where, args...)
	return out, err
}

// only is the one row of a list, or ErrNotFound.
func only[T any](what string, all []T, err error) (T, error) {
	var none T
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	if err != nil {
		return none, err
	}
	return all[0], nil
}

// GatewayOrder finds an order, or ErrNotFound.
func (t *Tx) GatewayOrder(ctx context.Context, id string) (GatewayOrder, error) {
	all, err := t.gatewayOrders(ctx, `id = ?`, id)
	return only("gateway order", all, err)
}

// GatewayOrderByKey finds an app's order by its idempotency key, or ErrNotFound.
func (t *Tx) GatewayOrderByKey(ctx context.Context, app, key string) (GatewayOrder, error) {
	all, err := t.gatewayOrders(ctx, `app = ? AND idem = ?`, app, key)
	return only("gateway order", all, err)
}

// GatewayOrders lists orders, newest first, at most limit; of one app and in one state where these are not empty, and behind one order where that is
// not nil.
func (t *Tx) GatewayOrders(ctx context.Context, app, state string, after *GatewayOrder, limit int) ([]GatewayOrder, error) {
	where, args := []string{"TRUE"}, []any(nil)
	add := func(condition string, with ...any) { where, args = append(where, condition), append(args, with...) }
	if app != "" {
		add("app = ?", app)
	}
	if state != "" {
		add("state = ?", state)
	}
	if after != nil {
		ms := stamp(after.Created)
		add("(created_ms < ? OR created_ms = ? AND id < ?)", ms, ms, after.ID)
	}
	return t.gatewayOrders(ctx, strings.Join(where, " AND ")+` ORDER BY created_ms DESC, id DESC LIMIT ?`, append(args, limit)...)
}

// GatewayOrdersDue lists orders that time alone moves, at most limit.
func (t *Tx) GatewayOrdersDue(ctx context.Context, at time.Time, limit int) ([]GatewayOrder, error) {
	return t.gatewayOrders(ctx, `due_ms > 0 AND due_ms <= ? ORDER BY due_ms, id LIMIT ?`, at.UnixMilli(), limit)
}

// GatewayPayment finds a payment, or ErrNotFound.
func (t *Tx) GatewayPayment(ctx context.Context, number string) (GatewayPayment, error) {
	all, err := t.gatewayPayments(ctx, `number = ?`, number)
	return only("gateway payment", all, err)
}

// GatewayPayments lists the attempts to pay an order, in order.
func (t *Tx) GatewayPayments(ctx context.Context, order string) ([]GatewayPayment, error) {
	return t.gatewayPayments(ctx, `order_id = ? ORDER BY n`, order)
}

// GatewayOperation finds an operation, or ErrNotFound.
func (t *Tx) GatewayOperation(ctx context.Context, number string) (GatewayOperation, error) {
	all, err := t.gatewayOperations(ctx, `number = ?`, number)
	return only("gateway operation", all, err)
}

// GatewayOperations lists the operations on an order, in order.
func (t *Tx) GatewayOperations(ctx context.Context, order string) ([]GatewayOperation, error) {
	return t.gatewayOperations(ctx, `order_id = ? ORDER BY number`, order)
}

// GatewayToAsk lists payments and operations of a slice that channels are to be asked about, at most limit of each.
func (t *Tx) GatewayToAsk(ctx context.Context, slice int, at time.Time, limit int) ([]GatewayPayment, []GatewayOperation, error) {
	const due = `slice = ? AND ask_ms > 0 AND ask_ms <= ? ORDER BY ask_ms, number LIMIT ?`
	p, err := t.gatewayPayments(ctx, due, slice, at.UnixMilli(), limit)
	if err != nil {
		return nil, nil, err
	}
	o, err := t.gatewayOperations(ctx, due, slice, at.UnixMilli(), limit)
	return p, o, err
}

// GatewayNextAsk is when the next channel is to be asked about anything, or an order moved by time; zero: nothing waits.
func (t *Tx) GatewayNextAsk(ctx context.Context) (time.Time, error) {
	var ms int64
	_, err := t.one(ctx, "next ask", `SELECT COALESCE(MIN(ms), 0) FROM (SELECT MIN(ask_ms) AS ms FROM gateway_payment WHERE ask_ms > 0
		UNION ALL SELECT MIN(ask_ms) FROM gateway_operation WHERE ask_ms > 0 UNION ALL SELECT MIN(due_ms) FROM gateway_order WHERE due_ms > 0
		UNION ALL SELECT MIN(due_ms) FROM gateway_agreement WHERE due_ms > 0 UNION ALL SELECT MIN(due_ms) FROM gateway_binding WHERE due_ms > 0) AS waiting`, nil, &ms)
	return unstamp(ms), err
}

// HearGateway notes a channel's notification, and reports whether it is heard for the first time.
func (t *Tx) HearGateway(ctx context.Context, channel, id, about string, at time.Time) (first bool, err error) {
	r, err := t.exec(ctx, "hear notification", `INSERT INTO gateway_heard (channel, id, about, at_ms) VALUES (?, ?, ?, ?) ON CONFLICT (channel, id) DO NOTHING`, channel, id, about, at.UnixMilli())
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n == 1, err
}

// AddGatewayLine writes a line of a timeline.
func (t *Tx) AddGatewayLine(ctx context.Context, l GatewayLine) error {
	_, err := t.exec(ctx, "add to timeline", `INSERT INTO gateway_timeline (order_id, n, at_ms, about, event, was, became, source, context, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		l.Order, l.N, l.At.UnixMilli(), l.About, l.Event, l.Was, l.Became, l.Source, l.Context, l.Detail)
	return err
}

// GatewayTimeline lists what happened to an order, in order.
func (t *Tx) GatewayTimeline(ctx context.Context, order string) ([]GatewayLine, error) {
	var out []GatewayLine
	err := t.rows(ctx, "timeline", func(scan func(...any) error) error {
		l := GatewayLine{Order: order}
		var at int64
		err := scan(&l.N, &at, &l.About, &l.Event, &l.Was, &l.Became, &l.Source, &l.Context, &l.Detail)
		l.At = time.UnixMilli(at)
		out = append(out, l)
		return err
	}, `SELECT n, at_ms, about, event, was, became, source, context, detail FROM gateway_timeline WHERE order_id = ? ORDER BY n`, order)
	return out, err
}

// AddGatewayFinding notes something suspicious; the same again changes nothing.
func (t *Tx) AddGatewayFinding(ctx context.Context, f GatewayFinding) error {
	_, err := t.exec(ctx, "add gateway finding", `INSERT INTO gateway_finding (order_id, code, detail, at_ms) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`, f.Order, f.Code, f.Detail, f.At.UnixMilli())
	return err
}

// GatewayFindings lists what is suspicious, newest first, at most limit; about one order if that is not empty.
func (t *Tx) GatewayFindings(ctx context.Context, order string, limit int) ([]GatewayFinding, error) {
	var out []GatewayFinding
	err := t.rows(ctx, "gateway findings", func(scan func(...any) error) error {
		var f GatewayFinding
		var at int64
		err := scan(&f.Order, &f.Code, &f.Detail, &at)
		f.At = time.UnixMilli(at)
		out = append(out, f)
		return err
	}, `SELECT order_id, code, detail, at_ms FROM gateway_finding WHERE ? = '' OR order_id = ? ORDER BY at_ms DESC, order_id, code, detail LIMIT ?`, order, order, limit)
	return out, err
}

// TakeGatewaySlice gives a slice to a worker until a time, unless another has it at the time that it is now. A worker may take what it has once more.
func (t *Tx) TakeGatewaySlice(ctx context.Context, slice int, owner string, at, until time.Time) (bool, error) {
	r, err := t.exec(ctx, "take slice", `INSERT INTO gateway_slice (slice, owner, until_ms) VALUES (?, ?, ?)
		ON CONFLICT (slice) DO UPDATE SET owner = excluded.owner, until_ms = excluded.until_ms WHERE gateway_slice.owner = excluded.owner OR gateway_slice.until_ms <= ?`,
		slice, owner, until.UnixMilli(), at.UnixMilli())
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n == 1, err
}

// LeaveGatewaySlice gives a slice back, if the worker still has it.
func (t *Tx) LeaveGatewaySlice(ctx context.Context, slice int, owner string) error {
	_, err := t.exec(ctx, "leave slice", `UPDATE gateway_slice SET until_ms = 0 WHERE slice = ? AND owner = ?`, slice, owner)
	return err
}
