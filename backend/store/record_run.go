package store

import (
	"cmp"
	"math/bits"
	"slices"
)

// longestRun bounds how far the last number of a run is from its first, so that the runs that may have a number are found by where they begin.
const longestRun = 1024

// run is some numbers of a terminal's epoch: first, last and those between that are marked.
type run struct {
	terminal           string
	epoch, first, last int64
	marks              [longestRun / 64]uint64 // bit i: first + i
}

func runOf(k recordKey) run {
	return run{k.terminal, k.epoch, k.seq, k.seq, [longestRun / 64]uint64{1}}
}

// key is that of the first number.
func (r run) key() recordKey { return recordKey{r.terminal, r.epoch, r.first} }

// add takes a number above the last into the run, unless it is too far.
func (r *run) add(seq int64) bool {
	i := seq - r.first
	if i >= longestRun {
		return false
	}
	r.marks[i/64] |= 1 << (i % 64)
	r.last = seq
	return true
}

// members are the numbers of the run, in order.
func (r run) members(yield func(recordKey) bool) {
	for w, word := range r.marks {
		for ; word != 0; word &= word - 1 {
			if !yield(recordKey{r.terminal, r.epoch, r.first + int64(w*64+bits.TrailingZeros64(word))}) {
				return
			}
		}
	}
}

func (r run) count() int {
	n := 0
	for _, word := range r.marks {
		n += bits.OnesCount64(word)
	}
	return n
}

// without is the run without some of its numbers, and whether any is left.
func (r run) without(gone map[recordKey]bool) (left run, some bool) {
	for k := range r.members {
		switch {
		case gone[k]:
		case some:
			left.add(k.seq)
		default:
			left, some = runOf(k), true
		}
	}
	return left, some
}

// bytes is how the marks are stored: a bit each, the lowest of a byte first; nothing where all numbers from first to last are marked.
func (r run) bytes() []byte {
	n := r.last - r.first + 1
	if r.count() == int(n) {
		return []byte{}
	}
	out := make([]byte, (n+7)/8)
	for i := range out {
		out[i] = byte(r.marks[i/8] >> (i % 8 * 8))
	}
	return out
}

// setBytes is the way back; first and last are known.
func (r *run) setBytes(b []byte) {
	r.marks = [longestRun / 64]uint64{}
	for i := range min(int64(longestRun), r.last-r.first+1) {
		if len(b) == 0 || i/8 < int64(len(b)) && b[i/8]&(1<<(i%8)) != 0 {
			r.marks[i/64] |= 1 << (i % 64)
		}
	}
}

// span is numbers of a terminal's epoch without a hole, however many.
type span struct {
	terminal           string
	epoch, first, last int64
}

// spansOf joins numbers, which are in order, to spans.
func spansOf(keys []recordKey) []span {
	var out []span
	for _, k := range keys {
		if n := len(out); n > 0 && out[n-1].terminal == k.terminal && out[n-1].epoch == k.epoch && k.seq <= out[n-1].last+1 {
			out[n-1].last = k.seq
			continue
		}
		out = append(out, span{k.terminal, k.epoch, k.seq, k.seq})
	}
	return out
}

// reachOf is where runs with some of the numbers, which are in order, may begin or end: one stretch for numbers that one run could join.
func reachOf(keys []recordKey) []span {
	var out []span
	for _, k := range keys {
		if n := len(out); n > 0 && out[n-1].terminal == k.terminal && out[n-1].epoch == k.epoch && k.seq-out[n-1].last < longestRun {
			out[n-1].last = k.seq
			continue
		}
		out = append(out, span{k.terminal, k.epoch, k.seq, k.seq})
	}
	return out
}

// recordKey names a record as the record table does.
type recordKey struct {
	terminal   string
	epoch, seq int64
}

func keyOf(p Pending) recordKey { return recordKey{string(p.Terminal), int64(p.Epoch), int64(p.Seq)} }

func (k recordKey) compare(o recordKey) int {
	return cmp.Or(cmp.Compare(k.terminal, o.terminal), cmp.Compare(k.epoch, o.epoch), cmp.Compare(k.seq, o.seq))
}

func sortKeys(keys []recordKey) { slices.SortFunc(keys, recordKey.compare) }
