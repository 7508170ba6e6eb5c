package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
)

// Arrived is a batch whose signature was good.
type Arrived struct {
	Terminal ids.TerminalID
	Epoch    uint64
	FirstSeq uint64
	Records  [][]byte // FirstSeq, FirstSeq+1 …
	Envelope []byte
	At       time.Time
	Day      string // clearing day by arrival
	Lanes    []int  // of Records (LaneOf); nil: all of lane 0
}

// lane is that of a record.
func (a Arrived) lane(record int) int {
	if a.Lanes == nil {
		return 0
	}
	return a.Lanes[record]
}

// Kept says what a batch changed.
type Kept struct {
	New, Same int
	Conflicts []uint64 // numbers that were taken by other bytes
	Through   uint64   // highest number of the epoch up to which nothing is missing
}

// verdictQuarantined marks a number of a batch that could not be read; its row has no bytes.
const verdictQuarantined = "quarantined"

// Keep stores a batch and its records. What is there already stays as it is: the same bytes are a duplicate, other
// bytes under the same number are kept apart as a conflict.
func (t *Tx) Keep(ctx context.Context, a Arrived) (Kept, error) {
	var k Kept
	epoch := int64(a.Epoch)
	if err := t.keepBatch(ctx, a, a.FirstSeq+uint64(len(a.Records))); err != nil {
		return k, err
	}
	if len(a.Records) == 0 {
		_, err := t.advance(ctx, a.Terminal, a.Epoch)
		return k, err
	}
	hashes := make([][]byte, len(a.Records))
	for i, body := range a.Records {
		hash := sha256.Sum256(body)
		hashes[i] = hash[:]
	}
	is, err := t.keepRecords(ctx, a, hashes)
	if err != nil {
		return k, err
	}
	if err := t.await(ctx, a, is); err != nil {
		return k, err
	}
	all := []span{{string(a.Terminal), epoch, int64(a.FirstSeq), int64(a.FirstSeq) + int64(len(a.Records)) - 1}}
	have := map[uint64][]byte{} // of those that were there
	if slices.Contains(is, false) {
		if err := t.recordsIn(ctx, "kept records", `r.seq, r.hash`, all, func(scan func(...any) error) error {
			var seq uint64
			var hash []byte
			err := scan(&seq, &hash)
			have[seq] = hash
			return err
		}); err != nil {
			return k, err
		}
	}
	for i, body := range a.Records {
		seq := a.FirstSeq + uint64(i)
		if is[i] {
			k.New++
			continue
		}
		if bytes.Equal(have[seq], hashes[i]) {
			k.Same++
			continue
		}
		k.Conflicts = append(k.Conflicts, seq)
		if _, err := t.exec(ctx, "keep conflict", `INSERT INTO record_conflict (terminal, epoch, seq, hash, body, received_ms)
			VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`, string(a.Terminal), epoch, seq, hashes[i], body, a.At.UnixMilli()); err != nil {
			return k, err
		}
	}
	if err := t.count(ctx, "duplicates", k.Same); err != nil {
		return k, err
	}
	if err := t.count(ctx, "conflicts", len(k.Conflicts)); err != nil {
		return k, err
	}
	k.Through, err = t.advance(ctx, a.Terminal, a.Epoch)
	return k, err
}

// keepRecords keeps the records of a batch and says of each whether it is new. A number that was quarantined gets its bytes.
func (t *Tx) keepRecords(ctx context.Context, a Arrived, hashes [][]byte) (is []bool, err error) {
	if t.dialect == postgres {
		return t.keepRecordsAtOnce(ctx, a, hashes)
	}
	is = make([]bool, len(a.Records))
	for i, body := range a.Records {
		r, err := t.exec(ctx, "keep record", `INSERT INTO record (terminal, epoch, seq, hash, body, received_ms)
			VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (terminal, epoch, seq) DO UPDATE SET hash = excluded.hash, body = excluded.body, received_ms = excluded.received_ms WHERE record.hash = ?`,
			string(a.Terminal), int64(a.Epoch), a.FirstSeq+uint64(i), hashes[i], body, a.At.UnixMilli(), []byte{})
		if err != nil {
			return nil, err
		}
		n, err := r.RowsAffected()
		if err != nil {
			return nil, err
		}
		is[i] = n == 1
	}
	return is, nil
}

// await has the new records of a batch wait to be posted.
func (t *Tx) await(ctx context.Context, a Arrived, is []bool) error {
	var news []recordKey
	for i, n := range is {
		if n {
			news = append(news, recordKey{string(a.Terminal), int64(a.Epoch), int64(a.FirstSeq) + int64(i)})
		}
	}
	if news == nil {
		return nil
	}
	if _, err := t.exec(ctx, "quarantined no more", `DELETE FROM record_apart WHERE terminal = ? AND epoch = ? AND seq BETWEEN ? AND ? AND verdict = ?`,
		string(a.Terminal), int64(a.Epoch), int64(a.FirstSeq), int64(a.FirstSeq)+int64(len(is))-1, verdictQuarantined); err != nil {
		return err
	}
	var runs []waiting
	runsBy(news, func(k recordKey) int { return a.lane(int(k.seq - int64(a.FirstSeq))) }, func(r run, lane int) {
		runs = append(runs, waiting{r, lane, a.Day, a.At.UnixMilli()})
	})
	return t.addWaiting(ctx, runs)
}

// keepBatch keeps a batch as it came, once. end is the number after its last record.
func (t *Tx) keepBatch(ctx context.Context, a Arrived, end uint64) error {
	digest := sha256.Sum256(a.Envelope)
	_, err := t.exec(ctx, "keep batch", `INSERT INTO batch (terminal, epoch, digest, first_seq, last_seq, received_ms, envelope, day)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		string(a.Terminal), int64(a.Epoch), digest[:], int64(a.FirstSeq), int64(end)-1, a.At.UnixMilli(), a.Envelope, a.Day)
	return err
}

// Quarantine keeps a batch that cannot be read, and marks its numbers up to last where nothing is kept yet, so that the
// watermark can pass them.
func (t *Tx) Quarantine(ctx context.Context, a Arrived, last uint64, reason string) (Kept, error) {
	var k Kept
	if err := t.keepBatch(ctx, a, last+1); err != nil {
		return k, err
	}
	for seq := a.FirstSeq; seq <= last; seq++ {
		done, err := t.exec(ctx, "quarantine record", `INSERT INTO record (terminal, epoch, seq, hash, body, received_ms) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			string(a.Terminal), int64(a.Epoch), seq, []byte{}, []byte{}, a.At.UnixMilli())
		if err != nil {
			return k, err
		}
		if n, err := done.RowsAffected(); err != nil {
			return k, err
		} else if n == 0 {
			continue
		}
		if err := t.setApart(ctx, apart{recordKey{string(a.Terminal), int64(a.Epoch), int64(seq)}, verdictQuarantined, reason, a.Day}); err != nil {
			return k, err
		}
	}
	var err error
	k.Through, err = t.advance(ctx, a.Terminal, a.Epoch)
	return k, err
}

// advance moves the watermark of an epoch over what has arrived without a hole, and returns it.
func (t *Tx) advance(ctx context.Context, terminal ids.TerminalID, epoch uint64) (uint64, error) {
	through, err := t.Through(ctx, terminal, epoch)
	if err != nil {
		return 0, err
	}
	start := through
	err = t.rows(ctx, "advance", func(scan func(...any) error) error {
		var seq uint64
		if err := scan(&seq); err != nil {
			return err
		}
		if seq == through+1 {
			through = seq
		}
		return nil
	}, `SELECT seq FROM record WHERE terminal = ? AND epoch = ? AND seq > ? ORDER BY seq`, string(terminal), int64(epoch), start)
	if err != nil {
		return 0, err
	}
	_, err = t.exec(ctx, "advance", `INSERT INTO terminal_epoch (terminal, epoch, through) VALUES (?, ?, ?)
		ON CONFLICT (terminal, epoch) DO UPDATE SET through = excluded.through`, string(terminal), int64(epoch), through)
	return through, err
}

// Through is the highest sequence number of an epoch up to which nothing is missing, 0 for none.
func (t *Tx) Through(ctx context.Context, terminal ids.TerminalID, epoch uint64) (uint64, error) {
	var n uint64
	_, err := t.one(ctx, "through", `SELECT through FROM terminal_epoch WHERE terminal = ? AND epoch = ?`, []any{string(terminal), int64(epoch)}, &n)
	return n, err
}

// RecordHash is the hash of a record as it is kept; zero where none is kept, or a quarantined number without bytes.
func (t *Tx) RecordHash(ctx context.Context, terminal ids.TerminalID, epoch, seq uint64) ([32]byte, error) {
	var hash []byte
	_, err := t.one(ctx, "record hash", `SELECT hash FROM record WHERE terminal = ? AND epoch = ? AND seq = ?`, []any{string(terminal), int64(epoch), seq}, &hash)
	if err != nil || len(hash) != sha256.Size {
		return [32]byte{}, err
	}
	return [32]byte(hash), nil
}

// RecordBody is a record's bytes as they are kept. A record never kept, or a quarantined number without bytes, is ErrNotFound.
func (t *Tx) RecordBody(ctx context.Context, terminal ids.TerminalID, epoch, seq uint64) ([]byte, error) {
	var body []byte
	_, err := t.one(ctx, "record body", `SELECT body FROM record WHERE terminal = ? AND epoch = ? AND seq = ?`, []any{string(terminal), int64(epoch), seq}, &body)
	if err == nil && len(body) == 0 {
		err = fmt.Errorf("record %s/%x/%d: %w", terminal, epoch, seq, ErrNotFound)
	}
	return body, err
}

// SeqRange is a run of sequence numbers, both ends included.
type SeqRange struct{ First, Last uint64 }

// Missing lists the holes above the watermark of an epoch, up to its highest record or to the number given if that is
// higher, at most limit.
func (t *Tx) Missing(ctx context.Context, terminal ids.TerminalID, epoch, upTo uint64, limit int) ([]SeqRange, error) {
	through, err := t.Through(ctx, terminal, epoch)
	if err != nil {
		return nil, err
	}
	var out []SeqRange
	next := through + 1
	err = t.rows(ctx, "missing", func(scan func(...any) error) error {
		var seq uint64
		if err := scan(&seq); err != nil {
			return err
		}
		if seq > next && len(out) < limit {
			out = append(out, SeqRange{next, seq - 1})
		}
		next = seq + 1
		return nil
	}, `SELECT seq FROM record WHERE terminal = ? AND epoch = ? AND seq > ? ORDER BY seq`, string(terminal), int64(epoch), through)
	if upTo >= next && len(out) < limit {
		out = append(out, SeqRange{next, upTo})
	}
	return out, err
}

// GiveUp passes the watermark over the numbers up to last that are missing, because the terminal no longer holds them, and
// returns them. Should one come after all it is kept like any other.
func (t *Tx) GiveUp(ctx context.Context, terminal ids.TerminalID, epoch, last uint64, at time.Time) ([]SeqRange, error) {
	holes, err := t.Missing(ctx, terminal, epoch, last, math.MaxInt)
	if err != nil {
		return nil, err
	}
	var lost []SeqRange
	for _, h := range holes {
		if h.First > last {
			break
		}
		h.Last = min(h.Last, last)
		lost = append(lost, h)
		if _, err := t.exec(ctx, "lost record", `INSERT INTO record_lost (terminal, epoch, first, last, noted_ms) VALUES (?, ?, ?, ?, ?)`,
			string(terminal), int64(epoch), h.First, h.Last, at.UnixMilli()); err != nil {
			return nil, err
		}
	}
	if lost == nil {
		return nil, nil
	}
	if _, err := t.exec(ctx, "pass over", `INSERT INTO terminal_epoch (terminal, epoch, through) VALUES (?, ?, ?)
		ON CONFLICT (terminal, epoch) DO UPDATE SET through = CASE WHEN terminal_epoch.through < excluded.through THEN excluded.through ELSE terminal_epoch.through END`, string(terminal), int64(epoch), last); err != nil {
		return nil, err
	}
	_, err = t.advance(ctx, terminal, epoch)
	return lost, err
}

// Pending is an accepted record that is not posted.
type Pending struct {
	Terminal   ids.TerminalID
	Epoch, Seq uint64
	Body       []byte
	Day        string // clearing day, by arrival
	ReceivedMS int64
	hash       []byte // of Body, as it is kept
}

// PendingRecords lists accepted records that are not posted, in one fixed order, at most limit.
func (t *Tx) PendingRecords(ctx context.Context, limit int) ([]Pending, error) {
	return t.pendingRecords(ctx, -1, limit)
}

// PendingOfDay counts the records of a clearing day that are accepted and not posted.
func (t *Tx) PendingOfDay(ctx context.Context, day string) (int, error) {
	var n int
	_, err := t.one(ctx, "pending of day", `SELECT CAST(COALESCE(SUM(records), 0) AS BIGINT) FROM record_waiting WHERE day = ?`, []any{day}, &n)
	return n, err
}

// Verdict is what became of a record.
type Verdict struct {
	Verdict string              // a status of package shadowaccount, "superseded", or a word of backend/intake for what never became a tap
	Reason  string              // for people
	Label   shadowaccount.Label // how it looked when it came, "" for what never became a tap
	group   int64
}

// count adds n to a named tally.
func (t *Tx) count(ctx context.Context, name string, n int) error {
	if n == 0 {
		return nil
	}
	_, err := t.exec(ctx, "count "+name, `INSERT INTO tally (name, n) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = tally.n + excluded.n`, name, n)
	return err
}

// Tally reads a named count: "duplicates" and "conflicts" of arrived records.
func (t *Tx) Tally(ctx context.Context, name string) (int, error) {
	var n int
	_, err := t.one(ctx, "tally "+name, `SELECT n FROM tally WHERE name = ?`, []any{name}, &n)
	if err != nil {
		return 0, fmt.Errorf("tally: %w", err)
	}
	return n, nil
}
