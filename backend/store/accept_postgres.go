package store

import "context"

// keepRecordsAtOnce is keepRecords in one statement.
func (t *Tx) keepRecordsAtOnce(ctx context.Context, a Arrived, hashes [][]byte) ([]bool, error) {
	is, seqs := make([]bool, len(a.Records)), make([]int64, len(a.Records))
	for i := range seqs {
		seqs[i] = int64(a.FirstSeq) + int64(i)
	}
	err := t.rows(ctx, "keep records", func(scan func(...any) error) error {
		var seq int64
		err := scan(&seq)
		if err == nil {
			is[seq-int64(a.FirstSeq)] = true
		}
		return err
	}, `INSERT INTO record (terminal, epoch, seq, hash, body, received_ms)
		SELECT ?::text, ?::bigint, r.seq, r.hash, r.body, ?::bigint FROM unnest(?::bigint[], ?::bytea[], ?::bytea[]) AS r (seq, hash, body)
		ON CONFLICT (terminal, epoch, seq) DO UPDATE SET hash = excluded.hash, body = excluded.body, received_ms = excluded.received_ms WHERE record.hash = '\x' RETURNING record.seq`,
		string(a.Terminal), int64(a.Epoch), a.At.UnixMilli(), seqs, hashes, a.Records)
	return is, err
}
