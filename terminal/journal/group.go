package journal

import (
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// change is what one caller wants committed. Its make may be called more than once, each time in a new transaction with the meta value as it is then.
type change struct {
	point string // its name for Options.Fault
	make  func(tx *bolt.Tx, m *meta) error
	done  chan error // has room for one
}

// commit makes a change durable. Changes that wait at the same time, of several readers or of a reader and a receipt, share one transaction: whoever
// finds the gate open commits for all who wait. Each caller gets its own error, and one that fails does not fail the others.
func (j *Journal) commit(point string, f func(tx *bolt.Tx, m *meta) error) error {
	c := &change{point: point, make: f, done: make(chan error, 1)}
	j.mu.Lock()
	j.waiting = append(j.waiting, c)
	j.mu.Unlock()
	select {
	case err := <-c.done:
		return err
	case j.gate <- struct{}{}:
	}
	j.commitWaiting()
	return <-c.done
}

// commitWaiting commits all that waits, and gives the gate back. Nothing may wait any more: another has committed it meanwhile.
func (j *Journal) commitWaiting() {
	defer func() { <-j.gate }()
	j.mu.Lock()
	group := j.waiting
	j.waiting = nil
	j.mu.Unlock()
	if len(group) > 0 {
		j.commitGroup(group)
	}
}

// commitGroup commits changes in one transaction and tells each of them. If one of them fails they are undone, and each is tried alone: so the
// one that fails is told why, as it stands without the others, and those are not held up by it. The caller has the gate.
func (j *Journal) commitGroup(group []*change) {
	err := j.commitAll(group)
	_, cut := errors.AsType[cutShort](err)
	switch {
	case err == nil:
		for _, c := range group {
			c.done <- j.fault(c.point + ":after")
		}
	case len(group) == 1 || j.uncertain.Load() || cut:
		for _, c := range group {
			c.done <- err
		}
	default:
		for _, c := range group {
			j.commitGroup([]*change{c})
		}
	}
}

// cutShort is an error of Options.Fault: a power cut takes all who wait for the commit.
type cutShort struct{ error }

// Unwrap returns what Fault returned.
func (c cutShort) Unwrap() error { return c.error }

// commitAll runs the changes in one transaction; when it is durable the meta value they left becomes the journal's. The caller has the gate.
func (j *Journal) commitAll(group []*change) error {
	if j.uncertain.Load() {
		return fmt.Errorf("journal %s: %w: a commit failed half way", j.path, ErrUncertain)
	}
	j.mu.Lock()
	m := j.meta
	m.nextTap = j.nextTap
	m.slotted = m.slotted || j.slots.files[0] != nil
	j.mu.Unlock()
	j.wedged = true // until bbolt comes back
	err := caught(func() error {
		err := j.db.Update(func(tx *bolt.Tx) error {
			for _, c := range group {
				if err := c.make(tx, &m); err != nil {
					return err
				}
			}
			if err := tx.Bucket(bucketMeta).Put(keyMeta, m.bytes()); err != nil {
				return err
			}
			for _, c := range group {
				if err := j.fault(c.point + ":before"); err != nil {
					return cutShort{err}
				}
			}
			return nil
		})
		j.wedged = false
		return err
	})
	if err != nil {
		return j.failed(err)
	}
	j.mu.Lock()
	j.meta = m
	j.mu.Unlock()
	return nil
}
