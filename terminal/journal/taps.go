package journal

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/uplink/wire"
)

// Begin writes draft as the open intent of its card and returns the tap number, which it also sets in the draft. When it returns, the
// intent survives a power cut; DEBIT must not go out before. A card has at most one open intent.
func (j *Journal) Begin(draft *wire.Record) (uint64, error) {
	done, err := j.beginning(draft.GetCardNumber())
	if err != nil {
		return 0, err
	}
	defer done()
	tap, written, err := j.beginInSlot(draft)
	if !written && err == nil {
		tap, err = j.beginInTree(draft)
	}
	draft.Tap = tap
	return tap, err
}

// beginning keeps a card to one Begin at a time, and from any while its intent is open beside the tree.
func (j *Journal) beginning(number []byte) (done func(), err error) {
	if want := len(ids.CardNumber{}); len(number) != want {
		return nil, fmt.Errorf("journal: card number of %d bytes: want %d", len(number), want)
	}
	card := ids.CardNumber(number)
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, open := j.slotOf(card[:]); open || j.begun[card] {
		return nil, errOpen
	}
	j.begun[card] = true
	return func() { j.mu.Lock(); defer j.mu.Unlock(); delete(j.begun, card) }, nil
}

var errOpen = errors.New("journal: the card has an open intent: recover it first")

// beginInTree writes an intent by a commit.
func (j *Journal) beginInTree(draft *wire.Record) (uint64, error) {
	var tap uint64
	err := j.commit("begin", func(tx *bolt.Tx, m *meta) error {
		if err := j.makeRoom(tx, m, proto.Size(draft)); err != nil {
			return err
		}
		if size := proto.Size(draft); size > maxDraft {
			return fmt.Errorf("journal: draft of %d bytes: at most %d", size, maxDraft)
		}
		if tx.Bucket(bucketByCard).Get(draft.GetCardNumber()) != nil {
			return errOpen
		}
		if tap == 0 { // else it is tried again
			tap = j.takeNumber()
		}
		m.nextTap = max(m.nextTap, tap+1)
		d := proto.Clone(draft).(*wire.Record)
		d.Tap, d.Terminal, d.Epoch = tap, string(m.terminal), m.epoch
		return putOpen(tx, tap, intent{phaseIntent, d})
	})
	return tap, err
}

// putOpen writes an open intent that the tree does not have yet.
func putOpen(tx *bolt.Tx, tap uint64, i intent) error {
	if err := putIntent(tx, tap, i); err != nil {
		return err
	}
	return tx.Bucket(bucketByCard).Put(i.draft.GetCardNumber(), key(tap))
}

func putIntent(tx *bolt.Tx, tap uint64, i intent) error {
	raw, err := i.bytes()
	if err != nil {
		return err
	}
	return tx.Bucket(bucketIntents).Put(key(tap), raw)
}

func getIntent(tx *bolt.Tx, tap uint64) (intent, error) {
	raw := tx.Bucket(bucketIntents).Get(key(tap))
	if raw == nil {
		return intent{}, fmt.Errorf("tap %d: %w", tap, ErrNoIntent)
	}
	return parseIntent(raw)
}

// inTree is the place of an intent that stands in the tree.
const inTree = -1

// openTap is an open intent, wherever it stands.
func (j *Journal) openTap(tx *bolt.Tx, m *meta, tap uint64) (i intent, place int, err error) {
	if place, s, found := j.inSlot(m, tap); found {
		return intent{phaseIntent, s.draft}, place, nil
	}
	i, err = getIntent(tx, tap)
	return i, inTree, err
}

// removeTap takes an open intent away, wherever it stands.
func removeTap(tx *bolt.Tx, m *meta, tap uint64, i intent, place int) error {
	if place == inTree {
		return removeIntent(tx, tap, i.draft.GetCardNumber())
	}
	m.settled[place] = tap
	return nil
}

func removeIntent(tx *bolt.Tx, tap uint64, card []byte) error {
	if err := tx.Bucket(bucketByCard).Delete(card); err != nil {
		return err
	}
	return tx.Bucket(bucketIntents).Delete(key(tap))
}

// Drop takes an intent away without a record. It is for a DEBIT that surely was not carried out: never sent, or refused by
// the card.
func (j *Journal) Drop(tap uint64) error {
	return j.commit("drop", func(tx *bolt.Tx, m *meta) error {
		i, place, err := j.openTap(tx, m, tap)
		if err != nil {
			return err
		}
		if err := checkMove(i.phase, wire.State_STATE_UNSPECIFIED); err != nil {
			return err
		}
		return removeTap(tx, m, tap, i, place)
	})
}

// MarkUnknown writes the UNKNOWN record of an intent whose DEBIT got no answer, and keeps the intent open until the
// card tells. What the card's driver needs for that (attempt) stays in the intent; no record has it.
func (j *Journal) MarkUnknown(tap uint64) error {
	return j.commit("unknown", func(tx *bolt.Tx, m *meta) error { return j.markUnknown(tx, m, tap) })
}

func (j *Journal) markUnknown(tx *bolt.Tx, m *meta, tap uint64) error {
	i, place, err := j.openTap(tx, m, tap)
	if err != nil {
		return err
	}
	if err := checkMove(i.phase, wire.State_STATE_UNKNOWN); err != nil {
		return err
	}
	r := proto.Clone(i.draft).(*wire.Record)
	r.State, r.Evidence = wire.State_STATE_UNKNOWN, wire.Evidence_EVIDENCE_NONE
	r.Attempt = nil
	if err := appendRecord(tx, m, r); err != nil {
		return err
	}
	i.phase = phaseUnknown
	if place == inTree {
		return putIntent(tx, tap, i)
	}
	m.settled[place] = tap // the tree has it from now on
	return putOpen(tx, tap, i)
}

// Finish writes the final record of a tap and takes its intent away, in one commit. When it returns, the record survives a
// power cut; the light must not show before. It takes the draft's attempt out of final: no record has it.
func (j *Journal) Finish(tap uint64, final *wire.Record) error {
	return j.commit("finish", func(tx *bolt.Tx, m *meta) error {
		i, place, err := j.openTap(tx, m, tap)
		if err != nil {
			return err
		}
		if err := checkMove(i.phase, final.GetState()); err != nil {
			return err
		}
		if s := final.GetState(); s == wire.State_STATE_UNKNOWN || s == wire.State_STATE_UNSPECIFIED {
			return fmt.Errorf("journal: tap %d: %v is not final: MarkUnknown or Drop it", tap, s)
		}
		final.Tap, final.Attempt = tap, nil
		if err := appendRecord(tx, m, final); err != nil {
			return err
		}
		return removeTap(tx, m, tap, i, place)
	})
}

// OpenIntent finds the open intent of a card: its draft, and whether its outcome is already recorded as unknown.
func (j *Journal) OpenIntent(card ids.CardNumber) (draft *wire.Record, unknown, found bool, err error) {
	j.mu.Lock()
	s, beside := j.slotOf(card[:])
	j.mu.Unlock()
	if beside {
		return proto.Clone(s.draft).(*wire.Record), false, true, nil
	}
	err = j.view(func(tx *bolt.Tx) error {
		raw := tx.Bucket(bucketByCard).Get(card[:])
		if raw == nil {
			return nil
		}
		if len(raw) != 8 {
			return damaged(j.name, fmt.Errorf("card index entry of %d bytes", len(raw)))
		}
		i, err := getIntent(tx, binary.BigEndian.Uint64(raw))
		if err != nil {
			return damaged(j.name, err)
		}
		draft, unknown, found = i.draft, i.phase == phaseUnknown, true
		return nil
	})
	return draft, unknown, found, err
}

// OpenIntents lists the drafts of all open intents by tap number.
func (j *Journal) OpenIntents() ([]*wire.Record, error) {
	var out []*wire.Record
	beside := j.slotted() // first: one that goes into the tree meanwhile is seen there
	err := j.view(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketIntents).ForEach(func(_, raw []byte) error {
			i, err := parseIntent(raw)
			if err != nil {
				return damaged(j.name, err)
			}
			out = append(out, i.draft)
			return nil
		})
	})
	for _, s := range beside {
		if !slices.ContainsFunc(out, func(r *wire.Record) bool { return r.GetTap() == s.tap }) {
			out = append(out, proto.Clone(s.draft).(*wire.Record))
		}
	}
	slices.SortFunc(out, func(a, b *wire.Record) int { return cmp.Compare(a.GetTap(), b.GetTap()) })
	return out, err
}

// checkIntents checks that each open intent can be read, and that the card index names exactly these: an intent that its card does
// not lead to would let the card be debited twice.
func checkIntents(tx *bolt.Tx, m meta) error {
	n := 0
	err := tx.Bucket(bucketIntents).ForEach(func(k, raw []byte) error {
		i, err := parseIntent(raw)
		if err != nil {
			return err
		}
		n++
		tap := i.draft.GetTap()
		if !bytes.Equal(k, key(tap)) || tap >= m.nextTap || i.draft.GetEpoch() != m.epoch {
			return fmt.Errorf("the intent of tap %d stands under %x", tap, k)
		}
		if !bytes.Equal(tx.Bucket(bucketByCard).Get(i.draft.GetCardNumber()), k) {
			return fmt.Errorf("the card index does not lead to the intent of tap %d", tap)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if indexed := tx.Bucket(bucketByCard).Stats().KeyN; indexed != n {
		return fmt.Errorf("%d open intents, %d in the card index", n, indexed)
	}
	return nil
}

// RecoverBoot is called once after Open: an intent that the terminal died with may have been debited, so each
// becomes UNKNOWN. It returns how many there were.
func (j *Journal) RecoverBoot() (int, error) {
	n := 0
	err := j.commit("boot", func(tx *bolt.Tx, m *meta) error {
		n = 0
		var taps []uint64
		if err := tx.Bucket(bucketIntents).ForEach(func(k, raw []byte) error {
			i, err := parseIntent(raw)
			if err != nil {
				return damaged(j.name, err)
			}
			if i.phase == phaseIntent {
				taps = append(taps, binary.BigEndian.Uint64(k))
			}
			return nil
		}); err != nil {
			return err
		}
		for _, s := range j.slotted() {
			taps = append(taps, s.tap)
		}
		slices.Sort(taps)
		for _, tap := range taps {
			if err := j.markUnknown(tx, m, tap); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err == nil {
		j.setAside()
	}
	return n, err
}

// Stats is how full the journal is, for limits and screens.
type Stats struct {
	Backlog     uint64    // records without a receipt
	Oldest      time.Time // terminal time of the oldest of them, zero for none
	Records     uint64    // in the active file
	OpenIntents int
	Files       int
	FileBytes   int64 // of all files
	MaxBytes    int64
}

// Stats reads the figures. It waits for a commit that is under way: a disk that hangs is noticed by it.
func (j *Journal) Stats() (Stats, error) {
	j.hold()()
	s := Stats{MaxBytes: j.opt.MaxBytes}
	if err := j.view(func(tx *bolt.Tx) error {
		m, err := parseMeta(tx.Bucket(bucketMeta).Get(keyMeta))
		if err != nil {
			return damaged(j.name, err)
		}
		s.Records, s.FileBytes = m.nextSeq-m.firstSeq, tx.Size()
		s.OpenIntents = tx.Bucket(bucketIntents).Stats().KeyN
		return nil
	}); err != nil {
		return s, err
	}
	s.OpenIntents += len(j.slotted())
	j.mu.Lock()
	s.Files, s.FileBytes = 1+len(j.sealed), s.FileBytes+j.sealedBytes()
	j.mu.Unlock()
	var err error
	s.Backlog, s.Oldest, err = j.Backlog()
	return s, err
}

// Backlog is how many records have no receipt, and the terminal time of the oldest of them; zero for none. Every tap asks, so it looks at no file but
// for an oldest record that it has not seen yet.
func (j *Journal) Backlog() (n uint64, oldest time.Time, err error) {
	j.mu.Lock()
	n, first, known := j.meta.nextSeq-1-j.meta.acked, j.meta.acked+1, j.oldest
	j.mu.Unlock()
	switch {
	case n == 0:
		return 0, time.Time{}, nil
	case known.seq == first:
		return n, known.at, nil
	}
	at, err := j.timeOf(first)
	if err != nil {
		return n, time.Time{}, err
	}
	j.mu.Lock()
	j.oldest = dated{first, at}
	j.mu.Unlock()
	return n, at, nil
}

// dated is the time of one record.
type dated struct {
	seq uint64 // 0: none
	at  time.Time
}

// Begun is the terminal time of the active file's first record; zero for none. It tells whether a new day wants a new file.
func (j *Journal) Begun() (time.Time, error) {
	j.mu.Lock()
	first, none := j.meta.firstSeq, j.meta.firstSeq == j.meta.nextSeq
	j.mu.Unlock()
	if none {
		return time.Time{}, nil
	}
	return j.timeOf(first)
}

// timeOf is the terminal time of a record.
func (j *Journal) timeOf(seq uint64) (time.Time, error) {
	raw, err := j.Read(seq, 1, 1<<20)
	if err != nil || len(raw) == 0 {
		return time.Time{}, err
	}
	var r wire.Record
	if err := proto.Unmarshal(raw[0], &r); err != nil {
		return time.Time{}, damaged(j.name, fmt.Errorf("record %d: %w", seq, err))
	}
	return time.UnixMilli(r.GetTerminalTimeMs()), nil
}
