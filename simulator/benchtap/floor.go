package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

var bareBucket = []byte("records")

// bare is what nothing that keeps the two promises of a tap can do without: commits of a value as large as the record to one bbolt file, and bare
// fsyncs, of a file for each lane.
type bare struct {
	db    *bolt.DB
	key   atomic.Uint64
	value []byte
	files [doors]*os.File
}

func openBare(dir string, size int) (b *bare, err error) {
	b = &bare{value: make([]byte, size)}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	// The bare database is opened as the journal opens its own.
	if b.db, err = bolt.Open(filepath.Join(dir, "bare.db"), 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType}); err != nil {
		return b, err
	}
	if err = b.db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket(bareBucket); return err }); err != nil {
		return b, err
	}
	for i := range doors {
		if b.files[i], err = os.OpenFile(filepath.Join(dir, fmt.Sprintf("bare-%d.file", i)), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
			return b, err
		}
	}
	return b, nil
}

func (b *bare) close() {
	if b.db != nil {
		b.db.Close()
	}
	for _, f := range b.files {
		if f != nil {
			f.Close()
		}
	}
}

// twoCommits are two durable commits, one after the other, each after a pause that is not counted: the commits of a tap lie apart too.
func (b *bare) twoCommits(pause time.Duration) (took time.Duration, err error) {
	for range 2 {
		time.Sleep(pause)
		start := time.Now()
		err = errors.Join(err, b.commit())
		took += time.Since(start)
	}
	return took, err
}

func (b *bare) commit() error {
	return b.db.Update(func(tx *bolt.Tx) error {
		records := tx.Bucket(bareBucket)
		records.FillPercent = 0.95 // as the journal has it
		return records.Put(key8(b.key.Add(1)), b.value)
	})
}

func key8(n uint64) []byte {
	return []byte{byte(n >> 56), byte(n >> 48), byte(n >> 40), byte(n >> 32), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// twoFsyncs are two bare writes of one page, each with a sync, and as far apart.
func (b *bare) twoFsyncs(lane int, pause time.Duration) (took time.Duration, all error) {
	for page := range int64(2) {
		time.Sleep(pause)
		start := time.Now()
		_, err := b.files[lane].WriteAt(make([]byte, 4096), page*4096)
		all = errors.Join(all, err, b.files[lane].Sync())
		took += time.Since(start)
	}
	return took, all
}
