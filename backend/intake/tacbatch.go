package intake

import (
	"context"

	"github.com/purselane/purselane/card/keys"
)

// tacBatch gathers the TACs of EP purses' records, for a door that verifies many at a time for less.
type tacBatch struct {
	jobs    []keys.TACJob
	debits  []epDebit
	records []int
}

func newTACBatch(records int) *tacBatch {
	return &tacBatch{jobs: make([]keys.TACJob, 0, records), debits: make([]epDebit, 0, records), records: make([]int, 0, records)}
}

// takes says whether a record's TAC waits for the batch. It does not where the door has none, or the keys are not asked.
func (b *tacBatch) takes(door keys.HSM, record int, d *debit) bool {
	e, ok := d.evidence.(epDebit)
	if _, batch := door.(keys.BatchTAC); !ok || !batch {
		return false
	}
	job, _, ok := e.asks(d)
	if ok {
		b.jobs, b.debits, b.records = append(b.jobs, job), append(b.debits, e), append(b.records, record)
	}
	return ok
}

// verify asks the door, and says each record's verdict until tell fails.
func (b *tacBatch) verify(ctx context.Context, door keys.HSM, tell func(record int, said verdict, err error) error) error {
	for i, answer := range keys.VerifyTACs(ctx, door, b.jobs) {
		said, err := b.debits[i].judge(answer)
		if err := tell(b.records[i], said, err); err != nil {
			return err
		}
	}
	return nil
}
