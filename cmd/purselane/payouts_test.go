package main

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// silent is a channel that pays out and never says so.
type silent struct{ channel.Channel }

func (silent) Capabilities() channel.Capabilities {
	return channel.Capabilities{Products: []channel.Product{channel.Payout}, Currencies: []string{"CNY"}, Payout: true}
}
func (silent) Payout(context.Context, channel.PayoutRequest) (channel.Result, error) {
	return channel.Result{}, errors.New("no answer")
}
func (silent) QueryPayout(context.Context, channel.Ref) (channel.Result, error) {
	return channel.Result{}, errors.New("no answer")
}

// TestPayouts: two persons book back, with the tool, what nobody has confirmed, and have it sent again.
func TestPayouts(t *testing.T) {
	dir := closedScheme(t)
	f := schemeFolder{Dir: dir}
	box, err := f.gatewayBox()
	require.NoError(t, err)
	s, err := store.Open(t.Context(), node.DatabasePath(filepath.Join(dir, folderData)), store.Options{NoSync: true, BooksKey: f.booksKey()})
	require.NoError(t, err)
	available := gateway.Available("shop")
	require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error {
		return tx.Post(t.Context(), books.Entry{ID: "seed", Kind: books.KindPaidOnline, Day: "2026-11-25", Ref: "seed", Lines: []books.Line{
			{Account: books.Channel("one"), Amount: money.Minor(500)}, {Account: available, Amount: money.Minor(-500)}}})
	}))
	registry, err := code.NewRegistry(map[code.Product]string{1: "shop"}, map[code.Company]string{1: "one"})
	require.NoError(t, err)
	now := clock.NewManual(time.Now())
	g, err := gateway.New(s, now, gateway.Config{Registry: registry, Router: gateway.FixedRouter{{Accounts: []string{"one"}}}, Box: box,
		Accounts: []gateway.Account{{ID: "one", Company: 1, Number: 1, Channel: silent{}}}})
	require.NoError(t, err)
	o, err := g.Withdraw(t.Context(), "app", gateway.NewWithdrawal{Key: "w", Product: 1, Merchant: "shop", Money: channel.Money{Amount: money.Minor(500), Currency: "CNY"}, Subject: "takings",
		To: gateway.PayTo{Account: "tok_secret", Name: "Ann"}})
	require.NoError(t, err)
	for range 20 {
		now.Advance(time.Minute)
		_, err := g.Scan(t.Context())
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	number := o.Operations[0].Number

	run := func(args ...string) (string, error) {
		var cli struct {
			Payouts PayoutsCmd `cmd:""`
		}
		var out bytes.Buffer
		parser, err := kong.New(&cli, kong.Writers(&out, &out), kong.BindTo(t.Context(), (*context.Context)(nil)))
		require.NoError(t, err)
		k, err := parser.Parse(append(args, "--dir", dir))
		require.NoError(t, err)
		err = k.Run()
		return out.String(), err
	}
	must := func(args ...string) string {
		t.Helper()
		out, err := run(args...)
		require.NoError(t, err)
		require.NotContains(t, out, "secret")
		return out
	}
	require.Contains(t, must("payouts", "list", "--state", "assumed"), number+"  5.00 CNY of shop over one: assumed")
	require.Empty(t, must("payouts", "list", "--state", "done"))
	_, err = run("payouts", "resend", number, "--by", "ann", "--reason", "hurry")
	require.ErrorIs(t, err, order.ErrState)
	require.Contains(t, must("payouts", "returned", number, "--by", "ann", "--reason", "not in the bill"), "a second person")
	require.Contains(t, must("payouts", "list"), "ann asks for returned, and a second person must: not in the bill")
	require.Contains(t, must("payouts", "list", "--json"), `"asked_by":"ann"`)
	_, err = run("payouts", "returned", number, "--by", "ann", "--reason", "still")
	require.ErrorIs(t, err, gateway.ErrDecided)
	must("payouts", "take-back", number)
	must("payouts", "returned", number, "--by", "bob", "--reason", "not in the bill")
	require.Contains(t, must("payouts", "returned", number, "--by", "ann", "--reason", "seen"), number+" over 5.00 is returned")
	must("payouts", "resend", number, "--by", "bob", "--reason", "account is open")
	require.Contains(t, must("payouts", "resend", number, "--by", "ann", "--reason", "seen"), "over 5.00 is ordered")
	_, err = run("payouts", "returned", "R1", "--by", "ann", "--reason", "x")
	require.ErrorIs(t, err, gateway.ErrUnknownPayout)
}
