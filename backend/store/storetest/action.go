package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/reference"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// action is one thing that happens to a backend. Doing it again after a crash changes nothing.
type action interface {
	do(*player) error
	tell(*reference.Model)
}

// keep: a batch comes.
type keep struct {
	epoch  reference.Epoch
	first  uint64
	bodies [][]byte
}

func (a keep) do(p *player) error {
	_, err := p.keep(a)
	return err
}

func (a keep) tell(m *reference.Model) { m.Keep(a.epoch, a.first, a.bodies) }

func (a keep) String() string {
	records := make([]string, len(a.bodies))
	for i, body := range a.bodies {
		r, err := parse(body)
		records[i] = fmt.Sprintf("%+v", r)
		if err != nil {
			records[i] = err.Error()
		}
	}
	return fmt.Sprintf("keep %v from %d: %s", a.epoch, a.first, strings.Join(records, "; "))
}

// quarantine: a batch comes that cannot be read.
type quarantine struct {
	epoch       reference.Epoch
	first, last uint64
}

func (a quarantine) do(p *player) error {
	return p.update(func(tx *store.Tx) error {
		_, err := tx.Quarantine(p.ctx, p.arrived(a.epoch, a.first, nil), a.last, "garbled")
		return err
	})
}

func (a quarantine) tell(m *reference.Model) { m.Quarantine(a.epoch, a.first, a.last) }

// issue: a card is registered.
type issue struct{ card store.Card }

func (a issue) do(p *player) error {
	return p.update(func(tx *store.Tx) error { return tx.IssueCard(p.ctx, a.card) })
}

func (a issue) tell(m *reference.Model) { m.Issue(a.card) }

func (a issue) String() string {
	return fmt.Sprintf("issue %x, %s, counter %d", a.card.Number[:], a.card.Family, a.card.OpeningCounter)
}

// block: a card is blocked. Nobody can block what no row is of; such a card is blocked as soon as there is one.
type block struct {
	card ids.CardNumber
	at   int64 // Unix ms
}

func (a block) do(p *player) error {
	err := p.update(func(tx *store.Tx) error { return tx.BlockCard(p.ctx, a.card, time.UnixMilli(a.at)) })
	if errors.Is(err, store.ErrNotFound) {
		p.later = append(p.later, a)
		return nil
	}
	return err
}

func (a block) tell(m *reference.Model) { m.Block(a.card, time.UnixMilli(a.at)) }

func (a block) String() string { return fmt.Sprintf("block %x at %d", a.card[:], a.at) }

// load: a load is authorised, or turns out to be on the card.
type load struct {
	card ids.CardNumber
	load shadowaccount.Load
}

func (a load) order() string { return fmt.Sprintf("order-%x-%d", a.card[:], a.load.Counter) }

func (a load) entries() []books.Entry {
	step := func(kind string, debit, credit books.Account) books.Entry {
		return books.Entry{ID: kind + ":" + a.order(), Kind: kind, Day: days[0], Ref: a.order(), Lines: []books.Line{
			{Account: debit, Amount: a.load.Amount}, {Account: credit, Amount: money.Minor(-a.load.Amount.Minor())}}}
	}
	out := []books.Entry{step("load-authorise", books.Funding, books.LoadInProgress)}
	if a.load.Loaded {
		out = append(out, step("load-confirm", books.LoadInProgress, books.Float))
	}
	return out
}

func (a load) do(p *player) error {
	return p.update(func(tx *store.Tx) error {
		have, err := tx.CardLoads(p.ctx, a.card)
		if err != nil {
			return err
		}
		for _, l := range have {
			if l.Counter == a.load.Counter && l.Loaded {
				return nil // told before: an order has its state
			}
		}
		for _, e := range a.entries() {
			if err := tx.Post(p.ctx, e); err != nil {
				return err
			}
		}
		return tx.NoteLoad(p.ctx, a.card, a.load, a.order())
	})
}

func (a load) tell(m *reference.Model) {
	m.Load(a.card, a.load)
	for _, e := range a.entries() {
		m.Post(e)
	}
}

func (a load) String() string {
	return fmt.Sprintf("load %x: %d with %v, loaded %v", a.card[:], a.load.Counter, a.load.Amount, a.load.Loaded)
}

// forget: a load did not reach the card.
type forget struct {
	card    ids.CardNumber
	counter uint16
}

func (a forget) do(p *player) error {
	return p.update(func(tx *store.Tx) error { return tx.ForgetLoad(p.ctx, a.card, a.counter) })
}

func (a forget) tell(m *reference.Model) { m.Forget(a.card, a.counter) }

func (a forget) String() string { return fmt.Sprintf("forget load %x: %d", a.card[:], a.counter) }

// decision: officers decide a claim. Nobody can decide one that has not come; it is decided as soon as it has.
type decision struct {
	claim   reference.Tapped
	decided shadowaccount.Decision
}

func (a decision) do(p *player) error {
	err := p.update(func(tx *store.Tx) error {
		_, err := tx.DecideClaim(p.ctx, p.group(days[p.day]), store.TapKey{Card: a.claim.Card[:], Counter: a.claim.Counter, Terminal: a.claim.Tap.Terminal, Epoch: a.claim.Tap.Epoch, Tap: a.claim.Tap.Tap}, a.decided)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		p.later = append(p.later, a)
		return nil
	}
	return err
}

func (a decision) tell(m *reference.Model) { m.Decide(a.claim, a.decided) }

func (a decision) String() string {
	return fmt.Sprintf("decision %d on card %x, counter %d, %v", a.decided, a.claim.Card[:], a.claim.Counter, a.claim.Tap)
}

// step: the backend verifies and posts up to so many records, or reviews cards if there are none.
type step struct{ limit int }

func (a step) do(p *player) error {
	_, err := p.step(a.limit)
	return err
}

func (step) tell(*reference.Model) {}

// nextDay: the clearing day ends.
type nextDay struct{}

func (nextDay) do(p *player) error {
	p.day = min(p.day+1, len(days)-1)
	p.now = max(p.now, morningOf(days[p.day]))
	return nil
}

func (nextDay) tell(*reference.Model) {}

var days = []string{"2026-11-24", "2026-11-25", "2026-11-26", "2026-11-27", "2026-11-28", "2026-11-29", "2026-11-30", "2026-12-01"}

// morningOf is when a day's first records can come, Unix ms.
func morningOf(day string) int64 {
	d, err := time.Parse(time.DateOnly, day)
	if err != nil {
		panic(fmt.Sprintf("storetest: day %q: %v", day, err)) // all are written above
	}
	return d.Add(6 * time.Hour).UnixMilli()
}

// player does actions to a store as a backend does them.
type player struct {
	ctx   context.Context
	store *store.Store
	day   int   // in days
	now   int64 // Unix ms: nothing comes at the same moment
	later []action

	groups int // journal-first: posted before they are written out
	ahead  ahead
}

func (p *player) update(f func(*store.Tx) error) error { return p.store.Update(p.ctx, f) }

func (p *player) arrived(e reference.Epoch, first uint64, bodies [][]byte) store.Arrived {
	p.now++
	return store.Arrived{Terminal: e.Terminal, Epoch: e.Epoch, FirstSeq: first, Records: bodies, Lanes: lanesOf(bodies), Envelope: fmt.Appendf(nil, "%v %d %s", e, first, bodies),
		At: time.UnixMilli(p.now), Day: days[p.day]}
}

func (p *player) keep(a keep) (store.Kept, error) {
	var out store.Kept
	arrived := p.arrived(a.epoch, a.first, a.bodies)
	err := p.store.Apart(p.ctx, func(tx *store.Tx) error {
		var err error
		out, err = tx.Keep(p.ctx, arrived)
		return err
	})
	return out, err
}

// step is what intake's Step does, with records that need no keys.
func (p *player) step(limit int) (int, error) {
	if p.groups > 0 {
		return p.stepAhead(limit)
	}
	var pending []store.Pending
	if err := p.store.View(p.ctx, func(tx *store.Tx) error {
		var err error
		pending, err = tx.PendingRecords(p.ctx, limit)
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
		return p.review(limit)
	}
	return len(pending), p.update(func(tx *store.Tx) error {
		var good []store.Verified
		for _, r := range pending {
			l := look(reference.Key{Terminal: r.Terminal, Epoch: r.Epoch, Seq: r.Seq}, r.Body)
			l.Pending = r
			if l.Unreadable != "" {
				if err := tx.SetVerdict(p.ctx, r, "unreadable", l.Unreadable); err != nil {
					return err
				}
				continue
			}
			if l.Unnamed != nil {
				n, known, err := tx.CardOfAlias(p.ctx, *l.Unnamed)
				if err != nil {
					return err
				}
				if !known {
					if err := tx.AwaitName(p.ctx, r, *l.Unnamed); err != nil {
						return err
					}
					continue
				}
				l.Card = n
			}
			good = append(good, l.Verified)
		}
		if len(good) == 0 {
			return nil
		}
		return tx.PostGroup(p.ctx, p.group(pending[0].Day), good)
	})
}

func (p *player) review(limit int) (int, error) {
	var cards []ids.CardNumber
	if err := p.store.View(p.ctx, func(tx *store.Tx) error {
		var err error
		cards, err = tx.CardsToReview(p.ctx, limit)
		return err
	}); err != nil || len(cards) == 0 {
		return 0, err
	}
	return len(cards), p.update(func(tx *store.Tx) error { return tx.ReviewCards(p.ctx, p.group(days[p.day]), cards) })
}

func (p *player) group(day string) store.Group {
	return store.Group{Day: day, AtMS: p.now, Token: token}
}

// play does all, and then steps until all is posted.
func (p *player) play(all []action) error {
	for _, a := range all {
		if err := a.do(p); err != nil {
			return fmt.Errorf("%v: %w", a, err)
		}
	}
	return p.drain()
}

func (p *player) drain() error {
	for range 100_000 {
		n, err := p.step(200)
		if err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		return p.doLater()
	}
	return errors.New("the backend does not come to rest")
}

// doLater blocks the cards that had no row, and decides the claims that had not come. What is not there now never comes: no record of it became a tap.
func (p *player) doLater() error {
	waiting := p.later
	p.later = nil
	for _, a := range waiting {
		if err := a.do(p); err != nil {
			return err
		}
	}
	return nil
}
