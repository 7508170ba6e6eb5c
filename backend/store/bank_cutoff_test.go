package store_test

import (
	"crypto/ed25519"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

func TestARecordIsClearedByItsAcquirersCutOff(t *testing.T) {
	s, err := store.Open(t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "x.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	defer s.Close()
	ctx := t.Context()
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	require.NoError(t, err)
	cut := func(text string) calendar.CutOff {
		c, err := calendar.ParseCutOff(text)
		require.NoError(t, err)
		return c
	}
	update := func(f func(*store.Tx) error) { require.NoError(t, s.Update(ctx, f)) }
	update(func(tx *store.Tx) error {
		for _, a := range []ids.AcquirerID{"plain", "early", "late", "west"} {
			require.NoError(t, tx.PutAcquirer(ctx, store.Acquirer{ID: a, Name: "x"}))
			require.NoError(t, tx.PutMerchant(ctx, store.Merchant{ID: ids.MerchantID(a), Acquirer: a, Name: "x"}))
			require.NoError(t, tx.PutTerminal(ctx, store.Terminal{ID: ids.TerminalID(a), Merchant: ids.MerchantID(a), PublicKey: make(ed25519.PublicKey, ed25519.PublicKeySize), Active: true}))
		}
		require.NoError(t, tx.PutCutOff(ctx, store.CutOff{Acquirer: "early", TimeZone: "Asia/Shanghai", At: cut("22:00")}))
		require.NoError(t, tx.PutCutOff(ctx, store.CutOff{Acquirer: "late", TimeZone: "Asia/Shanghai", At: cut("27:00")}))
		return tx.PutCutOff(ctx, store.CutOff{Acquirer: "west", TimeZone: "Europe/Berlin"})
	})
	at := func(clock string) time.Time {
		x, err := time.ParseInLocation("2006-01-02 15:04", clock, shanghai)
		require.NoError(t, err)
		return x.UTC() // whatever zone it comes in
	}
	day := func(terminal ids.TerminalID, clock string) (out string) {
		require.NoError(t, s.View(ctx, func(tx *store.Tx) (err error) {
			out, err = tx.ArrivalDay(ctx, terminal, at(clock), shanghai)
			return err
		}))
		return out
	}
	for _, c := range []struct {
		terminal ids.TerminalID
		clock    string
		want     string
	}{
		{"plain", "2026-11-24 23:59", "2026-11-24"}, {"plain", "2026-11-25 00:00", "2026-11-25"}, {"nobody", "2026-11-25 00:00", "2026-11-25"},
		{"early", "2026-11-24 21:59", "2026-11-24"}, {"early", "2026-11-24 22:00", "2026-11-25"},
		{"late", "2026-11-25 02:59", "2026-11-24"}, {"late", "2026-11-25 03:00", "2026-11-25"},
		{"west", "2026-11-25 06:59", "2026-11-24"}, {"west", "2026-11-25 07:00", "2026-11-25"}, // midnight in Berlin
	} {
		require.Equal(t, c.want, day(c.terminal, c.clock), "%s at %s", c.terminal, c.clock)
	}
	update(func(tx *store.Tx) error {
		require.NoError(t, tx.PutCutOff(ctx, store.CutOff{Acquirer: "early"}))
		require.Error(t, tx.PutCutOff(ctx, store.CutOff{Acquirer: "late", TimeZone: "Mars/Base"}))
		return tx.CloseDay(ctx, store.ClearingDay{Day: "2026-11-24", Term: "T+1", Due: "2026-11-25", ClosedAt: at("2026-11-25 01:00"), Version: 2, Currency: "CNY", CaseAfter: 30})
	})
	require.Equal(t, "2026-11-25", day("late", "2026-11-25 02:00"), "its day is closed: the next")
	require.Equal(t, "2026-11-25", day("early", "2026-11-25 22:30"), "midnight again")
}
