package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// Service is the gateway. It is safe for concurrent use, and several processes may run one each over the same database.
type Service struct {
	store    *store.Store
	clock    clock.Clock
	cfg      Config
	accounts map[string]Account
	name     string // of this process, in leases
}

// New makes a service; it starts nothing.
func New(s *store.Store, c clock.Clock, cfg Config) (*Service, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	g := &Service{store: s, clock: c, cfg: cfg, accounts: map[string]Account{}, name: rand.Text()}
	for _, a := range cfg.Accounts {
		if err := cfg.account(a); err != nil {
			return nil, err
		}
		if _, twice := g.accounts[a.ID]; twice {
			return nil, fmt.Errorf("gateway: channel account %s is there twice", a.ID)
		}
		g.accounts[a.ID] = a
	}
	return g, nil
}

// Order is an order as its app sees it.
type Order struct {
	ID         string
	App        string
	Key        string
	Type       code.Action // what is done: pay, transfer or top-up
	Product    code.Product
	Mode       code.Mode
	Context    string // 20 digits
	Merchant   ids.MerchantID
	Payee      ids.MerchantID // of a transfer; of a top-up the holder whose balance it fills, "" for none
	Money      channel.Money  // owed
	Subject    string
	Attach     string
	State      order.State
	Payment    string       // number of the payment that pays it
	Reserved   money.Amount // at the channel
	Received   money.Amount
	Refunding  money.Amount // on its way back
	Refunded   money.Amount
	Created    time.Time
	Changed    time.Time
	Expires    time.Time
	PaidAt     time.Time
	Payments   []Payment
	Operations []Operation
	Packet     *Packet // of a red packet
	Fees       []Fee   // what it costs its merchant, once that is booked
}

// Payment is one attempt to pay an order.
type Payment struct {
	Number    string
	Order     string
	Key       string
	Account   string // our account at the channel
	Context   string
	Product   channel.Product
	Money     channel.Money
	Reserve   bool // reserves only
	State     order.PaymentState
	Surplus   bool // the order did not need its money; it goes back by itself
	ChannelID string
	Action    channel.Action // what the payer's device needs
	Bank      string
	Code      string // the channel's
	Class     channel.Class
	Message   string
	Created   time.Time
	Changed   time.Time
	PaidAt    time.Time
	Expires   time.Time
}

// Operation is done to a payment: a refund, a void, or a step of a reservation: an increment, a capture or a release. The pay-out of a withdrawal has no payment.
type Operation struct {
	Number    string
	Order     string
	Payment   string
	Key       string
	Kind      code.Action
	Action    channel.Action // of a pay-out: what its payee needs to take it, such as to confirm it in the channel's app
	Account   string         // our account at the channel
	Context   string
	Money     channel.Money
	Reason    string
	State     order.OperationState
	ChannelID string
	Code      string
	Class     channel.Class
	Message   string
	Created   time.Time
	Changed   time.Time
	DoneAt    time.Time
}

// orderOf is an order as it is kept, with the parts of its context code.
func orderOf(o store.GatewayOrder) Order {
	c, err := code.Parse(o.Context)
	if err != nil {
		panic(fmt.Sprintf("gateway: order %s is kept with context %q", o.ID, o.Context)) // Create has made it
	}
	return Order{ID: o.ID, App: o.App, Key: o.IdempotencyKey, Type: c.Action, Product: c.Product, Mode: c.Mode, Context: o.Context, Merchant: o.Merchant, Payee: o.Payee,
		Money: channel.Money{Amount: o.Amount, Currency: o.Currency}, Subject: o.Subject, Attach: o.Attach, State: order.State(o.State), Payment: o.Payment,
		Reserved: o.Reserved, Received: o.Received, Refunding: o.Refunding, Refunded: o.Refunded, Created: o.Created, Changed: o.Changed, Expires: o.Expires, PaidAt: o.PaidAt}
}

func paymentOf(p store.GatewayPayment) Payment {
	return Payment{Number: p.Number, Order: p.Order, Key: p.IdempotencyKey, Account: p.Channel, Context: p.Context, Product: channel.Product(p.Product),
		Money: channel.Money{Amount: p.Amount, Currency: p.Currency}, Reserve: p.Reserve, State: order.PaymentState(p.State), Surplus: p.Surplus, ChannelID: p.ChannelID,
		Action: actionOf(p.Action), Bank: p.Bank, Code: p.Code, Class: channel.Class(p.Class), Message: p.Message, Created: p.Created, Changed: p.Changed, PaidAt: p.PaidAt, Expires: p.Expires}
}

func operationOf(o store.GatewayOperation) Operation {
	kind, err := code.ParseAction(o.Kind)
	if err != nil {
		panic(fmt.Sprintf("gateway: operation %s is kept as %q", o.Number, o.Kind))
	}
	return Operation{Number: o.Number, Order: o.Order, Payment: o.Payment, Key: o.IdempotencyKey, Kind: kind, Action: actionOf(o.Action), Account: o.Channel, Context: o.Context,
		Money: channel.Money{Amount: o.Amount, Currency: o.Currency}, Reason: o.Reason, State: order.OperationState(o.State), ChannelID: o.ChannelID, Code: o.Code,
		Class: channel.Class(o.Class), Message: o.Message, Created: o.Created, Changed: o.Changed, DoneAt: o.DoneAt}
}

// whole adds an order's payments and operations.
func whole(ctx context.Context, tx *store.Tx, row store.GatewayOrder) (Order, error) {
	o := orderOf(row)
	payments, err := tx.GatewayPayments(ctx, o.ID)
	if err != nil {
		return Order{}, err
	}
	for _, p := range payments {
		o.Payments = append(o.Payments, paymentOf(p))
	}
	operations, err := tx.GatewayOperations(ctx, o.ID)
	for _, x := range operations {
		o.Operations = append(o.Operations, operationOf(x))
	}
	if err == nil && o.Type == code.RedPacket {
		o.Packet, err = packetOf(ctx, tx, row)
	}
	if err != nil || row.Earned.IsZero() {
		return o, err
	}
	fees, err := tx.GatewayFees(ctx, o.ID)
	for _, f := range fees {
		o.Fees = append(o.Fees, feeOf(f))
	}
	return o, err
}

// owned finds an order that the app may see. Another app's order is as unknown as none: ids must not be fished for. An empty app is the operator.
func owned(ctx context.Context, tx *store.Tx, app, id string) (store.GatewayOrder, error) {
	o, err := tx.GatewayOrder(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && app != "" && o.App != app {
		return store.GatewayOrder{}, fmt.Errorf("order %q: %w", id, ErrUnknownOrder)
	}
	return o, err
}

// Order finds an app's order with its payments and operations; an empty app is the operator, who sees all. Error: [ErrUnknownOrder].
func (s *Service) Order(ctx context.Context, app, id string) (Order, error) {
	var out Order
	err := s.store.View(ctx, func(tx *store.Tx) error {
		row, err := owned(ctx, tx, app, id)
		if err != nil {
			return err
		}
		out, err = whole(ctx, tx, row)
		return err
	})
	return out, err
}

// OrderByKey finds an app's order by its idempotency key. Error: [ErrUnknownOrder].
func (s *Service) OrderByKey(ctx context.Context, app, key string) (Order, error) {
	var out Order
	err := s.store.View(ctx, func(tx *store.Tx) error {
		row, err := tx.GatewayOrderByKey(ctx, app, key)
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("order of key %q: %w", key, ErrUnknownOrder)
		}
		if err != nil {
			return err
		}
		out, err = whole(ctx, tx, row)
		return err
	})
	return out, err
}

// Orders lists orders, newest first, at most limit; of one app and in one state where these are not empty, and behind the order of an id where that is not
// empty. Error: [ErrUnknownOrder].
func (s *Service) Orders(ctx context.Context, app string, state order.State, after string, limit int) ([]Order, error) {
	var out []Order
	err := s.store.View(ctx, func(tx *store.Tx) error {
		var from *store.GatewayOrder
		if after != "" {
			o, err := owned(ctx, tx, app, after)
			if err != nil {
				return err
			}
			from = &o
		}
		all, err := tx.GatewayOrders(ctx, app, string(state), from, limit)
		if err != nil {
			return err
		}
		for _, row := range all {
			o, err := whole(ctx, tx, row)
			if err != nil {
				return err
			}
			out = append(out, o)
		}
		return nil
	})
	return out, err
}

// Event is one line of an order's timeline.
type Event struct {
	At      time.Time
	About   string // the order, a payment or an operation
	Event   string
	Was     string // state before, "" for a thing that is new
	Became  string
	Source  Source
	Context string
	Detail  string
}

// Source says who moved something. The text is stored and is part of the API.
type Source string

// Sources.
const (
	ByRequest      Source = "request"      // the app's
	ByAnswer       Source = "answer"       // the channel's, to our call
	ByNotification Source = "notification" // the channel's
	ByQuery        Source = "query"        // the channel's answer to a question
	ByBill         Source = "bill"         // the channel's file of a day
	ByTime         Source = "time"         // nobody but the clock
	ByRisk         Source = "risk"
	ByPersons      Source = "persons" // two of the operator's
)

// Timeline lists what happened to an app's order, in order. Error: [ErrUnknownOrder].
func (s *Service) Timeline(ctx context.Context, app, id string) ([]Event, error) {
	var out []Event
	err := s.store.View(ctx, func(tx *store.Tx) error {
		if _, err := owned(ctx, tx, app, id); err != nil {
			return err
		}
		all, err := tx.GatewayTimeline(ctx, id)
		for _, l := range all {
			out = append(out, Event{At: l.At, About: l.About, Event: l.Event, Was: l.Was, Became: l.Became, Source: Source(l.Source), Context: l.Context, Detail: l.Detail})
		}
		return err
	})
	return out, err
}

// Findings lists what is suspicious, newest first, at most limit; about one order if that is not empty.
func (s *Service) Findings(ctx context.Context, id string, limit int) ([]store.GatewayFinding, error) {
	var out []store.GatewayFinding
	err := s.store.View(ctx, func(tx *store.Tx) error {
		var err error
		out, err = tx.GatewayFindings(ctx, id, limit)
		return err
	})
	return out, err
}

// number makes a number of a kind.
func (s *Service) number(kind byte) (string, error) {
	var chance [10]byte
	if _, err := io.ReadFull(s.cfg.Rand, chance[:]); err != nil {
		return "", fmt.Errorf("make a number: %w", err)
	}
	return order.Number(kind, s.clock.Now(), chance), nil
}

// now is the time, cut to the resolution in which it is kept.
func (s *Service) now() time.Time { return time.UnixMilli(s.clock.Now().UnixMilli()) }
