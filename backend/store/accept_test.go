package store_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/store"
)

// TestTheWatermarkIsWhatASetSaysItIs holds watermark, holes and hash against a plain set of numbers, whatever comes in whatever
// order: records, doubles, conflicts, quarantined batches, and what a terminal no longer holds.
func TestTheWatermarkIsWhatASetSaysItIs(t *testing.T) {
	s, _ := fresh(t)
	epoch := uint64(0)
	rapid.Check(t, func(t *rapid.T) {
		epoch++
		ctx := context.Background()
		const numbers = 30
		body := func(seq uint64) []byte { return fmt.Appendf(nil, "record %d", seq) }
		held := map[uint64][]byte{} // nil: quarantined or lost
		batch := func(t *rapid.T) (a store.Arrived, last uint64) {
			first := rapid.Uint64Range(1, numbers).Draw(t, "first")
			last = rapid.Uint64Range(first, min(first+4, numbers)).Draw(t, "last")
			return store.Arrived{Terminal: "bus-1", Epoch: epoch, FirstSeq: first, At: time.UnixMilli(1), Day: "2026-11-24",
				Envelope: fmt.Appendf(nil, "%d to %d", first, last)}, last
		}
		do := func(f func(tx *store.Tx) error) { require.NoError(t, s.Update(ctx, f)) }
		t.Repeat(map[string]func(*rapid.T){
			"records": func(t *rapid.T) {
				a, last := batch(t)
				other := rapid.IntRange(0, 9).Draw(t, "other") == 0
				conflicts := 0
				for seq := a.FirstSeq; seq <= last; seq++ {
					b := body(seq)
					if other {
						b = append(b, " otherwise"...)
					}
					a.Records = append(a.Records, b)
					if held[seq] == nil {
						held[seq] = b
					} else if string(held[seq]) != string(b) {
						conflicts++
					}
				}
				do(func(tx *store.Tx) error {
					k, err := tx.Keep(ctx, a)
					require.Len(t, k.Conflicts, conflicts)
					return err
				})
			},
			"quarantine": func(t *rapid.T) {
				a, last := batch(t)
				for seq := a.FirstSeq; seq <= last; seq++ {
					if !contains(held, seq) {
						held[seq] = nil
					}
				}
				do(func(tx *store.Tx) error {
					_, err := tx.Quarantine(ctx, a, last, "garbled")
					return err
				})
			},
			"give up": func(t *rapid.T) {
				last := rapid.Uint64Range(0, numbers).Draw(t, "last")
				want := 0
				for seq := uint64(1); seq <= last; seq++ {
					if !contains(held, seq) {
						held[seq] = nil
						want++
					}
				}
				do(func(tx *store.Tx) error {
					lost, err := tx.GiveUp(ctx, "bus-1", epoch, last, time.UnixMilli(2))
					for _, r := range lost {
						want -= int(r.Last - r.First + 1)
					}
					require.Zero(t, want, "what it says is lost is what was missing: %v", lost)
					return err
				})
			},
			"": func(t *rapid.T) {
				through := uint64(0)
				for contains(held, through+1) {
					through++
				}
				upTo := rapid.Uint64Range(0, numbers+5).Draw(t, "up to")
				highest := upTo
				for seq := range held {
					highest = max(highest, seq)
				}
				missing := map[uint64]bool{}
				for seq := through + 1; seq <= highest; seq++ {
					if !contains(held, seq) {
						missing[seq] = true
					}
				}
				var hash [32]byte
				if b := held[through]; b != nil {
					hash = sha256.Sum256(b)
				}
				require.NoError(t, s.View(ctx, func(tx *store.Tx) error {
					got, err := tx.Through(ctx, "bus-1", epoch)
					require.NoError(t, err)
					require.Equal(t, through, got)
					gotHash, err := tx.RecordHash(ctx, "bus-1", epoch, through)
					require.NoError(t, err)
					require.Equal(t, hash, gotHash)
					holes, err := tx.Missing(ctx, "bus-1", epoch, upTo, numbers)
					for _, h := range holes {
						for seq := h.First; seq <= h.Last; seq++ {
							require.True(t, missing[seq], "record %d is asked for", seq)
							delete(missing, seq)
						}
					}
					require.Empty(t, missing)
					return err
				}))
			},
		})
	})
}

func contains(m map[uint64][]byte, k uint64) bool {
	_, ok := m[k]
	return ok
}
