package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// A journal is a row of files: the first has the journal's own path, the ones after it that path and a number. Only the newest, the active one, is
// written; it has the meta value that counts and all open intents. The others are sealed: they hold records and are deleted whole.

// segment is one sealed file.
type segment struct {
	number      int
	path        string
	first, last uint64 // records
	begins      [32]byte
	ends        [32]byte // hashes of the record before first, and of last
	bytes       int64
	broken      error // it cannot be read, and every record of it has a receipt: it is kept and left alone
}

func segmentPath(base string, number int) string {
	if number == 0 {
		return base
	}
	return fmt.Sprintf("%s.%06d", base, number)
}

// segmentsOf lists the numbers of the files that there are, the oldest first.
func segmentsOf(base string) ([]int, error) {
	entries, err := os.ReadDir(filepath.Dir(base))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []int
	name := filepath.Base(base)
	for _, e := range entries {
		if e.Name() == name {
			out = append(out, 0)
			continue
		}
		text, found := strings.CutPrefix(e.Name(), name+".")
		if n, err := strconv.Atoi(text); found && err == nil && n > 0 && segmentPath(name, n) == e.Name() {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// loadSealed reads what the sealed files hold, finishes the sealing that a power cut may have left, and checks that they and the active file are one
// chain. A file that cannot be read is left alone if all its records have receipts; else the whole journal is damaged, because
// what comes after such a hole could never get a receipt.
func (j *Journal) loadSealed(numbers []int) error {
	for _, n := range numbers {
		s := segment{number: n, path: segmentPath(j.path, n)}
		err := j.seal(&s)
		if err != nil && !errors.Is(err, ErrDamaged) {
			return err
		}
		s.broken = err
		j.sealed = append(j.sealed, s)
	}
	next, chain := j.meta.firstSeq, j.meta.prunedTo
	for i := len(j.sealed) - 1; i >= 0; i-- {
		s := &j.sealed[i]
		if s.broken == nil && (s.last+1 != next || s.ends != chain) {
			s.broken = damaged(s.path, fmt.Errorf("its records %d to %d are not those before record %d", s.first, s.last, next))
		}
		if s.broken != nil {
			if next > j.meta.acked+1 {
				return s.broken
			}
			break
		}
		next, chain = s.first, s.begins
	}
	if next > j.meta.acked+1 {
		return damaged(j.name, fmt.Errorf("a file of the journal is missing: records %d to %d have no receipt and are not here", j.meta.acked+1, next-1))
	}
	return nil
}

// readable are the sealed files that are one chain with the active one. The caller holds mu.
func (j *Journal) readable() []segment {
	for i := len(j.sealed) - 1; i >= 0; i-- {
		if j.sealed[i].broken != nil {
			return j.sealed[i+1:]
		}
	}
	return j.sealed
}

// seal marks a file that a newer one has followed, takes the intents out of it, which live in the newer one now, gives back the room that
// it does not need, and reads what it holds.
func (j *Journal) seal(s *segment) error {
	if err := checkForm(s.path); err != nil {
		return err
	}
	old := newJournal(s.path, s.path, j.opt)
	if err := old.openDB(s.path); err != nil {
		return err
	}
	var m meta
	var size int64
	err := guarded(s.path, func() error {
		if err := old.db.View(func(tx *bolt.Tx) (err error) {
			m, err = oldMeta(tx, j.opt)
			return err
		}); err != nil || m.sealed {
			return err
		}
		m.sealed = true
		return old.db.Update(func(tx *bolt.Tx) error {
			for _, b := range [][]byte{bucketIntents, bucketByCard} {
				if err := tx.DeleteBucket(b); err != nil {
					return err
				}
				if _, err := tx.CreateBucket(b); err != nil {
					return err
				}
			}
			return tx.Bucket(bucketMeta).Put(keyMeta, m.bytes())
		})
	})
	if err == nil {
		err = guarded(s.path, func() error { return old.db.View(func(tx *bolt.Tx) error { size = tx.Size(); return nil }) })
	}
	if err != nil {
		old.closeQuietly()
		return err
	}
	if err := old.Close(); err != nil {
		return err
	}
	if info, err := os.Stat(s.path); err == nil && info.Size() > size {
		// Room that was set aside for commits that will not come. To fail here costs the disk a little room and nothing else.
		_ = os.Truncate(s.path, size)
	}
	s.first, s.last, s.begins, s.ends, s.bytes = m.firstSeq, m.nextSeq-1, m.prunedTo, m.lastHash, size
	return nil
}

// oldMeta reads the meta value of a file and whose it is.
func oldMeta(tx *bolt.Tx, o Options) (meta, error) {
	b := tx.Bucket(bucketMeta)
	if b == nil || tx.Bucket(bucketRecords) == nil || tx.Bucket(bucketIntents) == nil || tx.Bucket(bucketByCard) == nil {
		return meta{}, damaged(tx.DB().Path(), errors.New("a bucket is missing"))
	}
	m, err := parseMeta(b.Get(keyMeta))
	if err != nil {
		return m, damaged(tx.DB().Path(), err)
	}
	if m.terminal != o.Terminal {
		return m, fmt.Errorf("%s is the journal of terminal %s, this is %s: %w", tx.DB().Path(), m.terminal, o.Terminal, ErrWrongTerminal)
	}
	return m, nil
}

// Roll closes the active file and goes on with a new one, so that whole files can be deleted later. Call it when nobody is waiting: it syncs a few
// times. Without a record in the active file it does nothing. When the new file has no room, the old one goes on and the error is ErrFull.
//
// The new file takes over the numbers and all open intents. The switch is its rename: a power cut leaves the old file as the newest, or the new one.
func (j *Journal) Roll() error {
	defer j.hold()()
	if j.uncertain.Load() {
		return fmt.Errorf("journal %s: %w: a commit failed half way", j.path, ErrUncertain)
	}
	if j.meta.nextSeq == j.meta.firstSeq {
		return nil
	}
	if err := j.fault("roll:before"); err != nil {
		return err
	}
	next := segment{number: j.number + 1}
	next.path = segmentPath(j.path, next.number)
	if err := j.prepare(next.path); err != nil {
		return err
	}
	j.mu.Lock() // whoever looks for a record meanwhile waits: it is in neither place
	defer j.mu.Unlock()
	return j.switchTo(next)
}

// prepare makes the next file under a name of its own and syncs it.
func (j *Journal) prepare(next string) error {
	if _, err := os.Lstat(next); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("journal: %s is in the way of a new file (%v): move it away", next, err)
	}
	var intents, size int
	type pair struct{ key, value []byte }
	copied := map[string][]pair{}
	var used int64
	if err := j.view(func(tx *bolt.Tx) error {
		used = tx.Size()
		stats := tx.Bucket(bucketIntents).Stats()
		intents, size = stats.KeyN, stats.LeafInuse
		for _, b := range [][]byte{bucketIntents, bucketByCard} {
			if err := tx.Bucket(b).ForEach(func(k, v []byte) error {
				copied[string(b)] = append(copied[string(b)], pair{slices.Clone(k), slices.Clone(v)})
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if j.opt.MaxBytes-j.sealedBytes()-used < j.opt.reserve(intents+1, size+maxDraft)+reserveStep {
		return fmt.Errorf("journal %s: %w: no room for a new file beside it", j.path, ErrFull)
	}
	j.mu.Lock()
	m := j.meta
	m.nextTap = j.nextTap
	j.mu.Unlock()
	m.firstSeq, m.prunedTo = m.nextSeq, m.lastHash
	return createFile(j.path+".new", j.opt, m, func(tx *bolt.Tx) error {
		for name, pairs := range copied {
			for _, p := range pairs {
				if err := tx.Bucket([]byte(name)).Put(p.key, p.value); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// switchTo makes the prepared file the active one. From the rename on the journal is uncertain until the new file is open: to go on with the old one
// would be to number records twice. The caller has the gate and mu.
func (j *Journal) switchTo(next segment) error {
	if err := os.Rename(j.path+".new", next.path); err != nil {
		return fmt.Errorf("journal: begin a new file: %w", err)
	}
	j.uncertain.Store(true)
	if err := syncDir(filepath.Dir(j.path)); err != nil {
		return fmt.Errorf("journal %s: %w: begin a new file: %w", j.path, ErrUncertain, err)
	}
	if err := j.fault("roll:after"); err != nil {
		return err
	}
	fresh := newJournal(j.path, next.path, j.opt)
	if err := fresh.openDB(next.path); err != nil {
		return fmt.Errorf("journal %s: %w: begin a new file: %w", j.path, ErrUncertain, err)
	}
	if err := fresh.load(); err != nil {
		fresh.closeQuietly()
		return fmt.Errorf("journal %s: %w: begin a new file: %w", j.path, ErrUncertain, err)
	}
	j.swap.Lock()
	old := segment{number: j.number, path: j.name}
	was := j.db
	j.db, j.file, j.name, j.number, j.meta, j.placed = fresh.db, fresh.file, next.path, next.number, fresh.meta, fresh.placed
	j.swap.Unlock()
	if err := was.Close(); err != nil {
		return fmt.Errorf("journal %s: %w: close the old file: %w", j.path, ErrUncertain, err)
	}
	if err := j.seal(&old); err != nil {
		return fmt.Errorf("journal %s: %w: seal the old file: %w", j.path, ErrUncertain, err)
	}
	j.sealed = append(j.sealed, old)
	j.uncertain.Store(false)
	// Its place on the disk now, and not in the next tap. If it fails, that tap says so.
	_ = j.placeLocked(j.placed, j.placed+reserveStep)
	return nil
}

// sealedBytes is what the sealed files take. The caller has the gate or mu, or nobody else has the journal.
func (j *Journal) sealedBytes() (n int64) {
	for _, s := range j.sealed {
		n += s.bytes
	}
	return n
}

// dropSealed deletes the oldest sealed file if all its records have receipts and more than Keep newer ones are held. It returns how many records went.
func (j *Journal) dropSealed() (int, error) {
	defer j.hold()()
	j.mu.Lock()
	defer j.mu.Unlock()
	list := j.readable()
	if len(list) == 0 || j.meta.acked < j.opt.Keep || list[0].last > j.meta.acked-j.opt.Keep {
		return 0, nil
	}
	s := list[0]
	if err := j.fault("drop-file:before"); err != nil {
		return 0, err
	}
	j.reading.Lock()
	defer j.reading.Unlock()
	if err := j.closeOld(); err != nil {
		return 0, err
	}
	if err := os.Remove(s.path); err != nil {
		return 0, fmt.Errorf("journal: delete a file whose records all have receipts: %w", err)
	}
	j.sealed = slices.DeleteFunc(j.sealed, func(x segment) bool { return x.number == s.number })
	if err := syncDir(filepath.Dir(s.path)); err != nil {
		return 0, err
	}
	return int(s.last - s.first + 1), j.fault("drop-file:after")
}

// inSealed finds the sealed file that holds a record.
func (j *Journal) inSealed(seq uint64) (segment, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	list := j.readable()
	i := slices.IndexFunc(list, func(s segment) bool { return s.first <= seq && seq <= s.last })
	if i < 0 {
		return segment{}, false
	}
	return list[i], true
}

// viewSealed reads a sealed file. The last one read stays open, because whoever reads one record reads the next.
func (j *Journal) viewSealed(s segment, f func(tx *bolt.Tx) error) error {
	j.reading.Lock()
	defer j.reading.Unlock()
	if j.old == nil || j.oldNumber != s.number {
		if err := j.closeOld(); err != nil {
			return err
		}
		if err := checkForm(s.path); err != nil {
			return err
		}
		db, err := openReadOnly(s.path)
		if err != nil {
			return err
		}
		j.old, j.oldNumber = db, s.number
	}
	return guarded(s.path, func() error { return j.old.View(f) })
}

func openReadOnly(path string) (db *bolt.DB, err error) {
	err = guarded(path, func() (err error) {
		db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: lockTimeout, ReadOnly: true})
		return err
	})
	if err != nil && !errors.Is(err, ErrDamaged) {
		return nil, damaged(path, err)
	}
	return db, err
}

// closeOld closes the sealed file that is open. The caller holds reading.
func (j *Journal) closeOld() error {
	if j.old == nil {
		return nil
	}
	db := j.old
	j.old = nil
	return guarded(segmentPath(j.path, j.oldNumber), db.Close)
}
