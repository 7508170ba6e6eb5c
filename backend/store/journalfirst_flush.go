package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
)

// unwritten reports whether groups are posted whose cards and claims are not written.
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

// stillWrittenOut is writtenOut for a Posting, which sees what others commit while it runs. When f is done it has locked its cards, and who posts journal-first locks a
// card that it reads: had one been posted to meanwhile, the journal would show it.
func stillWrittenOut(ctx context.Context, f func(*Tx) error) func(*Tx) error {
	return writtenOut(ctx, func(t *Tx) error {
		if err := f(t); err != nil {
			return err
		}
		some, err := t.unwritten(ctx)
		if err == nil && some {
			err = fmt.Errorf("store: posted journal-first meanwhile: %w", ErrRunAgain)
		}
		return err
	})
}

// flushJournal writes cards and claims of all groups of the journal into their tables, and returns how many groups those were. It needs nothing but the
// journal, so that whoever comes after a crash, or from another process, ends where the poster would have. All lanes are marked: what their posters
// know by heart is void from now on.
func (t *Tx) flushJournal(ctx context.Context) (groups int, err error) {
	ctx = t.unhurried(ctx)
	if some, err := t.unwritten(ctx); err != nil || !some {
		return 0, err
	}
	// Before the journal is read: who posts into it has its lanes locked.
	if _, err := t.exec(ctx, "mark lanes", `UPDATE posting_lane SET mark = mark + 1`); err != nil {
		return 0, err
	}
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
	}, `SELECT number, body FROM posting_journal ORDER BY number`); err != nil {
		return 0, err
	}
	cards := map[ids.CardNumber]*journalCard{}
	var numbers []ids.CardNumber
	for _, r := range all {
		body, err := decodeJournal(r.body)
		if err != nil {
			return 0, fmt.Errorf("group %d: %w", r.number, err)
		}
		for _, c := range body {
			f := cards[c.number]
			if f == nil {
				f = &journalCard{number: c.number}
				cards[c.number], numbers = f, append(numbers, c.number)
			}
			if err := f.add(c); err != nil {
				return 0, fmt.Errorf("group %d: card %v: %w", r.number, c.number, err)
			}
		}
	}
	slices.SortFunc(numbers, func(a, b ids.CardNumber) int { return slices.Compare(a[:], b[:]) })
	var flushed []*journalCard
	for _, n := range numbers {
		flushed = append(flushed, cards[n])
	}
	if err := t.writeFlushed(ctx, flushed); err != nil {
		return 0, err
	}
	_, err = t.exec(ctx, "empty journal", `DELETE FROM posting_journal`)
	return len(all), err
}

// add adds what a later group did to the card.
func (f *journalCard) add(c journalCard) error {
	var err error
	if f.change, err = f.change.Add(c.change); err != nil {
		return err
	}
	f.end, f.missing = c.end, c.missing
	f.findings, f.gaps, f.explained = append(f.findings, c.findings...), append(f.gaps, c.gaps...), append(f.explained, c.explained...)
	f.records = append(f.records, c.records...)
	return nil
}

// writeFlushed writes claims and cards, in the order of the cards' numbers. None of the claims is there yet: its counter is above all that its card had.
func (t *Tx) writeFlushed(ctx context.Context, cards []*journalCard) error {
	write := t.writeFlushedInTurn
	if t.dialect == postgres {
		write = t.writeFlushedAtOnce
	}
	if err := write(ctx, cards); err != nil {
		return err
	}
	for _, c := range cards {
		for _, x := range c.findings {
			if err := t.addFinding(ctx, c.number, x); err != nil {
				return err
			}
		}
		for _, g := range c.gaps {
			if err := t.addGap(ctx, c.number, g); err != nil {
				return err
			}
		}
		for _, counter := range c.explained {
			if _, err := t.exec(ctx, "explain load", `UPDATE card_load SET explained = 1 WHERE card = ? AND counter = ?`, c.number[:], int(counter)); err != nil {
				return err
			}
		}
	}
	return nil
}

// claimsAtOnce is how many claims a statement writes on SQLite: one costs as much to begin and to end as a row.
const claimsAtOnce = 32

const claimValues = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)`

var (
	addClaimQuery  = `INSERT INTO claim (card, ` + newClaimColumns + `) VALUES ` + claimValues
	addClaimsQuery = addClaimQuery + strings.Repeat(", "+claimValues, claimsAtOnce-1)
)

func (t *Tx) writeFlushedInTurn(ctx context.Context, cards []*journalCard) error {
	args := make([]any, 0, claimsAtOnce*20)
	waiting := 0
	for _, c := range cards {
		for i := range c.records {
			args = c.records[i].args(args, c.number[:])
			if waiting++; waiting < claimsAtOnce {
				continue
			}
			if _, err := t.exec(ctx, "write claims", addClaimsQuery, args...); err != nil {
				return err
			}
			waiting, args = 0, args[:0]
		}
	}
	for one := range slices.Chunk(args, max(len(args)/max(waiting, 1), 1)) {
		if _, err := t.exec(ctx, "write claim", addClaimQuery, one...); err != nil {
			return err
		}
	}
	for _, c := range cards {
		done, err := t.exec(ctx, "move card on", `UPDATE card SET shadow = shadow + ?, complete = ?, next = ?, tail = ?, missing = ?, loads_from = ? WHERE number = ?`,
			c.change.Minor(), int64(c.end.Complete), int64(c.end.Next), c.end.Tail.Minor(), c.missing, c.end.LoadsFrom, c.number[:])
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n != 1 {
			return fmt.Errorf("store: card %v of the journal: %d rows changed: %w", c.number, n, ErrNotFound)
		}
	}
	return nil
}

// args adds the values of a claim's row.
func (r *journalRecord) args(to []any, card []byte) []any {
	c := &r.claim
	return append(to, card, int64(r.counter), string(c.Tap.Terminal), int64(c.Tap.Epoch), int64(c.Tap.Tap), int64(c.Seq), c.At, string(c.Merchant), c.Amount.Minor(), c.Before.Minor(), c.After.Minor(),
		int64(c.Said), int64(c.Proof), int64(c.Flags), []byte(c.Debit), int64(shadowaccount.Stands), int64(r.kind), r.rule, r.day, r.receivedMS)
}
