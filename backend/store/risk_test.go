package store_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
)

func TestRiskRowsComeBackAsTheyWere(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "risk.db"), store.Options{NoSync: true})
	at := time.UnixMilli(1_795_000_000_000)
	update := func(f func(context.Context, *store.Tx) error) {
		t.Helper()
		require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error { return f(t.Context(), tx) }))
	}
	var all []store.RiskDecision
	for i, payment := range []string{"P1", "P2", "P3"} {
		for _, proved := range []bool{false, true} {
			all = append(all, store.RiskDecision{Payment: payment, Proved: proved, Order: "O" + payment, At: at.Add(time.Duration(i/2) * time.Minute), Version: 4, Outcome: 2, Rule: "r", Failed: "f", Facts: []byte(`{"amount":7}`),
				Made: at.Add(-time.Second), Amount: 7, Payer: []byte{1}, Card: []byte{2}, Merchant: []byte{3}})
		}
	}
	for range 2 {
		for _, d := range all {
			update(func(ctx context.Context, tx *store.Tx) error { return tx.PutRiskDecision(ctx, d) })
		}
	}
	var got []store.RiskDecision
	var last store.RiskDecision
	for {
		var page []store.RiskDecision
		require.NoError(t, s.View(t.Context(), func(tx *store.Tx) (err error) {
			page, err = tx.RiskDecisions(t.Context(), at, at.Add(time.Hour), last, 2)
			return err
		}))
		if len(page) == 0 {
			break
		}
		got, last = append(got, page...), page[len(page)-1]
	}
	require.Equal(t, all, got)
	require.NoError(t, s.View(t.Context(), func(tx *store.Tx) error {
		got, err := tx.RiskDecisionsOf(t.Context(), "OP2")
		require.Equal(t, all[2:4], got)
		require.NoError(t, err)
		got, err = tx.RiskDecisions(t.Context(), at.Add(time.Minute), at.Add(time.Minute), store.RiskDecision{}, 9)
		require.Empty(t, got)
		return err
	}))

	c := store.RiskCode{Payment: "P1", Code: []byte{9}, Sent: at.UTC(), Count: 2, Tries: 3}
	update(func(ctx context.Context, tx *store.Tx) error { return tx.PutRiskCode(ctx, c) })
	require.NoError(t, s.View(t.Context(), func(tx *store.Tx) error {
		got, err := tx.RiskCode(t.Context(), "P1")
		require.Equal(t, c, got)
		require.NoError(t, err)
		got, err = tx.RiskCode(t.Context(), "P2")
		require.Equal(t, store.RiskCode{Payment: "P2"}, got)
		return err
	}))
}

func TestRiskRulesGoUp(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "risk.db"), store.Options{NoSync: true})
	at := time.UnixMilli(1_795_000_000_000)
	use := func(version int, body string) error {
		return s.Update(t.Context(), func(tx *store.Tx) error {
			return tx.UseRiskRules(t.Context(), store.RiskRules{Version: version, Body: []byte(body), At: at})
		})
	}
	require.NoError(t, use(2, "two"))
	require.NoError(t, use(2, "two"))
	require.ErrorIs(t, use(2, "2"), store.ErrRiskRules)
	require.ErrorIs(t, use(1, "one"), store.ErrRiskRules)
	require.NoError(t, use(5, "five"))
	require.NoError(t, s.View(t.Context(), func(tx *store.Tx) error {
		newest, found, err := tx.NewestRiskRules(t.Context())
		require.True(t, found)
		require.Equal(t, store.RiskRules{Version: 5, Body: []byte("five"), At: at}, newest)
		require.NoError(t, err)
		old, found, err := tx.RiskRulesOf(t.Context(), 2)
		require.True(t, found)
		require.Equal(t, []byte("two"), old.Body)
		require.NoError(t, err)
		_, found, err = tx.RiskRulesOf(t.Context(), 3)
		require.False(t, found)
		return err
	}))
}
