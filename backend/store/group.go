package store

import (
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

// Posting groups are chained by hash. A group's hash covers its entry in the journal and the records it posted, so neither can be changed later
// without a trace. There is a chain for each lane, so that posters do not wait for each other, and one beside them, all in one range of numbers: the
// groups of chain c have the numbers c·2^40 + 1, + 2 … The first chain has all groups on SQLite and of databases from before lanes.

// chainSpan is how many numbers a chain has.
const chainSpan = int64(1) << 40

// Chains is how many chains there are. The last one is of groups that no poster makes: reviews and officers' decisions.
const Chains = Lanes + 1

// ChainOf is the chain of a group.
func ChainOf(group int64) int { return int(group / chainSpan) }

// asideChain has the group of a transaction made beside the posters, and not wait for them. On SQLite nobody can be beside.
func (t *Tx) asideChain() {
	if t.dialect == postgres {
		t.lane = Lanes
	}
}

func (t *Tx) nextGroup(ctx context.Context) (int64, error) {
	last, err := t.LastGroup(ctx, t.lane)
	return last + 1, err
}

// LastGroup is the number of the newest posting group of a chain, that before its first for none.
func (t *Tx) LastGroup(ctx context.Context, chain int) (int64, error) {
	last := int64(chain) * chainSpan
	_, err := t.one(ctx, "last group", `SELECT number FROM posting_group WHERE number > ? AND number < ? ORDER BY number DESC LIMIT 1`, []any{last, last + chainSpan}, &last)
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
	digest := e.Digest()
	if _, err = t.exec(ctx, "chain group", `INSERT INTO posting_group (number, entry, digest, lines, records, evidence, prev_hash, hash, at_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, number, e.ID, digest, len(e.Lines), records, evidence, prev, groupHash(prev, number, digest, evidence), g.AtMS); err != nil {
		return err
	}
	return t.Post(ctx, e) // last, for the accounts are everybody's
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
	runs, err := t.postedIn(ctx, group)
	if err != nil {
		return nil, err
	}
	keys, _ := keysOfRuns(runs)
	return t.exhibits(ctx, keys)
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
	prev, last := "", int64(0)
	for _, r := range all {
		if ChainOf(r.number) != ChainOf(last) {
			prev, last = "", int64(ChainOf(r.number))*chainSpan
		}
		if r.number != last+1 || r.p != prev || r.h != groupHash(prev, r.number, r.digest, r.evidence) {
			faults = append(faults, fmt.Sprintf("posting group %d: the chain is broken", r.number))
		}
		prev, last = r.h, r.number
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
