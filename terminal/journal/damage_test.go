package journal

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/uplink/wire"
)

// worn makes the bytes of a journal that has lived: records of all states, receipts, pruned and free pages, open intents in both
// phases, several levels of pages.
func worn(t require.TestingT, dir string) []byte {
	o := options()
	o.Keep = 60
	path := filepath.Join(dir, "worn.db")
	j := open(t, path, o)
	sell(t, j, 1, 120)
	require.NoError(t, j.Ack(100))
	n, err := j.Prune(30)
	require.NoError(t, err)
	require.Equal(t, 30, n)
	for i := 200; i < 206; i++ {
		tap, err := j.Begin(draft(i))
		require.NoError(t, err)
		if i%2 == 0 {
			require.NoError(t, j.MarkUnknown(tap))
		}
	}
	require.NoError(t, j.Finish(121, final(200, wire.State_STATE_VOIDED)))
	sell(t, j, 300, 40)
	require.NoError(t, j.Verify())
	require.NoError(t, j.Close())
	return read(t, path)
}

// content is all that a journal holds, to be compared.
type content struct {
	Epoch, First, Last, Acked uint64
	Records                   [][]byte
	Intents                   [][]byte
	Unknown                   map[string]bool
	Stats                     Stats
}

func contentOf(j *Journal) (content, error) {
	c := content{Epoch: j.Epoch(), First: j.FirstSeq(), Last: j.LastSeq(), Acked: j.AckedSeq(), Unknown: map[string]bool{}}
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	var err error
	c.Records, err = j.Read(c.First, 1<<20, 1<<30)
	note(err)
	open, err := j.OpenIntents()
	note(err)
	for _, d := range open {
		raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(d)
		note(err)
		c.Intents = append(c.Intents, raw)
		var n = card(0)
		copy(n[:], d.GetCardNumber())
		_, unknown, found, err := j.OpenIntent(n)
		note(err)
		if !found {
			note(errors.New("an intent is not found by its card"))
		}
		c.Unknown[string(n[:])] = unknown
	}
	c.Stats, err = j.Stats()
	note(err)
	return c, errors.Join(errs...)
}

// tryDamaged opens a file that was damaged: either it is refused, or all that it tells is true. Whatever is done with it, the
// program lives. It reports whether the damage was found.
func tryDamaged(t require.TestingT, path string, raw []byte, want content) bool {
	write(t, path, raw)
	j, err := Open(path, options())
	if err != nil {
		unchanged(t, path, raw, err)
		return true
	}
	defer j.closeQuietly()
	verdict := j.Verify()
	got, err := contentOf(j)
	if verdict == nil {
		require.NoError(t, err)
		require.Equal(t, want, got)
		return false
	}
	unchanged(t, path, raw, verdict)
	if err != nil {
		require.ErrorIs(t, err, ErrDamaged)
	}
	// A terminal that did not verify goes on, and must not die of it.
	if tap, err := j.Begin(draft(900)); err == nil {
		_ = j.Finish(tap, final(900, wire.State_STATE_COMPLETED))
	}
	_, _ = j.RecoverBoot()
	_, _ = j.Prune(100)
	return true
}

func wornContent(t *testing.T) ([]byte, content) {
	raw := worn(t, t.TempDir())
	path := filepath.Join(t.TempDir(), "journal.db")
	write(t, path, raw)
	j := open(t, path, options())
	defer j.Close()
	want, err := contentOf(j)
	require.NoError(t, err)
	require.Len(t, want.Intents, 5)
	require.NoError(t, j.Verify())
	return raw, want
}

// used is how many bytes of the file are in use; what follows has its place on the disk and nothing in it.
func used(t *testing.T, raw []byte) int {
	path := filepath.Join(t.TempDir(), "used.db")
	write(t, path, raw)
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	m, err := newestMeta(f, int64(len(raw)))
	require.NoError(t, err)
	return int(m.pages * m.pageSize)
}

func TestAFlippedBitIsFoundOrHarmless(t *testing.T) {
	raw, want := wornContent(t)
	end := used(t, raw)
	raw = raw[:end]
	path := filepath.Join(t.TempDir(), "journal.db")
	chance := rand.New(rand.NewPCG(1, 2))
	flips := []int{}
	for at := 0; at < end; at += 4096 { // the head of every page, where all is of weight
		for range 4 {
			flips = append(flips, (at+chance.IntN(80))*8+chance.IntN(8))
		}
	}
	for range 300 {
		flips = append(flips, chance.IntN(end*8))
	}
	found := 0
	for _, bit := range flips {
		bad := append([]byte(nil), raw...)
		bad[bit/8] ^= 1 << (bit % 8)
		if tryDamaged(t, path, bad, want) {
			found++
		}
	}
	t.Logf("%d of %d flipped bits were found, the others lie where nothing is read", found, len(flips))
	require.Greater(t, found, len(flips)/4)
}

func TestEachByteOfAMetaPageIsOfWeight(t *testing.T) {
	raw, want := wornContent(t)
	path := filepath.Join(t.TempDir(), "journal.db")
	for _, page := range []int{0, 4096} {
		for at := headerSize; at < headerSize+metaSize; at++ {
			bad := append([]byte(nil), raw...)
			bad[page+at] ^= 0x40
			require.True(t, tryDamaged(t, path, bad, want), "page at %d, byte %d: bbolt would go back a commit", page, at)
		}
	}
}

func TestAPageThatIsNotTheRightOneIsFound(t *testing.T) {
	raw, want := wornContent(t)
	path := filepath.Join(t.TempDir(), "journal.db")
	chance := rand.New(rand.NewPCG(3, 4))
	pages := used(t, raw) / 4096
	found := 0
	for i := range 150 {
		bad := append([]byte(nil), raw...)
		to := bad[chance.IntN(pages)*4096:][:4096]
		switch i % 3 {
		case 0:
			clear(to)
		case 1:
			copy(to, raw[chance.IntN(pages)*4096:][:4096])
		case 2:
			for i := range to {
				to[i] = byte(chance.Uint32())
			}
		}
		if tryDamaged(t, path, bad, want) {
			found++
		}
	}
	require.Greater(t, found, 30)
}

func TestATruncatedFileIsRefusedAndLeftAlone(t *testing.T) {
	raw, want := wornContent(t)
	path := filepath.Join(t.TempDir(), "journal.db")
	end := used(t, raw)
	for _, n := range []int{0, 1, 15, 80, 511, 4095, 4096, 4096 + 79, 8191, 8192, 3 * 4096, end / 2, end - 4096, end - 1} {
		require.True(t, tryDamaged(t, path, raw[:n], want), "%d of %d bytes", n, end)
	}
	require.False(t, tryDamaged(t, path, raw[:end], want), "what follows the pages in use is only room")
}

func TestAFileOfSomethingElseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	for _, raw := range [][]byte{[]byte("SQLite format 3\x00"), make([]byte, 1<<16)} {
		require.True(t, tryDamaged(t, path, raw, content{}))
	}
}

func TestABoltFileOfSomethingElseIsRefused(t *testing.T) {
	raw := worn(t, t.TempDir())
	path := filepath.Join(t.TempDir(), "journal.db")
	write(t, path, raw)
	j := open(t, path, options())
	require.NoError(t, j.db.Update(dropRecords))
	require.NoError(t, j.Close())
	raw = read(t, path)
	_, err := Open(path, options())
	unchanged(t, path, raw, err)
	require.ErrorContains(t, err, `no bucket "records"`)
}
