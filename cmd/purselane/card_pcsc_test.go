//go:build pcsc && vpcd

package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/trace"
	"github.com/purselane/purselane/simulator/vpcd"
	"github.com/purselane/purselane/terminal/reader/pcsc/pcsctest"
)

// TestPCSCCardTools has a card in a slot of a real pcscd, put there by simulate card, and looks at it with every tool, one after the other: each
// leaves the reader to the next.
func TestPCSCCardTools(t *testing.T) {
	pcsctest.Private(t)
	const slot, number = "Virtual PCD 00 00", "00010203040506070809"
	pcsctest.Free(t, slot)
	dir := filepath.Join(t.TempDir(), "scheme")
	card := filepath.Join(dir, "card.json")
	must(t, "init", "--dir", dir)
	freePorts(t, dir)
	must(t, "card", "issue", "--dir", dir, "--number", number, "--file", card)
	at, stop := serving(t, dir)

	ctx, out := context.WithCancel(t.Context())
	simulated := make(chan error, 1)
	go func() { simulated <- purselane(ctx, &screen{}, "simulate", "card", "--file", card) }()
	defer func() {
		out()
		require.NoError(t, <-simulated)
		<-time.After(vpcd.AwayTime)
		pcsctest.Empty(t, slot)
	}()

	traces := 0
	tool := func(says []string, args ...string) string {
		traces++
		file := filepath.Join(dir, strings.Repeat("t", traces)+".trace")
		out := must(t, append(args, "--reader", slot, "--trace", file)...)
		for _, s := range says {
			require.Contains(t, out, s, args)
		}
		require.NotContains(t, out, number, args)
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NotContains(t, string(raw), number[4:], args)
		tr, err := trace.Parse(raw)
		require.NoError(t, err)
		require.NotEmpty(t, tr.Sessions[0])
		return out
	}
	tool([]string{"loaded: 50.00"}, "card", "load", "--backend", at["api"], "--token-file", filepath.Join(dir, "agent.token"), "--amount", "50")
	stop()
	tool([]string{"****0809", "balance 50.00"}, "card", "read")
	tool([]string{"online counter 1", "offline counter 0"}, "card", "read", "--counters")
	tool([]string{"1 transactions", "02 load"}, "card", "history")
	tool([]string{"metro trip: 00 no trip"}, "card", "trips")
	tool([]string{"verified: its TAC is that of this record"}, "card", "verify", "--dir", dir)
	for _, name := range []string{"read", "history", "trips"} {
		var any map[string]any
		require.NoError(t, json.Unmarshal([]byte(tool(nil, "card", name, "--json")), &any))
	}
	_, err := run(t, "card", "read", "--reader", "no such reader", "--patience", "1s")
	require.ErrorContains(t, err, "no such reader")
}
