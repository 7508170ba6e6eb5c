package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/cases"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// Two officers decide a tap that nobody knows the outcome of, with the tool alone.
func TestCase(t *testing.T) {
	dir := closedScheme(t)
	s, err := store.Open(t.Context(), node.DatabasePath(filepath.Join(dir, folderData)), store.Options{NoSync: true})
	require.NoError(t, err)
	require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error {
		c := shadowaccount.Claim{Tap: ids.TapID{Terminal: "bus-1", Epoch: 0x5f1e, Tap: 17}, Seq: 1, Merchant: "m", Amount: money.Minor(1_00), Before: money.Minor(9_00), After: money.Minor(8_00), Said: shadowaccount.SaidUnknown}
		stands := store.Verified{Pending: store.Pending{Terminal: "bus-1", Epoch: 1, Seq: 1, Day: "2026-11-25", ReceivedMS: time.Now().UnixMilli()}, Card: ids.CardNumber{9: 2}, Levels: 1, Kind: 1, Claim: c}
		stands.Claim.Tap, stands.Claim.Said, stands.Claim.Proof = ids.TapID{Terminal: "bus-1", Epoch: 1, Tap: 1}, shadowaccount.SaidCompleted, shadowaccount.ProofGood
		return tx.PostGroup(t.Context(), store.Group{Day: "2026-11-25", Token: func(n ids.CardNumber) string { return map[byte]string{1: "one", 2: "two"}[n[9]] }}, []store.Verified{{
			Pending: store.Pending{Terminal: "bus-1", Epoch: 0x5f1e, Seq: 1, Day: "2026-11-25", ReceivedMS: time.Now().UnixMilli()}, Card: ids.CardNumber{9: 1}, Levels: 1, Kind: 1, Claim: c}, stands})
	}))
	require.NoError(t, s.Close())
	run := func(args ...string) (string, error) {
		var cli struct {
			Case CaseCmd `cmd:""`
		}
		var out bytes.Buffer
		parser, err := kong.New(&cli, kong.Writers(&out, &out), kong.BindTo(t.Context(), (*context.Context)(nil)))
		require.NoError(t, err)
		k, err := parser.Parse(append(append([]string{"case"}, args...), "--dir", dir))
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
	require.Equal(t, "0 cases opened, 0 ended by their taps\n", must("sweep"))
	_, err = run("open", "--terminal", "bus-1", "--epoch", "zz", "--tap", "17", "--by", "ann", "--reason", "till")
	require.ErrorContains(t, err, "--epoch")
	said := must("open", "--terminal", "bus-1", "--epoch", "5f1e", "--tap", "17", "--by", "ann", "--reason", "the till says so")
	id := regexp.MustCompile(`C[0-9a-f]{16}`).FindString(said)
	require.Contains(t, said, id+"  claimed, open: tap bus-1/5f1e/17 of card one, 1.00 for m, is unknown")
	require.Contains(t, must("propose", id, "grant", "--by", "ann", "--reason", "camera"), "to grant, says ann")
	_, err = run("approve", id, "--by", "ann", "--reason", "seen")
	require.ErrorIs(t, err, cases.ErrSamePerson)
	require.Contains(t, must("refuse", id, "--by", "bob", "--reason", "which?"), "claimed, open")
	must("propose", id, "grant", "--by", "ann", "--reason", "the one at the gate")
	require.Contains(t, must("approve", id, "--by", "bob", "--reason", "seen"), "claimed, decided: tap bus-1/5f1e/17 of card one, 1.00 for m, is granted")
	require.Contains(t, must("show", id), "not-allowed by ann: approve: seen")
	require.Empty(t, must("list", "--state", "open"))
	require.Contains(t, must("list", "--json"), `"status":"granted"`)
	_, err = run("withdraw", id, "--by", "ann", "--reason", "late")
	require.ErrorIs(t, err, cases.ErrState)

	// A debit that stands: its holder gets it back at a desk.
	said = must("complain", "--terminal", "bus-1", "--epoch", "1", "--tap", "1", "--by", "ann", "--reason", "the gate stayed shut")
	id = regexp.MustCompile(`C[0-9a-f]{16}`).FindString(said)
	require.Contains(t, said, "goodwill, open")
	_, err = run("propose", id, "repay", "--by", "ann", "--reason", "camera")
	require.ErrorContains(t, err, "--agent")
	_, err = run("propose", id, "deny", "--agent", "bus", "--by", "ann", "--reason", "camera")
	require.ErrorContains(t, err, "belong to repay")
	_, err = run("propose", id, "repay", "--agent", "bus", "--amount", "0", "--by", "ann", "--reason", "camera")
	require.ErrorContains(t, err, "--amount")
	require.Contains(t, must("propose", id, "repay", "--agent", "bus", "--amount", "0.50", "--by", "ann", "--reason", "camera"), "gives back 0.50 at bus, load order when it is approved")
	require.Regexp(t, `gives back 0\.50 at bus, load order L[0-9a-f]{24}`, must("approve", id, "--by", "bob", "--reason", "seen"))
	require.Contains(t, must("list", "--json"), `"repay":{"agent":"bus","amount":"0.50","load_order":"L`)

	// The scheme's settings are read, and refused where they mean nothing.
	path := filepath.Join(dir, fileScheme)
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(raw, "\ncase_due: {odd: 1}\n"...), 0o644))
	_, err = run("list")
	require.ErrorContains(t, err, "case_due: odd")
}
