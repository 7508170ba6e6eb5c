package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/keeper"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
)

// TestChannels switches a channel with the tool alone, and a keeper as the backend has it follows.
func TestChannels(t *testing.T) {
	x := newPayTown(t)
	c, err := x.config(t)
	require.NoError(t, err)
	n, err := node.Open(t.Context(), c)
	require.NoError(t, err)
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
	s, err := store.Open(t.Context(), node.DatabasePath(filepath.Join(x.Dir, folderData)), store.Options{NoSync: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	backend := keeper.New(s, keeper.Config{Settings: func(health.Cell) health.Settings { return health.Defaults() }})

	require.Equal(t, "wechat  available, takes 100 % of its payments; version 0\nalipay  available, takes 100 % of its payments; version 0\n", must("list"))
	for _, bad := range []struct {
		args []string
		says string
	}{
		{[]string{"off", "wechat", "--reason", "maintenance"}, "--by"},
		{[]string{"off", "wechat", "--by", "ann"}, "--reason"},
		{[]string{"off", "wechat", "--by", "ann", "--reason", " "}, health.ErrReason.Error()},
		{[]string{"off", "wehcat", "--by", "ann", "--reason", "tests"}, "names none of that name"},
		{[]string{"on", "wechat", "--by", "ann", "--reason", "tests"}, health.ErrMove.Error()},
		{[]string{"off", "wechat", "--by", "ann", "--reason", "tests", "--version", "4"}, health.ErrStale.Error()},
		{[]string{"moves", "--limit", "0"}, "--limit 0"},
		{[]string{"incidents", "--limit", "0"}, "--limit 0"},
	} {
		_, err := run(bad.args...)
		require.ErrorContains(t, err, bad.says, "%v", bad.args)
	}
	require.Empty(t, must("moves"))

	require.Contains(t, must("off", "wechat", "--by", "ann", "--reason", "they told of work tonight"), "wechat  unavailable, takes 0 % of its payments, since ")
	backend.Step(t.Context())
	require.Zero(t, backend.Share(health.Cell{Channel: "wechat"}))
	require.Equal(t, 1.0, backend.Share(health.Cell{Channel: "alipay"}))
	require.Contains(t, must("moves", "wechat"), "switched-off: unavailable, takes 0 %; by ann: they told of work tonight")
	require.Empty(t, must("moves", "alipay"))
	require.Contains(t, must("incidents", "--open"), "LASTS; not closed")
	_, err = run("close", "wechat", "--incident", "1", "--cause", "maintenance", "--by", "bob", "--reason", "planned")
	require.ErrorIs(t, err, store.ErrIncidentLasts)

	_, err = run("on", "wechat", "--by", "bob", "--reason", "done", "--version", "0")
	require.ErrorIs(t, err, health.ErrStale)
	require.Contains(t, must("on", "wechat", "--by", "bob", "--reason", "done", "--version", "1", "--json"), `"state":"available","share":1,"version":2`)
	backend.Step(t.Context())
	require.Equal(t, 1.0, backend.Share(health.Cell{Channel: "wechat"}))
	_, err = run("close", "wechat", "--incident", "1", "--cause", "the-moon", "--by", "bob", "--reason", "planned")
	require.ErrorContains(t, err, "--cause")
	require.Equal(t, "wechat  incident 1 is closed: maintenance\n", must("close", "wechat", "--incident", "1", "--cause", "maintenance", "--by", "bob", "--reason", "planned"))
	require.Empty(t, must("incidents", "--open"))
	require.Contains(t, must("incidents"), "maintenance, says bob: planned")
	_, err = run("close", "wechat", "--incident", "1", "--cause", "network", "--by", "bob", "--reason", "again")
	require.ErrorIs(t, err, store.ErrIncidentClosed)

	// One bank's cards alone.
	require.Contains(t, must("off", "alipay", "--bank", "ICBC", "--by", "ann", "--reason", "the bank is away"), "ICBC")
	backend.Step(t.Context())
	require.Zero(t, backend.Share(health.Cell{Channel: "alipay", Bank: "ICBC"}))
	require.Equal(t, 1.0, backend.Share(health.Cell{Channel: "alipay"}))
	require.Len(t, strings.Split(strings.TrimSpace(must("list")), "\n"), 3)

	// What was switched is told to the log of whoever runs the gateway.
	require.NoError(t, s.View(t.Context(), func(tx *store.Tx) error {
		waiting, err := tx.OutboxWaiting(t.Context(), 10)
		require.Len(t, waiting, 6)
		for _, m := range waiting {
			require.Contains(t, []string{keeper.Topic(node.LogSink), keeper.Topic(node.AppsSink)}, m.Topic)
			require.Contains(t, string(m.Body), `"by":"`)
		}
		return err
	}))
}

// TestCausesAreTheStores: the tool offers each cause that an incident may be closed with.
func TestCausesAreTheStores(t *testing.T) {
	parser, err := kong.New(&ChannelsCmd{})
	require.NoError(t, err)
	for _, n := range parser.Model.Leaves(false) {
		for _, f := range n.Flags {
			if f.Name == "cause" {
				require.Equal(t, strings.Join(store.Causes, ","), f.Enum)
				return
			}
		}
	}
	t.Fatal("close has no cause")
}

// TestASchemeWithoutChannels is told so, and where they would be named.
func TestASchemeWithoutChannels(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "scheme")
	run := func(cmd any, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		parser, err := kong.New(cmd, kong.Writers(&out, &out), kong.BindTo(t.Context(), (*context.Context)(nil)))
		require.NoError(t, err)
		k, err := parser.Parse(append(args, "--dir", dir))
		require.NoError(t, err)
		require.NoError(t, k.Run())
		return out.String()
	}
	run(&InitCmd{})
	freePorts(t, dir)
	c, err := schemeFolder{Dir: dir}.config(t.Context(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	c.Store = store.Options{NoSync: true}
	n, err := node.Open(t.Context(), c)
	require.NoError(t, err)
	require.NoError(t, n.Close())
	require.Equal(t, noChannels, run(&ChannelsListCmd{}))
	require.Empty(t, run(&ChannelsListCmd{}, "--json"), "one line a channel")
	require.Contains(t, run(&ChannelsWatchCmd{}, "--once"), noChannels)
}

// TestPaymentsAreRoutedByTheFileAlone: a backend runs and ends; then neither it nor its database is needed.
func TestPaymentsAreRoutedByTheFileAlone(t *testing.T) {
	x := newPayTown(t)
	must := func(cmd any, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		parser, err := kong.New(cmd, kong.Writers(&out, &out), kong.BindTo(t.Context(), (*context.Context)(nil)))
		require.NoError(t, err)
		k, err := parser.Parse(args)
		require.NoError(t, err)
		require.NoError(t, k.Run())
		return out.String()
	}
	c, err := x.config(t)
	require.NoError(t, err)
	n, err := node.Open(t.Context(), c)
	require.NoError(t, err)
	must(&ChannelsOffCmd{}, "wechat", "--by", "ann", "--reason", "tests", "--dir", x.Dir)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	shown := ""
	require.Eventually(t, func() bool {
		if f, err := os.ReadFile(node.FallbackPath(c.Dir)); err != nil || !bytes.Contains(f, []byte(`"out"`)) {
			return false
		}
		shown = must(&ChannelsFallbackCmd{}, "--dir", x.Dir)
		return true
	}, 30*time.Second, 20*time.Millisecond, "the file is written again and again")
	stop()
	require.NoError(t, <-ended)
	require.NoError(t, n.Close())
	require.Contains(t, shown, "routing plan 1")
	require.Contains(t, shown, "wechat  takes 0 % of its payments")

	_, key, _ := strings.Cut(shown, "signed by ")
	key, _, _ = strings.Cut(key, "\n")
	moved := filepath.Join(t.TempDir(), "moved")
	require.NoError(t, os.Rename(node.FallbackPath(c.Dir), moved))
	said := must(&ChannelsRouteCmd{}, "--file", moved, "--key", key, "--product", "qr", "--amount", "12.50")
	require.Contains(t, said, "ago; routing plan 1")
	require.Regexp(t, `(?m)^  - wechat +faulty +rule rule 1; .*, fee 0.08, takes 0 %$`, said)
	require.Regexp(t, `(?m)^ 1. alipay +may +rule rule 1; success 90.0 % \(\d+\.\d to \d+\.\d\) of about 4 payments`, said)
	require.Contains(t, must(&ChannelsRouteCmd{}, "--file", moved, "--key", key, "--product", "no-such", "--amount", "1"), "not-supported")
}
