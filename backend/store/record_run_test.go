package store

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// drawKeys makes numbers of a few journals, in order and each once, some close together and some apart.
func drawKeys(t *rapid.T) []recordKey {
	seen := map[recordKey]bool{}
	var out []recordKey
	for _, step := range rapid.SliceOfN(rapid.SampledFrom([]int64{1, 1, 1, 2, 7, 700, 1023, 1024, 5000}), 1, 60).Draw(t, "steps") {
		k := recordKey{rapid.SampledFrom([]string{"bus-1", "bus-2"}).Draw(t, "terminal"), rapid.Int64Range(1, 2).Draw(t, "epoch"), step}
		if n := len(out); n > 0 {
			k.seq += out[n-1].seq
		}
		if !seen[k] {
			seen[k] = true
			out = append(out, k)
		}
	}
	sortKeys(out)
	return out
}

// TestRunsHoldEachNumberOnceWithItsOwnKind: whatever numbers are alike, each is in one run, with its kind, no run is too long, and none is lost on its way through
// the database's form.
func TestRunsHoldEachNumberOnceWithItsOwnKind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := drawKeys(t)
		kind := map[recordKey]int{}
		for _, k := range keys {
			kind[k] = rapid.IntRange(0, 2).Draw(t, "kind")
		}
		var back []recordKey
		firsts := map[recordKey]bool{}
		runsBy(keys, func(k recordKey) int { return kind[k] }, func(r run, of int) {
			require.LessOrEqual(t, r.last-r.first, int64(longestRun-1))
			require.False(t, firsts[r.key()], "two runs begin with %v", r.key())
			firsts[r.key()] = true
			stored := run{terminal: r.terminal, epoch: r.epoch, first: r.first, last: r.last}
			stored.setBytes(r.bytes())
			require.Equal(t, r, stored)
			n := 0
			for k := range stored.members {
				require.Equal(t, of, kind[k])
				back = append(back, k)
				n++
			}
			require.Equal(t, n, r.count())
		})
		sortKeys(back)
		require.Equal(t, keys, back)
	})
}

func TestARunWithoutSomeHasTheOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := runOf(recordKey{"bus-1", 1, 10})
		all := []recordKey{r.key()}
		for _, step := range rapid.SliceOfN(rapid.Int64Range(1, 200), 0, 20).Draw(t, "steps") {
			if seq := r.last + step; r.add(seq) {
				all = append(all, recordKey{"bus-1", 1, seq})
			}
		}
		gone := map[recordKey]bool{{"bus-2", 1, 10}: true}
		var want []recordKey
		for _, k := range all {
			if gone[k] = rapid.Bool().Draw(t, "gone"); !gone[k] {
				want = append(want, k)
			}
		}
		left, some := r.without(gone)
		require.Equal(t, want != nil, some)
		if some {
			require.Equal(t, want, slices.Collect(left.members))
			require.Equal(t, want[0], left.key())
			require.Equal(t, want[len(want)-1].seq, left.last)
		}
		if len(want) == len(all) {
			require.Equal(t, r, left)
		}
	})
}

func TestSpansCoverTheirNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := drawKeys(t)
		covered := func(spans []span, k recordKey) int {
			n := 0
			for _, s := range spans {
				if s.terminal == k.terminal && s.epoch == k.epoch && s.first <= k.seq && k.seq <= s.last {
					n++
				}
			}
			return n
		}
		exact, size := spansOf(keys), int64(0)
		for _, s := range exact {
			size += s.last - s.first + 1
		}
		require.EqualValues(t, len(keys), size, "a span has a number that was not asked for")
		for _, k := range keys {
			require.Equal(t, 1, covered(exact, k))
			require.Equal(t, 1, covered(reachOf(keys), k))
		}
	})
}
