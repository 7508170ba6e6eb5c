package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/purselane/purselane/internal/money"
)

// Phase is how far a sale has come, as this kiosk knows it.
type Phase string

// Phases. The text is on disk.
const (
	Named   Phase = "named"   // its key is on disk; the backend may or may not have heard of it, and no rider has seen a code
	Showed  Phase = "shown"   // the payment has a number, and a rider may have seen its code
	Settled Phase = "paid"    // the money has come
	Giving  Phase = "refund"  // it is to go back
	Credit  Phase = "on-card" // it is on the card; the backend is to be told
)

// Sale is an open sale.
type Sale struct {
	Key      string       `json:"key"` // names it for ever
	Token    string       `json:"token"`
	Card     string       `json:"card"` // masked
	Amount   money.Amount `json:"amount"`
	Before   money.Amount `json:"before"` // the card's balance
	Currency string       `json:"currency"`
	Way      string       `json:"way"`
	Phase    Phase        `json:"phase"`
	Payment  string       `json:"payment,omitempty"`
	Load     string       `json:"load,omitempty"`
	TAC      string       `json:"tac,omitempty"`    // of a load that is on the card, in hexadecimal
	Script   string       `json:"script,omitempty"` // likewise, of electronic cash
	Made     time.Time    `json:"made"`
	Changed  time.Time    `json:"changed"`
}

// Journal keeps the open sales of one kiosk on disk. It is safe for concurrent use, by one process.
type Journal struct {
	db *bbolt.DB

	mu   sync.Mutex
	held map[string]bool // sales that somebody works on: the rider's session, or the work in the background
	free *sync.Cond
}

var bucket = []byte("sales-1")

// OpenJournal opens the file, or makes it. A file that another process has open is an error.
func OpenJournal(path string) (*Journal, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("kiosk journal: %w", err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if errors.Is(err, bbolt.ErrTimeout) {
		return nil, fmt.Errorf("kiosk journal %s: another program has it open: one kiosk, one process", path)
	}
	if err != nil {
		return nil, fmt.Errorf("kiosk journal %s: %w", path, err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucketIfNotExists(bucket); return err }); err != nil {
		return nil, errors.Join(fmt.Errorf("kiosk journal %s: %w", path, err), db.Close())
	}
	j := &Journal{db: db, held: map[string]bool{}}
	j.free = sync.NewCond(&j.mu)
	return j, nil
}

// Close closes the file.
func (j *Journal) Close() error { return j.db.Close() }

// Put keeps a sale; it is on disk when it returns.
func (j *Journal) Put(s Sale) error {
	raw, err := json.Marshal(s)
	if err == nil {
		err = j.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put([]byte(s.Key), raw) })
	}
	if err != nil {
		return fmt.Errorf("kiosk journal: keep sale %s: %w", s.Key, err)
	}
	return nil
}

// Drop forgets a sale that is known to have ended.
func (j *Journal) Drop(key string) error {
	if err := j.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Delete([]byte(key)) }); err != nil {
		return fmt.Errorf("kiosk journal: drop sale %s: %w", key, err)
	}
	return nil
}

// Sales lists the open sales by key, which is by the time they were made.
func (j *Journal) Sales() ([]Sale, error) {
	var all []Sale
	err := j.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(key, raw []byte) error {
			var s Sale
			if err := json.Unmarshal(raw, &s); err != nil {
				return fmt.Errorf("sale %s: %w", key, err)
			}
			all = append(all, s)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("kiosk journal: %w", err)
	}
	return all, nil
}

// claim waits until nobody else works on a sale, and takes it.
func (j *Journal) claim(key string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.held[key] {
		j.free.Wait()
	}
	j.held[key] = true
}

// tryClaim takes a sale, if nobody works on it.
func (j *Journal) tryClaim(key string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.held[key] {
		return false
	}
	j.held[key] = true
	return true
}

// release gives a sale free.
func (j *Journal) release(key string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.held, key)
	j.free.Broadcast()
}

// sale is one sale as it is on disk.
func (j *Journal) sale(key string) (Sale, bool, error) {
	all, err := j.Sales()
	if i := slices.IndexFunc(all, func(s Sale) bool { return s.Key == key }); i >= 0 {
		return all[i], true, err
	}
	return Sale{}, false, err
}
