package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/cardlife"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
)

// TestACardIsGivenBackAtADesk goes as docs/card-life.md tells it: a look, the end, its receipt, a second person, the settling period, and one pay-out.
func TestACardIsGivenBackAtADesk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "scheme")
	card := filepath.Join(dir, "card.json")
	must(t, "init", "--dir", dir)
	freePorts(t, dir)
	at, stop := serving(t, dir)
	defer stop()
	must(t, "card", "issue", "--dir", dir, "--number", "00010203040506070809", "--file", card)
	desk := func(command string, more ...string) []string {
		return append([]string{"kiosk", command, "--backend", at["api"], "--token-file", filepath.Join(dir, "agent.token")}, more...)
	}
	must(t, desk("load", "--card", card, "--amount", "50")...)

	require.Contains(t, must(t, desk("end", "--card", card)...), "balance 50.00")
	require.Contains(t, must(t, "card", "show", "--dir", dir, "--number", "00010203040506070809"), "active", "a look ends nothing")
	out := must(t, desk("end", "--card", card, "--yes")...)
	require.Contains(t, out, "balance shown 50.00")
	require.NotContains(t, out, "00010203040506070809")
	var told endResult
	answer := must(t, desk("end", "--card", card, "--yes", "--json")...)
	require.NoError(t, json.Unmarshal([]byte(answer[strings.Index(answer, "{"):]), &told))
	require.Equal(t, "requested", told.State)
	require.Contains(t, out, "RECEIPT "+told.Receipt, "the same once more")
	_, err := run(t, desk("load", "--card", card, "--amount", "5")...)
	require.ErrorContains(t, err, "card-blocked")

	payout := desk("payout", told.Receipt)
	_, err = run(t, payout...)
	require.ErrorContains(t, err, "an operator has to approve")
	must(t, "card", "end", "approve", "--dir", dir, "--by", "bob", told.Receipt)
	_, err = run(t, payout...)
	require.ErrorContains(t, err, "waits for the card's last records")
	require.NoError(t, schemeFolder{Dir: dir}.withStore(t.Context(), func(s *store.Store) error {
		later, err := cardlife.New(s, clock.NewManual(time.Now().Add(8*24*time.Hour)), cardlife.Config{})
		if err != nil {
			return err
		}
		_, err = later.Sweep(t.Context())
		return err
	}))
	require.Contains(t, must(t, payout...), "HAND OVER 50.00")
	_, err = run(t, payout...)
	require.ErrorContains(t, err, "hand nothing over: it was paid out")

	_, err = run(t, desk("payout", "E0000000000000000")...)
	require.ErrorContains(t, err, "unknown-order")
	_, err = run(t, desk("end", "--card", card, "--yes")...)
	require.ErrorContains(t, err, "not ended")
	_, err = run(t, desk("end", "--card", card, "--terminal", "7")...)
	require.ErrorContains(t, err, "--terminal")
}
