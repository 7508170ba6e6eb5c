package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/internal/pgtest"
	"github.com/purselane/purselane/shadowaccount/books"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// errDied is a process's end.
var errDied = errors.New("the process died")

// errLost is an answer that did not come.
var errLost = errors.New("the answer was lost")

// bank is a channel whose every move a test decides. It keeps what a real one would: what was paid, how often, and what went back.
type bank struct {
	clock *clock.Manual

	mu       sync.Mutex
	caps     channel.Capabilities
	payments map[string]*paid
	refunds  map[string]channel.Result
	outs     map[string]*paid // pay-outs; see payer
	held     map[string]int64 // reserved, by payment; see reserver
	calls    []string         // each call, by name
	before   func(call string) error
	after    func(call string, r channel.Result) (channel.Result, error)
}

type paid struct {
	channel.Result
	charges int
	back    int64
}

func newBank(c *clock.Manual) *bank {
	return &bank{clock: c, payments: map[string]*paid{}, refunds: map[string]channel.Result{}, outs: map[string]*paid{}, held: map[string]int64{}, caps: channel.Capabilities{
		Products: []channel.Product{channel.QR, channel.Code}, Currencies: []string{"CNY"}, Close: true, Refund: true, RefundWindow: 365 * 24 * time.Hour}}
}

func (b *bank) Capabilities() channel.Capabilities { return b.caps }

// call runs one call under the test's before and after: before an error nothing has happened, after it everything has.
func (b *bank) call(name string, f func() channel.Result) (channel.Result, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, name)
	if b.before != nil {
		if err := b.before(name); err != nil {
			return channel.Result{}, err
		}
	}
	r := f()
	if b.after != nil {
		return b.after(name, r)
	}
	return r, nil
}

func (b *bank) Pay(_ context.Context, r channel.PayRequest) (channel.Result, error) {
	return b.call("pay", func() channel.Result {
		if b.payments[r.Number] == nil {
			b.payments[r.Number] = &paid{Result: channel.Result{Outcome: channel.Pending, Number: r.Number, Money: r.Money}}
		}
		out := b.payments[r.Number].Result
		out.Action = channel.Action{QR: "pay://" + r.Number}
		return out
	})
}

func (b *bank) Query(_ context.Context, r channel.Ref) (channel.Result, error) {
	return b.call("query", func() channel.Result {
		if p := b.payments[r.Number]; p != nil {
			return p.Result
		}
		return channel.Result{Outcome: channel.Missing, Number: r.Number}
	})
}

func (b *bank) Close(_ context.Context, r channel.Ref) (channel.Result, error) {
	return b.call("close", func() channel.Result {
		p := b.payments[r.Number]
		if p == nil {
			return channel.Result{Outcome: channel.Missing, Number: r.Number}
		}
		if p.Outcome == channel.Pending {
			p.Outcome = channel.Closed
		}
		return p.Result
	})
}

func (b *bank) Refund(_ context.Context, r channel.RefundRequest) (channel.Result, error) {
	return b.call("refund", func() channel.Result { return b.giveBack(r) })
}

func (b *bank) giveBack(r channel.RefundRequest) channel.Result {
	if have, known := b.refunds[r.Number]; known {
		return have
	}
	p := b.payments[r.Of.Number]
	out := channel.Result{Outcome: channel.Failed, Number: r.Number, Code: "NOT_ENOUGH"}
	if p != nil && p.charges == 1 && p.back+r.Money.Amount.Minor() <= p.Money.Amount.Minor() {
		p.back += r.Money.Amount.Minor()
		out = channel.Result{Outcome: channel.Succeeded, Number: r.Number, Money: r.Money, ChannelID: "back-" + r.Number}
	}
	b.refunds[r.Number] = out
	return out
}

func (b *bank) QueryRefund(_ context.Context, r channel.RefundRef) (channel.Result, error) {
	return b.call("query refund", func() channel.Result {
		if have, known := b.refunds[r.Number]; known {
			return have
		}
		return channel.Result{Outcome: channel.Missing, Number: r.Number}
	})
}

// Notified reads what notice writes: the body is the number.
func (b *bank) Notified(_ context.Context, n channel.Notification) ([]channel.Event, error) {
	if n.Query == "forged" {
		return nil, &channel.ForgedError{Why: "no signature"}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	number := string(n.Body)
	if r, known := b.refunds[number]; known {
		return []channel.Event{{ID: "n-" + number, About: channel.OfRefund, Result: r}}, nil
	}
	if p := b.outs[number]; p != nil {
		return []channel.Event{{ID: fmt.Sprintf("n-%s-%v", number, p.Outcome), About: channel.OfPayout, Result: p.Result}}, nil
	}
	if p := b.payments[number]; p != nil {
		r := p.Result
		if n.Query == "cheap" {
			r.Money.Amount = money.Minor(1)
		}
		return []channel.Event{{ID: "n-" + n.Query + number, About: channel.OfPayment, Result: r}}, nil
	}
	return []channel.Event{{ID: "n-" + number, About: channel.OfPayment, Result: channel.Result{Outcome: channel.Succeeded, Number: number}}}, nil
}

func (b *bank) Answer(err error) channel.Reply {
	if err != nil {
		return channel.Reply{Status: 500}
	}
	return channel.Reply{Status: 200}
}

func (b *bank) Bill(context.Context, string, func(channel.BillRow) error) error {
	return channel.ErrNoBillYet
}

// pays lets the payer pay, if that is still possible; late: even if it is not.
func (b *bank) pays(number string, late bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.payments[number]
	if p == nil || p.Outcome != channel.Pending && !(late && p.Outcome == channel.Closed) {
		return false
	}
	p.Outcome, p.ChannelID, p.At = channel.Succeeded, "ch-"+number, b.clock.Now()
	p.charges++
	return true
}

func (b *bank) count(call string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.calls {
		if c == call {
			n++
		}
	}
	return n
}

// voider is a bank that takes payments of its day back.
type voider struct{ *bank }

func (v voider) Void(_ context.Context, r channel.RefundRequest) (channel.Result, error) {
	return v.call("void", func() channel.Result { return v.giveBack(r) })
}

// desk is a gateway over a real store with the channel accounts "one" and "two".
type desk struct {
	t     require.TestingT
	ctx   context.Context
	path  string
	store *store.Store
	clock *clock.Manual
	one   *bank
	two   *bank
	cfg   func(*gateway.Config)
	fault func(point string) error
	key   string // of the order that runs of one test on one database tell apart
	shop  ids.MerchantID
	*gateway.Service
}

func newDesk(t require.TestingT, dir string, change func(*gateway.Config)) *desk {
	c := clock.NewManual(noon)
	d := &desk{t: t, ctx: context.Background(), path: filepath.Join(dir, "scheme.db"), clock: c, one: newBank(c), two: newBank(c), cfg: change, key: "k", shop: shop}
	made.Do(func() { // to make the schema takes longer than most tests do
		template = filepath.Join(dir, "template.db")
		s, err := store.Open(d.ctx, emptystore.At(t, template), store.Options{NoSync: true})
		require.NoError(t, err)
		require.NoError(t, s.Close())
	})
	pgtest.Copy(t, template, d.path)
	d.open()
	return d
}

var (
	made     sync.Once
	template string
)

func start(t *testing.T, change func(*gateway.Config)) *desk {
	d := newDesk(t, t.TempDir(), change)
	t.Cleanup(func() {
		d.fault = nil
		// Whatever a test did, the books tell of each payment and each refund.
		require.NoError(t, d.store.View(context.Background(), func(tx *store.Tx) error {
			faults, err := tx.VerifyGateway(context.Background())
			require.Empty(t, faults)
			return err
		}))
		require.NoError(t, d.store.Close())
	})
	return d
}

// open starts store and service, as a process does that has just started.
func (d *desk) open() {
	var err error
	d.store, err = store.Open(d.ctx, emptystore.At(d.t, d.path), store.Options{NoSync: true, Fault: d.faults})
	require.NoError(d.t, err)
	d.serve()
}

func (d *desk) faults(point string) error {
	if d.fault == nil {
		return nil
	}
	return d.fault(point)
}

// again is a new order of a new shop, with new channels, on the same database.
func (d *desk) again(t require.TestingT, run int) {
	d.t, d.fault, d.one, d.two = t, nil, newBank(d.clock), newBank(d.clock)
	d.key, d.shop = fmt.Sprintf("k%d", run), ids.MerchantID(fmt.Sprintf("shop%d", run))
	d.serve()
}

func (d *desk) serve() {
	registry, err := code.NewRegistry(map[code.Product]string{1: "shop"}, map[code.Company]string{1: "one", 2: "two"})
	require.NoError(d.t, err)
	cfg := gateway.Config{Registry: registry, Router: gateway.FixedRouter{{Accounts: []string{"one", "two"}}}, Fault: d.faults, AtOnce: 1, Log: slog.New(slog.DiscardHandler), Accounts: []gateway.Account{
		{ID: "one", Company: 1, Number: 1, Channel: d.one, NotifyURL: "https://gateway.example/one", FeePPM: 6000},
		{ID: "two", Company: 2, Number: 2, Channel: d.two, NotifyURL: "https://gateway.example/two"}}}
	if d.cfg != nil {
		d.cfg(&cfg)
	}
	d.Service, err = gateway.New(d.store, d.clock, cfg)
	require.NoError(d.t, err)
}

// restart is the end of a process and the start of the next one.
func (d *desk) restart() {
	d.fault = nil
	require.NoError(d.t, d.store.Close())
	d.open()
}

const app, shop = "app", ids.MerchantID("shop")

func anOrder(key string, minor int64) gateway.NewOrder {
	return gateway.NewOrder{Key: key, Type: code.Pay, Product: 1, Merchant: shop, Money: channel.Money{Amount: money.Minor(minor), Currency: "CNY"}, Subject: "tea"}
}

func qr(key string) gateway.NewPayment { return gateway.NewPayment{Key: key, Product: channel.QR} }

func (d *desk) order(key string, minor int64) gateway.Order {
	n := anOrder(key, minor)
	n.Merchant = d.shop
	o, err := d.Create(d.ctx, app, n)
	require.NoError(d.t, err)
	return o
}

func (d *desk) pay(id, key string) gateway.Payment {
	p, err := d.Pay(d.ctx, app, id, qr(key))
	require.NoError(d.t, err)
	return p
}

// paid is an order that was paid over account one, as the gateway has heard.
func (d *desk) paid(key string, minor int64) gateway.Order {
	o := d.order(key, minor)
	p := d.pay(o.ID, "p")
	require.True(d.t, d.one.pays(p.Number, false))
	require.NoError(d.t, d.notify("one", "", p.Number))
	o = d.now(o.ID)
	require.Equal(d.t, order.Paid, o.State)
	return o
}

func (d *desk) notify(account, query, number string) error {
	_, err := d.Notified(d.ctx, account, channel.Notification{Query: query, Body: []byte(number)})
	return err
}

func (d *desk) now(id string) gateway.Order {
	o, err := d.Order(d.ctx, "", id)
	require.NoError(d.t, err)
	return o
}

// pass lets time go by in steps, with a scan at each.
func (d *desk) pass(total, step time.Duration) {
	for ; total > 0; total -= step {
		d.clock.Advance(step)
		_, err := d.Scan(d.ctx)
		require.NoError(d.t, err)
	}
}

func (d *desk) balance(a books.Account) string {
	var out money.Amount
	require.NoError(d.t, d.store.View(d.ctx, func(tx *store.Tx) (err error) { out, err = tx.Balance(d.ctx, a); return err }))
	return out.String()
}

func (d *desk) findings(id string) (codes []string) {
	all, err := d.Findings(d.ctx, id, 100)
	require.NoError(d.t, err)
	for _, f := range all {
		codes = append(codes, f.Code)
	}
	return codes
}

// agrees checks what must hold of an order at any moment: the timeline is the states' own story, and no more is given back
// than came.
func (d *desk) agrees(id string) {
	o := d.now(id)
	all, err := d.Timeline(d.ctx, "", id)
	require.NoError(d.t, err)
	is := map[string]string{}
	for _, e := range all {
		require.Equal(d.t, is[e.About], e.Was, "%s of %s", e.Event, e.About)
		again := e.Event == string(order.BackAgain) || e.Event == string(order.BackAgainPart) || e.Event == string(order.CameBack) // a pay-out that came back
		if again {
			is[e.About] = e.Became
			continue
		}
		if order.State(e.Was) == order.Closed || order.State(e.Was) == order.Refunded || order.PaymentState(e.Was) == order.PaymentPaid && e.About != id || e.Was == string(order.Done) {
			late := e.About != id && e.Event == string(order.Late)
			require.True(d.t, late, "%s moved back: %v", e.About, e)
		}
		is[e.About] = e.Became
	}
	require.Equal(d.t, string(o.State), is[id])
	for _, p := range o.Payments {
		require.Equal(d.t, string(p.State), is[p.Number])
	}
	for _, x := range o.Operations {
		require.Equal(d.t, string(x.State), is[x.Number])
	}
	sum, err := money.Sum(o.Refunding, o.Refunded)
	require.NoError(d.t, err)
	require.LessOrEqual(d.t, sum.Cmp(o.Received), 0)
}

// settled checks that nothing is in doubt, that what the channels did is what the books say, and that each line of the timeline has its message.
func (d *desk) settled(id string) {
	d.agrees(id)
	o := d.now(id)
	kept := int64(0)
	for _, p := range o.Payments {
		require.False(d.t, p.State.InDoubt(), "%s is %s", p.Number, p.State)
		b := d.one
		if p.Account == "two" {
			b = d.two
		}
		if at := b.payments[p.Number]; at != nil {
			require.LessOrEqual(d.t, at.charges, 1)
			require.Equal(d.t, at.charges == 1, p.State == order.PaymentPaid, "%s is %s", p.Number, p.State)
			kept += int64(at.charges)*o.Money.Amount.Minor() - at.back
		}
	}
	for _, x := range o.Operations {
		require.False(d.t, x.State.InDoubt(), "%s is %s", x.Number, x.State)
	}
	has := int64(0)
	if o.Received.Sign() > 0 {
		has = o.Received.Minor() - o.Refunded.Minor()
		require.Equal(d.t, o.Money.Amount, o.Received, "paid once")
	}
	require.Equal(d.t, has, kept, "what channels hold is what the order holds")
	require.Equal(d.t, money.Minor(-has).String(), d.balance(gateway.Pending(d.shop)))
	require.Equal(d.t, "0.00", d.balance("suspense:surplus"))
	lines, err := d.Timeline(d.ctx, "", id)
	require.NoError(d.t, err)
	require.NoError(d.t, d.store.View(d.ctx, func(tx *store.Tx) error {
		waiting, err := tx.OutboxWaiting(d.ctx, 1<<20)
		n := 0
		for _, m := range waiting {
			if m.Key == id {
				n++
			}
		}
		require.Equal(d.t, len(lines), n, "each line has its message")
		return err
	}))
	require.NoError(d.t, d.store.View(d.ctx, func(tx *store.Tx) error {
		all, err := tx.TrialBalance(d.ctx)
		require.NoError(d.t, err)
		total, err := books.Total(all)
		require.True(d.t, total.IsZero())
		return err
	}))
}
