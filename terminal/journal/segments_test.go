package journal

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/uplink/wire"
)

func files(t require.TestingT, path string) []string {
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// threeDays is a journal of three files of ten records each and an open intent of the first day.
func threeDays(t *testing.T, o Options) (*Journal, string) {
	j, path := fresh(t, o)
	_, err := j.Begin(draft(900))
	require.NoError(t, err)
	for day := range 3 {
		if day > 0 {
			require.NoError(t, j.Roll())
		}
		sell(t, j, 10*day+1, 10)
	}
	require.Equal(t, []string{"journal.db", "journal.db.000001", "journal.db.000002"}, files(t, path))
	return j, path
}

func TestANewFileGoesOnWhereTheOldOneEnded(t *testing.T) {
	j, path := threeDays(t, options())
	require.Len(t, records(t, j), 30)
	for _, c := range []struct{ first, max, want int }{{1, 100, 30}, {8, 6, 6}, {10, 1, 1}, {11, 100, 20}, {21, 3, 3}, {30, 9, 1}, {31, 9, 0}, {19, 100, 12}} {
		raw, err := j.Read(uint64(c.first), c.max, 1<<20)
		require.NoError(t, err)
		require.Len(t, raw, c.want, "from %d, at most %d", c.first, c.max)
	}
	raw, err := j.Read(9, 100, len(first(t, j, 9))*3)
	require.NoError(t, err)
	require.Len(t, raw, 3, "bytes are counted across files")
	require.NoError(t, j.Verify())
	draft, _, found, err := j.OpenIntent(card(900))
	require.NoError(t, err)
	require.True(t, found, "an open intent moves along")
	require.NoError(t, j.Roll())
	require.NoError(t, j.Finish(draft.GetTap(), final(900, wire.State_STATE_COMPLETED)))
	j = reopen(t, j, options())
	require.Len(t, records(t, j), 31)
	require.NoError(t, j.Verify())
	s, err := j.Stats()
	require.NoError(t, err)
	require.Equal(t, 4, s.Files)
	var onDisk int64
	for _, name := range files(t, path)[:3] {
		info, err := os.Stat(filepath.Join(filepath.Dir(path), name))
		require.NoError(t, err)
		onDisk += info.Size()
	}
	require.Less(t, onDisk, int64(200<<10), "a sealed file gives back the room that it does not need")
}

func first(t *testing.T, j *Journal, seq uint64) []byte {
	raw, err := j.Read(seq, 1, 1<<20)
	require.NoError(t, err)
	return raw[0]
}

func TestAFileWithoutRecordsIsNotFollowed(t *testing.T) {
	j, path := fresh(t, options())
	require.NoError(t, j.Roll())
	_, err := j.Begin(draft(1))
	require.NoError(t, err)
	require.NoError(t, j.Roll(), "an intent is no record")
	require.Equal(t, []string{"journal.db"}, files(t, path))
	begun, err := j.Begun()
	require.NoError(t, err)
	require.True(t, begun.IsZero())
	sell(t, j, 7, 1)
	begun, err = j.Begun()
	require.NoError(t, err)
	require.Equal(t, time.UnixMilli(7000), begun)
}

func TestFilesAreDeletedWholeAfterTheirReceipts(t *testing.T) {
	o := options()
	o.Keep = 5
	j, path := threeDays(t, o)
	require.NoError(t, j.Ack(14))
	n, err := j.Prune(100)
	require.NoError(t, err)
	require.Zero(t, n, "five are kept after the last that could go")
	require.NoError(t, j.Ack(15))
	n, err = j.Prune(1)
	require.NoError(t, err)
	require.Equal(t, 10, n)
	require.Equal(t, []string{"journal.db.000001", "journal.db.000002"}, files(t, path))
	require.Equal(t, uint64(11), j.FirstSeq())
	_, err = j.Read(3, 1, 1<<20)
	require.ErrorContains(t, err, "pruned")
	j = reopen(t, j, o)
	require.NoError(t, j.Ack(30))
	n, err = j.Prune(100)
	require.NoError(t, err)
	require.Equal(t, 10, n)
	n, err = j.Prune(100)
	require.NoError(t, err)
	require.Equal(t, 5, n, "then of the active one what need not be kept")
	require.Len(t, records(t, j), 5)
	require.NoError(t, j.Verify())
}

// TestAPowerCutWhileAFileIsBegun cuts at each point of Roll and of the deletion, and opens what it leaves.
func TestAPowerCutWhileAFileIsBegun(t *testing.T) {
	for _, at := range []string{"roll:before", "roll:after", "drop-file:before", "drop-file:after"} {
		o := options()
		o.Keep = 1
		armed := false
		o.Fault = func(point string) error {
			if armed && point == at {
				return errCut
			}
			return nil
		}
		j, path := threeDays(t, o)
		want := 30
		require.NoError(t, j.Ack(20))
		armed = true
		var err error
		if strings.HasPrefix(at, "roll") {
			err = j.Roll()
			if at == "roll:after" {
				_, again := j.Begin(draft(1))
				require.ErrorIs(t, again, ErrUncertain, "nothing more is written until it is opened again")
			}
		} else {
			_, err = j.Prune(100)
			if at == "drop-file:after" {
				want = 20
			}
		}
		require.ErrorIs(t, err, errCut, at)
		armed = false
		j = reopen(t, j, o)
		require.Len(t, records(t, j), want, at)
		require.NoError(t, j.Verify(), at)
		_, _, found, err := j.OpenIntent(card(900))
		require.NoError(t, err)
		require.True(t, found, at)
		sell(t, j, 500, 3)
		require.Len(t, records(t, j), want+3, at)
		require.NoError(t, j.Roll(), at)
		_ = path
	}
}

// TestEveryFileThatARollCanLeave puts together what a power cut can leave of the folder: the new file half written under its own name, the old one not
// sealed yet.
func TestEveryFileThatARollCanLeave(t *testing.T) {
	o := options()
	j, path := fresh(t, o)
	sell(t, j, 1, 10)
	require.NoError(t, j.Close())
	old := read(t, path)
	j = open(t, path, o)
	require.NoError(t, j.Roll())
	require.NoError(t, j.Close())
	sealed, next := read(t, path), read(t, path+".000001")
	put := func(parts map[string][]byte) string {
		p := filepath.Join(t.TempDir(), "journal.db")
		for suffix, raw := range parts {
			write(t, p+suffix, raw)
		}
		return p
	}
	for at := 0; at <= len(next); at += 4096 - 512 {
		k := open(t, put(map[string][]byte{"": old, ".new": next[:at]}), o)
		require.Len(t, records(t, k), 10)
		sell(t, k, 100, 1)
		require.NoError(t, k.Roll())
		require.NoError(t, k.Verify())
		require.NoError(t, k.Close())
	}
	for name, parts := range map[string]map[string][]byte{
		"renamed, not sealed": {"": old, ".000001": next},
		"all done":            {"": sealed, ".000001": next},
		"and a leftover":      {"": sealed, ".000001": next, ".new": next[:100]},
	} {
		k := open(t, put(parts), o)
		sell(t, k, 100, 2)
		require.Len(t, records(t, k), 12, name)
		require.NoError(t, k.Verify(), name)
		require.NoError(t, k.Close())
	}
}

// TestNoOldFileIsTakenForTheNewest: numbers would be given twice, and settled intents would come back.
func TestNoOldFileIsTakenForTheNewest(t *testing.T) {
	j, path := threeDays(t, options())
	require.NoError(t, j.Close())
	was := read(t, path+".000001")
	require.NoError(t, os.Rename(path+".000002", filepath.Join(t.TempDir(), "taken")))
	_, err := Open(path, options())
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, "a newer file followed it")
	require.Equal(t, was, read(t, path+".000001"))
	moved, err := Quarantine(path, time.Unix(0, 0))
	require.NoError(t, err)
	require.Contains(t, moved, "journal.db.000001.quarantine-")
	for _, name := range files(t, path) {
		require.Contains(t, name, ".quarantine-")
	}
	j = open(t, path, options())
	require.Zero(t, j.LastSeq())
	require.NoError(t, j.Close())
}

// TestDamageInASealedFile: one whose records all have receipts is left alone, and the terminal sells on; another one is a hole that nothing could
// close.
func TestDamageInASealedFile(t *testing.T) {
	for name, spoil := range map[string]func(path string){
		"a flipped page": func(p string) { raw := read(t, p); raw[4096*2+9] ^= 0xFF; raw[4096*3+9] ^= 0xFF; write(t, p, raw) },
		"cut short":      func(p string) { write(t, p, read(t, p)[:5000]) },
		"empty":          func(p string) { write(t, p, nil) },
		"gone":           func(p string) { require.NoError(t, os.Remove(p)) },
		"another day's":  func(p string) { write(t, p, read(t, strings.TrimSuffix(p, ".000001"))) },
	} {
		for _, acked := range []uint64{0, 9, 19, 20, 30} {
			j, path := threeDays(t, options())
			if acked > 0 {
				require.NoError(t, j.Ack(acked))
			}
			require.NoError(t, j.Close())
			spoil(path + ".000001")
			j, err := Open(path, options())
			if acked < 20 {
				require.ErrorIs(t, err, ErrDamaged, "%s, receipts through %d", name, acked)
				require.ErrorContains(t, err, "Move it aside")
				continue
			}
			require.NoError(t, err, "%s, receipts through %d", name, acked)
			require.Equal(t, uint64(21), j.FirstSeq())
			sell(t, j, 600, 2)
			require.Len(t, records(t, j), 12)
			if name != "gone" {
				require.ErrorIs(t, j.Verify(), ErrDamaged, "it is said when asked")
				require.Contains(t, files(t, path), "journal.db.000001", "and kept")
			}
			require.NoError(t, j.Close())
		}
	}
}

func TestASealedFileOfAnotherTerminal(t *testing.T) {
	j, path := threeDays(t, options())
	require.NoError(t, j.Close())
	o := options()
	o.Terminal = "bus-2"
	k, other := fresh(t, o)
	sell(t, k, 1, 10)
	require.NoError(t, k.Close())
	write(t, path, read(t, other))
	_, err := Open(path, options())
	require.ErrorIs(t, err, ErrWrongTerminal)
}

func TestAllFilesCountForTheLimit(t *testing.T) {
	o := options()
	o.MaxBytes, o.Keep = 1<<20, 1
	j, _ := fresh(t, o)
	n, rolls := 0, 0
	for {
		tap, err := j.Begin(draft(n))
		if err != nil {
			require.ErrorIs(t, err, ErrFull)
			break
		}
		require.NoError(t, j.Finish(tap, final(n, wire.State_STATE_COMPLETED)))
		if n++; n%200 == 0 {
			if err := j.Roll(); err == nil {
				rolls++
			} else {
				require.ErrorIs(t, err, ErrFull, "without room for a new file the old one goes on")
			}
		}
		require.Less(t, n, 100_000)
	}
	require.GreaterOrEqual(t, rolls, 2)
	s, err := j.Stats()
	require.NoError(t, err)
	require.LessOrEqual(t, s.FileBytes, o.MaxBytes)
	require.NoError(t, j.Ack(j.LastSeq()))
	_, err = j.Prune(100)
	require.NoError(t, err)
	sell(t, j, n, 50)
	require.NoError(t, j.Verify())
}

func TestAFileInTheWayIsNotTouched(t *testing.T) {
	j, path := fresh(t, options())
	sell(t, j, 1, 1)
	require.NoError(t, os.Mkdir(path+".000001", 0o700))
	require.ErrorContains(t, j.Roll(), "in the way")
	sell(t, j, 2, 1)
	require.Len(t, records(t, j), 2)
}

// TestEverybodyAtOnce sells, reads, rolls, prunes and asks side by side.
func TestEverybodyAtOnce(t *testing.T) {
	o := options()
	o.Keep = 20
	j, _ := fresh(t, o)
	const sellers, each = 3, 60
	var selling, others sync.WaitGroup
	done := make(chan struct{})
	for s := range sellers {
		selling.Go(func() {
			for i := range each {
				tap, err := j.Begin(draft(1000*s + i))
				if err == nil {
					err = j.Finish(tap, final(1000*s+i, wire.State_STATE_COMPLETED))
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	loop := func(f func() error) {
		others.Go(func() {
			for {
				if err := f(); err != nil {
					t.Error(err)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	loop(j.Roll)
	loop(func() error { _, err := j.Stats(); return err })
	loop(func() error {
		_, err := j.Read(j.FirstSeq(), 50, 1<<20)
		if err != nil && strings.Contains(err.Error(), "pruned") {
			return nil
		}
		return err
	})
	loop(func() error { _, err := j.OpenIntents(); return err })
	loop(func() error {
		if err := j.Ack(j.LastSeq()); err != nil {
			return err
		}
		_, err := j.Prune(5)
		return err
	})
	selling.Wait()
	close(done)
	others.Wait()
	require.NoError(t, j.Verify())
	require.Equal(t, uint64(sellers*each), j.LastSeq())
	list := records(t, j)
	require.True(t, slices.IsSortedFunc(list, func(a, b *wire.Record) int { return int(a.GetSeq()) - int(b.GetSeq()) }))
	require.NotEmpty(t, list)
	require.False(t, errors.Is(j.Close(), os.ErrClosed))
}
