package bitslice_test

import (
	"testing"

	"github.com/purselane/purselane/card/keys/bitslice"
)

// BenchmarkDES is one block of each of 64 lanes.
func BenchmarkDES(b *testing.B) {
	var block, key bitslice.Block
	for b.Loop() {
		block.Encrypt(&key)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/bitslice.Lanes, "ns/block")
}

// BenchmarkSet turns 64 blocks into lanes.
func BenchmarkSet(b *testing.B) {
	var block bitslice.Block
	var lanes [bitslice.Lanes][8]byte
	for b.Loop() {
		block.Set(&lanes)
	}
}
