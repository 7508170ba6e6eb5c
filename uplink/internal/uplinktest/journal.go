// Package uplinktest has both ends of the uplink in memory, for tests: a [Journal] to send from and a [Ledger] to commit
// to, which notes whatever a backend must never see.
package uplinktest

import (
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/uplink/wire"
)

// Journal is a terminal's journal in memory. It is safe for concurrent use.
type Journal struct {
	mu       sync.Mutex
	terminal ids.TerminalID
	epoch    uint64
	records  [][]byte // number 1 at 0
	acked    uint64
	first    uint64
	readErr  func(first uint64) error
	ackErr   error
}

// NewJournal is empty.
func NewJournal(t ids.TerminalID, epoch uint64) *Journal {
	return &Journal{terminal: t, epoch: epoch, first: 1}
}

// SetReadErr sets what Read returns for a record, nil for no fault.
func (j *Journal) SetReadErr(f func(first uint64) error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.readErr = f
}

// SetAckErr sets what Ack returns.
func (j *Journal) SetAckErr(err error) { j.mu.Lock(); defer j.mu.Unlock(); j.ackErr = err }

// Add appends n records, chained as a terminal chains them.
func (j *Journal) Add(n int) { j.add(n, 200) }

// AddOther appends n records unlike those that Add makes under the same numbers.
func (j *Journal) AddOther(n int) { j.add(n, 300) }

func (j *Journal) add(n int, amount int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for range n {
		prev := make([]byte, 32)
		if k := len(j.records); k > 0 {
			h := wire.RecordHash(j.records[k-1])
			prev = h[:]
		}
		seq := uint64(len(j.records) + 1)
		raw, err := proto.Marshal(&wire.Record{
			Version: 1, Terminal: string(j.terminal), Epoch: j.epoch, Seq: seq, PrevHash: prev, Tap: seq,
			Kind: wire.Kind_KIND_PURCHASE, State: wire.State_STATE_COMPLETED, Family: "ep", Amount: amount,
		})
		if err != nil {
			panic(err) // a record of our own making
		}
		j.records = append(j.records, raw)
	}
}

// Prune forgets the records before number first.
func (j *Journal) Prune(first uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.first = first
}

// Record is the bytes of one record.
func (j *Journal) Record(seq uint64) []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.records[seq-1]
}

// Epoch, LastSeq, AckedSeq, FirstSeq, Read and Ack are what a sender needs.
func (j *Journal) Epoch() uint64 { return j.epoch }

// LastSeq is the newest record's number.
func (j *Journal) LastSeq() uint64 { j.mu.Lock(); defer j.mu.Unlock(); return uint64(len(j.records)) }

// AckedSeq is the number through which there is a receipt.
func (j *Journal) AckedSeq() uint64 { j.mu.Lock(); defer j.mu.Unlock(); return j.acked }

// FirstSeq is the oldest record's number.
func (j *Journal) FirstSeq() uint64 { j.mu.Lock(); defer j.mu.Unlock(); return j.first }

// Read returns records as the real journal does.
func (j *Journal) Read(first uint64, maxRecords, maxBytes int) ([][]byte, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.readErr != nil {
		if err := j.readErr(first); err != nil {
			return nil, err
		}
	}
	if first < j.first {
		return nil, fmt.Errorf("record %d is pruned", first)
	}
	var out [][]byte
	size := 0
	for seq := first; seq <= uint64(len(j.records)) && len(out) < maxRecords; seq++ {
		r := j.records[seq-1]
		if size += len(r); size > maxBytes && len(out) > 0 {
			break
		}
		out = append(out, r)
	}
	return out, nil
}

// Ack notes a receipt as the real journal does.
func (j *Journal) Ack(through uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ackErr != nil {
		return j.ackErr
	}
	if through > uint64(len(j.records)) {
		return fmt.Errorf("receipt through %d, the newest record is %d", through, len(j.records))
	}
	j.acked = max(j.acked, through)
	return nil
}
