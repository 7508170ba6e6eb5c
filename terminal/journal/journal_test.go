package journal

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/uplink/wire"
)

func TestATapIsAnIntentThenARecord(t *testing.T) {
	j, _ := fresh(t, options())
	d := draft(1)
	tap, err := j.Begin(d)
	require.NoError(t, err)
	require.Equal(t, []uint64{1, 1}, []uint64{tap, d.GetTap()})
	require.Zero(t, j.LastSeq(), "an intent is no record")

	j = reopen(t, j, options())
	got, unknown, found, err := j.OpenIntent(card(1))
	require.NoError(t, err)
	require.True(t, found)
	require.False(t, unknown)
	d.Terminal, d.Epoch = "bus-1", 1
	require.True(t, proto.Equal(d, got))

	require.NoError(t, j.Finish(tap, final(1, wire.State_STATE_COMPLETED)))
	j = reopen(t, j, options())
	_, _, found, err = j.OpenIntent(card(1))
	require.NoError(t, err)
	require.False(t, found)
	r := records(t, j)
	require.Len(t, r, 1)
	want := final(1, wire.State_STATE_COMPLETED)
	want.Version, want.Terminal, want.Epoch, want.Seq, want.Tap, want.PrevHash = 1, "bus-1", 1, 1, 1, make([]byte, 32)
	require.True(t, proto.Equal(want, r[0]))
	require.NoError(t, j.Verify())
}

// TestTheTableOfMoves tries every operation on an intent in every phase.
func TestTheTableOfMoves(t *testing.T) {
	const (
		completed, voided, aged = wire.State_STATE_COMPLETED, wire.State_STATE_VOIDED, wire.State_STATE_AGED
		unknown, unspecified    = wire.State_STATE_UNKNOWN, wire.State_STATE_UNSPECIFIED
	)
	finish := func(s wire.State) func(*Journal, uint64) error {
		return func(j *Journal, tap uint64) error { return j.Finish(tap, final(1, s)) }
	}
	mark := func(j *Journal, tap uint64) error { return j.MarkUnknown(tap) }
	drop := func(j *Journal, tap uint64) error { return j.Drop(tap) }
	for _, c := range []struct {
		name    string
		unknown bool // the intent's phase before
		do      func(*Journal, uint64) error
		ok      bool
		open    bool // the intent is still open after it
		records int  // written by it
	}{
		{"intent completed", false, finish(completed), true, false, 1},
		{"intent unknown", false, mark, true, true, 1},
		{"intent dropped", false, drop, true, false, 0},
		{"intent voided", false, finish(voided), false, true, 0},
		{"intent aged", false, finish(aged), false, true, 0},
		{"intent finished as unknown", false, finish(unknown), false, true, 0},
		{"intent finished as nothing", false, finish(unspecified), false, true, 0},
		{"unknown completed", true, finish(completed), true, false, 1},
		{"unknown voided", true, finish(voided), true, false, 1},
		{"unknown aged", true, finish(aged), true, false, 1},
		{"unknown marked again", true, mark, false, true, 0},
		{"unknown dropped", true, drop, false, true, 0},
		{"unknown finished as unknown", true, finish(unknown), false, true, 0},
		{"unknown finished as nothing", true, finish(unspecified), false, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, _ := fresh(t, options())
			tap, err := j.Begin(draft(1))
			require.NoError(t, err)
			if c.unknown {
				require.NoError(t, j.MarkUnknown(tap))
			}
			before := j.LastSeq()
			err = c.do(j, tap)
			require.Equal(t, c.ok, err == nil, "%v", err)
			_, _, open, err := j.OpenIntent(card(1))
			require.NoError(t, err)
			require.Equal(t, c.open, open)
			require.EqualValues(t, c.records, j.LastSeq()-before)
			if !c.open { // nothing moves what is closed
				for _, do := range []func(*Journal, uint64) error{finish(completed), mark, drop} {
					require.ErrorIs(t, do(j, tap), ErrNoIntent)
				}
			}
			require.NoError(t, j.Verify())
		})
	}
}

func TestAnUnknownTapLeavesTwoRecords(t *testing.T) {
	j, _ := fresh(t, options())
	tap, err := j.Begin(draft(1))
	require.NoError(t, err)
	require.NoError(t, j.MarkUnknown(tap))
	_, unknown, found, err := j.OpenIntent(card(1))
	require.NoError(t, err)
	require.True(t, unknown && found)
	require.NoError(t, j.Finish(tap, final(1, wire.State_STATE_VOIDED)))
	r := records(t, j)
	require.Equal(t, []wire.State{wire.State_STATE_UNKNOWN, wire.State_STATE_VOIDED}, []wire.State{r[0].GetState(), r[1].GetState()})
	require.Equal(t, []uint64{1, 1}, []uint64{r[0].GetTap(), r[1].GetTap()})
	require.Equal(t, wire.Evidence_EVIDENCE_NONE, r[0].GetEvidence())
}

// TestTheAttemptStaysInTheIntent: what a card's driver keeps to recover is no business of the backend.
func TestTheAttemptStaysInTheIntent(t *testing.T) {
	j, path := fresh(t, options())
	for n := 1; n <= 2; n++ {
		d := draft(n)
		d.Attempt = []byte("driver's own")
		_, err := j.Begin(d)
		require.NoError(t, err)
	}
	require.NoError(t, j.MarkUnknown(1))
	f := final(2, wire.State_STATE_COMPLETED)
	f.Attempt = []byte("driver's own")
	require.NoError(t, j.Finish(2, f))
	require.NoError(t, j.Close())

	j = open(t, path, options())
	kept, unknown, found, err := j.OpenIntent(card(1))
	require.NoError(t, err)
	require.True(t, unknown && found)
	require.Equal(t, "driver's own", string(kept.GetAttempt()))
	all := records(t, j)
	require.Len(t, all, 2)
	for _, r := range all {
		require.Empty(t, r.GetAttempt(), "%v", r.GetState())
	}
	kept.State = wire.State_STATE_AGED
	require.NoError(t, j.Finish(1, kept))
	require.Empty(t, records(t, j)[2].GetAttempt())
}

func TestACardHasOneOpenIntent(t *testing.T) {
	j, _ := fresh(t, options())
	_, err := j.Begin(draft(1))
	require.NoError(t, err)
	_, err = j.Begin(draft(1))
	require.ErrorContains(t, err, "recover it first")
	_, err = j.Begin(draft(2))
	require.NoError(t, err)
	open, err := j.OpenIntents()
	require.NoError(t, err)
	require.Equal(t, []uint64{1, 2}, []uint64{open[0].GetTap(), open[1].GetTap()}, "a refused Begin uses no number up that it has not given")
}

func TestADraftThatCannotBeFoundOrFinishedIsRefused(t *testing.T) {
	j, _ := fresh(t, options())
	for _, number := range [][]byte{nil, {1}, make([]byte, 11)} {
		d := draft(1)
		d.CardNumber = number
		_, err := j.Begin(d)
		require.ErrorContains(t, err, "card number of")
	}
	d := draft(1)
	d.Merchant = strings.Repeat("m", maxDraft)
	_, err := j.Begin(d)
	require.ErrorContains(t, err, "at most 8192")
	sell(t, j, 1, 1)
}

func TestRecordsAreChained(t *testing.T) {
	j, _ := fresh(t, options())
	sell(t, j, 1, 5)
	raw, err := j.Read(1, 10, 1<<20)
	require.NoError(t, err)
	prev := [32]byte{}
	for _, body := range raw {
		var r wire.Record
		require.NoError(t, proto.Unmarshal(body, &r))
		require.Equal(t, prev[:], r.GetPrevHash())
		prev = sha256.Sum256(body)
	}
	require.NoError(t, j.Verify())
}

// TestVerifyFindsWhatCRCsCannot changes stored values and gives each a good CRC, as a forger would.
func TestVerifyFindsWhatCRCsCannot(t *testing.T) {
	for name, c := range map[string]struct {
		change func(tx *bolt.Tx) error
		want   string
	}{
		"a record": {func(tx *bolt.Tx) error {
			body, err := readRecord(tx, 2)
			if err != nil {
				return err
			}
			var r wire.Record
			if err := proto.Unmarshal(body, &r); err != nil {
				return err
			}
			r.Amount = 1
			body, err = proto.Marshal(&r)
			if err != nil {
				return err
			}
			return tx.Bucket(bucketRecords).Put(key(2), seal(body))
		}, "record 3: the chain is broken"},
		"the newest record": {func(tx *bolt.Tx) error {
			body, err := readRecord(tx, 3)
			if err != nil {
				return err
			}
			return tx.Bucket(bucketRecords).Put(key(3), seal(append(body, 0x10, 0x01)))
		}, "chain"},
		"a record gone":       {func(tx *bolt.Tx) error { return tx.Bucket(bucketRecords).Delete(key(2)) }, "record 2 is missing"},
		"a record too many":   {func(tx *bolt.Tx) error { return tx.Bucket(bucketRecords).Put(key(9), seal(nil)) }, "4 records are stored, 3 are numbered"},
		"no protobuf":         {func(tx *bolt.Tx) error { return tx.Bucket(bucketRecords).Put(key(1), seal([]byte{0xFF})) }, "record 1"},
		"an intent's index":   {func(tx *bolt.Tx) error { c := card(7); return tx.Bucket(bucketByCard).Delete(c[:]) }, "card index"},
		"an index to nothing": {func(tx *bolt.Tx) error { c := card(8); return tx.Bucket(bucketByCard).Put(c[:], key(1)) }, "1 open intents, 2 in the card index"},
		"an intent's number": {func(tx *bolt.Tx) error {
			return tx.Bucket(bucketIntents).Put(key(99), tx.Bucket(bucketIntents).Get(key(4)))
		}, "stands under"},
		"an intent's phase":    {func(tx *bolt.Tx) error { return tx.Bucket(bucketIntents).Put(key(4), seal([]byte{9})) }, "unknown phase"},
		"an intent's protobuf": {func(tx *bolt.Tx) error { return tx.Bucket(bucketIntents).Put(key(4), seal([]byte{1, 0xFF})) }, "stored intent"},
		"a meta value": {func(tx *bolt.Tx) error {
			return tx.Bucket(bucketMeta).Put(keyMeta, meta{terminal: "bus-1", nextSeq: 5, nextTap: 9, firstSeq: 7}.bytes())
		}, "records 7 to 5"},
	} {
		t.Run(name, func(t *testing.T) {
			j, path := fresh(t, options())
			sell(t, j, 1, 3)
			_, err := j.Begin(draft(7))
			require.NoError(t, err)
			require.NoError(t, j.Verify())
			require.NoError(t, j.db.Update(c.change))
			err = j.Verify()
			require.ErrorIs(t, err, ErrDamaged)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, path)
		})
	}
}

func TestReadIsBoundedByCountAndSize(t *testing.T) {
	j, _ := fresh(t, options())
	sell(t, j, 1, 5)
	all, err := j.Read(1, 10, 1<<20)
	require.NoError(t, err)
	require.Len(t, all, 5)
	size := len(all[0])
	for _, c := range []struct {
		first    uint64
		n, bytes int
		want     int
	}{
		{1, 3, 1 << 20, 3}, {4, 10, 1 << 20, 2}, {5, 1, 1, 1}, {6, 10, 1 << 20, 0}, {1000, 10, 1 << 20, 0},
		{1, 0, 1 << 20, 0}, {1, 10, 0, 1}, {1, 10, size, 1}, {1, 10, 2*size - 1, 1}, {1, 10, 2*size + 8, 2},
	} {
		got, err := j.Read(c.first, c.n, c.bytes)
		require.NoError(t, err)
		require.Len(t, got, c.want, "%+v", c)
		if c.want > 0 {
			require.Equal(t, all[c.first-1:int(c.first)-1+c.want], got)
		}
	}
	_, err = j.Read(0, 1, 1)
	require.ErrorContains(t, err, "the oldest is 1")
}

func TestReceiptsNeverGoBackNorAhead(t *testing.T) {
	j, _ := fresh(t, options())
	sell(t, j, 1, 5)
	require.NoError(t, j.Ack(3))
	require.NoError(t, j.Ack(2), "an old receipt again")
	require.EqualValues(t, 3, j.AckedSeq())
	require.ErrorContains(t, j.Ack(6), "the newest record is 5")
	require.ErrorContains(t, j.Ack(math.MaxUint64), "the newest record is 5")
	j = reopen(t, j, options())
	require.EqualValues(t, 3, j.AckedSeq())
	s, err := j.Stats()
	require.NoError(t, err)
	require.EqualValues(t, 2, s.Backlog)
	require.Equal(t, time.UnixMilli(4000), s.Oldest)
}

func TestPruneKeepsWhatIsNotReceiptedAndSomeMore(t *testing.T) {
	o := options()
	o.Keep = 3
	j, _ := fresh(t, o)
	sell(t, j, 1, 10)
	prune := func(limit, want int, first uint64) {
		t.Helper()
		n, err := j.Prune(limit)
		require.NoError(t, err)
		require.Equal(t, want, n)
		require.Equal(t, first, j.FirstSeq())
		require.NoError(t, j.Verify())
	}
	prune(100, 0, 1) // no receipt
	require.NoError(t, j.Ack(2))
	prune(100, 0, 1) // fewer than Keep
	require.NoError(t, j.Ack(8))
	prune(2, 2, 3)
	prune(0, 0, 3)
	prune(100, 3, 6)
	prune(100, 0, 6)
	_, err := j.Read(5, 1, 1)
	require.ErrorContains(t, err, "record 5 is pruned; the oldest is 6")
	j = reopen(t, j, o)
	require.Len(t, records(t, j), 5)
	require.NoError(t, j.Ack(10))
	prune(100, 2, 8)
	sell(t, j, 20, 1)
	require.EqualValues(t, 11, j.LastSeq())
	require.NoError(t, j.Verify())
}

func TestKeepForEverIsForEver(t *testing.T) {
	o := options()
	o.Keep = math.MaxUint64
	j, _ := fresh(t, o)
	sell(t, j, 1, 3)
	require.NoError(t, j.Ack(3))
	n, err := j.Prune(100)
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestAllPrunedAndThenSome(t *testing.T) {
	o := options()
	o.Keep = 1
	j, _ := fresh(t, o)
	sell(t, j, 1, 3)
	require.NoError(t, j.Ack(3))
	n, err := j.Prune(100)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	j = reopen(t, j, o)
	sell(t, j, 4, 1)
	require.NoError(t, j.Verify())
}

func TestBootMakesIntentsUnknownOnce(t *testing.T) {
	j, _ := fresh(t, options())
	for i := 1; i <= 3; i++ {
		_, err := j.Begin(draft(i))
		require.NoError(t, err)
	}
	require.NoError(t, j.MarkUnknown(2))
	j = reopen(t, j, options())
	n, err := j.RecoverBoot()
	require.NoError(t, err)
	require.Equal(t, 2, n)
	n, err = j.RecoverBoot()
	require.NoError(t, err)
	require.Zero(t, n)
	var taps []uint64
	for _, r := range records(t, j) {
		require.Equal(t, wire.State_STATE_UNKNOWN, r.GetState())
		taps = append(taps, r.GetTap())
	}
	require.Equal(t, []uint64{2, 1, 3}, taps)
	s, err := j.Stats()
	require.NoError(t, err)
	require.Equal(t, 3, s.OpenIntents)
	require.NoError(t, j.Verify())
}

func TestStatsOfAnEmptyJournal(t *testing.T) {
	j, _ := fresh(t, options())
	s, err := j.Stats()
	require.NoError(t, err)
	require.Positive(t, s.FileBytes)
	require.Equal(t, Stats{FileBytes: s.FileBytes, Files: 1, MaxBytes: 256 << 20}, s)
	require.Equal(t, []uint64{1, 0, 0, 1}, []uint64{j.FirstSeq(), j.LastSeq(), j.AckedSeq(), j.Epoch()})
}

func TestOptionsAreChecked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	for name, o := range map[string]Options{
		"want at least 262144": {Terminal: "bus-1", MaxBytes: 1},
		"terminal id":          {Terminal: "bus 1"},
		"draw the epoch":       {Terminal: "bus-1", Rand: strings.NewReader("short")},
	} {
		_, err := Open(path, o)
		require.ErrorContains(t, err, name)
		require.NoFileExists(t, path)
	}
}

func TestAJournalOfAnotherTerminalIsRefused(t *testing.T) {
	j, path := fresh(t, options())
	require.NoError(t, j.Close())
	was := read(t, path)
	o := options()
	o.Terminal = "bus-2"
	_, err := Open(path, o)
	require.ErrorIs(t, err, ErrWrongTerminal)
	require.ErrorContains(t, err, "the journal of terminal bus-1, this is bus-2")
	require.Equal(t, was, read(t, path))
	open(t, path, options()).Close() // and the refusal holds no lock
}

func TestAJournalHasOneUser(t *testing.T) {
	j, path := fresh(t, options())
	_, err := Open(path, options())
	require.ErrorIs(t, err, ErrLocked)
	require.NoError(t, j.Close())
	open(t, path, options()).Close()
}

func TestAFileThatMayNotBeReadIsNoDamagedFile(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(filepath.Join(dir, "file", "j"), func() Options { write(t, filepath.Join(dir, "file"), nil); return options() }())
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrDamaged)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	_, err = Open(filepath.Join(dir, "folder"), options())
	require.Error(t, err)
	require.DirExists(t, filepath.Join(dir, "folder"))
}

func TestAFileLeftHalfMadeIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "deep", "journal.db")
	require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
	write(t, path+".new", []byte("a power cut fell while it was made"))
	j := open(t, path, options())
	defer j.Close()
	sell(t, j, 1, 1)
	require.NoError(t, j.Verify())
	require.NoFileExists(t, path+".new")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

// TestAPowerCutWhileTheFileIsMade leaves the new file cut at every page, under its first name: there is no journal then, and
// the next Open makes one.
func TestAPowerCutWhileTheFileIsMade(t *testing.T) {
	j, path := fresh(t, options())
	require.NoError(t, j.Close())
	whole := read(t, path)
	for n := 0; n <= len(whole); n += 4096 {
		path := filepath.Join(t.TempDir(), "journal.db")
		write(t, path+".new", whole[:n])
		j := open(t, path, options())
		require.Zero(t, j.LastSeq())
		sell(t, j, 1, 1)
		require.NoError(t, j.Close())
	}
}

func TestQuarantineKeepsEveryFileAndANewEpochBegins(t *testing.T) {
	o := options()
	j, path := fresh(t, o)
	sell(t, j, 1, 1)
	require.NoError(t, j.Close())
	now := time.Date(2026, 11, 24, 8, 0, 0, 0, time.FixedZone("", 8*3600))
	var moved []string
	for i := range 3 {
		bad := fmt.Appendf(nil, "damaged %d", i)
		write(t, path, bad)
		_, err := Open(path, o)
		unchanged(t, path, bad, err)
		m, err := Quarantine(path, now) // at one time, as far as this clock knows
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(m, path+".quarantine-20261124T000000.000000000Z"))
		require.NotContains(t, moved, m)
		moved = append(moved, m)
		require.NoFileExists(t, path)
	}
	for i, m := range moved {
		require.Equal(t, fmt.Sprintf("damaged %d", i), string(read(t, m)))
	}
	j = open(t, path, o)
	defer j.Close()
	require.EqualValues(t, 2, j.Epoch(), "old numbers stay unambiguous")
	sell(t, j, 1, 1)
	require.EqualValues(t, 1, j.LastSeq())
	_, err := Quarantine(filepath.Join(t.TempDir(), "nothing"), now)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestAJournalInUseIsNotMovedAside(t *testing.T) {
	j, path := fresh(t, options())
	_, err := Quarantine(path, time.UnixMilli(0))
	require.ErrorIs(t, err, ErrLocked)
	require.ErrorContains(t, err, "stop the terminal first")
	sell(t, j, 1, 1)
	require.FileExists(t, path)
}

// TestAPanicInsideACommitLeavesAJournalThatCanBeClosed lets bbolt die with its locks held.
func TestAPanicInsideACommitLeavesAJournalThatCanBeClosed(t *testing.T) {
	j, path := fresh(t, options())
	sell(t, j, 1, 1)
	err := j.commit("test", func(*bolt.Tx, *meta) error {
		panic("a page that is none")
	})
	require.ErrorIs(t, err, ErrUncertain)
	require.NotErrorIs(t, err, ErrDamaged, "only Open can tell")
	require.NoError(t, j.Close())
	j = open(t, path, options())
	require.EqualValues(t, 1, j.LastSeq())
	require.NoError(t, j.Close())
}

func TestManyAtOnce(t *testing.T) {
	j, _ := fresh(t, options())
	var all sync.WaitGroup
	for lane := range 4 {
		all.Go(func() {
			for i := range 25 {
				n := lane*100 + i
				tap, err := j.Begin(draft(n))
				if err == nil {
					err = j.Finish(tap, final(n, wire.State_STATE_COMPLETED))
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Go(func() {
		for range 20 {
			if err := j.Verify(); err != nil {
				t.Error(err)
			}
			if _, err := j.Read(1, 100, 1<<20); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	require.Len(t, records(t, j), 100)
	taps := map[uint64]bool{}
	for _, r := range records(t, j) {
		taps[r.GetTap()] = true
	}
	require.Len(t, taps, 100)
	require.NoError(t, j.Verify())
}

// TestACommitThatFailsAfterItsLastPageStopsTheJournal lets bbolt fail when all is written: what then stands must not be written
// over.
func TestACommitThatFailsAfterItsLastPageStopsTheJournal(t *testing.T) {
	j, _ := fresh(t, options())
	sell(t, j, 1, 1)
	err := j.commit("test", func(tx *bolt.Tx, m *meta) error {
		tx.OnCommit(func() { panic(errors.New("input/output error")) })
		return appendRecord(tx, m, final(2, wire.State_STATE_COMPLETED))
	})
	require.ErrorIs(t, err, ErrUncertain)
	_, err = j.Begin(draft(3))
	require.ErrorIs(t, err, ErrUncertain)
	require.ErrorIs(t, j.Ack(1), ErrUncertain)
	j = reopen(t, j, options())
	require.EqualValues(t, 2, j.LastSeq())
	sell(t, j, 3, 1)
	require.Len(t, records(t, j), 3)
	require.NoError(t, j.Verify())
}

func TestACommitThatFailsBeforeItsLastPageLeavesNothing(t *testing.T) {
	j, _ := fresh(t, options())
	sell(t, j, 1, 1)
	require.NoError(t, j.file.Close()) // the disk is gone: every write fails
	_, err := j.Begin(draft(2))
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrUncertain)
	require.EqualValues(t, 1, j.LastSeq())
	require.Len(t, records(t, j), 1)
}
