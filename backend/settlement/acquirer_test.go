package settlement_test

import (
	"bytes"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/settlement/acquirerfile"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

var fileKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize))

func (w *scheme) signed(day string) []settlement.AcquirerFile {
	files, err := settlement.SignedFiles(w.ctx, w.store, day, fileKey)
	require.NoError(w.t, err)
	return files
}

// The files of one small day, byte for byte, with their signatures. They are the same again when later days have corrected it.
func TestTheAcquirersFilesAreThoseOfTheContract(t *testing.T) {
	w := opened(t)
	w.workedExample(monday)
	w.load(1, monday, "20.00", "acquirer:bus:sold-loads")
	w.tap(monday, tap{card: 1, at: bus, amount: "2.00", said: shadowaccount.SaidUnknown})
	w.tap(monday, tap{card: 3, at: metro, amount: "1.00", said: shadowaccount.SaidUnknown})
	w.close(monday)
	w.tap(tuesday, good(1, metro, "5.00"), tap{card: 1, at: bus, amount: "9.00", said: shadowaccount.SaidCompleted, proof: shadowaccount.ProofBad})
	w.close(tuesday)
	files := w.signed(tuesday)
	require.Len(t, files, 12)
	for _, f := range files {
		path := filepath.Join("testdata", "acquirer1", f.Name)
		if *update {
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(t, os.WriteFile(path, f.Body, 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), string(f.Body), f.Name)
	}

	w.tap(day3, good(1, bus, "1.00"))
	w.close(day3)
	require.Equal(t, files, w.signed(tuesday))
	_, err := settlement.SignedFiles(w.ctx, w.store, "2026-11-26", fileKey)
	require.ErrorIs(t, err, settlement.ErrNotClosed)
}

func TestWhatIsHeldAgesAndBecomesACase(t *testing.T) {
	w := opened(t)
	w.load(1, monday, "20.00", "acquirer:bus:sold-loads")
	w.tap(monday, tap{card: 1, at: bus, amount: "2.00", said: shadowaccount.SaidUnknown})
	for _, day := range []string{monday, tuesday, day3} {
		o := at(day)
		o.CaseAfter = 2
		_, err := settlement.Close(w.ctx, w.store, day, o)
		require.NoError(t, err)
	}
	for day, want := range map[string]string{
		monday:  "row,held,bus,unknown,bus/1/1/1,1,0,2.00,\r\n",
		tuesday: "row,held,bus,unknown,bus/1/1/1,1,1,2.00,\r\n",
		day3:    "row,case,bus,unknown,bus/1/1/1,1,2,2.00,\r\n",
	} {
		require.Contains(t, string(w.signed(day)[0].Body), want, day)
	}
}

// filesAddUp checks a closed day's files: they verify, the report adds up to the position, the result to what was accepted and adjusted, the
// fees to the fees, and no card's number is in them.
func (w *scheme) filesAddUp(out settlement.Output) {
	files := w.signed(out.Report.Day)
	require.Len(w.t, files, 6*len(out.Report.Acquirers))
	for i, a := range out.Report.Acquirers {
		accepted, err := a.Accepted.Amount.Add(a.Adjustments.Amount)
		require.NoError(w.t, err)
		taken, err := a.Fees.Total.Add(a.Collected)
		require.NoError(w.t, err)
		for j, want := range []money.Amount{a.Net, accepted, taken} {
			body, sig := files[6*i+2*j], files[6*i+2*j+1]
			require.NoError(w.t, acquirerfile.Verify(fileKey.Public().(ed25519.PublicKey), body.Body, sig.Body))
			f, err := acquirerfile.Parse(body.Body)
			require.NoError(w.t, err)
			require.Equal(w.t, want, f.Sum, f.Name())
			for card := range byte(3) {
				require.NotContains(w.t, string(body.Body), number(card+1).Reveal())
			}
		}
	}
}

func TestAnItemOfACardThatIsGoneIsNoFile(t *testing.T) {
	w := opened(t)
	w.close(monday)
	require.ErrorIs(t, w.store.Update(w.ctx, func(tx *store.Tx) error {
		gone := store.Item{TapKey: store.TapKey{Card: make([]byte, 10), Terminal: "bus", Tap: 1}, Merchant: "bus", Acquirer: "bus", Arrived: monday, Class: "accepted"}
		if err := tx.PutItems(w.ctx, monday, []store.Item{gone}); err != nil {
			return err
		}
		return tx.EachItemOf(w.ctx, monday, "bus", func(store.Item, string) error { return nil })
	}), store.ErrNotFound)
}
