package gateway_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/order"
)

// TestWhatThePayerChoseAndWhatWasUsedAreBothKept: the payer sees a bank's name, and what executes it is another company's account; also after a second channel was tried.
func TestWhatThePayerChoseAndWhatWasUsedAreBothKept(t *testing.T) {
	d := start(t, func(c *gateway.Config) {
		c.Cards = func(context.Context, string) (bank, card string, err error) { return "icbc", "credit", nil }
	})
	d.one.after = func(_ string, r channel.Result) (channel.Result, error) {
		return channel.Result{Outcome: channel.Failed, Class: channel.NotSupported, Number: r.Number, Code: "NO"}, nil
	}
	n := qr("p")
	n.Payer = channel.Payer{Token: "tok"}
	o := d.order("k", 1000)
	p, err := d.Pay(d.ctx, app, o.ID, n)
	require.NoError(t, err)
	require.Equal(t, "two", p.Account)
	require.Equal(t, "icbc", p.Bank)
	require.Equal(t, order.Waiting, p.State)
	lines, err := d.Timeline(d.ctx, app, o.ID)
	require.NoError(t, err)
	var kept []string
	for _, l := range lines {
		if l.Event == "created" && l.About[0] == order.OfPayment {
			kept = append(kept, l.Detail)
			require.NotEqual(t, o.Context, l.Context, "the channel used is in the context code")
		}
	}
	require.Equal(t, []string{"one; chosen: qr, icbc credit", "two; chosen: qr, icbc credit"}, kept)

	n = qr("q")
	n.Company = 2
	o = d.order("k2", 1000)
	_, err = d.Pay(d.ctx, app, o.ID, n)
	require.NoError(t, err)
	lines, err = d.Timeline(d.ctx, app, o.ID)
	require.NoError(t, err)
	require.Equal(t, "two; chosen: qr, company 2", lines[1].Detail)
}
