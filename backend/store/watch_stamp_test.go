package store_test

import (
	"cmp"
	"context"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount"
)

func stamped(tap, seq uint64) store.Stamped {
	return store.Stamped{Seq: seq, Stamp: shadowaccount.Stamp{Tap: tap, AtMS: int64(tap) * 1000, ErrorMS: int64(seq % 7), Sure: shadowaccount.Bounded, ReceivedMS: int64(seq) * 10}}
}

// TestStampsEndTheSameInAnyOrder: however taps come, in parts of any size and again, what is kept is one stamp a tap, its first record's, and what is told beside those that came has the neighbours of each.
func TestStampsEndTheSameInAnyOrder(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "scheme.db"), store.Options{NoSync: true})
	epoch := uint64(math.MaxUint64 - 10_000)
	split := 0
	rapid.Check(t, func(r *rapid.T) {
		epoch++
		var all []store.Stamped
		tap := uint64(0)
		for range rapid.SampledFrom([]int{1, 5, 40, 3 * store.StampsARow}).Draw(r, "taps") {
			tap += rapid.SampledFrom([]uint64{1, 1, 1, 2, 30}).Draw(r, "next")
			all = append(all, stamped(tap, tap))
			if rapid.IntRange(0, 19).Draw(r, "again") == 0 {
				all = append(all, stamped(tap, tap+rapid.Uint64Range(1, 100).Draw(r, "later record")))
			}
		}
		arrival := slices.Clone(all)
		if rapid.Bool().Draw(r, "shuffled") {
			arrival = rapid.Permutation(all).Draw(r, "arrival")
		}
		known := map[uint64]store.Stamped{}
		for len(arrival) > 0 {
			n := min(len(arrival), rapid.IntRange(1, 300).Draw(r, "part"))
			part := arrival[:n]
			arrival = arrival[n:]
			if rapid.IntRange(0, 9).Draw(r, "comes again") == 0 {
				arrival = append(arrival, part[0])
			}
			for _, c := range part {
				if was, ok := known[c.Tap]; !ok || c.Seq < was.Seq {
					known[c.Tap] = c
				}
			}
			require.NoError(r, s.Update(t.Context(), func(tx *store.Tx) error {
				merged, err := tx.StampsWith(t.Context(), "bus-1", epoch, part)
				require.NoError(r, err)
				neighbours(r, known, part, merged.All())
				return tx.KeepStamps(t.Context(), merged)
			}))
		}
		view(t, s, func(ctx context.Context, tx *store.Tx) error {
			kept, err := tx.StampsWith(ctx, "bus-1", epoch, all)
			require.NoError(r, err)
			var want []shadowaccount.Stamp
			for _, c := range known {
				want = append(want, c.Stamp)
			}
			slices.SortFunc(want, func(a, b shadowaccount.Stamp) int { return cmp.Compare(a.Tap, b.Tap) })
			require.Equal(r, want, kept.All())
			require.Zero(r, store.RowsOf(kept), "all is kept")
			return nil
		})
		if len(known) > store.StampsARow {
			split++
		}
	})
	require.NotZero(t, split)
}

// neighbours wants each tap that came, and of all that are known those next to it, among the stamps told.
func neighbours(t require.TestingT, known map[uint64]store.Stamped, came []store.Stamped, told []shadowaccount.Stamp) {
	var taps []uint64
	for tap := range known {
		taps = append(taps, tap)
	}
	slices.Sort(taps)
	for _, c := range came {
		i, _ := slices.BinarySearch(taps, c.Tap)
		j := slices.IndexFunc(told, func(s shadowaccount.Stamp) bool { return s.Tap == c.Tap })
		require.GreaterOrEqual(t, j, 0)
		require.Equal(t, known[c.Tap].Stamp, told[j])
		if i > 0 {
			require.Greater(t, j, 0)
			require.Equal(t, taps[i-1], told[j-1].Tap)
		}
		if i < len(taps)-1 {
			require.Less(t, j, len(told)-1)
			require.Equal(t, taps[i+1], told[j+1].Tap)
		}
	}
}

// TestSerialsEndTheSameInAnyOrder: what is missing between a PSAM's numbers, and since when, is a function of what has come.
func TestSerialsEndTheSameInAnyOrder(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "scheme.db"), store.Options{NoSync: true})
	psam := [6]byte{}
	rapid.Check(t, func(r *rapid.T) {
		if psam[5]++; psam[5] == 0 {
			psam[4]++
		}
		lowest := rapid.SampledFrom([]uint32{0, 1, 700, math.MaxUint32 - 30}).Draw(r, "lowest")
		since := map[uint32]int64{}
		for range rapid.IntRange(1, 12).Draw(r, "parts") {
			var part []store.Serial
			for range rapid.IntRange(1, 6).Draw(r, "numbers") {
				c := store.Serial{Number: lowest + rapid.Uint32Range(0, 30).Draw(r, "number"), ReceivedMS: rapid.Int64Range(0, 1000).Draw(r, "came")}
				part = append(part, c)
				if was, ok := since[c.Number]; !ok || c.ReceivedMS < was {
					since[c.Number] = c.ReceivedMS
				}
			}
			require.NoError(r, s.Update(t.Context(), func(tx *store.Tx) error {
				merged, err := tx.SerialsWith(t.Context(), psam, part)
				require.NoError(r, err)
				return tx.KeepSerials(t.Context(), merged)
			}))
		}
		var numbers []uint64
		for n := range since {
			numbers = append(numbers, uint64(n))
		}
		var want []store.Aging
		for _, h := range shadowaccount.Holes(numbers) {
			want = append(want, store.Aging{Hole: h, SinceMS: since[uint32(h.Last)+1]})
		}
		view(t, s, func(ctx context.Context, tx *store.Tx) error {
			holes, err := tx.HolesOfPSAM(ctx, psam)
			require.NoError(r, err)
			require.Equal(r, want, holes)
			psams, err := tx.WatchedPSAMs(ctx)
			require.NoError(r, err)
			require.Equal(r, len(want) > 0, slices.Contains(psams, psam))
			return nil
		})
	})
}

// FuzzDecodeStamps: bytes that are no row are told, and a row is read as it was written.
func FuzzDecodeStamps(f *testing.F) {
	f.Add(uint64(3), []byte{1})
	f.Add(uint64(3), store.EncodeStamps([]store.Stamped{stamped(3, 9), stamped(4, 5), stamped(1<<62, 1)}))
	f.Fuzz(func(t *testing.T, first uint64, in []byte) {
		all, err := store.DecodeStamps(first, in)
		if err != nil {
			return
		}
		require.True(t, slices.IsSortedFunc(all, func(a, b store.Stamped) int { return cmp.Compare(a.Tap, b.Tap) }))
		again, err := store.DecodeStamps(first, store.EncodeStamps(all))
		require.NoError(t, err)
		require.Equal(t, all, again)
	})
}
