package edge

import (
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/uplink/wire"
)

// exposure is what the records without a receipt are worth together: what is lost if the terminal burns tonight. It follows the
// journal, which keeps no such sum, and reads each record twice in its life: when it comes and when its receipt does.
type exposure struct {
	mu   sync.Mutex
	from uint64 // sum is of the records above it …
	to   uint64 // … up to it
	sum  money.Amount
}

// Exposure is what the records without a receipt are worth together.
func (t *Terminal) Exposure() (money.Amount, error) { return t.exposure.value(t.journal) }

// value brings the sum up to date. A tap of unknown outcome counts until its final record has a receipt too.
func (e *exposure) value(j *journal.Journal) (money.Amount, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	acked, last := j.AckedSeq(), j.LastSeq()
	if acked >= e.to || e.from+1 < j.FirstSeq() { // nothing of the sum is left, or what must leave it is pruned
		e.from, e.to, e.sum = acked, acked, money.Amount{}
	}
	gone, err := worth(j, e.from, acked)
	if err != nil {
		return e.sum, err
	}
	come, err := worth(j, e.to, last)
	if err != nil {
		return e.sum, err
	}
	if e.sum, err = e.sum.Sub(gone); err != nil {
		return e.sum, err
	}
	e.from = acked
	if e.sum, err = e.sum.Add(come); err != nil {
		return e.sum, err
	}
	e.to = last
	return e.sum, nil
}

// worth sums the records above number from, up to number to.
func worth(j *journal.Journal, from, to uint64) (money.Amount, error) {
	var sum money.Amount
	for seq := from; seq < to; {
		raw, err := j.Read(seq+1, int(min(to-seq, 1000)), 1<<20)
		if err != nil {
			return sum, err
		}
		if len(raw) == 0 {
			return sum, fmt.Errorf("no record %d", seq+1)
		}
		for _, b := range raw {
			var r wire.Record
			if err := proto.Unmarshal(b, &r); err != nil {
				return sum, fmt.Errorf("record %d: %w", seq+1, err)
			}
			if s := r.GetState(); s == wire.State_STATE_COMPLETED || s == wire.State_STATE_UNKNOWN {
				if sum, err = sum.Add(money.Minor(r.GetAmount())); err != nil {
					return sum, err
				}
			}
			seq++
		}
	}
	return sum, nil
}
