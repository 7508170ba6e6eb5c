package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
)

// unwritten reports whether groups are posted whose cards and records are not written.
func (t *Tx) unwritten(ctx context.Context) (bool, error) {
	var one int
	return t.one(ctx, "look into the journal", `SELECT 1 FROM posting_journal LIMIT 1`, nil, &one)
}

// writtenOut is f after the journal is written out, in the same transaction: f sees every card as the groups posted so far have left it, and what it changes of a
// card no poster goes on without.
func writtenOut(ctx context.Context, f func(*Tx) error) func(*Tx) error {
	return func(t *Tx) error {
		if _, err := t.flushJournal(ctx); err != nil {
			return err
		}
		return f(t)
	}
}

// flushed is a card as several groups have left it.
type flushed struct {
	journalCard
	group []int64 // of each record
}

// flushJournal writes cards and records of all groups of the journal into their tables, and returns how many groups those were. It needs nothing but the
// journal, so that whoever comes after a crash, or from another process, ends where the poster would have. All lanes are marked: what their posters
// know by heart is void from now on.
func (t *Tx) flushJournal(ctx context.Context) (groups int, err error) {
	ctx = t.unhurried(ctx)
	type row struct {
		number int64
		body   []byte
	}
	var all []row
	if err := t.rows(ctx, "read journal", func(scan func(...any) error) error {
		var r row
		err := scan(&r.number, &r.body)
		all = append(all, r)
		return err
	}, `SELECT number, body FROM posting_journal ORDER BY number`); err != nil || len(all) == 0 {
		return 0, err
	}
	if _, err := t.exec(ctx, "mark lanes", `UPDATE posting_lane SET mark = mark + 1`); err != nil {
		return 0, err
	}
	cards := map[ids.CardNumber]*flushed{}
	var numbers []ids.CardNumber
	for _, r := range all {
		body, err := decodeJournal(r.body)
		if err != nil {
			return 0, fmt.Errorf("group %d: %w", r.number, err)
		}
		for _, c := range body {
			f := cards[c.number]
			if f == nil {
				f = &flushed{journalCard: journalCard{number: c.number}}
				cards[c.number], numbers = f, append(numbers, c.number)
			}
			if err := f.add(r.number, c); err != nil {
				return 0, fmt.Errorf("group %d: card %v: %w", r.number, c.number, err)
			}
		}
	}
	slices.SortFunc(numbers, func(a, b ids.CardNumber) int { return slices.Compare(a[:], b[:]) })
	for _, n := range numbers {
		if err := t.writeFlushed(ctx, cards[n]); err != nil {
			return 0, err
		}
	}
	if err := t.writeVerdicts(ctx, runsOf(cards)); err != nil {
		return 0, err
	}
	_, err = t.exec(ctx, "empty journal", `DELETE FROM posting_journal WHERE number <= ?`, all[len(all)-1].number)
	return len(all), err
}

// add adds what a later group did to the card.
func (f *flushed) add(group int64, c journalCard) error {
	var err error
	if f.change, err = f.change.Add(c.change); err != nil {
		return err
	}
	f.end, f.missing = c.end, c.missing
	f.findings, f.gaps, f.explained = append(f.findings, c.findings...), append(f.gaps, c.gaps...), append(f.explained, c.explained...)
	f.records = append(f.records, c.records...)
	for range c.records {
		f.group = append(f.group, group)
	}
	return nil
}

func (t *Tx) writeFlushed(ctx context.Context, f *flushed) error {
	for i := range f.records {
		r := &f.records[i]
		if err := t.writeClaim(ctx, f.number, r.counter, claimRow{Claim: r.claim, status: shadowaccount.Stands, kind: r.kind, rule: r.rule, day: r.Day, receivedMS: r.ReceivedMS}); err != nil {
			return err
		}
	}
	done, err := t.exec(ctx, "move card on", `UPDATE card SET shadow = shadow + ?, complete = ?, next = ?, tail = ?, missing = ?, loads_from = ? WHERE number = ?`,
		f.change.Minor(), int64(f.end.Complete), int64(f.end.Next), f.end.Tail.Minor(), f.missing, f.end.LoadsFrom, f.number[:])
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("store: card %v of the journal: %d rows changed: %w", f.number, n, ErrNotFound)
	}
	for _, x := range f.findings {
		if err := t.addFinding(ctx, f.number, x); err != nil {
			return err
		}
	}
	for _, g := range f.gaps {
		if err := t.addGap(ctx, f.number, g); err != nil {
			return err
		}
	}
	for _, counter := range f.explained {
		if _, err := t.exec(ctx, "explain load", `UPDATE card_load SET explained = 1 WHERE card = ? AND counter = ?`, f.number[:], int(counter)); err != nil {
			return err
		}
	}
	return nil
}

// verdictRun is records of one terminal, with no number between them left out, of which the same became.
type verdictRun struct {
	recordKey
	last  int64
	group int64
	label shadowaccount.Label
}

// runsOf puts the records of cards together: most come as their terminals made them, one after the other.
func runsOf(cards map[ids.CardNumber]*flushed) []verdictRun {
	var all []verdictRun
	for _, f := range cards {
		for i := range f.records {
			k := keyOf(f.records[i].Pending)
			all = append(all, verdictRun{k, k.seq, f.group[i], f.records[i].label})
		}
	}
	slices.SortFunc(all, func(a, b verdictRun) int { return a.compare(b.recordKey) })
	out := all[:0]
	for _, r := range all {
		if n := len(out) - 1; n >= 0 && out[n].follows(r) {
			out[n].last = r.seq
			continue
		}
		out = append(out, r)
	}
	return out
}

func (r verdictRun) follows(next verdictRun) bool {
	return next.terminal == r.terminal && next.epoch == r.epoch && next.seq == r.last+1 && next.group == r.group && next.label == r.label
}

func (t *Tx) writeVerdicts(ctx context.Context, runs []verdictRun) error {
	for _, r := range runs {
		done, err := t.exec(ctx, "set verdicts", `UPDATE record SET verdict = ?, reason = '', label = ?, posted_in = ? WHERE terminal = ? AND epoch = ? AND seq BETWEEN ? AND ? AND posted_in = 0`,
			shadowaccount.Stands.String(), string(r.label), r.group, r.terminal, r.epoch, r.seq, r.last)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n != r.last-r.seq+1 {
			return fmt.Errorf("store: records %s/%x/%d to %d of the journal: %d rows changed: %w", r.terminal, uint64(r.epoch), r.seq, r.last, n, cmp.Or(err, ErrNotFound))
		}
	}
	return nil
}
