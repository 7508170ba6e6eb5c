package api

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/internal/ids"
)

// errUnsigned is a fault of this package: an operation without its signature.
var errUnsigned = errors.New("gateway api: the operation does not know its caller")

func caller(ctx context.Context) (app.Caller, error) {
	c, ok := app.CallerOf(ctx)
	if !ok || c.App == "" { // an empty app is the gateway's operator
		return app.Caller{}, errUnsigned
	}
	return c, nil
}

// GetOpenAPI is the document.
func (s *server) GetOpenAPI(context.Context, GetOpenAPIRequestObject) (GetOpenAPIResponseObject, error) {
	return GetOpenAPI200ApplicationyamlResponse{Body: bytes.NewReader(documentYAML), ContentLength: int64(len(documentYAML))}, nil
}

// CreateOrder makes an order.
func (s *server) CreateOrder(ctx context.Context, r CreateOrderRequestObject) (CreateOrderResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	kind, err := code.ParseAction(r.Body.Type)
	if err != nil {
		return nil, err
	}
	var mode code.Mode
	if r.Body.Mode != nil {
		if mode, err = code.ParseMode(*r.Body.Mode); err != nil {
			return nil, err
		}
	}
	n := gateway.NewOrder{Key: r.Body.Key, Type: kind, Mode: mode, Product: code.Product(r.Body.Product), Merchant: ids.MerchantID(r.Body.Merchant), Payee: ids.MerchantID(orDefault(r.Body.Payee)),
		Money: channel.Money{Amount: r.Body.Amount, Currency: r.Body.Currency}, Subject: r.Body.Subject, Attach: orDefault(r.Body.Attach), Expires: time.Duration(orDefault(r.Body.ExpiresIn)) * time.Second}
	if p := r.Body.Packet; p != nil {
		n.Packet = &gateway.NewPacket{Shares: p.Shares, Split: gateway.Even}
		if p.Split != nil {
			n.Packet.Split = gateway.Split(*p.Split)
		}
	}
	if !c.Terms.For(n.Merchant) {
		return nil, errMerchant
	}
	if n.Payee != "" && r.Body.Holder != nil {
		return nil, refusal{"request", http.StatusBadRequest, "a transfer goes to a payee or to a holder, not to both"}
	}
	if n.Type == code.Transfer && strings.Contains(string(n.Payee), ".") { // the gateway's own way to name a holder, of whatever app
		return nil, refusal{"request", http.StatusBadRequest, "payee: no merchant's name has a dot; a holder goes in `holder`"}
	}
	if r.Body.Holder != nil {
		if n.Type != code.Transfer {
			return nil, refusal{"request", http.StatusBadRequest, "only a transfer has a holder"}
		}
		n.Payee = ids.MerchantID(*r.Body.Holder)
	}
	if n.Type == code.TopUp && n.Payee != "" || r.Body.Holder != nil {
		payee, err := holder(c.App, string(n.Payee))
		if err != nil {
			return nil, err
		}
		n.Payee = ids.MerchantID(payee)
	}
	o, err := s.Gateway.Create(ctx, c.App, n)
	return CreateOrder200JSONResponse(orderOf(o)), err
}

// GetOrder is an order with its parts.
func (s *server) GetOrder(ctx context.Context, r GetOrderRequestObject) (GetOrderResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	o, err := s.Gateway.Order(ctx, c.App, r.Order)
	return GetOrder200JSONResponse(orderOf(o)), err
}

// CloseOrder ends an order.
func (s *server) CloseOrder(ctx context.Context, r CloseOrderRequestObject) (CloseOrderResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	o, err := s.Gateway.Close(ctx, c.App, r.Order)
	return CloseOrder200JSONResponse(orderOf(o)), err
}

// PayOrder tries to pay an order.
func (s *server) PayOrder(ctx context.Context, r PayOrderRequestObject) (PayOrderResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	payer, err := payerOf(c.App, *r.Body)
	if err != nil {
		return nil, err
	}
	payer.Agreement = orDefault(r.Body.Agreement)
	n := gateway.NewPayment{Key: r.Body.Key, Product: channel.Product(r.Body.Product), ReturnURL: orDefault(r.Body.ReturnUrl), IP: orDefault(r.Body.Ip), Proof: orDefault(r.Body.Proof),
		Payer: payer, Binding: orDefault(r.Body.Binding), Holder: orDefault(r.Body.Holder), Device: orDefault(r.Body.Device), Unproven: orDefault(r.Body.Unproven), Tolerant: orDefault(r.Body.Tolerant)}
	p, err := s.Gateway.Pay(ctx, c.App, r.Order, n)
	return PayOrder200JSONResponse(paymentOf(p)), err
}

// RefundOrder gives back.
func (s *server) RefundOrder(ctx context.Context, r RefundOrderRequestObject) (RefundOrderResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	o, err := s.Gateway.Refund(ctx, c.App, r.Order, gateway.NewRefund{Key: r.Body.Key, Amount: r.Body.Amount, Reason: orDefault(r.Body.Reason), To: payToOf(r.Body.To)})
	return RefundOrder200JSONResponse(refundOf(o)), err
}

// GetTimeline is what happened to an order.
func (s *server) GetTimeline(ctx context.Context, r GetTimelineRequestObject) (GetTimelineResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	all, err := s.Gateway.Timeline(ctx, c.App, r.Order)
	return GetTimeline200JSONResponse(timelineOf(all)), err
}

func timelineOf(all []gateway.Event) Timeline {
	out := Timeline{Events: []Event{}}
	for _, e := range all {
		out.Events = append(out.Events, Event{At: e.At.UTC(), About: e.About, Event: e.Event, Was: e.Was, Became: e.Became, Source: string(e.Source), Context: e.Context, Detail: e.Detail})
	}
	return out
}

func orderOf(o gateway.Order) Order {
	out := Order{Id: o.ID, Key: o.Key, Type: o.Type.String(), Mode: o.Mode.String(), Context: o.Context, Merchant: string(o.Merchant), Payee: unlessEmpty(payeeOf(o)), Amount: o.Money.Amount, Currency: o.Money.Currency,
		Subject: o.Subject, Attach: unlessEmpty(o.Attach), State: string(o.State), Payment: unlessEmpty(o.Payment), Received: o.Received, Refunding: o.Refunding, Refunded: o.Refunded,
		Created: o.Created.UTC(), Changed: o.Changed.UTC(), Expires: o.Expires.UTC(), Paid: moment(o.PaidAt), Payments: []Payment{}, Refunds: []Refund{}}
	for _, p := range o.Payments {
		out.Payments = append(out.Payments, paymentOf(p))
	}
	if o.Mode == code.Reserved {
		out.Reserved = &o.Reserved
	}
	var steps, payouts []Operation
	for _, x := range o.Operations {
		switch x.Kind {
		case code.Increment, code.Capture, code.Release:
			steps = append(steps, operationOf(x))
		case code.Withdraw:
			payouts = append(payouts, operationOf(x))
		default:
			out.Refunds = append(out.Refunds, refundOf(x))
		}
	}
	if steps != nil {
		out.Steps = &steps
	}
	if payouts != nil {
		out.Payouts = &payouts
	}
	out.Packet = packetOf(o)
	if len(o.Fees) > 0 {
		fees := feesOf(o.Fees)
		out.Fees = &fees
	}
	return out
}

func feesOf(all []gateway.Fee) (out []Fee) {
	for _, f := range all {
		out = append(out, Fee{About: f.About, Kind: unlessEmpty(f.Kind), Amount: f.Amount, GivenBack: unlessEmpty(f.GivenBack), Rate: unlessEmpty(f.Rate), Since: unlessEmpty(string(f.Since)), At: f.At.UTC()})
	}
	return out
}

func paymentOf(p gateway.Payment) Payment {
	out := Payment{Number: p.Number, Key: p.Key, Account: p.Account, Context: p.Context, Product: string(p.Product), Amount: p.Money.Amount, Currency: p.Money.Currency, State: string(p.State),
		Surplus: unlessEmpty(p.Surplus), Code: unlessEmpty(p.Code), Message: unlessEmpty(p.Message), Created: p.Created.UTC(), Changed: p.Changed.UTC(), Paid: moment(p.PaidAt)}
	out.Action = actionOf(p.Action)
	return out
}

func actionOf(have channel.Action) *Action {
	a := Action{Qr: unlessEmpty(have.QR), Url: unlessEmpty(have.URL), Params: unlessNone(have.Params), Form: unlessNone(have.Form)}
	if a == (Action{}) {
		return nil
	}
	return &a
}

func refundOf(o gateway.Operation) Refund {
	out := Refund{Number: o.Number, Payment: o.Payment, Kind: o.Kind.String(), Amount: o.Money.Amount, Currency: o.Money.Currency, State: string(o.State), Reason: unlessEmpty(o.Reason),
		Code: unlessEmpty(o.Code), Message: unlessEmpty(o.Message), Created: o.Created.UTC(), Changed: o.Changed.UTC(), Done: moment(o.DoneAt)}
	out.Key = appsKey(o)
	return out
}

// appsKey is an operation's key where it is the app's, and not the gateway's own.
func appsKey(o gateway.Operation) *string {
	if key, apps := strings.CutPrefix(o.Key, "app:"); apps {
		return &key
	}
	return nil
}

// orDefault is the value pointed to, or the zero value.
func orDefault[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// unlessEmpty points to the value, or is nil for the zero value: a field that is left out.
func unlessEmpty[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func unlessNone(m map[string]string) *map[string]string {
	if len(m) == 0 {
		return nil
	}
	return &m
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
