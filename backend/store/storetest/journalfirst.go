package storetest

import (
	"sync/atomic"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/reference"
)

// ahead is the memory of a player that posts journal-first. It dies with its store.
type ahead struct {
	*store.JournalFirst
	of *store.Store
}

// stepAhead is step for a backend that posts journal-first. Its groups are small, so that many are unwritten at a time.
func (p *player) stepAhead(limit int) (int, error) {
	limit = min(limit, 4)
	if p.ahead.of != p.store {
		p.ahead = ahead{p.store.JournalFirst(p.groups), p.store}
	}
	if p.ahead.Due() {
		if _, err := p.ahead.Flush(p.ctx); err != nil {
			return 0, err
		}
	}
	var held store.Held
	var pending []store.Pending
	if err := p.store.Glance(p.ctx, func(tx *store.Tx) (err error) {
		if held, err = tx.EveryLane(p.ctx); err != nil {
			return err
		}
		pending, err = p.ahead.Pending(p.ctx, tx, held, 0, limit)
		return err
	}); err != nil {
		return 0, err
	}
	for i := range pending { // a group is of one clearing day
		if pending[i].Day != pending[0].Day {
			pending = pending[:i]
			break
		}
	}
	if len(pending) == 0 {
		if some, err := p.ahead.Flush(p.ctx); some || err != nil {
			return 1, err
		}
		return p.review(limit)
	}
	good, also, err := p.sorted(pending)
	if err != nil {
		return 0, err
	}
	if _, err := p.ahead.Post(p.ctx, held, p.group(pending[0].Day), good, also); err != nil {
		return 0, err
	}
	if n := p.ahead.Unwritten(); n > 0 {
		unwritten.Store(max(unwritten.Load(), int64(n)))
	}
	return len(pending), nil
}

// unwritten is the most groups that a player ever had in its memory.
var unwritten atomic.Int64

// sorted tells the records to be posted from those that are not, which the function it returns notes.
func (p *player) sorted(pending []store.Pending) (good []store.Verified, also func(*store.Tx) error, err error) {
	good, unreadable, unnamed, err := p.looked(pending)
	return good, func(tx *store.Tx) error {
		if err := p.noteUnreadable(tx, unreadable); err != nil {
			return err
		}
		return p.awaitNames(tx, unnamed)
	}, err
}

// looked reads and verifies records.
func (p *player) looked(pending []store.Pending) (good []store.Verified, unreadable, unnamed []reference.Looked, err error) {
	err = p.store.Glance(p.ctx, func(tx *store.Tx) error {
		for _, r := range pending {
			l := look(reference.Key{Terminal: r.Terminal, Epoch: r.Epoch, Seq: r.Seq}, r.Body)
			l.Pending = r
			if l.Unreadable == "" && l.Unnamed != nil {
				n, known, err := tx.CardOfAlias(p.ctx, *l.Unnamed)
				if err != nil {
					return err
				}
				if known {
					l.Card, l.Unnamed = n, nil
				}
			}
			switch {
			case l.Unreadable != "":
				unreadable = append(unreadable, l)
			case l.Unnamed != nil:
				unnamed = append(unnamed, l)
			default:
				good = append(good, l.Verified)
			}
		}
		return nil
	})
	return good, unreadable, unnamed, err
}

func (p *player) noteUnreadable(tx *store.Tx, all []reference.Looked) error {
	for _, l := range all {
		if err := tx.SetVerdict(p.ctx, l.Pending, "unreadable", l.Unreadable); err != nil {
			return err
		}
	}
	return nil
}

func (p *player) awaitNames(tx *store.Tx, all []reference.Looked) error {
	for _, l := range all {
		if err := tx.AwaitName(p.ctx, l.Pending, *l.Unnamed); err != nil {
			return err
		}
	}
	return nil
}
