package gateway_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
)

// TestAnAppIsRoutedToItsOwnAccount: account two is at the same company as one, and an app's own. Nobody else is routed there, and that app is not routed to one.
func TestAnAppIsRoutedToItsOwnAccount(t *testing.T) {
	var fails error
	d := start(t, func(c *gateway.Config) {
		c.Accounts[1].Company, c.Accounts[1].Number = 1, 2
		c.Own = func(_ context.Context, app string) (own, others []string, err error) {
			if app == "owner" {
				return []string{"two", "gone"}, nil, fails
			}
			return nil, []string{"two"}, fails
		}
	})
	pay := func(app, key string, n gateway.NewPayment) (gateway.Payment, error) {
		o, err := d.Create(d.ctx, app, anOrder(key, 1000))
		require.NoError(t, err)
		return d.Pay(d.ctx, app, o.ID, n)
	}
	for _, tt := range []struct{ app, account string }{{"owner", "two"}, {app, "one"}, {"another", "one"}} {
		p, err := pay(tt.app, tt.app, qr("p"))
		require.NoError(t, err)
		require.Equal(t, tt.account, p.Account, tt.app)
	}

	d.one.before = func(string) error { return channel.ErrNotSent }
	p, err := pay(app, "down", qr("p"))
	require.NoError(t, err)
	require.Equal(t, "one", p.Account, "an account of another app takes nothing in its place")
	d.one.before = nil

	n := qr("p")
	n.Payer.Parts = []channel.Part{{With: "two/qr", Money: channel.Money{Amount: money.Minor(1000), Currency: "CNY"}}}
	_, err = pay(app, "parts", n)
	require.ErrorIs(t, err, gateway.ErrNoChannel, "nor does a part of a combined payment go there")
	_, err = pay("owner", "parts of the owner", n)
	require.NotErrorIs(t, err, gateway.ErrNoChannel)

	fails = errors.New("the terms do not read")
	_, err = pay(app, "unknown", qr("p"))
	require.ErrorIs(t, err, fails, "who does not know whose an account is uses none")
}
