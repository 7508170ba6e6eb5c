package kiosksale

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// TestStatesOfASale: what a kiosk makes of each state of an order and of its last payment. What is not known to be one thing is unknown.
func TestStatesOfASale(t *testing.T) {
	qr := channel.Action{QR: "weixin://1"}
	refund := []gateway.Operation{{State: order.OpFailed}}
	for _, c := range []struct {
		name string
		o    gateway.Order
		want State
	}{
		{"nobody was asked yet", gateway.Order{State: order.Open}, Unknown},
		{"on disk", gateway.Order{State: order.Open, Payments: []gateway.Payment{{State: order.Created}}}, Unknown},
		{"being called", gateway.Order{State: order.Open, Payments: []gateway.Payment{{State: order.Calling}}}, Unknown},
		{"no answer", gateway.Order{State: order.Open, Payments: []gateway.Payment{{State: order.Unknown}}}, Unknown},
		{"a code", gateway.Order{State: order.Open, Payments: []gateway.Payment{{State: order.Waiting, Action: qr}}}, Waiting},
		{"the code was lost with the answer", gateway.Order{State: order.Open, Payments: []gateway.Payment{{State: order.Waiting}}}, Unknown},
		{"a second attempt counts", gateway.Order{State: order.Open, Payments: []gateway.Payment{{State: order.Failed}, {State: order.Waiting, Action: qr}}}, Waiting},
		{"refused", gateway.Order{State: order.Open, Payments: []gateway.Payment{{State: order.Failed}}}, Refused},
		{"more proof is wanted", gateway.Order{State: order.Open, Payments: []gateway.Payment{{State: order.Challenged}}}, Refused},
		{"closing", gateway.Order{State: order.Closing, Payments: []gateway.Payment{{State: order.Waiting, Action: qr}}}, Unknown},
		{"closed", gateway.Order{State: order.Closed, Payments: []gateway.Payment{{State: order.PaymentClosed}}}, Closed},
		{"refused and closed", gateway.Order{State: order.Closed, Payments: []gateway.Payment{{State: order.Failed}}}, Refused},
		{"paid", gateway.Order{State: order.Paid}, Paid},
		{"on its way back", gateway.Order{State: order.Paid, Operations: []gateway.Operation{{State: order.OpWaiting}}}, Refunding},
		{"a person looks after its refund", gateway.Order{State: order.Paid, Operations: refund}, Refunding},
		{"back in part", gateway.Order{State: order.PartRefunded}, Refunding},
		{"back", gateway.Order{State: order.Refunded}, Refunded},
		{"a state of a later program", gateway.Order{State: "newer"}, Unknown},
	} {
		require.Equal(t, c.want, stateOf(c.o), c.name)
		if c.name == "more proof is wanted" {
			c.o.ID = "o"
			require.Equal(t, WantsProof, (&Service{}).saleOf(c.o).Reason)
		}
	}
}

// gate is a gateway that answers as told.
type gate struct {
	Gateway
	pay    error
	order  gateway.Order
	closed int
}

func (g *gate) Create(_ context.Context, app string, n gateway.NewOrder) (gateway.Order, error) {
	g.order = gateway.Order{ID: "O1", App: app, Merchant: n.Merchant, Money: n.Money, Attach: n.Attach, State: order.Open}
	return g.order, nil
}

func (g *gate) Pay(context.Context, string, string, gateway.NewPayment) (gateway.Payment, error) {
	return gateway.Payment{}, g.pay
}

func (g *gate) Order(context.Context, string, string) (gateway.Order, error) { return g.order, nil }

func (g *gate) Close(context.Context, string, string) (gateway.Order, error) {
	g.closed++
	return g.order, nil
}

func service(g Gateway) *Service {
	return New(Config{Gateway: g, Products: map[code.Product]string{9: "shop", 3: ProductName}, Companies: map[code.Company]string{1: "wechat"}, Ways: []code.Company{1}, Online: "online", Currency: "CNY",
		MaxAmount: money.Minor(100_00), MaxBalance: money.Minor(300_00)})
}

// TestNobodyTakesIt: an order that no channel takes is closed, so that it cannot be paid behind the rider's back.
func TestNobodyTakesIt(t *testing.T) {
	g := &gate{pay: gateway.ErrNoChannel}
	_, err := service(g).Create(t.Context(), "metro", Order{Key: "k", Amount: money.Minor(1), Way: "wechat"})
	require.ErrorIs(t, err, gateway.ErrNoChannel)
	require.Equal(t, 1, g.closed)

	g = &gate{pay: errors.New("the disk is full")}
	_, err = service(g).Create(t.Context(), "metro", Order{Key: "k", Amount: money.Minor(1), Way: "wechat"})
	require.ErrorIs(t, err, g.pay, "and says nothing about the money")
	require.Zero(t, g.closed)

	g = &gate{pay: gateway.ErrExpired}
	v, err := service(g).Create(t.Context(), "metro", Order{Key: "k", Amount: money.Minor(1), Way: "wechat"})
	require.NoError(t, err, "the sale as it is by now")
	require.Equal(t, Unknown, v.State)
}

func TestSalesAreTheirAgents(t *testing.T) {
	g := &gate{}
	s := service(g)
	_, err := s.Create(t.Context(), "metro", Order{Key: "k", Amount: money.Minor(1), Way: "wechat"})
	require.NoError(t, err)
	_, err = s.Sale(t.Context(), "bus", "O1")
	require.ErrorIs(t, err, gateway.ErrUnknownOrder)
	_, err = s.Cancel(t.Context(), "bus", "O1")
	require.ErrorIs(t, err, gateway.ErrUnknownOrder)
	_, err = s.Refund(t.Context(), "bus", "O1")
	require.ErrorIs(t, err, gateway.ErrUnknownOrder)
	for agent, want := range map[ids.AcquirerID]bool{"metro": true, "bus": false} {
		_, sold, err := s.Sold(t.Context(), agent, topup.Order{Agent: "online", IdempotencyKey: "O1"})
		require.NoError(t, err)
		require.Equal(t, want, sold)
	}
	_, sold, err := s.Sold(t.Context(), "metro", topup.Order{Agent: "bus", IdempotencyKey: "O1"})
	require.NoError(t, err)
	require.False(t, sold, "not paid online")
	require.NotEqual(t, orderKey("a", "bc"), orderKey("ab", "c"))
}

func TestWithoutAGatewayNothingIsSold(t *testing.T) {
	var none *Service
	_, err := none.Offer()
	require.ErrorIs(t, err, ErrOff)
	_, err = none.Create(t.Context(), "metro", Order{})
	require.ErrorIs(t, err, ErrOff)
	_, err = none.Sale(t.Context(), "metro", "O1")
	require.ErrorIs(t, err, ErrOff)
	_, err = none.Cancel(t.Context(), "metro", "O1")
	require.ErrorIs(t, err, ErrOff)
	_, err = none.Refund(t.Context(), "metro", "O1")
	require.ErrorIs(t, err, ErrOff)
	_, sold, err := none.Sold(t.Context(), "metro", topup.Order{Agent: "online"})
	require.NoError(t, err)
	require.False(t, sold)
	_, err = New(Config{Products: map[code.Product]string{1: "shop"}}).Offer()
	require.ErrorIs(t, err, ErrOff, "no product for kiosks")
}
