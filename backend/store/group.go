package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Posting groups are numbered from 1 and chained by hash. A group's hash covers its entry in the journal and the records it
// posted, so neither can be changed later without a trace.

func (t *Tx) nextGroup(ctx context.Context) (int64, error) {
	last, err := t.LastGroup(ctx)
	return last + 1, err
}

// LastGroup is the number of the newest posting group, 0 for none.
func (t *Tx) LastGroup(ctx context.Context) (int64, error) {
	var last int64
	_, err := t.one(ctx, "last group", `SELECT COALESCE(MAX(number), 0) FROM posting_group`, nil, &last)
	return last, err
}

// closeGroup writes the group's one entry and chains it to the group before it.
func (t *Tx) closeGroup(ctx context.Context, g Group, number int64, lines []books.Line, records int, evidence string) error {
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
	digest := e.Digest()
	_, err = t.exec(ctx, "chain group", `INSERT INTO posting_group (number, entry, digest, lines, records, evidence, prev_hash, hash, at_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, number, e.ID, digest, len(e.Lines), records, evidence, prev, groupHash(prev, number, digest, evidence), g.AtMS)
	return err
}

// recordKey names a record as the record table does.
type recordKey struct {
	terminal   string
	epoch, seq int64
}

func keyOf(p Pending) recordKey { return recordKey{string(p.Terminal), int64(p.Epoch), int64(p.Seq)} }

func (k recordKey) compare(o recordKey) int {
	return cmp.Or(cmp.Compare(k.terminal, o.terminal), cmp.Compare(k.epoch, o.epoch), cmp.Compare(k.seq, o.seq))
}

// exhibit is a record of a group with its hash.
type exhibit struct {
	recordKey
	hash []byte
}

// evidenceOf is a digest over the records of a group and their names, in one fixed order.
func evidenceOf(records []exhibit) string {
	slices.SortFunc(records, func(a, b exhibit) int { return a.compare(b.recordKey) })
	h := sha256.New()
	var head []byte
	for _, r := range records {
		head = append(append(head[:0], r.terminal...), 0)
		head = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(head, uint64(r.epoch)), uint64(r.seq))
		h.Write(head)
		h.Write(r.hash)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// recordsOf reads the records of a group.
func (t *Tx) recordsOf(ctx context.Context, group int64) ([]exhibit, error) {
	var out []exhibit
	err := t.rows(ctx, "records of group", func(scan func(...any) error) error {
		var x exhibit
		err := scan(&x.terminal, &x.epoch, &x.seq, &x.hash)
		out = append(out, x)
		return err
	}, `SELECT terminal, epoch, seq, hash FROM record WHERE posted_in = ? AND posted_in > 0`, group)
	return out, err
}

// setVerdicts notes what became of the records of a group, and returns its evidence. A record that another group has posted stays that
// group's, and is no part of the evidence of this one.
func (t *Tx) setVerdicts(ctx context.Context, group int64, records []Verified, verdicts []Verdict) (evidence string, err error) {
	if t.dialect == postgres {
		all, err := t.setVerdictsAtOnce(ctx, group, records, verdicts)
		return evidenceOf(all), err
	}
	known := true // the hashes of all, as the records were read with them
	var all []exhibit
	for i, r := range records {
		mine, err := t.setVerdict(ctx, r.Pending, verdicts[i])
		if err != nil {
			return "", err
		}
		if mine {
			all = append(all, exhibit{keyOf(r.Pending), r.hash})
			known = known && r.hash != nil
		}
	}
	if !known {
		if all, err = t.recordsOf(ctx, group); err != nil {
			return "", err
		}
	}
	return evidenceOf(all), nil
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
		records, err := t.recordsOf(ctx, r.number)
		if err != nil {
			return nil, err
		}
		if evidenceOf(records) != r.evidence {
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
