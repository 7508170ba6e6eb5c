package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/route"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
)

// TestWhyAnOrderWentWhereItWent: with an experiment in the scheme, the tool tells of each order, and of what another plan would have done to all of them.
func TestWhyAnOrderWentWhereItWent(t *testing.T) {
	x := newPayTown(t)
	plan := func(version int, accounts ...string) string {
		p := route.Plan{Version: version, Rules: []route.Rule{{Name: "all", Accounts: accounts, Strategy: route.InOrder}}}
		for _, a := range accounts {
			p.Accounts = append(p.Accounts, route.Account{Name: a, Channel: a, Products: []channel.Product{channel.QR}, Currencies: []string{"CNY"}, FeePPM: 6000})
		}
		raw, err := json.Marshal(p)
		require.NoError(t, err)
		return string(raw)
	}
	x.write(t, "second.json", 0o644, plan(2, "alipay", "wechat"))
	x.append(t, fileScheme, "  experiment: {name: alipay first, plan: second.json, part: 0.5, seed: 3, sample: 100, guardrail: 0.02}\n")
	c, err := x.config(t)
	require.NoError(t, err)
	n, err := node.Open(t.Context(), c)
	require.NoError(t, err)
	orders := map[string][]string{} // by account
	for i := range 20 {
		o, err := n.Gateway().Create(t.Context(), "till", gateway.NewOrder{Key: fmt.Sprint(i), Type: code.TopUp, Product: 1, Merchant: "kiosk", Money: channel.Money{Amount: money.Minor(2000), Currency: "CNY"}, Subject: "load"})
		require.NoError(t, err)
		p, err := n.Gateway().Pay(t.Context(), "till", o.ID, gateway.NewPayment{Key: "1", Product: channel.QR})
		require.NoError(t, err)
		orders[p.Account] = append(orders[p.Account], o.ID)
	}
	require.Len(t, orders, 2, "both plans are used")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	require.Eventually(t, func() bool {
		var begun []store.ChannelExperiment
		err := n.Store().View(t.Context(), func(tx *store.Tx) (err error) { begun, err = tx.ChannelExperiments(t.Context()); return err })
		_, none := os.Stat(node.FallbackPath(c.Dir))
		return err == nil && none == nil && len(begun) == 1
	}, 30*time.Second, 10*time.Millisecond, "the experiment has begun, and the file is written")
	stop()
	require.NoError(t, <-ended)
	require.NoError(t, n.Close())

	run := func(args ...string) (string, error) {
		var cli struct {
			Channels ChannelsCmd `cmd:""`
		}
		var out bytes.Buffer
		parser, err := kong.New(&cli, kong.Writers(&out, &out), kong.BindTo(t.Context(), (*context.Context)(nil)))
		require.NoError(t, err)
		k, err := parser.Parse(append(append([]string{"channels"}, args...), "--dir", x.Dir))
		if err != nil {
			return "", err
		}
		err = k.Run()
		return out.String(), err
	}
	must := func(args ...string) string {
		t.Helper()
		out, err := run(args...)
		require.NoError(t, err)
		return out
	}
	said := must("explain", orders["wechat"][0])
	require.Contains(t, said, "routing plan 1, rule rule 1: wechat, then alipay; experiment alipay first, the usual plan")
	require.Regexp(t, `(?m)^ 1\. wechat +may +rule rule 1; success \d`, said)
	require.Contains(t, said, "attempt 1  qr on wechat: waiting")
	require.Contains(t, must("explain", orders["alipay"][0]), "routing plan 2, rule all: alipay, then wechat; experiment alipay first, its plan")
	_, err = run("explain", "no-such")
	require.Error(t, err)

	day := now().UTC()
	zone := c.Scheme.Location()
	said = must("dry-run", filepath.Join(x.Dir, "second.json"), "--day", day.In(zone).Format(time.DateOnly))
	require.Regexp(t, `^20 orders of \S+: \d+ would have gone the same way`, said)
	require.Regexp(t, `(?m)^ +\d+  wechat → alipay$`, said, "until it was found out that nobody answers there")
	require.Regexp(t, `(?m)^then  plan 2: fees 2\.40, expected success \d+\.\d %, nobody took 0$`, said)
	require.True(t, strings.HasPrefix(must("dry-run", filepath.Join(x.Dir, "second.json")), "0 orders of "), "yesterday had none")
	_, err = run("dry-run", filepath.Join(x.Dir, "second.json"), "--day", "today")
	require.ErrorContains(t, err, "--day")

	require.Contains(t, must("experiments"), "alipay first  since ")
	require.Contains(t, must("end-experiment", "alipay first", "--by", "ann", "--reason", "enough is known"), "is ended")
	require.Contains(t, must("experiments"), "ann: enough is known")
	_, err = run("end-experiment", "alipay first", "--by", "ann", "--reason", "again")
	require.ErrorContains(t, err, "none of that name runs")
}
