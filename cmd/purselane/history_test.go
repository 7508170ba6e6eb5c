package main

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/internal/money"
)

// TestTheHistoryIsAskedBesideTheDatabase: a node that serves fills it, and the tool reads it.
func TestTheHistoryIsAskedBesideTheDatabase(t *testing.T) {
	x := newPayTown(t)
	run := func(args ...string) (string, error) {
		var cli struct {
			History HistoryCmd `cmd:""`
		}
		var out bytes.Buffer
		parser, err := kong.New(&cli, kong.Writers(&out, &out), kong.BindTo(t.Context(), (*context.Context)(nil)))
		require.NoError(t, err)
		k, err := parser.Parse(append(append([]string{"history"}, args...), "--dir", x.Dir))
		require.NoError(t, err)
		err = k.Run()
		return out.String(), err
	}
	_, err := run("days")
	require.ErrorContains(t, err, "gateway.history")
	x.append(t, fileScheme, "  history: history.db\n")
	_, err = run("days")
	require.ErrorContains(t, err, "and serve")

	c, err := x.config(t)
	require.NoError(t, err)
	n, err := node.Open(t.Context(), c)
	require.NoError(t, err)
	o, err := n.Gateway().Create(t.Context(), "till", gateway.NewOrder{Key: "1", Type: code.TopUp, Product: 1, Merchant: "kiosk", Money: channel.Money{Amount: money.Minor(2000), Currency: "CNY"}, Subject: "load"})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	require.Eventually(t, func() bool {
		out, err := run("order", o.ID)
		return err == nil && bytes.Contains([]byte(out), []byte("order.created"))
	}, 60*time.Second, 50*time.Millisecond)
	out, err := run("lag", "--most", "1h")
	require.NoError(t, err)
	require.Contains(t, out, "events 0\nbehind 0s\n")
	stop()
	require.NoError(t, <-ended)
	require.NoError(t, n.Close())

	out, err = run("days")
	require.NoError(t, err)
	require.Regexp(t, `till +1 +0 +20.00 +0.00`, out)
	out, err = run("orders", "--app", "till")
	require.NoError(t, err)
	require.Contains(t, out, o.ID)
	out, err = run("orders", "--app", "another")
	require.NoError(t, err)
	require.Empty(t, out)
	_, err = run("orders", "--day", "yesterday")
	require.ErrorContains(t, err, "want a day")
	_, err = run("order", "1")
	require.ErrorContains(t, err, "has no order")
}
