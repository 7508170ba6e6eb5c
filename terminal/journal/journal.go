package journal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
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

	// MaxBytes bounds the file. Near the limit Begin fails with ErrFull and the terminal stops selling: a rider turned away is an
	// annoyance, a debit nobody recorded is a theft. Only Begin keeps to the limit, and leaves a reserve that has its place on
	// the disk, so that what was begun can be finished.
	//
	// Default 256 MiB, about 400,000 records; at least 256 KiB.
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

	noPlaces bool // for tests of the tree: a journal without places beside it, as before version 3
}

// Typed errors; match with errors.Is.
var (
	// ErrFull: the file is at its limit or the disk is full. Nothing was written, nothing is lost.
	ErrFull = errors.New("journal is full")
	// ErrDamaged: the file cannot be read. It was not changed. Move it aside with Quarantine and keep it: it holds money.
	ErrDamaged = errors.New("journal is damaged")
	// ErrUncertain: a commit failed in a way that leaves it open whether it stands, or whether the file is still sound. Nothing
	// more is written until the journal is opened again, which tells.
	ErrUncertain = errors.New("journal must be opened again")
	// ErrLocked: another process has the file open.
	ErrLocked = errors.New("journal is in use by another process")
	// ErrWrongTerminal: the file belongs to another terminal.
	ErrWrongTerminal = errors.New("journal of another terminal")
	// ErrNoIntent: there is no open intent with that tap number.
	ErrNoIntent = errors.New("no such open intent")
)

// Journal is an open journal. It is safe for concurrent use; commits happen one at a time, and changes that wait for one share the next.
type Journal struct {
	opt  Options
	path string // of the journal: the first file's, and what the others' names begin with

	swap   sync.RWMutex // db changes hands under it
	db     *bolt.DB     // the active file
	file   *os.File     // bbolt's own
	name   string       // of the active file
	number int

	reading   sync.Mutex // of sealed files; taken after mu
	old       *bolt.DB   // the sealed file that is open, nil for none
	oldNumber int

	gate      chan struct{} // holds one token: whoever put it in may commit, or change which files there are
	uncertain atomic.Bool   // see ErrUncertain
	wedged    bool          // bbolt panicked in a commit, perhaps with its locks held; belongs to whoever has the gate

	mu      sync.Mutex              // taken after the gate, and not held during a commit: what a tap asks for between its commits must not wait for another's
	sealed  []segment               // the oldest first; changed with the gate and mu
	meta    meta                    // as committed; changed with the gate and mu
	waiting []*change               // for the next commit
	placed  int64                   // through this byte the file has its place on the disk; changed with the gate and mu
	nextTap uint64                  // of the next intent, wherever it is written
	begun   map[ids.CardNumber]bool // cards whose intent is being written
	slots   slots
	oldest  dated // of the records without a receipt
}

const (
	defaultMaxBytes = 256 << 20
	defaultKeep     = 20_000
	lockTimeout     = 2 * time.Second
	lockPoll        = 20 * time.Millisecond
)

// Open opens the journal at path, making it if there is none. It checks the form of every page, the newest record and every open
// intent, not the whole chain; Verify does that.
func Open(path string, o Options) (*Journal, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.MaxBytes < minMaxBytes {
		return nil, fmt.Errorf("journal: limit of %d bytes: want at least %d", o.MaxBytes, minMaxBytes)
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
	numbers, err := segmentsOf(path)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if len(numbers) == 0 {
		if err := create(path, o); err != nil {
			return nil, fmt.Errorf("create journal %s: %w", path, err)
		}
		numbers = []int{0}
	}
	newest := numbers[len(numbers)-1]
	j := newJournal(path, segmentPath(path, newest), o)
	j.number = newest
	if err := checkForm(j.name); err != nil {
		return nil, err
	}
	if err := j.openDB(j.name); err != nil {
		return nil, err
	}
	err = j.load()
	if err == nil {
		err = j.loadSealed(numbers[:len(numbers)-1])
	}
	if err == nil {
		err = j.openSlots()
	}
	if err == nil {
		err = j.takeIn()
	}
	if err != nil {
		j.closeQuietly()
		return nil, err
	}
	return j, nil
}

// newJournal is a journal whose file is not open yet.
func newJournal(path, name string, o Options) *Journal {
	return &Journal{opt: o, path: path, name: name, gate: make(chan struct{}, 1), begun: map[ids.CardNumber]bool{}}
}

// hold takes the gate and returns what gives it back.
func (j *Journal) hold() (release func()) {
	j.gate <- struct{}{}
	return func() { <-j.gate }
}

// checkForm checks the form of the file's pages while nobody writes it.
func checkForm(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	defer f.Close()
	for deadline := time.Now().Add(lockTimeout); ; time.Sleep(lockPoll) {
		mine, err := tryLock(f)
		if err != nil {
			return fmt.Errorf("lock journal %s: %w", path, err)
		}
		if mine {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: %w", path, ErrLocked)
		}
	}
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	if err := checkPages(f, info.Size()); err != nil {
		return damaged(path, err)
	}
	return nil
}

// guarded runs f; a panic of bbolt, or a fault in the memory it maps the file to, becomes ErrDamaged.
func guarded(path string, f func() error) error {
	err := caught(f)
	if p, ok := errors.AsType[panicked](err); ok {
		return damaged(path, p)
	}
	return err
}

// panicked is what a panic said.
type panicked string

func (p panicked) Error() string { return string(p) }

// caught runs f and returns its panic, or its fault in mapped memory, as an error.
func caught(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = panicked(fmt.Sprint(p))
		}
	}()
	return f()
}

func damaged(path string, cause error) error {
	return fmt.Errorf("%s: %w: %v. Nothing was changed. Move it aside with \"purselane-terminal journal quarantine\" and keep the file: the taps in it are money",
		path, ErrDamaged, cause)
}

func (j *Journal) openDB(path string) error {
	err := guarded(path, func() (err error) {
		j.db, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout:      lockTimeout,
			FreelistType: bolt.FreelistMapType,
			NoSync:       j.opt.NoSync,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				f, err := os.OpenFile(name, flag, mode)
				j.file = f
				return f, err
			},
		})
		return err
	})
	switch {
	case err == nil:
		j.db.AllocSize = growStepOfBolt // makeRoom makes the file grow
		return nil
	case errors.Is(err, ErrDamaged):
		_ = letGo(j.file) // bbolt panicked with the lock in its hands; the error in hand says more
		return err
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("%s: %w", path, ErrLocked)
	case full(err):
		return fmt.Errorf("%s: %w: %v", path, ErrFull, err)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return damaged(path, err)
	}
	return fmt.Errorf("open journal: %w", err)
}

// create makes the first file under a name of its own, syncs it, renames it and syncs the folder: a power cut leaves the
// whole journal or none.
func create(path string, o Options) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var epoch [8]byte
	if _, err := io.ReadFull(o.Rand, epoch[:]); err != nil {
		return fmt.Errorf("draw the epoch: %w", err)
	}
	m := meta{terminal: o.Terminal, epoch: binary.BigEndian.Uint64(epoch[:]), nextSeq: 1, nextTap: 1, firstSeq: 1, slotted: !o.noPlaces}
	if m.slotted {
		if err := createSlots(path); err != nil {
			return err
		}
	}
	if err := createFile(path+".new", o, m, func(*bolt.Tx) error { return nil }); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(dir)
}

// createFile makes a file with that meta value and what fill puts into it, and syncs it. What was there under its name is left over from a power
// cut.
func createFile(path string, o Options, m meta, fill func(tx *bolt.Tx) error) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	j := newJournal(path, path, o)
	if err := j.openDB(path); err != nil {
		return err
	}
	err := guarded(path, func() error {
		return j.db.Update(func(tx *bolt.Tx) error {
			for _, b := range [][]byte{bucketMeta, bucketRecords, bucketIntents, bucketByCard} {
				if _, err := tx.CreateBucket(b); err != nil {
					return err
				}
			}
			if err := fill(tx); err != nil {
				return err
			}
			return tx.Bucket(bucketMeta).Put(keyMeta, m.bytes())
		})
	})
	if err == nil {
		err = j.db.Sync()
	}
	if err := errors.Join(err, j.Close()); err != nil {
		if full(err) {
			return fmt.Errorf("%w: %v", ErrFull, err)
		}
		return err
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Quarantine moves the files of a journal that cannot be read aside, next to where they were, and returns the newest one's new name. The terminal may
// then go on with a new journal, which has an epoch of its own. A journal that is open, here or in another process, is ErrLocked.
func Quarantine(path string, now time.Time) (string, error) {
	numbers, err := segmentsOf(path)
	if err != nil {
		return "", fmt.Errorf("quarantine journal: %w", err)
	}
	if len(numbers) == 0 {
		return "", fmt.Errorf("quarantine journal: %s: %w", path, os.ErrNotExist)
	}
	active := segmentPath(path, numbers[len(numbers)-1])
	f, err := os.Open(active)
	if err != nil {
		return "", fmt.Errorf("quarantine journal: %w", err)
	}
	defer f.Close()
	if mine, err := tryLock(f); err != nil {
		return "", fmt.Errorf("quarantine journal: lock it: %w", err)
	} else if !mine {
		return "", fmt.Errorf("quarantine journal %s: %w: stop the terminal first", path, ErrLocked)
	}
	if _, err := moveAside(PlacesPath(path), now); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("quarantine journal: %w", err)
	}
	// The active file last: a power cut in between must not make an older one the newest.
	moved := ""
	for _, n := range numbers {
		if moved, err = moveAside(segmentPath(path, n), now); err != nil {
			return "", fmt.Errorf("quarantine journal: %w", err)
		}
	}
	return moved, syncDir(filepath.Dir(path))
}

func moveAside(path string, now time.Time) (string, error) {
	stamp := now.UTC().Format("20060102T150405.000000000Z")
	moved := fmt.Sprintf("%s.quarantine-%s", path, stamp)
	for n := 2; ; n++ { // a clock that stands still must not cost an older file
		if _, err := os.Lstat(moved); errors.Is(err, os.ErrNotExist) {
			break
		} else if err != nil {
			return "", err
		}
		moved = fmt.Sprintf("%s.quarantine-%s-%d", path, stamp, n)
	}
	return moved, os.Rename(path, moved)
}

// load reads the meta value and checks that it, the newest record and the open intents agree.
func (j *Journal) load() error {
	return j.view(func(tx *bolt.Tx) error {
		for _, b := range [][]byte{bucketMeta, bucketRecords, bucketIntents, bucketByCard} {
			if tx.Bucket(b) == nil {
				return damaged(j.name, fmt.Errorf("no bucket %q", b))
			}
		}
		m, err := parseMeta(tx.Bucket(bucketMeta).Get(keyMeta))
		if err != nil {
			return damaged(j.name, err)
		}
		if m.terminal != j.opt.Terminal {
			return fmt.Errorf("%s is the journal of terminal %s, this is %s: %w", j.path, m.terminal, j.opt.Terminal, ErrWrongTerminal)
		}
		if m.sealed {
			return damaged(j.name, errors.New("a newer file followed it, and is missing"))
		}
		if last := m.nextSeq - 1; last >= m.firstSeq {
			if _, err := readRecord(tx, last); err != nil {
				return damaged(j.name, err)
			}
		}
		if err := checkIntents(tx, m); err != nil {
			return damaged(j.name, err)
		}
		j.meta, j.placed, j.nextTap = m, tx.Size(), m.nextTap
		return nil
	})
}

// Close closes the file.
func (j *Journal) Close() error {
	release := j.hold()
	wedged := j.wedged
	release()
	j.reading.Lock()
	err := j.closeOld()
	j.reading.Unlock()
	err = errors.Join(err, j.slots.close())
	if wedged {
		return errors.Join(err, letGo(j.file)) // bbolt's own Close would wait for its locks for ever
	}
	return errors.Join(err, j.db.Close())
}

func (j *Journal) closeQuietly() {
	_ = guarded(j.name, j.Close) // the error in hand is the one that matters
}

// failed looks at what a failed commit has left. Most leave nothing. But one that failed after its last page was written (the
// disk's answer was an error) is in the memory that the file is mapped to, and perhaps on the disk: to write on would be to number
// new records as if it were not there.
func (j *Journal) failed(err error) error {
	if j.wedged {
		j.uncertain.Store(true)
		return fmt.Errorf("journal %s: %w: %v", j.path, ErrUncertain, err)
	}
	var now meta
	look := j.view(func(tx *bolt.Tx) error {
		var err error
		now, err = parseMeta(tx.Bucket(bucketMeta).Get(keyMeta))
		return err
	})
	if look != nil || now != j.meta {
		j.uncertain.Store(true)
		return fmt.Errorf("journal %s: %w: %w", j.path, ErrUncertain, err)
	}
	if full(err) && !errors.Is(err, ErrFull) {
		return fmt.Errorf("journal %s: %w: %v", j.path, ErrFull, err)
	}
	return err
}

func (j *Journal) fault(point string) error {
	if j.opt.Fault == nil {
		return nil
	}
	return j.opt.Fault(point)
}

func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
