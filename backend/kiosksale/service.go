package kiosksale

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// App is in whose name kiosks order at the gateway. No merchant's app has it.
const App = "_kiosk"

// ProductName is what the scheme calls the product that kiosks sell.
const ProductName = "kiosk"

// Gateway is the online gateway as a kiosk needs it: [gateway.Service].
type Gateway interface {
	Create(ctx context.Context, app string, n gateway.NewOrder) (gateway.Order, error)
	Pay(ctx context.Context, app, id string, n gateway.NewPayment) (gateway.Payment, error)
	Order(ctx context.Context, app, id string) (gateway.Order, error)
	Close(ctx context.Context, app, id string) (gateway.Order, error)
	Refund(ctx context.Context, app, id string, n gateway.NewRefund) (gateway.Operation, error)
}

// Kinds of refusal, beside those of the gateway and of package topup.
var (
	// ErrOff: no gateway runs here, or the scheme has no product for kiosks.
	ErrOff = errors.New("online payment is not set up here")
	// ErrWay: nobody is paid that way.
	ErrWay = errors.New("no such way to pay")
)

// Config of a service. All is required but Expires and Subject.
type Config struct {
	Gateway   Gateway
	Products  map[code.Product]string // of the scheme; one of them is [ProductName]
	Companies map[code.Company]string
	Ways      []code.Company // that take QR payments in Currency, as they are offered
	Online    ids.AcquirerID // the agent in whose name load orders stand that were paid online
	Currency  string

	MaxAmount  money.Amount // of one load
	MaxBalance money.Amount // of a card after it

	// Expires is how long a rider has to pay.
	//
	// Default 3 minutes: who stands before a kiosk scans at once, and others wait.
	Expires time.Duration

	// Subject is what the rider's wallet shows.
	//
	// Default "Card top-up 公交卡充值".
	Subject string
}

// Service sells. It is safe for concurrent use, and keeps nothing itself.
type Service struct {
	cfg     Config
	product code.Product // 0: the scheme has none for kiosks
}

// New makes a service. A scheme without a product for kiosks is no error: what it answers is [ErrOff].
func New(cfg Config) *Service {
	if cfg.Expires == 0 {
		cfg.Expires = 3 * time.Minute
	}
	if cfg.Subject == "" {
		cfg.Subject = "Card top-up 公交卡充值"
	}
	s := &Service{cfg: cfg}
	for number, name := range cfg.Products {
		if name == ProductName && (s.product == 0 || number < s.product) {
			s.product = number
		}
	}
	return s
}

// Offer is what can be bought.
type Offer struct {
	Currency   string
	MaxAmount  money.Amount
	MaxBalance money.Amount
	Ways       []string // names of companies
}

// Offer says what can be bought. Error: [ErrOff].
func (s *Service) Offer() (Offer, error) {
	if s == nil || s.product == 0 || len(s.cfg.Ways) == 0 {
		return Offer{}, ErrOff
	}
	out := Offer{Currency: s.cfg.Currency, MaxAmount: s.cfg.MaxAmount, MaxBalance: s.cfg.MaxBalance}
	for _, c := range s.cfg.Ways {
		out.Ways = append(out.Ways, s.cfg.Companies[c])
	}
	return out, nil
}

// State of a sale. The text is part of the API.
type State string

// States.
const (
	Waiting   State = "waiting"   // the payer has not paid
	Unknown   State = "unknown"   // nobody knows yet; the channel is asked
	Paid      State = "paid"      // the money has come, and there is a load order
	Refused   State = "refused"   // nothing was taken
	Closed    State = "closed"    // nobody paid, and nobody can
	Refunding State = "refunding" // the money is on its way back
	Refunded  State = "refunded"  // it is back
)

// WantsProof is the reason of a sale that risk does not let pass unless the payer proves more, which nobody can at a kiosk.
const WantsProof = "proof"

// Sale is a payment for a load.
type Sale struct {
	Payment string // the gateway's number of its order
	Amount  money.Amount
	Way     string
	State   State
	QR      string // while waiting: what the payer scans
	Load    string // once paid: the load order
	Reason  string // of a refusal: the channel's class
	Expires time.Time
	Changed time.Time
}

// Order is what a kiosk orders.
type Order struct {
	Key    string // names the sale at the agent, for ever; 1 to 64 characters
	Amount money.Amount
	Way    string // one of the offer's
}

// Create asks for a payment. The same key with the same content is the same sale, as it is by now. Errors: [ErrOff], [ErrWay], [topup.ErrAmount],
// [gateway.ErrConflict], [gateway.ErrRequest], [gateway.ErrNoChannel]: the way is out of order, and nothing was asked for.
func (s *Service) Create(ctx context.Context, agent ids.AcquirerID, n Order) (Sale, error) {
	offer, err := s.Offer()
	if err != nil {
		return Sale{}, err
	}
	i := slices.Index(offer.Ways, n.Way)
	switch {
	case i < 0:
		return Sale{}, fmt.Errorf("%q: want one of %q: %w", n.Way, offer.Ways, ErrWay)
	case n.Amount.Sign() <= 0 || n.Amount.Cmp(s.cfg.MaxAmount) > 0:
		return Sale{}, fmt.Errorf("%v: want more than zero and at most %v: %w", n.Amount, s.cfg.MaxAmount, topup.ErrAmount)
	}
	o, err := s.cfg.Gateway.Create(ctx, App, gateway.NewOrder{Key: orderKey(agent, n.Key), Type: code.TopUp, Product: s.product, Merchant: ids.MerchantID(agent),
		Money: channel.Money{Amount: n.Amount, Currency: s.cfg.Currency}, Subject: s.cfg.Subject, Attach: n.Way, Expires: s.cfg.Expires})
	if err != nil {
		return Sale{}, err
	}
	if o.State == order.Open {
		_, err := s.cfg.Gateway.Pay(ctx, App, o.ID, gateway.NewPayment{Key: "1", Product: channel.QR, Company: s.cfg.Ways[i]})
		switch {
		case errors.Is(err, gateway.ErrNoChannel):
			_, closing := s.cfg.Gateway.Close(ctx, App, o.ID)
			return Sale{}, errors.Join(err, closing)
		case err != nil && !errors.Is(err, gateway.ErrExpired) && !errors.Is(err, order.ErrState):
			return Sale{}, err
		}
	}
	return s.Sale(ctx, agent, o.ID)
}

// orderKey names a sale of an agent among those of all agents. 64 hexadecimal digits, as many as a key may have.
func orderKey(agent ids.AcquirerID, key string) string {
	sum := sha256.Sum256([]byte("purselane-kiosk-sale\x00" + string(agent) + "\x00" + key))
	return hex.EncodeToString(sum[:])
}

// Sale finds an agent's sale. Errors: [ErrOff], [gateway.ErrUnknownOrder].
func (s *Service) Sale(ctx context.Context, agent ids.AcquirerID, payment string) (Sale, error) {
	o, err := s.owned(ctx, agent, payment)
	return s.saleOf(o), err
}

func (s *Service) owned(ctx context.Context, agent ids.AcquirerID, payment string) (gateway.Order, error) {
	if s == nil {
		return gateway.Order{}, ErrOff
	}
	o, err := s.cfg.Gateway.Order(ctx, App, payment)
	if err == nil && string(o.Merchant) != string(agent) {
		err = fmt.Errorf("payment %s: %w", payment, gateway.ErrUnknownOrder)
	}
	return o, err
}

// Sold reports whether a load order that was paid online is of a sale of this agent, and in whose name it stands.
func (s *Service) Sold(ctx context.Context, agent ids.AcquirerID, load topup.Order) (seller ids.AcquirerID, sold bool, err error) {
	if s == nil || load.Agent != s.cfg.Online {
		return "", false, nil
	}
	_, err = s.owned(ctx, agent, load.IdempotencyKey)
	if errors.Is(err, gateway.ErrUnknownOrder) {
		return "", false, nil
	}
	return s.cfg.Online, err == nil, err
}

// Cancel says that nobody is to pay it any more. One that is paid, or closed, stays as it is. Errors: as [Service.Sale].
func (s *Service) Cancel(ctx context.Context, agent ids.AcquirerID, payment string) (Sale, error) {
	if _, err := s.owned(ctx, agent, payment); err != nil {
		return Sale{}, err
	}
	if _, err := s.cfg.Gateway.Close(ctx, App, payment); err != nil && !errors.Is(err, order.ErrState) {
		return Sale{}, err
	}
	return s.Sale(ctx, agent, payment)
}

// Refund gives the whole back. Errors: as [Service.Sale]; [order.ErrState] if nothing was paid, [topup.ErrState] if the load is on a card or on its way to one;
// those of [gateway.Service.Refund].
func (s *Service) Refund(ctx context.Context, agent ids.AcquirerID, payment string) (Sale, error) {
	o, err := s.owned(ctx, agent, payment)
	if err != nil {
		return Sale{}, err
	}
	if _, err := s.cfg.Gateway.Refund(ctx, App, payment, gateway.NewRefund{Key: "kiosk", Amount: o.Money.Amount, Reason: "not loaded"}); err != nil {
		return Sale{}, err
	}
	return s.Sale(ctx, agent, payment)
}

func (s *Service) saleOf(o gateway.Order) Sale {
	if o.ID == "" {
		return Sale{}
	}
	out := Sale{Payment: o.ID, Amount: o.Money.Amount, Way: o.Attach, Expires: o.Expires, Changed: o.Changed}
	out.State = stateOf(o)
	if !o.PaidAt.IsZero() {
		out.Load = topup.OnlineOrder(s.cfg.Online, o.ID)
	}
	if n := len(o.Payments); n > 0 && out.State == Waiting {
		out.QR = o.Payments[n-1].Action.QR
	} else if n > 0 && out.State == Refused {
		out.Reason = o.Payments[n-1].Class.String()
		if o.Payments[n-1].State == order.Challenged {
			out.Reason = WantsProof
		}
	}
	return out
}

// stateOf is what a kiosk makes of an order and its payments: what is not known to be one thing is unknown.
func stateOf(o gateway.Order) State {
	last := gateway.Payment{}
	if n := len(o.Payments); n > 0 {
		last = o.Payments[n-1]
	}
	switch o.State {
	case order.Refunded:
		return Refunded
	case order.PartRefunded:
		return Refunding
	case order.Paid:
		if len(o.Operations) > 0 { // a sale goes back as a whole, and one whose refund failed is looked after by a person
			return Refunding
		}
		return Paid
	case order.Closed:
		if last.State == order.Failed {
			return Refused
		}
		return Closed
	case order.Open:
		switch {
		case last.State == order.Waiting && last.Action.QR != "":
			return Waiting
		case last.State == order.Failed || last.State == order.Challenged:
			return Refused // a kiosk has nothing to prove more with
		}
	}
	return Unknown
}
