package main

import (
	"bytes"
	"context"
	"regexp"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// TestBalance: two persons give and take, and the tool shows what a holder has and how it came.
func TestBalance(t *testing.T) {
	dir := closedScheme(t)
	run := func(args ...string) (string, error) {
		var cli struct {
			Balance BalanceCmd `cmd:""`
			Books   BooksCmd   `cmd:""`
		}
		var out bytes.Buffer
		parser, err := kong.New(&cli, kong.Writers(&out, &out), kong.BindTo(t.Context(), (*context.Context)(nil)))
		require.NoError(t, err)
		k, err := parser.Parse(append([]string{args[0], args[1], "--dir", dir}, args[2:]...))
		require.NoError(t, err)
		err = k.Run()
		return out.String(), err
	}
	must := func(args ...string) string {
		out, err := run(args...)
		require.NoError(t, err)
		return out
	}
	id := func(said string) string { return regexp.MustCompile(`^H[A-Z2-7]{26}`).FindString(said) }

	require.Equal(t, "0.00 CNY may be used, 0.00 held\n", must("balance", "show", "till.ann"))
	first := id(must("balance", "adjust", "till.ann", "12.50", "--by", "bob", "--reason", "the till took it twice"))
	require.NotEmpty(t, first)
	_, err := run("balance", "approve", first, "--by", "bob")
	require.ErrorContains(t, err, "second person")
	require.Contains(t, must("balance", "asked"), "12.50 CNY of till.ann, by bob")
	require.Contains(t, must("balance", "approve", first, "--by", "carol"), "is done")
	require.Empty(t, must("balance", "asked"))
	require.Contains(t, must("balance", "asked", "--all"), "done by carol")

	must("balance", "approve", id(must("balance", "points", "till.ann", "3.00", "--currency", "PTS", "--expires", "2999-01-01", "--by", "bob", "--reason", "a gift")), "--by", "carol")
	must("balance", "approve", id(must("balance", "adjust", "--by", "bob", "--reason", "too much", "--", "till.ann", "-2.50")), "--by", "carol")
	show := must("balance", "show", "till.ann")
	require.Contains(t, show, "10.00 CNY may be used, 0.00 held\n3.00 PTS may be used, 0.00 held\n")
	require.Contains(t, show, "expires 2999-01-01T00:00:00Z")
	require.Contains(t, must("balance", "statement", "till.ann", "--points"), "3.00 PTS")
	statement := must("balance", "statement", "till.ann", "--form", "csv")
	for _, want := range []string{"balance-adjusted", "12.50", "-2.50", "10.00"} {
		require.Contains(t, statement, want)
	}
	require.Contains(t, must("books", "trial"), "suspense:adjusted")
	must("books", "verify")

	_, err = run("balance", "points", "till.ann", "1.00", "--currency", "CNY", "--by", "bob", "--reason", "r")
	require.ErrorContains(t, err, "balance adjust")
	last := id(must("balance", "adjust", "till.ann", "1.00", "--by", "bob", "--reason", "r"))
	require.Contains(t, must("balance", "refuse", last, "--by", "carol", "--reason", "no"), "refused")
	_, err = run("balance", "show", "Ann")
	require.Error(t, err)
}
