package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Posting groups are numbered from 1 and chained by hash. A group's hash covers its entry in the journal and the records it
// posted, so neither can be changed later without a trace.

func (t *Tx) nextGroup(ctx context.Context) (int64, error) {
	var last int64
	_, err := t.one(ctx, "last group", `SELECT COALESCE(MAX(number), 0) FROM posting_group`, nil, &last)
	return last + 1, err
}

// closeGroup writes the group's one entry and chains it to the group before it.
func (t *Tx) closeGroup(ctx context.Context, g Group, number int64, lines []books.Line, records int) error {
	prev := ""
	if _, err := t.one(ctx, "group before", `SELECT hash FROM posting_group WHERE number = ?`, []any{number - 1}, &prev); err != nil {
		return err
	}
	e, err := books.Entry{ID: "group-" + strconv.FormatInt(number, 10), Kind: "records", Day: g.Day, Lines: lines}.Compact()
	if err != nil {
		return err
	}
	if err := t.Post(ctx, e); err != nil {
		return err
	}
	evidence, err := t.evidenceOf(ctx, number)
	if err != nil {
		return err
	}
	digest := e.Digest()
	_, err = t.exec(ctx, "chain group", `INSERT INTO posting_group (number, entry, digest, lines, records, evidence, prev_hash, hash, at_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, number, e.ID, digest, len(e.Lines), records, evidence, prev, groupHash(prev, number, digest, evidence), g.AtMS)
	return err
}

// evidenceOf is a digest over the records of a group and their names, in one fixed order.
func (t *Tx) evidenceOf(ctx context.Context, group int64) (string, error) {
	h := sha256.New()
	err := t.rows(ctx, "records of group", func(scan func(...any) error) error {
		var terminal string
		var epoch, seq int64
		var hash []byte
		if err := scan(&terminal, &epoch, &seq, &hash); err != nil {
			return err
		}
		h.Write([]byte(terminal))
		h.Write([]byte{0})
		h.Write(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(epoch)), uint64(seq)))
		h.Write(hash)
		return nil
	}, `SELECT terminal, epoch, seq, hash FROM record WHERE posted_in = ? AND posted_in > 0 ORDER BY terminal, epoch, seq`, group)
	return hex.EncodeToString(h.Sum(nil)), err
}

func groupHash(prev string, number int64, digest, evidence string) string {
	h := sha256.Sum256([]byte(prev + "\n" + strconv.FormatInt(number, 10) + "\n" + digest + "\n" + evidence))
	return hex.EncodeToString(h[:])
}

// verifyGroups recomputes the chain of posting groups, each group's digest from its journal entry, and its evidence from
// the records.
func (t *Tx) verifyGroups(ctx context.Context) ([]string, error) {
	type row struct {
		number                        int64
		lines                         int
		entry, digest, evidence, p, h string
	}
	var all []row
	if err := t.rows(ctx, "groups", func(scan func(...any) error) error {
		var r row
		err := scan(&r.number, &r.lines, &r.entry, &r.digest, &r.evidence, &r.p, &r.h)
		all = append(all, r)
		return err
	}, `SELECT number, lines, entry, digest, evidence, prev_hash, hash FROM posting_group ORDER BY number`); err != nil {
		return nil, err
	}
	var faults []string
	prev := ""
	for i, r := range all {
		if r.number != int64(i+1) || r.p != prev || r.h != groupHash(prev, r.number, r.digest, r.evidence) {
			faults = append(faults, fmt.Sprintf("posting group %d: the chain is broken", r.number))
		}
		prev = r.h
		evidence, err := t.evidenceOf(ctx, r.number)
		if err != nil {
			return nil, err
		}
		if evidence != r.evidence {
			faults = append(faults, fmt.Sprintf("posting group %d: its records were changed", r.number))
		}
		e := books.Entry{ID: r.entry}
		found, err := t.one(ctx, "group entry", `SELECT kind, day, ref FROM journal_entry WHERE id = ?`, []any{r.entry}, &e.Kind, &e.Day, &e.Ref)
		if err != nil {
			return nil, err
		}
		if !found && r.lines == 0 {
			continue // a group that moved nothing has no entry
		}
		if e.Lines, err = t.linesOf(ctx, r.entry); err != nil {
			return nil, err
		}
		if e.Digest() != r.digest {
			faults = append(faults, fmt.Sprintf("posting group %d: its entry was changed", r.number))
		}
	}
	return faults, nil
}

// linesOf lists the lines of an entry.
func (t *Tx) linesOf(ctx context.Context, entry string) ([]books.Line, error) {
	var out []books.Line
	err := t.rows(ctx, "lines", func(scan func(...any) error) error {
		var l books.Line
		var minor int64
		err := scan(&l.Account, &minor)
		l.Amount = money.Minor(minor)
		out = append(out, l)
		return err
	}, `SELECT account, amount FROM journal_line WHERE entry = ? ORDER BY line`, entry)
	return out, err
}
