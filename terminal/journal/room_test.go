package journal

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/uplink/wire"
)

func small() Options {
	o := options()
	o.MaxBytes, o.Keep = 1<<20, 10
	return o
}

// fill sells until the journal is full, and leaves every third tap open, as unknown or as an intent. It returns the number of
// the next card, and the open taps by card.
func fill(t require.TestingT, j *Journal, from int) (next int, open map[int]uint64) {
	open = map[int]uint64{}
	for n := from; ; n++ {
		last := j.LastSeq()
		tap, err := j.Begin(draft(n))
		if err != nil {
			require.ErrorIs(t, err, ErrFull)
			require.Equal(t, last, j.LastSeq())
			return n, open
		}
		switch n % 9 {
		case 0:
			open[n] = tap
		case 3, 6:
			require.NoError(t, j.MarkUnknown(tap))
			open[n] = tap
		default:
			require.NoError(t, j.Finish(tap, final(n, wire.State_STATE_COMPLETED)))
		}
	}
}

func TestAFullJournalFinishesWhatWasBegunAndSellsAgain(t *testing.T) {
	j, _ := fresh(t, small())
	next := 1
	for round := range 6 {
		var open map[int]uint64
		next, open = fill(t, j, next)
		require.NotEmpty(t, open)
		records(t, j) // all is still readable
		require.NoError(t, j.Verify())
		_, err := j.Begin(draft(next))
		require.ErrorIs(t, err, ErrFull)
		require.ErrorContains(t, err, "are kept to finish what is begun")

		// Whatever is open can be finished, the longest way, and then there is room for nothing but receipts.
		for n, tap := range open {
			if n%9 == 0 {
				require.NoError(t, j.MarkUnknown(tap))
			}
			require.NoError(t, j.Finish(tap, final(n, wire.State_STATE_AGED)))
		}
		s, err := j.Stats()
		require.NoError(t, err)
		require.LessOrEqual(t, s.FileBytes, s.MaxBytes, "round %d: the reserve lies below the limit", round)
		require.Zero(t, s.OpenIntents)

		last := j.LastSeq()
		require.NoError(t, j.Ack(last))
		for {
			n, err := j.Prune(64)
			require.NoError(t, err)
			if n == 0 {
				break
			}
		}
		require.Len(t, records(t, j), 10)
		require.NoError(t, j.Verify())
		j = reopen(t, j, small())
		require.Equal(t, last, j.LastSeq())
	}
}

// TestTheReserveIsEnoughAtAnySize fills journals of several limits with intents of several sizes, each with as many open intents as it
// takes, and ends all of them the longest way.
func TestTheReserveIsEnoughAtAnySize(t *testing.T) {
	large := make([]byte, maxDraft-300)
	for _, size := range []func(*wire.Record){
		func(*wire.Record) {},
		func(r *wire.Record) { r.Attempt = large },
		func(r *wire.Record) { r.EvidenceData = large },
	} {
		for _, limit := range []int64{minMaxBytes, 300_000, 1 << 20, 4 << 20} {
			o := options()
			o.MaxBytes = limit
			j, _ := fresh(t, o)
			var taps []uint64
			for n := 1; ; n++ {
				d := draft(n)
				size(d)
				tap, err := j.Begin(d)
				if err != nil {
					require.ErrorIs(t, err, ErrFull)
					break
				}
				taps = append(taps, tap)
			}
			require.NotEmpty(t, taps, "limit %d", limit)
			n, err := j.RecoverBoot()
			require.NoError(t, err)
			require.Len(t, taps, n)
			rand.New(rand.NewPCG(7, 8)).Shuffle(len(taps), func(a, b int) { taps[a], taps[b] = taps[b], taps[a] })
			for _, tap := range taps {
				f := final(int(tap), wire.State_STATE_VOIDED)
				size(f)
				require.NoError(t, j.Finish(tap, f))
			}
			s, err := j.Stats()
			require.NoError(t, err)
			require.LessOrEqual(t, s.FileBytes, limit)
			require.NoError(t, j.Verify())
		}
	}
}

// TestTheReserveHasItsPlaceOnTheDisk looks at the file after a Begin: what it and all open intents still need lies within it.
func TestTheReserveHasItsPlaceOnTheDisk(t *testing.T) {
	j, path := fresh(t, small())
	for n := range 50 {
		_, err := j.Begin(draft(n))
		require.NoError(t, err)
		s, err := j.Stats()
		require.NoError(t, err)
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.GreaterOrEqual(t, info.Size()-s.FileBytes, j.opt.reserve(n+1, (n+1)*proto.Size(draft(n)))-reserveLeast/2, "what Begin itself has written came out of it")
	}
}

func TestZerosAreWrittenOnlyBeyondTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, []byte("money"))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, writeZeros(f, 2, 3))
	require.NoError(t, writeZeros(f, 2, writeZerosAtOnce+100))
	raw := read(t, path)
	require.Len(t, raw, writeZerosAtOnce+100)
	require.Equal(t, "money\x00\x00", string(raw[:7]))
}
