package evidence

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

// partBytes is when a member of rows is full and the next one begins, so that neither side holds a day in memory.
const partBytes = 4 << 20

// kindPayment is the kind of entry that notes a payment of a closed day (docs/settlement.md): it comes when the day's evidence may have been written.
const kindPayment = "settle-pay"

// Export writes the evidence of a clearing day, signed. It reads one snapshot, while others write. Of a closed day it writes the same bytes each time.
func Export(ctx context.Context, s *store.Store, day string, key ed25519.PrivateKey, w io.Writer) (Manifest, error) {
	e := exporter{w: w, m: Manifest{Format: Format, Day: day, Verdicts: map[string]int{}, Members: []Member{}}}
	if err := e.export(ctx, s, key); err != nil {
		return Manifest{}, fmt.Errorf("evidence of %s: %w", day, err)
	}
	return e.m, nil
}

type exporter struct {
	w io.Writer
	m Manifest

	folder string // of the rows being written
	part   int
	rows   bytes.Buffer
}

func (e *exporter) export(ctx context.Context, s *store.Store, key ed25519.PrivateKey) error {
	if _, err := calendar.ParseDate(e.m.Day); err != nil {
		return err
	}
	report, err := settlement.Load(ctx, s, e.m.Day)
	if err != nil && !errors.Is(err, settlement.ErrNotClosed) {
		return err
	}
	e.m.Closed, e.m.Report = err == nil, report.Digest
	err = s.View(ctx, func(tx *store.Tx) error {
		_, err := tx.ClosedDay(ctx, e.m.Day)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if e.m.Closed != (err == nil) {
			return errors.New("it was closed meanwhile: export it again")
		}
		return e.day(ctx, tx)
	})
	if err != nil {
		return err
	}
	if e.m.Closed {
		for _, f := range report.Files() {
			if err := e.member("settlement/"+f.Name, f.Body); err != nil {
				return err
			}
		}
	}
	raw, err := e.m.encode()
	if err != nil {
		return err
	}
	return errors.Join(writeMember(e.w, nameManifest, raw), writeMember(e.w, nameSignature, sign(key, raw)), writeEnd(e.w))
}

// day writes what is in the database, in the order in which Verify can check it as it comes.
func (e *exporter) day(ctx context.Context, tx *store.Tx) error {
	e.begin("batches")
	if err := tx.BatchesOfDay(ctx, e.m.Day, func(b store.RawBatch) error {
		e.m.Batches++
		return e.row(batchRow{string(b.Terminal), epochText(b.Epoch), b.FirstSeq, b.LastSeq, b.ReceivedMS, b.Envelope})
	}); err != nil {
		return err
	}
	if err := e.next("records"); err != nil {
		return err
	}
	if err := tx.RecordsOfDay(ctx, e.m.Day, func(r store.PostedRecord) error {
		e.m.Records++
		e.m.Verdicts[r.Verdict.Verdict]++
		return e.row(recordRow{string(r.Terminal), epochText(r.Epoch), r.Seq, r.ReceivedMS, r.Hash, r.Group, string(r.Label), r.Verdict.Verdict, r.Reason, r.Body})
	}); err != nil {
		return err
	}
	if err := e.next("entries"); err != nil {
		return err
	}
	if err := tx.EntriesOfDay(ctx, e.m.Day, kindPayment, func(x books.Entry) error {
		e.m.Entries++
		var err error
		if e.m.Debits, err = addDebits(e.m.Debits, x); err != nil {
			return err
		}
		return e.row(rowOf(x))
	}); err != nil {
		return err
	}
	if err := e.next("groups"); err != nil {
		return err
	}
	groups, err := tx.GroupsOfDay(ctx, e.m.Day)
	if err != nil {
		return err
	}
	for _, g := range groups {
		e.m.count(g.Number, g.Hash)
		if err := e.row(groupRow{g.Number, g.Entry, g.Lines, g.Records, g.Digest, g.Evidence, g.Prev, g.Hash, g.AtMS}); err != nil {
			return err
		}
	}
	return e.flush()
}

// count takes the next group into the manifest's figures.
func (m *Manifest) count(number int64, hash string) {
	if m.Groups++; m.Groups == 1 {
		m.FirstGroup = number
	}
	m.LastGroup, m.LastHash = number, hash
}

func addDebits(sum money.Amount, e books.Entry) (money.Amount, error) {
	for _, l := range e.Lines {
		if l.Amount.Sign() <= 0 {
			continue
		}
		var err error
		if sum, err = sum.Add(l.Amount); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

func (e *exporter) begin(folder string) { e.folder, e.part = folder, 0 }

func (e *exporter) next(folder string) error {
	err := e.flush()
	e.begin(folder)
	return err
}

func (e *exporter) row(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	e.rows.Write(line)
	e.rows.WriteByte('\n')
	if e.rows.Len() < partBytes {
		return nil
	}
	return e.flush()
}

// flush writes the rows in hand as a member, if there are any.
func (e *exporter) flush() error {
	if e.rows.Len() == 0 {
		return nil
	}
	defer e.rows.Reset()
	name := partName(e.folder, e.part)
	e.part++
	return e.member(name, e.rows.Bytes())
}

func partName(folder string, part int) string { return fmt.Sprintf("%s/%06d.jsonl", folder, part) }

func (e *exporter) member(name string, body []byte) error {
	e.m.Members = append(e.m.Members, memberOf(name, body))
	return writeMember(e.w, name, body)
}
