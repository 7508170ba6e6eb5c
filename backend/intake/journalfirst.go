package intake

import (
	"context"
	"fmt"

	"github.com/purselane/purselane/backend/store"
)

// Posting is how records are posted: what of them is written in the transaction that posts them.
type Posting string

// Ways to post.
const (
	Strict       Posting = "strict"        // all: books, verdicts, claims and cards
	JournalFirst Posting = "journal-first" // books, verdicts, and a row of the journal; claims and cards later, for many groups at once (store.JournalFirst)
)

// Check says what is wrong with it.
func (p Posting) Check() error {
	switch p {
	case "", Strict, JournalFirst:
		return nil
	}
	return fmt.Errorf("posting: %q: want %s or %s", string(p), Strict, JournalFirst)
}

// FlushEvery is how many groups a poster keeps unwritten at most. A look at a card may have to wait until so many are written, which takes about a second.
const FlushEvery = 64

// memory is what a poster needs beside its lanes: nothing if it posts strictly.
func (p *Pipeline) memory() *store.JournalFirst {
	if p.opt.Posting != JournalFirst {
		return nil
	}
	return p.store.JournalFirst(FlushEvery)
}

// peek runs f on what is to be posted. Who posts journal-first has no need to see its own groups written out.
func (p *Pipeline) peek(ctx context.Context, j *store.JournalFirst, f func(*store.Tx) error) error {
	if j == nil {
		return p.store.View(ctx, f)
	}
	return p.store.Glance(ctx, f)
}

// waiting lists records to be posted.
func (p *Pipeline) waiting(ctx context.Context, j *store.JournalFirst, tx *store.Tx, held store.Held) ([]store.Pending, error) {
	turn := int(p.turn.Add(1))
	if j == nil {
		return tx.PendingOf(ctx, held, turn, p.opt.Group)
	}
	return j.Pending(ctx, tx, held, turn, p.opt.Group)
}

// post posts records, after also, in one transaction, and returns how many of them it has put off.
func (p *Pipeline) post(ctx context.Context, j *store.JournalFirst, held store.Held, g store.Group, good []store.Verified, also func(*store.Tx) error) (later int, err error) {
	if j != nil {
		return j.Post(ctx, held, g, good, also)
	}
	return 0, p.store.Posting(ctx, func(tx *store.Tx) error {
		if err := tx.HoldLanes(ctx, held); err != nil {
			return err
		}
		if err := also(tx); err != nil || len(good) == 0 {
			return err
		}
		return tx.PostGroup(ctx, g, good)
	})
}

// due writes the journal out when it is full, and idle when nothing waits: that reports whether there was anything to write.
func due(ctx context.Context, j *store.JournalFirst) error {
	if j == nil || !j.Due() {
		return nil
	}
	_, err := j.Flush(ctx)
	return wrapFlush(err)
}

func idle(ctx context.Context, j *store.JournalFirst) (bool, error) {
	if j == nil {
		return false, nil
	}
	some, err := j.Flush(ctx)
	return some, wrapFlush(err)
}

func wrapFlush(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("write the journal out: %w", err)
}

// writeOut is for the end of a process, whose context has ended. What it does not write the next look at a card does.
func (p *Pipeline) writeOut(ctx context.Context, j *store.JournalFirst) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveIn)
	defer cancel()
	if _, err := idle(ctx, j); err != nil {
		p.opt.Log.WarnContext(ctx, "intake: groups are left in the journal: who looks at a card next writes them", "error", err)
	}
}
