package journal

import (
	"errors"
	"fmt"
	"os"

	bolt "go.etcd.io/bbolt"
)

// Room that Begin leaves for what must not fail after it: the records of what is begun, and the pages that any commit writes
// before it can give back those it replaces.
const (
	reserveLeast     = 128 << 10 // the pages of two commits
	reserveIntent    = 7 << 10   // what pages waste on an open intent's two records
	reserveByte      = 4         // and for each byte of it
	reserveRound     = 4 << 10   // whole pages
	reserveShare     = 128       // MaxBytes over this: two freelists of a file that is all free, twice over
	maxDraft         = 8 << 10   // with what a card's driver keeps in it
	minMaxBytes      = 256 << 10
	reserveStep      = 256 << 10 // the file grows by this much at a time
	growStepOfBolt   = 64 << 10  // should bbolt ever have to grow it
	writeZerosAtOnce = 64 << 10
)

// reserve is how much room Begin leaves: with its own, there are that many intents of so many bytes together.
func (o Options) reserve(intents, size int) int64 {
	n := reserveLeast + o.MaxBytes/reserveShare + int64(intents)*reserveIntent + int64(size)*reserveByte
	return (n + reserveRound - 1) / reserveRound * reserveRound
}

// makeRoom fails with ErrFull when what is begun now could not surely be finished: when the reserve would pass the limit, or
// has no place on the disk. Pages given free are room too, and have their place. Only Begin asks; every other commit may use the
// reserve, and go past the limit if it must. Of those before it in the same transaction, which bbolt does not count yet, it knows the number alone:
// they are taken to be as large as they can be, and should there be no room then, each is tried alone.
func (j *Journal) makeRoom(tx *bolt.Tx, m *meta, draft int) error {
	used := tx.Size()
	before, live := int(m.nextTap-j.meta.nextTap), len(j.slotted())
	need, free := j.roomFor(tx, before+live, before*maxDraft+live*slotSize+draft)
	if all := j.sealedBytes() + used; j.opt.MaxBytes-all+free < need {
		return fmt.Errorf("journal %s: %w: %d of %d bytes are in use and %d are kept to finish what is begun. It sells again when receipts let it prune", j.path, ErrFull,
			all-free, j.opt.MaxBytes, need)
	}
	if free >= need || used+need <= j.placed {
		return nil
	}
	want := need // what beginInSlot asks for comes with it
	if slotted, _ := j.roomFor(tx, slotCount, slotCount*slotSize+maxDraft); used+slotted < j.opt.MaxBytes {
		want = max(want, slotted)
	}
	if err := j.place(used+need, used+want+reserveStep); err != nil {
		if full(err) {
			return fmt.Errorf("journal %s: %w: the disk has no room for %d bytes more. Make room on it", j.path, ErrFull, used+need-j.placed)
		}
		return fmt.Errorf("journal %s: make room: %w", j.path, err)
	}
	return nil
}

// roomFor is how much room another intent needs when so many, of so many bytes with its own, are not in the tree's own count, and how much of the file is free.
func (j *Journal) roomFor(tx *bolt.Tx, others, size int) (need, free int64) {
	s := j.db.Stats()
	open := tx.Bucket(bucketIntents).Stats()
	return j.opt.reserve(open.KeyN+others+1, open.LeafInuse+size), int64(s.FreePageN+s.PendingPageN) * int64(j.db.Info().PageSize)
}

// setAside makes the room that beginInSlot asks for, so that the first taps of a start need not. If it fails, the tap that needs it says so.
func (j *Journal) setAside() {
	defer j.hold()()
	var used, need int64
	if err := j.view(func(tx *bolt.Tx) error {
		used = tx.Size()
		need, _ = j.roomFor(tx, slotCount, slotCount*slotSize+maxDraft)
		return nil
	}); err == nil && j.meta.slotted && used+need < j.opt.MaxBytes && used+need > j.placed {
		_ = j.place(used+need, used+need+reserveStep)
	}
}

// place is placeLocked of whoever has the gate alone.
func (j *Journal) place(need, want int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.placeLocked(need, want)
}

// placeLocked gives the file its place on the disk, up to want bytes if it can, and to need at least. The caller has the gate and mu.
func (j *Journal) placeLocked(need, want int64) error {
	err := reserveBlocks(j.file, j.placed, want)
	if full(err) {
		want = need
		err = reserveBlocks(j.file, j.placed, want)
	}
	if err == nil && !j.opt.NoSync {
		err = j.file.Sync() // the file's new size, too, must survive a power cut
	}
	if err != nil {
		return err
	}
	j.placed = want
	return nil
}

// writeZeros writes zeros over what of [from, to) lies beyond the end of the file: what a file system without a call for it needs.
func writeZeros(f *os.File, from, to int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	zeros := make([]byte, writeZerosAtOnce)
	for at := max(from, info.Size()); at < to; {
		n, err := f.WriteAt(zeros[:min(int64(len(zeros)), to-at)], at)
		if err != nil {
			return errors.Join(err, f.Truncate(info.Size()))
		}
		at += int64(n)
	}
	return nil
}
