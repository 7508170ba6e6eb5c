package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"slices"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// What is read here is written once: of a closed day it is the same whenever it is read.

// RawBatch is a batch as it came.
type RawBatch struct {
	Terminal          ids.TerminalID
	Epoch             uint64
	FirstSeq, LastSeq int64 // 0 and -1 where the range meant nothing
	ReceivedMS        int64
	Envelope          []byte
}

// BatchesOfDay gives each batch that came in a clearing day, in one fixed order.
func (t *Tx) BatchesOfDay(ctx context.Context, day string, each func(RawBatch) error) error {
	return t.rows(ctx, "batches of day", func(scan func(...any) error) error {
		var b RawBatch
		var epoch int64
		if err := scan(&b.Terminal, &epoch, &b.FirstSeq, &b.LastSeq, &b.ReceivedMS, &b.Envelope); err != nil {
			return err
		}
		b.Epoch = uint64(epoch)
		return each(b)
	}, `SELECT terminal, epoch, first_seq, last_seq, received_ms, envelope FROM batch WHERE day = ? ORDER BY received_ms, terminal, epoch, digest`, day)
}

// PostedRecord is a record of a day, with what became of it.
type PostedRecord struct {
	Terminal   ids.TerminalID
	Epoch, Seq uint64
	ReceivedMS int64
	Hash, Body []byte
	Verdict
	Group int64 // that posted it; 0: it never became a tap
}

// RecordsOfDay gives each record of a clearing day that is decided, by posting group and then by name. It leaves out quarantined numbers, which have no bytes
// and may get some, and records whose card has no name: these are posted in a later day.
func (t *Tx) RecordsOfDay(ctx context.Context, day string, each func(PostedRecord) error) error {
	const columns = `r.terminal, r.epoch, r.seq, r.received_ms, r.hash, r.body`
	scanRecord := func(scan func(...any) error, more ...any) (r PostedRecord, err error) {
		var epoch int64
		err = scan(append([]any{&r.Terminal, &epoch, &r.Seq, &r.ReceivedMS, &r.Hash, &r.Body}, more...)...)
		r.Epoch = uint64(epoch)
		return r, err
	}
	if err := t.rows(ctx, "records of day in no group", func(scan func(...any) error) error {
		var v Verdict
		r, err := scanRecord(scan, &v.Verdict, &v.Reason)
		if err != nil {
			return err
		}
		r.Verdict = v
		return each(r)
	}, `SELECT `+columns+`, a.verdict, a.reason FROM record_apart a JOIN record r ON r.terminal = a.terminal AND r.epoch = a.epoch AND r.seq = a.seq
		WHERE a.day = ? AND a.verdict NOT IN (?, ?) ORDER BY r.terminal, r.epoch, r.seq`, day, verdictQuarantined, verdictUnnamed); err != nil {
		return err
	}
	var groups []int64
	if err := t.rows(ctx, "groups of day", func(scan func(...any) error) error {
		var n int64
		err := scan(&n)
		groups = append(groups, n)
		return err
	}, `SELECT DISTINCT posted_in FROM record_posted WHERE day = ? ORDER BY posted_in`, day); err != nil {
		return err
	}
	for _, group := range groups {
		runs, err := t.postedIn(ctx, group)
		if err != nil {
			return err
		}
		keys, of := keysOfRuns(slices.DeleteFunc(runs, func(p posted) bool { return p.day != day }))
		if err := t.recordsIn(ctx, "records of group", columns, spansOf(keys), func(scan func(...any) error) error {
			r, err := scanRecord(scan)
			if err != nil {
				return err
			}
			p := of[recordKey{string(r.Terminal), int64(r.Epoch), int64(r.Seq)}]
			if p == nil {
				return nil
			}
			r.Verdict, r.Group = p.Verdict, group
			return each(r)
		}); err != nil {
			return err
		}
	}
	return nil
}

// EntriesOfDay gives each entry of a clearing day with its lines, by id, but those of a kind: payments of a closed day come after it.
func (t *Tx) EntriesOfDay(ctx context.Context, day, exceptKind string, each func(books.Entry) error) error {
	var e books.Entry
	err := t.rows(ctx, "entries of day", func(scan func(...any) error) error {
		var row books.Entry
		var l books.Line
		var minor int64
		if err := scan(&row.ID, &row.Kind, &row.Ref, &l.Account, &minor); err != nil {
			return err
		}
		if row.ID != e.ID {
			if e.ID != "" {
				if err := each(e); err != nil {
					return err
				}
			}
			e = row
			e.Day = day
		}
		l.Amount = money.Minor(minor)
		e.Lines = append(e.Lines, l)
		return nil
	}, `SELECT e.id, e.kind, e.ref, l.account, l.amount FROM journal_entry e JOIN journal_line l ON l.entry = e.id
		WHERE e.day = ? AND e.kind <> ? ORDER BY e.id, l.line`, day, exceptKind)
	if err != nil || e.ID == "" {
		return err
	}
	return each(e)
}

// ChainedGroup is a posting group as it is chained.
type ChainedGroup struct {
	Number         int64
	Entry          string // its id; nothing has it where Lines is 0
	Lines, Records int
	Digest         string // of the entry
	Evidence       string // of the records
	Prev, Hash     string
	AtMS           int64
}

// GroupsOfDay lists the posting groups that posted records, or an entry, of a clearing day, by number.
func (t *Tx) GroupsOfDay(ctx context.Context, day string) ([]ChainedGroup, error) {
	var out []ChainedGroup
	err := t.rows(ctx, "groups of day", func(scan func(...any) error) error {
		var g ChainedGroup
		err := scan(&g.Number, &g.Entry, &g.Lines, &g.Records, &g.Digest, &g.Evidence, &g.Prev, &g.Hash, &g.AtMS)
		out = append(out, g)
		return err
	}, `SELECT number, entry, lines, records, digest, evidence, prev_hash, hash, at_ms FROM posting_group
		WHERE number IN (SELECT posted_in FROM record_posted WHERE day = ?) OR entry IN (SELECT id FROM journal_entry WHERE day = ?)
		ORDER BY number`, day, day)
	return out, err
}

// Sound reports whether the group's hash is that of what it holds and of the group before it.
func (g ChainedGroup) Sound() bool {
	return g.Hash == groupHash(g.Prev, g.Number, g.Digest, g.Evidence)
}

// GroupEvidence is the digest over a group's records, which are given by name: terminal, epoch and number in order.
type GroupEvidence struct{ h hash.Hash }

// NewGroupEvidence begins one.
func NewGroupEvidence() GroupEvidence { return GroupEvidence{sha256.New()} }

// Add takes the next record. Epochs are in the order of the store's signed numbers.
func (g GroupEvidence) Add(terminal ids.TerminalID, epoch, seq uint64, hash []byte) {
	g.h.Write([]byte(terminal))
	g.h.Write([]byte{0})
	g.h.Write(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, epoch), seq))
	g.h.Write(hash)
}

// Sum is the digest in hexadecimal.
func (g GroupEvidence) Sum() string { return hex.EncodeToString(g.h.Sum(nil)) }
