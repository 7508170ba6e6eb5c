package journal

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/uplink/wire"
)

var cuts = flag.Int("cuts", 10_000, "power cuts on page images")

// TestPowerCutsOnPageImages sells on one journal, and cuts the power inside its commits: any subset of the sectors of a commit's pages before its meta page, or
// any of its sectors on the way. Whatever is left opens, and every tap that was reported as completed is there, once.
func TestPowerCutsOnPageImages(t *testing.T) {
	const pageSize, sector = 4096, 512
	chance := rand.New(rand.NewPCG(21, 22))
	path, torn := filepath.Join(t.TempDir(), "journal.db"), filepath.Join(t.TempDir(), "torn.db")
	o := options()
	o.MaxBytes = 4 << 20
	j := open(t, path, o)
	defer func() { j.Close() }()
	completed := map[uint64]bool{} // by tap
	image := func(old, now []byte) []byte {
		out := append(bytes.Clone(old), make([]byte, max(0, len(now)-len(old)))...)
		cutIn := 2 // of 2: in the pages; else the meta page is on its way, and all pages are there
		if chance.IntN(4) == 0 {
			cutIn = 1
		}
		for at := 0; at < len(now); at += pageSize {
			if bytes.Equal(out[at:at+pageSize], now[at:at+pageSize]) {
				continue
			}
			isMeta := at < 2*pageSize
			for s := at; s < at+pageSize; s += sector {
				if !isMeta && cutIn == 1 || isMeta && cutIn == 1 && chance.IntN(2) == 0 || !isMeta && cutIn == 2 && chance.IntN(2) == 0 {
					copy(out[s:s+sector], now[s:])
				}
			}
		}
		return out
	}
	check := func(raw []byte, during []uint64) {
		write(t, torn, raw)
		k, err := Open(torn, o)
		require.NoError(t, err)
		defer func() { require.NoError(t, k.Close()) }()
		seen := map[uint64]int{}
		for _, r := range records(t, k) {
			if r.GetState() == wire.State_STATE_COMPLETED {
				seen[r.GetTap()]++
			}
		}
		for tap := range completed {
			require.Equal(t, 1, seen[tap], "tap %d", tap)
		}
		for _, tap := range during {
			require.Equal(t, seen[during[0]], seen[tap], "a shared commit is there whole or not at all")
		}
		for tap, n := range seen {
			require.Equal(t, 1, n)
			require.True(t, completed[tap] || slices.Contains(during, tap), "tap %d was never completed", tap)
		}
	}
	done := 0
	for n := 1; done < *cuts; n++ {
		// One reader, or two whose commits are one.
		taps := make([]uint64, 1+n%2)
		var begin, finish []func() error
		for i := range taps {
			card := 10*n + i
			begin = append(begin, func() (err error) { taps[i], err = j.Begin(draft(card)); return err })
			finish = append(finish, func() error { return j.Finish(taps[i], final(card, wire.State_STATE_COMPLETED)) })
		}
		old := read(t, path)
		require.NoError(t, inOneCommit(j, begin...))
		begun := read(t, path)
		require.NoError(t, inOneCommit(j, finish...))
		now := read(t, path)
		for range 5 {
			check(image(old, begun), nil)
			check(image(begun, now), taps)
			done += 2
		}
		for _, tap := range taps {
			completed[tap] = true
		}
		if n%60 == 0 { // what has receipts goes, so that images stay small
			require.NoError(t, j.Close())
			path = filepath.Join(t.TempDir(), "journal.db")
			j = open(t, path, o)
			clear(completed)
		}
	}
}
