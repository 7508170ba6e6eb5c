package journal

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/uplink/wire"
)

func (j *Journal) view(f func(tx *bolt.Tx) error) error {
	j.swap.RLock()
	defer j.swap.RUnlock()
	return guarded(j.name, func() error { return j.db.View(f) })
}

// Epoch names this journal's life; it changes only with a new journal.
func (j *Journal) Epoch() uint64 { j.mu.Lock(); defer j.mu.Unlock(); return j.meta.epoch }

// LastSeq is the number of the newest record, 0 for none.
func (j *Journal) LastSeq() uint64 { j.mu.Lock(); defer j.mu.Unlock(); return j.meta.nextSeq - 1 }

// FirstSeq is the number of the oldest record still held; what was before it has a receipt and is pruned.
func (j *Journal) FirstSeq() uint64 { j.mu.Lock(); defer j.mu.Unlock(); return j.firstSeq() }

func (j *Journal) firstSeq() uint64 {
	if list := j.readable(); len(list) > 0 {
		return list[0].first
	}
	return j.meta.firstSeq
}

// AckedSeq is the number through which the backend has given receipts.
func (j *Journal) AckedSeq() uint64 { j.mu.Lock(); defer j.mu.Unlock(); return j.meta.acked }

// Read returns records from number first on, as stored, at most maxRecords, and as many as fit maxBytes but at least
// one. Nothing from first on gives none; a pruned record is an error.
func (j *Journal) Read(first uint64, maxRecords, maxBytes int) ([][]byte, error) {
	var out [][]byte
	size := 0
	for len(out) < maxRecords {
		had := len(out)
		more, err := j.readFile(first+uint64(had), maxRecords, maxBytes, &size, &out)
		if err != nil {
			return nil, err
		}
		if !more || len(out) == had {
			break
		}
	}
	return out, nil
}

// readFile reads on in the one file that holds record first. It reports whether the next file may have more.
func (j *Journal) readFile(first uint64, maxRecords, maxBytes int, size *int, out *[][]byte) (more bool, err error) {
	read := func(tx *bolt.Tx) error {
		m, err := parseMeta(tx.Bucket(bucketMeta).Get(keyMeta))
		if err != nil {
			return damaged(tx.DB().Path(), err)
		}
		if first < m.firstSeq {
			return errElsewhere
		}
		for seq := first; seq < m.nextSeq && len(*out) < maxRecords; seq++ {
			body, err := readRecord(tx, seq)
			if err != nil {
				return damaged(tx.DB().Path(), err)
			}
			if *size += len(body); *size > maxBytes && len(*out) > 0 {
				more = false
				return nil
			}
			*out = append(*out, body)
			more = m.sealed
		}
		return nil
	}
	// The record may move from the active file to a sealed one between the two looks, and from there to nowhere.
	for range 4 {
		s, found := j.inSealed(first)
		if found {
			err = j.viewSealed(s, read)
		} else {
			err = j.view(read)
		}
		if !errors.Is(err, errElsewhere) && !errors.Is(err, os.ErrNotExist) {
			return more, err
		}
	}
	return false, fmt.Errorf("journal: record %d is pruned; the oldest is %d", first, j.FirstSeq())
}

// errElsewhere says that a record is not in the file that was looked at.
var errElsewhere = errors.New("journal: the record is in another file")

// Ack notes a receipt: the backend has every record through that number. It never goes back, and never beyond the
// newest record.
func (j *Journal) Ack(through uint64) error {
	if through <= j.AckedSeq() {
		return nil
	}
	return j.commit("ack", func(_ *bolt.Tx, m *meta) error {
		if through >= m.nextSeq {
			return fmt.Errorf("journal: receipt through %d, but the newest record is %d", through, m.nextSeq-1)
		}
		m.acked = max(m.acked, through)
		return nil
	})
}

// Prune deletes receipted records beyond Options.Keep and returns how many went: the oldest sealed file, whole; or, if there is no sealed file, up to limit
// records of the active one. Call it when nobody is waiting: it is a commit of its own.
func (j *Journal) Prune(limit int) (int, error) {
	if n, err := j.dropSealed(); n > 0 || err != nil {
		return n, err
	}
	due := func(m meta) bool { return m.acked >= j.opt.Keep && m.firstSeq <= m.acked-j.opt.Keep }
	j.mu.Lock()
	idle := len(j.readable()) > 0 || !due(j.meta)
	j.mu.Unlock()
	if idle {
		return 0, nil
	}
	n := 0
	err := j.commit("prune", func(tx *bolt.Tx, m *meta) error {
		n = 0
		b := tx.Bucket(bucketRecords)
		for n < limit && due(*m) {
			body, err := readRecord(tx, m.firstSeq)
			if err != nil {
				return damaged(j.name, err)
			}
			m.prunedTo = sha256.Sum256(body)
			if err := b.Delete(key(m.firstSeq)); err != nil {
				return err
			}
			m.firstSeq++
			n++
		}
		return nil
	})
	return n, err
}

// Verify walks the whole journal: the form of every page, every CRC, every link of the chain, every intent.
func (j *Journal) Verify() error {
	j.mu.Lock()
	sealed := slices.Clone(j.sealed)
	j.mu.Unlock()
	for _, s := range sealed {
		if s.broken != nil {
			return s.broken
		}
		if err := j.viewSealed(s, func(tx *bolt.Tx) error {
			m, err := oldMeta(tx, j.opt)
			if err == nil {
				err = verifyChain(tx, m)
			}
			return err
		}); err != nil {
			if errors.Is(err, os.ErrNotExist) {
				continue // it was deleted meanwhile, as it may
			}
			if !errors.Is(err, ErrDamaged) {
				err = damaged(s.path, err)
			}
			return err
		}
	}
	if err := j.verifyPages(); err != nil {
		return damaged(j.name, err)
	}
	return j.view(func(tx *bolt.Tx) error {
		m, err := parseMeta(tx.Bucket(bucketMeta).Get(keyMeta))
		if err != nil {
			return damaged(j.name, err)
		}
		if err := verifyChain(tx, m); err != nil {
			return damaged(j.name, err)
		}
		if err := checkIntents(tx, m); err != nil {
			return damaged(j.name, err)
		}
		return nil
	})
}

// verifyPages checks the form of the pages between two commits.
func (j *Journal) verifyPages() error {
	defer j.hold()()
	info, err := j.file.Stat()
	if err != nil {
		return err
	}
	return checkPages(j.file, info.Size())
}

func verifyChain(tx *bolt.Tx, m meta) error {
	prev := m.prunedTo
	for seq := m.firstSeq; seq < m.nextSeq; seq++ {
		body, err := readRecord(tx, seq)
		if err != nil {
			return err
		}
		var r wire.Record
		if err := proto.Unmarshal(body, &r); err != nil {
			return fmt.Errorf("record %d: %w", seq, err)
		}
		if r.GetSeq() != seq || r.GetEpoch() != m.epoch || r.GetTerminal() != string(m.terminal) || !bytes.Equal(r.GetPrevHash(), prev[:]) {
			return fmt.Errorf("record %d: the chain is broken", seq)
		}
		prev = sha256.Sum256(body)
	}
	if prev != m.lastHash {
		return errors.New("the chain does not end at the newest record")
	}
	if have, want := uint64(tx.Bucket(bucketRecords).Stats().KeyN), m.nextSeq-m.firstSeq; have != want {
		return fmt.Errorf("%d records are stored, %d are numbered", have, want)
	}
	return nil
}
