package journal

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/uplink/wire"
)

func (j *Journal) view(f func(tx *bolt.Tx) error) error {
	return guarded(j.path, func() error { return j.db.View(f) })
}

// Epoch names this file's life; it changes only with a new file.
func (j *Journal) Epoch() uint64 { j.mu.Lock(); defer j.mu.Unlock(); return j.meta.epoch }

// LastSeq is the number of the newest record, 0 for none.
func (j *Journal) LastSeq() uint64 { j.mu.Lock(); defer j.mu.Unlock(); return j.meta.nextSeq - 1 }

// FirstSeq is the number of the oldest record still held; what was before it has a receipt and is pruned.
func (j *Journal) FirstSeq() uint64 { j.mu.Lock(); defer j.mu.Unlock(); return j.meta.firstSeq }

// AckedSeq is the number through which the backend has given receipts.
func (j *Journal) AckedSeq() uint64 { j.mu.Lock(); defer j.mu.Unlock(); return j.meta.acked }

// Read returns records from number first on, as stored, at most maxRecords, and as many as fit maxBytes but at least
// one. Nothing from first on gives none; a pruned record is an error.
func (j *Journal) Read(first uint64, maxRecords, maxBytes int) ([][]byte, error) {
	var out [][]byte
	err := j.view(func(tx *bolt.Tx) error {
		m, err := parseMeta(tx.Bucket(bucketMeta).Get(keyMeta))
		if err != nil {
			return damaged(j.path, err)
		}
		if first < m.firstSeq {
			return fmt.Errorf("journal: record %d is pruned; the oldest is %d", first, m.firstSeq)
		}
		size := 0
		for seq := first; seq < m.nextSeq && len(out) < maxRecords; seq++ {
			body, err := readRecord(tx, seq)
			if err != nil {
				return damaged(j.path, err)
			}
			if size += len(body); size > maxBytes && len(out) > 0 {
				return nil
			}
			out = append(out, body)
		}
		return nil
	})
	return out, err
}

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

// Prune deletes receipted records beyond Options.Keep, at most limit, and returns how many went. Call it when nobody is
// waiting: it is a commit of its own.
func (j *Journal) Prune(limit int) (int, error) {
	due := func(m meta) bool { return m.acked >= j.opt.Keep && m.firstSeq <= m.acked-j.opt.Keep }
	j.mu.Lock()
	idle := !due(j.meta)
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
				return damaged(j.path, err)
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

// Verify walks the whole file: the form of every page, every CRC, every link of the chain, every intent.
func (j *Journal) Verify() error {
	if err := j.verifyPages(); err != nil {
		return damaged(j.path, err)
	}
	return j.view(func(tx *bolt.Tx) error {
		m, err := parseMeta(tx.Bucket(bucketMeta).Get(keyMeta))
		if err != nil {
			return damaged(j.path, err)
		}
		if err := verifyChain(tx, m); err != nil {
			return damaged(j.path, err)
		}
		if err := checkIntents(tx, m); err != nil {
			return damaged(j.path, err)
		}
		return nil
	})
}

// verifyPages checks the form of the pages between two commits.
func (j *Journal) verifyPages() error {
	j.mu.Lock()
	defer j.mu.Unlock()
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
