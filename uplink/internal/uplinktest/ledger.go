package uplinktest

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/uplink/intake"
	"github.com/purselane/purselane/uplink/wire"
)

// Ledger is an intake handler in memory: idempotent, and strict about what it has seen. It is safe for concurrent use.
type Ledger struct {
	mu        sync.Mutex
	held      map[life]map[uint64][32]byte // zero: quarantined, or gone
	news      int                          // records taken as new
	dups      int                          // records that were there already
	batches   int
	conflicts []string // one number, two contents
	gone      int      // numbers that the terminal no longer holds
	hellos    int

	// Settings, set before use or through Set.
	Fail       func(a intake.Accepted) error // what Accept returns instead of committing
	RetryAfter time.Duration
	Silent     bool // never say what is wanted
}

type life struct {
	terminal ids.TerminalID
	epoch    uint64
}

// NewLedger is empty.
func NewLedger() *Ledger { return &Ledger{held: map[life]map[uint64][32]byte{}} }

// Set changes settings while the ledger is in use.
func (l *Ledger) Set(f func(l *Ledger)) { l.mu.Lock(); defer l.mu.Unlock(); f(l) }

// Accept commits a batch.
func (l *Ledger) Accept(_ context.Context, a intake.Accepted) (intake.Committed, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Fail != nil {
		if err := l.Fail(a); err != nil {
			return intake.Committed{}, err
		}
	}
	l.batches++
	of := l.of(a.Terminal, a.Epoch)
	for i, r := range a.Records {
		seq, hash := a.FirstSeq+uint64(i), wire.RecordHash(r)
		old, seen := of[seq]
		switch {
		case !seen, old == [32]byte{}:
			l.news++
			of[seq] = hash
		case old == hash:
			l.dups++
		default:
			l.conflicts = append(l.conflicts, fmt.Sprintf("%s/%x record %d", a.Terminal, a.Epoch, seq))
		}
	}
	return l.committed(a.Terminal, a.Epoch, 0), nil
}

// Quarantine marks a batch's numbers as kept.
func (l *Ledger) Quarantine(_ context.Context, a intake.Accepted, reason string) (intake.Committed, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.of(a.Terminal, a.Epoch)
	for seq := a.FirstSeq; seq <= a.LastSeq && seq-a.FirstSeq < wire.MaxRecords; seq++ {
		if _, seen := of[seq]; !seen {
			of[seq] = [32]byte{}
		}
	}
	c := l.committed(a.Terminal, a.Epoch, 0)
	c.Unreadable = []intake.Unreadable{{Reason: reason}}
	return c, nil
}

// Hello answers with what is committed.
func (l *Ledger) Hello(_ context.Context, h *wire.Hello, _ time.Time) (intake.Committed, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hellos++
	of := l.of(ids.TerminalID(h.GetTerminal()), h.GetEpoch())
	for seq := uint64(1); seq < h.GetFirstSeq() && seq <= h.GetAckedSeq(); seq++ {
		if _, seen := of[seq]; !seen {
			of[seq] = [32]byte{}
			l.gone++
		}
	}
	return l.committed(ids.TerminalID(h.GetTerminal()), h.GetEpoch(), h.GetAckedSeq()), nil
}

func (l *Ledger) of(t ids.TerminalID, epoch uint64) map[uint64][32]byte {
	k := life{t, epoch}
	if l.held[k] == nil {
		l.held[k] = map[uint64][32]byte{}
	}
	return l.held[k]
}

func (l *Ledger) committed(t ids.TerminalID, epoch, acked uint64) intake.Committed {
	of := l.of(t, epoch)
	c := intake.Committed{RetryAfter: l.RetryAfter}
	for {
		h, ok := of[c.Through+1]
		if !ok {
			break
		}
		c.Through++
		c.ThroughHash = h
	}
	if l.Silent {
		return c
	}
	highest := acked
	for seq := range of {
		highest = max(highest, seq)
	}
	for seq := c.Through + 1; seq <= highest; seq++ {
		if _, ok := of[seq]; ok {
			continue
		}
		if n := len(c.Wanted); n > 0 && c.Wanted[n-1].Last == seq-1 {
			c.Wanted[n-1].Last = seq
		} else {
			c.Wanted = append(c.Wanted, intake.SeqRange{First: seq, Last: seq})
		}
	}
	return c
}

// Has reports whether a record is committed.
func (l *Ledger) Has(t ids.TerminalID, epoch, seq uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.held[life{t, epoch}][seq]
	return ok
}

// Through is the number up to which every record is committed.
func (l *Ledger) Through(t ids.TerminalID, epoch uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.committed(t, epoch, 0).Through
}

// Counts are records taken as new, records seen again, batches and hellos.
func (l *Ledger) Counts() (news, dups, batches, hellos int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.news, l.dups, l.batches, l.hellos
}

// Gone counts the numbers that a hello said are pruned and that were not here.
func (l *Ledger) Gone() int { l.mu.Lock(); defer l.mu.Unlock(); return l.gone }

// Holds reports whether exactly this record is committed.
func (l *Ledger) Holds(t ids.TerminalID, epoch, seq uint64, stored []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held[life{t, epoch}][seq] == wire.RecordHash(stored)
}

// Conflicts lists the numbers that came with two contents: never, if all is well.
func (l *Ledger) Conflicts() []string { l.mu.Lock(); defer l.mu.Unlock(); return l.conflicts }

// Backup copies what is committed, and Restore puts a copy back, as after a lost disk.
func (l *Ledger) Backup() any {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := map[life]map[uint64][32]byte{}
	for k, v := range l.held {
		c[k] = maps.Clone(v)
	}
	return c
}

// Restore puts a backup back.
func (l *Ledger) Restore(backup any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = map[life]map[uint64][32]byte{}
	for k, v := range backup.(map[life]map[uint64][32]byte) {
		l.held[k] = maps.Clone(v)
	}
}

// FailFirst is a Fail that refuses the first n batches, telling each time.
func FailFirst(n int, tell func(), err error) func(intake.Accepted) error {
	return func(intake.Accepted) error {
		if n == 0 {
			return nil
		}
		n--
		tell()
		return err
	}
}
