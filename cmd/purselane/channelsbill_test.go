package main

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/bill"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
)

func TestTheBillOfADay(t *testing.T) {
	x := newPayTown(t)
	run := func(args ...string) (string, error) {
		var cli struct {
			Channels ChannelsCmd `cmd:""`
		}
		var out bytes.Buffer
		parser, err := kong.New(&cli, kong.Writers(&out, &out), kong.BindTo(t.Context(), (*context.Context)(nil)))
		require.NoError(t, err)
		k, err := parser.Parse(append([]string{"channels", args[0], "--dir", x.Dir}, args[1:]...))
		require.NoError(t, err)
		err = k.Run()
		return out.String(), err
	}
	zone, err := time.LoadLocation("Asia/Shanghai")
	require.NoError(t, err)
	before := time.Now().In(zone).AddDate(0, 0, -3)
	day := before.Format(time.DateOnly)

	out, err := run("bill", "wechat", "--day", day)
	require.NoError(t, err)
	require.Contains(t, out, "wechat  "+day+"  agrees: 0 matched")
	_, err = run("bill", "wechat", "--day", time.Now().In(zone).Format(time.DateOnly))
	require.ErrorIs(t, err, channel.ErrNoBillYet)
	_, err = run("bill", "stripe", "--day", day)
	require.ErrorContains(t, err, "not among gateway.accounts")

	// WeChat Pay tells of returned pay-outs by notification, and has no file of them.
	out, err = run("returns")
	require.NoError(t, err)
	require.Empty(t, out)
	_, err = run("returns", "wechat", "--day", day)
	require.ErrorIs(t, err, gateway.ErrUnsupported)
	_, err = run("returns", "stripe", "--day", day)
	require.ErrorContains(t, err, "not among gateway.accounts")

	// We hold a payment that WeChat Pay has never heard of.
	c, err := x.config(t)
	require.NoError(t, err)
	n, err := node.Open(t.Context(), c)
	require.NoError(t, err)
	noon := time.Date(before.Year(), before.Month(), before.Day(), 12, 0, 0, 0, zone)
	require.NoError(t, n.Store().Update(t.Context(), func(tx *store.Tx) error {
		return tx.AddGatewayPayment(t.Context(), store.GatewayPayment{Number: "P01", Order: "O01", N: 1, Channel: "wechat", Amount: money.Minor(1234), Currency: "CNY", State: "paid", Created: noon, Changed: noon, PaidAt: noon, Expires: noon})
	}))
	require.NoError(t, n.Close())
	out, err = run("bill", "wechat", "--day", day)
	require.ErrorIs(t, err, errBill)
	require.Contains(t, out, "DIFFERS: 0 matched")
	require.Contains(t, out, "missing payment P01  ours 12.34, bill 0.00  order O01")
	out, err = run("bill", "wechat", "--day", day, "--json")
	require.ErrorIs(t, err, errBill)
	var r bill.Report
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Equal(t, bill.Missing, r.Differences[0].Class)
}
