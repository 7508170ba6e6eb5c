package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/uplink/wire"
)

// epochs hands out the epochs 1, 2, 3 …
type epochs struct{ n uint64 }

func (e *epochs) Read(p []byte) (int, error) {
	e.n++
	return copy(p, binary.BigEndian.AppendUint64(nil, e.n)), nil
}

// options are for tests of the tree that do not cut the power of the machine: without fsync, and without places beside it.
func options() Options {
	return Options{Terminal: "bus-1", NoSync: true, Rand: &epochs{}, noPlaces: true}
}

// withPlaces are for tests of the whole journal.
func withPlaces() Options { return Options{Terminal: "bus-1", NoSync: true, Rand: &epochs{}} }

func open(t require.TestingT, path string, o Options) *Journal {
	j, err := Open(path, o)
	require.NoError(t, err)
	return j
}

// fresh is a new journal, closed when the test ends.
func fresh(t *testing.T, o Options) (*Journal, string) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path, o)
	t.Cleanup(func() { j.Close() })
	return j, path
}

// reopen closes the journal and opens it again.
func reopen(t *testing.T, j *Journal, o Options) *Journal {
	require.NoError(t, j.Close())
	j = open(t, j.path, o)
	t.Cleanup(func() { j.Close() })
	return j
}

func card(n int) ids.CardNumber {
	var c ids.CardNumber
	binary.BigEndian.PutUint64(c[2:], uint64(n))
	return c
}

// draft is an intent as a bus makes it, of a size that is usual.
func draft(n int) *wire.Record {
	c := card(n)
	return &wire.Record{Kind: wire.Kind_KIND_PURCHASE, Family: "ep", CardNumber: c[:], Issuer: make([]byte, 8), KeyLevels: 2, KeyVersion: 1, Amount: int64(200 + n), BalanceBefore: 10_00,
		PsamTerminal: make([]byte, 6), PurseTime: make([]byte, 7), Merchant: "line-1", TerminalTimeMs: int64(1000 * n), OfflineCounter: uint32(n)}
}

// final is a draft's last record.
func final(n int, s wire.State) *wire.Record {
	r := draft(n)
	r.State = s
	if s == wire.State_STATE_COMPLETED {
		r.Evidence, r.Tac = wire.Evidence_EVIDENCE_REPLY, []byte{1, 2, 3, byte(n)}
	}
	return r
}

// sell makes n taps that are completed, with cards from first on.
func sell(t require.TestingT, j *Journal, first, n int) {
	for i := first; i < first+n; i++ {
		tap, err := j.Begin(draft(i))
		require.NoError(t, err)
		require.NoError(t, j.Finish(tap, final(i, wire.State_STATE_COMPLETED)))
	}
}

// inOneCommit does all of do at once, so that they share one commit.
func inOneCommit(j *Journal, do ...func() error) error {
	release := j.hold()
	errs := make(chan error, len(do))
	for _, f := range do {
		go func() { errs <- f() }()
	}
	for waiting := 0; waiting < len(do); runtime.Gosched() {
		j.mu.Lock()
		waiting = len(j.waiting)
		j.mu.Unlock()
	}
	release()
	var all error
	for range do {
		all = errors.Join(all, <-errs)
	}
	return all
}

// records reads all there are, and checks that each stands where its number says.
func records(t require.TestingT, j *Journal) []*wire.Record {
	raw, err := j.Read(j.FirstSeq(), 1<<20, 1<<30)
	require.NoError(t, err)
	var out []*wire.Record
	for i, body := range raw {
		var r wire.Record
		require.NoError(t, proto.Unmarshal(body, &r))
		require.Equal(t, j.FirstSeq()+uint64(i), r.GetSeq())
		out = append(out, &r)
	}
	return out
}

func read(t require.TestingT, path string) []byte {
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	return raw
}

func write(t require.TestingT, path string, raw []byte) {
	require.NoError(t, os.WriteFile(path, raw, 0o600))
}

// unchanged checks that a refused file is byte for byte what it was, and that the refusal says what to do.
func unchanged(t require.TestingT, path string, was []byte, err error) {
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "Move it aside")
	require.True(t, bytes.Equal(was, read(t, path)), "a file that cannot be read must not be changed")
}

var errCut = errors.New("power cut")

func dropRecords(tx *bolt.Tx) error { return tx.DeleteBucket(bucketRecords) }
