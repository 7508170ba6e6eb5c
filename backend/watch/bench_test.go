package watch_test

import (
	"path/filepath"
	"testing"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/pgtest"
)

// BenchmarkCatch looks at 1,000 records of three cards that all fit, in groups of 100, and says what a record costs beside its posting.
func BenchmarkCatch(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		s := newScheme(b, pgtest.Store(b, filepath.Join(b.TempDir(), "scheme.db")), store.Options{})
		var taps []tap
		for n := range int64(1000) {
			i := n / 3
			taps = append(taps, tap{terminal: "gate-1", seq: uint64(n) + 1, card: byte(n%3) + 1, counter: uint32(i), before: 100_00 - i, amount: 1, second: n*600 - 1_000_000})
		}
		for from := 0; from < len(taps); from += 100 {
			s.send(taps[from : from+100]...)
		}
		b.StartTimer()
		if _, err := s.watch.Catch(s.ctx); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		s.store.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "µs/record")
}
