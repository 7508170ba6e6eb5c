package intake_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
)

// BenchmarkIntake accepts and posts records in batches of 100 over 200 cards, as a simulated city does.
func BenchmarkIntake(b *testing.B) {
	s := start(b, store.Options{})
	counters, balances := map[byte]uint16{}, map[byte]int64{}
	var batches [][][]byte
	for i := 0; i < b.N; i += 100 {
		var batch [][]byte
		for j := range min(100, b.N-i) {
			n := i + j
			card := byte(n % 200)
			batch = append(batch, s.record(tap{terminal: "bus-1", tap: uint64(n) + 1, card: card, counter: counters[card], before: 1_000_000 - balances[card], amount: 1}))
			counters[card]++
			balances[card]++
		}
		batches = append(batches, batch)
	}
	b.ResetTimer()
	first := uint64(1)
	for i, batch := range batches {
		_, err := s.accept("bus-1", first, batch...)
		require.NoError(b, err)
		first += uint64(len(batch))
		if i%10 == 9 || i == len(batches)-1 {
			s.drain()
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
