package journal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/purselane/purselane/internal/ids"
)

// Buckets. Keys are big-endian numbers, so that a cursor walks in order.
var (
	bucketMeta    = []byte("meta")    // key "m": see meta
	bucketRecords = []byte("records") // sequence number → CRC-32C, stored record
	bucketIntents = []byte("intents") // tap number → phase, CRC-32C, draft record
	bucketByCard  = []byte("by-card") // card number → tap number of its open intent
	keyMeta       = []byte("m")
)

// Options of a journal.
type Options struct {
	// Terminal is whose journal it is. A file of another terminal is refused.
	Terminal ids.TerminalID

	// MaxBytes bounds the file. At the limit Begin fails with ErrFull and the terminal stops selling: a rider turned away is an
	// annoyance, a debit nobody recorded is a theft. Only Begin keeps to the limit, so that what was begun can be finished; the
	// file may go over it by one step of growth (at most 16 MiB).
	//
	// Default 256 MiB, about 400,000 records.
	MaxBytes int64

	// Keep is how many records stay after their receipt, so that a backend restored from a backup can ask for them again.
	//
	// Default 20,000.
	Keep uint64

	// NoSync gives up durability: for simulations and benchmarks only.
	NoSync bool

	// Rand draws the epoch of a new file. Default crypto/rand.
	Rand io.Reader

	// Fault, when set, is called before and after each commit ("begin:before", "begin:after", …) and its error is returned: before
	// the commit nothing is written, after it the commit stands. This is how tests cut the power.
	Fault func(point string) error
}

// Typed errors; match with errors.Is.
var (
	// ErrFull: the file is at its limit or the disk is full. Nothing was written, nothing is lost.
	ErrFull = errors.New("journal is full")
	// ErrDamaged: the file cannot be read. It was not changed. Move it aside with Quarantine and keep it: it holds money.
	ErrDamaged = errors.New("journal is damaged")
	// ErrLocked: another process has the file open.
	ErrLocked = errors.New("journal is in use by another process")
	// ErrWrongTerminal: the file belongs to another terminal.
	ErrWrongTerminal = errors.New("journal of another terminal")
	// ErrNoIntent: there is no open intent with that tap number.
	ErrNoIntent = errors.New("no such open intent")
)

// Journal is an open journal file. It is safe for concurrent use; commits happen one at a time.
type Journal struct {
	db   *bolt.DB
	opt  Options
	path string

	mu   sync.Mutex
	meta meta // as committed
}

const (
	defaultMaxBytes = 256 << 20
	defaultKeep     = 20_000
	lockTimeout     = 2 * time.Second
)

// Open opens the journal at path, making it if there is none. It checks the file's form, and the newest record, not
// the whole chain; Verify does that.
func Open(path string, o Options) (j *Journal, err error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.Keep == 0 {
		o.Keep = defaultKeep
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if err := ids.Check(string(o.Terminal)); err != nil {
		return nil, fmt.Errorf("journal: terminal id: %w", err)
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := create(path, o); err != nil {
			return nil, fmt.Errorf("create journal %s: %w", path, err)
		}
	}
	// bbolt panics on some damage that a checksum of its own does not cover.
	defer func() {
		if p := recover(); p != nil {
			j, err = nil, damaged(path, fmt.Errorf("%v", p))
		}
	}()
	db, err := openDB(path, o)
	if err != nil {
		return nil, err
	}
	j = &Journal{db: db, opt: o, path: path}
	if err := j.load(); err != nil {
		closeQuietly(db)
		return nil, err
	}
	return j, nil
}

func damaged(path string, cause error) error {
	return fmt.Errorf("%s: %w: %v. Nothing was changed. Move it aside with \"purselane-terminal journal quarantine\" and keep the file: the taps in it are money",
		path, ErrDamaged, cause)
}

func openDB(path string, o Options) (*bolt.DB, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout:      lockTimeout,
		FreelistType: bolt.FreelistMapType,
		NoSync:       o.NoSync,
	})
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("%s: %w", path, ErrLocked)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, damaged(path, err)
	case full(err):
		return nil, fmt.Errorf("%s: %w: %v", path, ErrFull, err)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return nil, damaged(path, err)
}

// create makes a new file under a name of its own, syncs it, renames it and syncs the folder: a power cut leaves the
// whole journal or none.
func create(path string, o Options) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var epoch [8]byte
	if _, err := io.ReadFull(o.Rand, epoch[:]); err != nil {
		return fmt.Errorf("draw the epoch: %w", err)
	}
	db, err := openDB(temp, o)
	if err != nil {
		return err
	}
	m := meta{terminal: o.Terminal, epoch: binary.BigEndian.Uint64(epoch[:]), nextSeq: 1, nextTap: 1, firstSeq: 1}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, b := range [][]byte{bucketMeta, bucketRecords, bucketIntents, bucketByCard} {
			if _, err := tx.CreateBucket(b); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketMeta).Put(keyMeta, m.bytes())
	})
	if err == nil {
		err = db.Sync()
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Quarantine moves a file that cannot be read aside, next to where it was, and returns its new name. The terminal may
// then go on with a new file, which has an epoch of its own.
func Quarantine(path string, now time.Time) (string, error) {
	moved := fmt.Sprintf("%s.quarantine-%s", path, now.UTC().Format("20060102T150405.000000000Z"))
	if err := os.Rename(path, moved); err != nil {
		return "", fmt.Errorf("quarantine journal: %w", err)
	}
	return moved, syncDir(filepath.Dir(path))
}

// load reads the meta value and checks that it and the newest record agree.
func (j *Journal) load() error {
	return j.db.View(func(tx *bolt.Tx) error {
		for _, b := range [][]byte{bucketMeta, bucketRecords, bucketIntents, bucketByCard} {
			if tx.Bucket(b) == nil {
				return damaged(j.path, fmt.Errorf("no bucket %q", b))
			}
		}
		m, err := parseMeta(tx.Bucket(bucketMeta).Get(keyMeta))
		if err != nil {
			return damaged(j.path, err)
		}
		if m.terminal != j.opt.Terminal {
			return fmt.Errorf("%s is the journal of terminal %s, this is %s: %w", j.path, m.terminal, j.opt.Terminal, ErrWrongTerminal)
		}
		if last := m.nextSeq - 1; last >= m.firstSeq {
			if _, err := readRecord(tx, last); err != nil {
				return damaged(j.path, err)
			}
		}
		j.meta = m
		return nil
	})
}

// Close closes the file.
func (j *Journal) Close() error { return j.db.Close() }

func closeQuietly(db *bolt.DB) {
	defer func() { recover() }() //nolint:errcheck // the file is damaged; the error in hand says so
	db.Close()
}

// commit runs f in one transaction; when it is durable the meta value f left becomes the journal's. A panic of bbolt becomes
// ErrDamaged.
func (j *Journal) commit(point string, f func(tx *bolt.Tx, m *meta) error) (err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	defer func() {
		if p := recover(); p != nil {
			err = damaged(j.path, fmt.Errorf("%v", p))
		}
	}()
	m := j.meta
	err = j.db.Update(func(tx *bolt.Tx) error {
		if err := f(tx, &m); err != nil {
			return err
		}
		if err := tx.Bucket(bucketMeta).Put(keyMeta, m.bytes()); err != nil {
			return err
		}
		return j.fault(point + ":before")
	})
	if err != nil {
		if full(err) {
			return fmt.Errorf("journal %s: %w: %v", j.path, ErrFull, err)
		}
		return err
	}
	j.meta = m
	return j.fault(point + ":after")
}

func (j *Journal) fault(point string) error {
	if j.opt.Fault == nil {
		return nil
	}
	return j.opt.Fault(point)
}

// reserve is the room that Begin leaves for the commits that finish what it begins.
const reserve = 64 << 10

// checkRoom fails with ErrFull when there is no room to begin anything: neither below the limit nor in pages given free.
func (j *Journal) checkRoom(tx *bolt.Tx) error {
	s := j.db.Stats()
	free := int64(s.FreePageN+s.PendingPageN) * int64(j.db.Info().PageSize)
	if room := j.opt.MaxBytes - tx.Size() + free; room < reserve {
		return fmt.Errorf("journal %s: %w: %d of %d bytes", j.path, ErrFull, tx.Size()-free, j.opt.MaxBytes)
	}
	return nil
}

func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
