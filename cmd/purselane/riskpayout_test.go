package main

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/channel/wechat"
)

// outgoing is a channel that pays out too, and may deny what was paid over it.
type outgoing struct {
	channel.Channel
	denies bool
	out    []string
}

func (o *outgoing) Capabilities() channel.Capabilities {
	c := o.Channel.Capabilities()
	c.Payout, c.Products = true, append(c.Products, channel.Payout)
	return c
}

func (o *outgoing) Query(ctx context.Context, r channel.Ref) (channel.Result, error) {
	if o.denies {
		return channel.Result{Outcome: channel.Missing, Number: r.Number}, nil
	}
	return o.Channel.Query(ctx, r)
}

func (o *outgoing) Payout(_ context.Context, r channel.PayoutRequest) (channel.Result, error) {
	o.out = append(o.out, r.Number)
	return channel.Result{Outcome: channel.Succeeded, Number: r.Number, Money: r.Money, ChannelID: "out-" + r.Number}, nil
}

func (o *outgoing) QueryPayout(_ context.Context, r channel.Ref) (channel.Result, error) {
	return channel.Result{Outcome: channel.Succeeded, Number: r.Number, Money: r.Money}, nil
}

// TestAWithdrawalWaitsForAgeAndForTheChannelsWord: by the rules of the example. What came a moment ago does not leave; neither does anything while the channel denies what was paid over it,
// and the channel is asked for the withdrawal's sake right after a start; and then it is paid out.
func TestAWithdrawalWaitsForAgeAndForTheChannelsWord(t *testing.T) {
	x := newPayTown(t)
	x.append(t, fileScheme, "\n  risk:\n    rules: risk.json\n    hold: 90s\n")
	example, err := os.ReadFile("../../docs/examples/risk-rules.json")
	require.NoError(t, err)
	x.write(t, "risk.json", 0o644, string(example))
	now := clock.NewManual(time.Now())
	over := &outgoing{}
	start := func() *node.Node {
		c, err := x.config(t)
		require.NoError(t, err)
		over.Channel = c.Channels["wechat"]
		c.Channels["wechat"], c.Clock = over, now
		c.Scheme.Gateway.Rules = []node.GatewayRule{{Accounts: []string{"wechat"}}}
		n, err := node.Open(t.Context(), c)
		require.NoError(t, err)
		x.serve = n.GatewayAPI()
		return n
	}
	withdraw := func(n *node.Node) (gateway.Order, error) {
		return n.Gateway().Withdraw(t.Context(), "till", gateway.NewWithdrawal{Key: "w", Product: 1, Merchant: "ann", Money: channel.Money{Amount: money.Minor(700), Currency: "CNY"}, Subject: "takings",
			To: gateway.PayTo{Account: "tok_ann", Name: "Ann"}})
	}

	n := start()
	o, err := n.Gateway().Create(t.Context(), "till", gateway.NewOrder{Key: "1", Type: code.Transfer, Product: 1, Merchant: "bob", Payee: "ann", Money: channel.Money{Amount: money.Minor(1000), Currency: "CNY"}, Subject: "rent"})
	require.NoError(t, err)
	p, err := n.Gateway().Pay(t.Context(), "till", o.ID, gateway.NewPayment{Key: "1", Product: channel.QR, Device: "phone-7"})
	require.NoError(t, err)
	require.NoError(t, x.wechat.Pay(p.Number, wechat.Payer{}))
	require.Equal(t, 1, x.wechat.Run(t.Context()))
	_, err = withdraw(n)
	require.ErrorIs(t, err, gateway.ErrBlocked)
	require.ErrorContains(t, err, "young-money")
	out, err := runRisk(t, "explain", o.ID, "--dir", x.Dir)
	require.NoError(t, err)
	require.Contains(t, out, "pass by rules version 1")
	require.NoError(t, n.Close())

	now.Advance(2 * time.Minute)
	over.denies = true
	n = start()
	_, err = withdraw(n)
	require.ErrorIs(t, err, gateway.ErrBlocked)
	require.ErrorContains(t, err, "books-differ")
	require.Empty(t, over.out)
	require.NoError(t, n.Close())

	over.denies = false
	n = start()
	w, err := withdraw(n)
	require.NoError(t, err)
	require.Len(t, w.Operations, 1)
	require.Equal(t, order.Done, w.Operations[0].State)
	require.Len(t, over.out, 1)
	require.NoError(t, n.Close())
}
