package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/uplink/wire"
)

// New intents are written to a small file of fixed places beside the tree: one write and one sync, where a commit of the tree has two syncs, and no lane waits for
// another's. What ends an intent is a commit of the tree, whose meta value says of each place up to which tap it is done with. An intent that the terminal died with is taken
// into the tree when the journal is opened.
//
//	place  CRC-32C 4 of all that follows, epoch 8, tap 8, size of the draft 2, draft
const (
	slotCount = 8
	slotSize  = 4096
	slotHead  = 4 + 8 + 8 + 2
)

// PlacesPath is the file of the open taps that belongs to the journal at that path: neither must be copied, moved or put back without the other.
func PlacesPath(journal string) string { return journal + ".open" }

// slotted is what one place holds.
type slotted struct {
	tap   uint64 // 0: nothing
	draft *wire.Record
}

// slots are the places. All but files is guarded by Journal.mu.
type slots struct {
	files [slotCount]*os.File // the file, opened once for each place: the kernel tells each opening once that a write was lost, and no lane may take another's news
	held  [slotCount]slotted
	taken [slotCount]bool // being written
}

// close closes the file.
func (s *slots) close() (err error) {
	for _, f := range s.files {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// createSlots makes the file, every byte of it written: to write a place later changes nothing that the file system keeps of the file.
func createSlots(journal string) error {
	name := PlacesPath(journal)
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, slotCount*slotSize))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		if full(err) {
			return fmt.Errorf("%w: %v", ErrFull, err)
		}
		return err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// openSlots reads the places. A journal from before there were any gets them; one that had them and has them no more is damaged: they may have held a debit.
func (j *Journal) openSlots() error {
	if j.opt.noPlaces && !j.meta.slotted {
		return nil
	}
	name := PlacesPath(j.path)
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		if j.meta.slotted {
			return damaged(j.name, fmt.Errorf("%s, which holds open taps, is missing", name))
		}
		if err := createSlots(j.path); err != nil {
			return fmt.Errorf("journal: make %s: %w", name, err)
		}
		f, err = os.OpenFile(name, os.O_RDWR, 0)
	}
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.slots.files[0] = f
	for i := 1; i < slotCount; i++ {
		if j.slots.files[i], err = os.OpenFile(name, os.O_RDWR, 0); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
	}
	raw := make([]byte, slotCount*slotSize)
	if n, err := f.ReadAt(raw, 0); err != nil && !errors.Is(err, io.EOF) {
		return damaged(j.name, fmt.Errorf("%s: %w", name, err))
	} else if n < len(raw) {
		return damaged(j.name, fmt.Errorf("%s has %d bytes, not %d", name, n, len(raw)))
	}
	for i := range slotCount {
		s, epoch, sound := parseSlot(raw[i*slotSize : (i+1)*slotSize])
		if !sound || epoch != j.meta.epoch {
			continue // never written whole, so never begun; or of another journal
		}
		j.nextTap = max(j.nextTap, s.tap+1)
		if s.tap > j.meta.settled[i] {
			j.slots.held[i] = s
		}
	}
	return nil
}

// takeIn moves what the terminal died with into the tree.
func (j *Journal) takeIn() error {
	live := j.slotted()
	if len(live) == 0 {
		return nil
	}
	return j.commit("take-in", func(tx *bolt.Tx, m *meta) error {
		for i, s := range live {
			card := s.draft.GetCardNumber()
			if len(card) != len(ids.CardNumber{}) || tx.Bucket(bucketByCard).Get(card) != nil {
				return damaged(j.name, fmt.Errorf("the open tap %d is of a card that has another", s.tap))
			}
			if err := putOpen(tx, s.tap, intent{phaseIntent, s.draft}); err != nil {
				return err
			}
			m.settled[i] = s.tap
		}
		return nil
	})
}

// slotted are the open intents that are in no tree, by place.
func (j *Journal) slotted() map[int]slotted {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := map[int]slotted{}
	for i, s := range j.slots.held {
		if s.tap > j.meta.settled[i] {
			out[i] = s
		}
	}
	return out
}

// slotOf finds the open intent of a card that is in no tree. The caller has mu.
func (j *Journal) slotOf(card []byte) (slotted, bool) {
	for i, s := range j.slots.held {
		if s.tap > j.meta.settled[i] && bytes.Equal(s.draft.GetCardNumber(), card) {
			return s, true
		}
	}
	return slotted{}, false
}

// inSlot finds an open intent that is in no tree, as it stands with m.
func (j *Journal) inSlot(m *meta, tap uint64) (place int, s slotted, found bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, s := range j.slots.held {
		if s.tap == tap && tap > m.settled[i] {
			return i, s, true
		}
	}
	return 0, slotted{}, false
}

// reserveSlot takes a free place and the next tap number; false: there is none free.
func (j *Journal) reserveSlot() (place int, tap uint64, free bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, s := range j.slots.held {
		if !j.slots.taken[i] && s.tap <= j.meta.settled[i] {
			j.slots.taken[i] = true
			tap = j.nextTap
			j.nextTap++
			return i, tap, true
		}
	}
	return 0, 0, false
}

// takeNumber takes the next tap number.
func (j *Journal) takeNumber() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.nextTap++
	return j.nextTap - 1
}

// publish gives a place back, with what it holds now; nil: what it held.
func (j *Journal) publish(place int, s *slotted) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.slots.taken[place] = false
	if s != nil {
		j.slots.held[place] = *s
	}
}

// beginInSlot writes an intent to a free place. done is false when it must go into the tree: no place is free, it is too large, or room must be made first.
func (j *Journal) beginInSlot(draft *wire.Record) (tap uint64, done bool, err error) {
	if proto.Size(draft)+len(j.opt.Terminal)+64 > slotSize-slotHead {
		return 0, false, nil
	}
	if roomy, err := j.hasRoom(draft); !roomy || err != nil {
		return 0, false, err
	}
	place, tap, free := j.reserveSlot()
	if !free {
		return 0, false, nil
	}
	d := proto.Clone(draft).(*wire.Record)
	d.Tap, d.Terminal, d.Epoch = tap, string(j.opt.Terminal), j.Epoch()
	raw, err := slotBytes(d)
	if err == nil {
		err = j.fault("begin:before")
	}
	if err != nil {
		j.publish(place, nil)
		return 0, true, err
	}
	if err := j.writeSlot(place, raw); err != nil {
		j.uncertain.Store(true) // it may be on the disk: the next opening tells
		return 0, true, fmt.Errorf("journal %s: %w: write an open tap: %w", j.path, ErrUncertain, err)
	}
	j.publish(place, &slotted{tap, d})
	return tap, true, j.fault("begin:after")
}

func (j *Journal) writeSlot(place int, raw []byte) error {
	if _, err := j.slots.files[place].WriteAt(raw, int64(place)*slotSize); err != nil {
		return err
	}
	if j.opt.NoSync {
		return nil
	}
	return syncData(j.slots.files[place])
}

// hasRoom reports that what ends an intent as large as draft has its place on the disk already, beside all that is open, and that the tree has none of its card. The
// tree says what is wrong, if something is.
func (j *Journal) hasRoom(draft *wire.Record) (bool, error) {
	j.mu.Lock()
	slotted, number := j.meta.slotted, j.number
	j.mu.Unlock()
	if !slotted || j.uncertain.Load() { // a program that knows no places would not see it, if the tree does not say that there are any
		return false, nil
	}
	var used, need, free int64
	known := false
	err := j.view(func(tx *bolt.Tx) error {
		known = tx.Bucket(bucketByCard).Get(draft.GetCardNumber()) != nil
		used = tx.Size()
		need, free = j.roomFor(tx, slotCount, slotCount*slotSize+proto.Size(draft))
		return nil
	})
	if err != nil || known {
		return false, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.number == number && j.opt.MaxBytes-j.sealedBytes()-used+free >= need && (free >= need || used+need <= j.placed), nil
}

// slotBytes is a whole place: what stood there before must not show behind it.
func slotBytes(d *wire.Record) ([]byte, error) {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("journal: code intent: %w", err)
	}
	if len(body) > slotSize-slotHead {
		return nil, fmt.Errorf("journal: draft of %d bytes: at most %d", len(body), slotSize-slotHead)
	}
	raw := make([]byte, slotSize)
	binary.BigEndian.PutUint64(raw[4:], d.GetEpoch())
	binary.BigEndian.PutUint64(raw[12:], d.GetTap())
	binary.BigEndian.PutUint16(raw[20:], uint16(len(body)))
	copy(raw[slotHead:], body)
	binary.BigEndian.PutUint32(raw, crc32.Checksum(raw[4:slotHead+len(body)], castagnoli))
	return raw, nil
}

// parseSlot reads a place. One that is not sound was never written, or not to its end: its Begin has not returned.
func parseSlot(raw []byte) (s slotted, epoch uint64, sound bool) {
	if len(raw) < slotHead {
		return s, 0, false
	}
	epoch, s.tap = binary.BigEndian.Uint64(raw[4:]), binary.BigEndian.Uint64(raw[12:])
	size := int(binary.BigEndian.Uint16(raw[20:]))
	if s.tap == 0 || slotHead+size > len(raw) || crc32.Checksum(raw[4:slotHead+size], castagnoli) != binary.BigEndian.Uint32(raw) {
		return slotted{}, 0, false
	}
	s.draft = &wire.Record{}
	if err := proto.Unmarshal(raw[slotHead:slotHead+size], s.draft); err != nil || s.draft.GetTap() != s.tap || s.draft.GetEpoch() != epoch {
		return slotted{}, 0, false
	}
	return s, epoch, true
}
