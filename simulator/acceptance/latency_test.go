package acceptance_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
)

// BenchmarkTapToReceipt measures how long after an outcome is shown its record has a receipt that the terminal has kept, while the link is up: journal, broker,
// backend and database on one machine, each write synced. No card waits for it.
func BenchmarkTapToReceipt(b *testing.B) {
	s := newStand(b, store.Options{})
	s.load("500.00")
	var all []time.Duration
	for b.Loop() {
		n := uint64(len(all) + 1)
		kept := s.receipted(n)
		got, shown := s.sell(fmt.Sprint("sale-", n), "0.01")
		require.Equal(b, "completed", got.State, got.Reason)
		at := <-kept
		require.False(b, at.IsZero(), "no receipt of record %d", n)
		all = append(all, max(at.Sub(shown.at), 0))
	}
	slices.Sort(all)
	for _, q := range []struct {
		name string
		of   int
	}{{"ms-half", 50}, {"ms-99-of-100", 99}, {"ms-longest", 100}} {
		b.ReportMetric(all[(len(all)-1)*q.of/100].Seconds()*1000, q.name)
	}
	b.ReportMetric(0, "ns/op") // a sale waits for the bench's own looks too
}

// receipted gives the time at which there are receipts through record n; zero: not in time.
func (s *stand) receipted(n uint64) <-chan time.Time {
	out := make(chan time.Time, 1)
	go func() {
		look, end := time.NewTicker(100*time.Microsecond), time.After(patience)
		defer look.Stop()
		for s.terminal.Journal().AckedSeq() < n {
			select {
			case <-look.C:
			case <-end:
				out <- time.Time{}
				return
			}
		}
		out <- time.Now()
	}()
	return out
}
