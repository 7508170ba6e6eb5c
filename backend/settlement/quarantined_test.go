package settlement_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// TestAGoodRecordCorrectsItsQuarantinedNumber: the acquirer was told that nobody could read it, and is told that it is paid for.
func TestAGoodRecordCorrectsItsQuarantinedNumber(t *testing.T) {
	w := opened(t)
	w.load(1, monday, "100.00", books.AcquirerSoldLoads(bus))
	w.update(func(tx *store.Tx) error {
		_, err := tx.Quarantine(w.ctx, store.Arrived{Terminal: "bus", Epoch: 1, FirstSeq: 1, Envelope: []byte("garbled"), Day: monday, At: noon(monday)}, 2, "garbled")
		return err
	})
	out := w.close(monday)
	require.EqualValues(t, 2, out.Report.Acquirers[0].Rejected.Count)
	require.Contains(t, string(out.CSV[1].Body), "rejected,quarantined,0.00,,,\n")

	// The first comes after all; the second, on the day after, is another merchant's acquirer by then.
	post := func(day string) {
		v := w.verified(day, good(1, bus, "3.00"))
		w.update(func(tx *store.Tx) error {
			_, err := tx.Keep(w.ctx, store.Arrived{Terminal: "bus", Epoch: 1, FirstSeq: v.Seq, Records: [][]byte{{byte(v.Seq)}}, Envelope: []byte(day), Day: day, At: noon(day)})
			return err
		})
		w.update(func(tx *store.Tx) error {
			return tx.PostGroup(w.ctx, store.Group{Day: day}, []store.Verified{v})
		})
	}
	post(tuesday)
	out = w.close(tuesday)
	r := out.Report.Acquirers[0]
	require.Equal(t, settlement.Tally{Count: 1, Amount: amt("3.00")}, r.Adjustments)
	require.Zero(t, r.Accepted)
	require.Contains(t, string(out.CSV[1].Body), ",accepted,,3.00,2026-11-23,rejected,0.00\n")
	w.sound()

	w.update(func(tx *store.Tx) error {
		return tx.PutMerchant(w.ctx, store.Merchant{ID: "bus", Acquirer: "metro", Name: "Bus"})
	})
	post(day3)
	out = w.close(day3)
	for _, a := range out.Report.Acquirers {
		if a.ID == "bus" {
			require.Equal(t, settlement.Tally{Count: 1, Amount: amt("3.00")}, a.Adjustments, "it goes to whom it was told")
		}
	}
	require.Empty(t, w.close("2026-11-26").Report.Acquirers[0].Adjustments, "once")
	w.sound()
}

// TestAQuarantinedNumberThatWasNoDebitIsCorrectedToo: a tap that never happened is told of where a day has told of its number, and what it becomes later
// corrects that.
func TestAQuarantinedNumberThatWasNoDebitIsCorrectedToo(t *testing.T) {
	w := opened(t)
	w.load(1, monday, "100.00", books.AcquirerSoldLoads(bus))
	w.update(func(tx *store.Tx) error {
		_, err := tx.Quarantine(w.ctx, store.Arrived{Terminal: "bus", Epoch: 1, FirstSeq: 1, Envelope: []byte("garbled"), Day: monday, At: noon(monday)}, 1, "garbled")
		return err
	})
	w.close(monday)
	v := w.verified(tuesday, tap{card: 1, at: bus, amount: "3.00", said: shadowaccount.SaidVoided})
	w.update(func(tx *store.Tx) error {
		_, err := tx.Keep(w.ctx, store.Arrived{Terminal: "bus", Epoch: 1, FirstSeq: v.Seq, Records: [][]byte{{1}}, Envelope: []byte("good"), Day: tuesday, At: noon(tuesday)})
		return err
	})
	w.update(func(tx *store.Tx) error { return tx.PostGroup(w.ctx, store.Group{Day: tuesday}, []store.Verified{v}) })
	out := w.close(tuesday)
	require.Contains(t, string(out.CSV[1].Body), ",void,,3.00,2026-11-23,rejected,0.00\n")
	require.Zero(t, out.Report.Acquirers[0].Adjustments, "it moves no money")
	require.Zero(t, out.Report.Acquirers[0].Rejected)
	w.sound()
}
