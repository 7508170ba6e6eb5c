package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
)

// Verdicts of records that never become taps; the others are the statuses of package shadowaccount. A verdict is an outside
// contract, never given a new meaning.
const (
	VerdictUnreadable = "unreadable"
)

// Step verifies and posts one group of accepted records, whoever shares their posting, and returns how many; zero means that all is
// posted. Doing it again after a failure changes nothing that is done. Others may post at the same time: a record is posted once.
func (p *Pipeline) Step(ctx context.Context) (int, error) {
	return p.stepOf(ctx, func(tx *store.Tx) (store.Held, error) { return tx.EveryLane(ctx) })
}

// StepThrough is Step for the records that arrived on or before a clearing day, and for what else waits in their lanes: a day that closes does not wait for
// posters that have none of them. Zero means that all of the day is posted. Who posts journal-first takes all lanes, which its memory is of.
func (p *Pipeline) StepThrough(ctx context.Context, day string) (int, error) {
	if p.journal != nil {
		return p.Step(ctx)
	}
	return p.stepOf(ctx, func(tx *store.Tx) (store.Held, error) { return tx.LanesThrough(ctx, day) })
}

func (p *Pipeline) stepOf(ctx context.Context, lanes func(*store.Tx) (store.Held, error)) (int, error) {
	p.step.Lock()
	defer p.step.Unlock()
	for {
		n, err := p.postNext(ctx, p.journal, lanes)
		if err == nil && n == 0 {
			n, err = p.review(ctx)
		}
		if !errors.Is(err, store.ErrPostedMeanwhile) {
			return n, err
		}
	}
}

// postNext posts one group of the lanes that lanes tells. It returns how many records it is done with, zero if none wait and all groups are written out.
func (p *Pipeline) postNext(ctx context.Context, j *store.JournalFirst, lanes func(*store.Tx) (store.Held, error)) (int, error) {
	for {
		if err := due(ctx, j); err != nil {
			return 0, err
		}
		n, later, err := p.postGroup(ctx, j, lanes)
		if err != nil || n > later {
			return n - later, err
		}
		if n > 0 {
			continue // all were put off, and others may wait behind them
		}
		if some, err := idle(ctx, j); err != nil || !some {
			return 0, err
		} // now those are given that were put off
	}
}

// postGroup posts what waits, up to a group, and returns how many records that was and how many of them were put off.
func (p *Pipeline) postGroup(ctx context.Context, j *store.JournalFirst, lanes func(*store.Tx) (store.Held, error)) (n, later int, err error) {
	var held store.Held
	var pending []store.Pending
	var terminals map[ids.TerminalID]store.Terminal
	err = p.peek(ctx, j, func(tx *store.Tx) error {
		var err error
		if held, err = lanes(tx); err != nil {
			return err
		}
		if pending, err = p.waiting(ctx, j, tx, held); err != nil || len(pending) == 0 {
			return err
		}
		pending = oneDay(pending)
		terminals, err = terminalsOf(ctx, tx, pending)
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("read accepted records: %w", err)
	}
	if len(pending) == 0 {
		return 0, 0, nil
	}
	verified, err := p.verifyAll(ctx, pending, terminals)
	if err != nil {
		return 0, 0, fmt.Errorf("verify: %w", err)
	}
	var unnamed, unreadable []looked
	good := make([]store.Verified, 0, len(verified)) // nearly always all
	for i := range verified {
		switch v := &verified[i]; {
		case v.unnamed != nil:
			unnamed = append(unnamed, *v)
		case v.form != nil:
			unreadable = append(unreadable, *v)
		default:
			good = append(good, v.Verified)
		}
	}
	if err := p.await(ctx, held, unnamed); err != nil {
		return 0, 0, fmt.Errorf("keep %d records of cards without a name: %w", len(unnamed), err)
	}
	if len(unnamed) == len(verified) {
		return len(pending), 0, nil
	}
	later, err = p.post(ctx, j, held, p.group(pending[0].Day), good, func(tx *store.Tx) error {
		for _, v := range unreadable {
			if err := tx.SetVerdict(ctx, v.Pending, VerdictUnreadable, v.form.Error()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("post %d records: %w", len(verified)-len(unnamed), err)
	}
	return len(pending), later, nil
}

// await keeps records apart whose cards have no name yet. It is a change like any other, not a poster's: a name may be given meanwhile by whoever registers
// the card, and of the two one must see the other.
func (p *Pipeline) await(ctx context.Context, held store.Held, unnamed []looked) error {
	if len(unnamed) == 0 {
		return nil
	}
	return p.store.Apart(ctx, func(tx *store.Tx) error {
		if err := tx.KeepLanes(ctx, held); err != nil {
			return err
		}
		for _, v := range unnamed {
			if err := tx.AwaitName(ctx, v.Pending, *v.unnamed); err != nil {
				return err
			}
		}
		return nil
	})
}

// review decides again the cards whose loads have changed since their taps were decided. It returns how many.
func (p *Pipeline) review(ctx context.Context) (int, error) {
	var cards []ids.CardNumber
	err := p.store.View(ctx, func(tx *store.Tx) error {
		var err error
		cards, err = tx.CardsToReview(ctx, p.opt.Group)
		return err
	})
	if err != nil || len(cards) == 0 {
		return 0, err
	}
	err = p.store.Update(ctx, func(tx *store.Tx) error {
		day, err := p.clearingDay(ctx, tx, p.clock.Now())
		if err != nil {
			return err
		}
		return tx.ReviewCards(ctx, p.group(day), cards)
	})
	if err != nil {
		return 0, fmt.Errorf("review %d cards: %w", len(cards), err)
	}
	return len(cards), nil
}

func (p *Pipeline) group(day string) store.Group {
	return store.Group{Day: day, AtMS: p.clock.Now().UnixMilli(), Token: func(n ids.CardNumber) string { return store.Token(p.opt.TokenKey, n) }}
}

// oneDay keeps the records of the first one's clearing day: a group is one entry of one day. The others wait for their own group. Between the
// cut-offs of two acquirers the days alternate, so records of one day need not stand together.
func oneDay(all []store.Pending) []store.Pending {
	day := all[0].Day
	return slices.DeleteFunc(all, func(r store.Pending) bool { return r.Day != day })
}

func terminalsOf(ctx context.Context, tx *store.Tx, pending []store.Pending) (map[ids.TerminalID]store.Terminal, error) {
	out := map[ids.TerminalID]store.Terminal{}
	for _, r := range pending {
		if _, ok := out[r.Terminal]; ok {
			continue
		}
		m, err := tx.Terminal(ctx, r.Terminal)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		out[r.Terminal] = m // without an id if it is not registered
	}
	return out, nil
}

// looked is a record after verification: a claim, what is wrong with its form, or a card that has no name yet.
type looked struct {
	store.Verified
	form    error
	unnamed *ids.CardNumber // the alias of a card that nobody knows
}

// verifyAll reads and verifies records side by side. The result stands in the order given.
func (p *Pipeline) verifyAll(ctx context.Context, pending []store.Pending, terminals map[ids.TerminalID]store.Terminal) ([]looked, error) {
	out := make([]looked, len(pending))
	errs := make([]error, p.opt.Workers)
	share := (len(pending) + p.opt.Workers - 1) / p.opt.Workers // side by side, so that a worker's TACs fill lanes
	var all sync.WaitGroup
	for w := range p.opt.Workers {
		from, to := min(w*share, len(pending)), min((w+1)*share, len(pending))
		all.Go(func() { errs[w] = p.verify(ctx, pending[from:to], terminals, out[from:to]) })
	}
	all.Wait()
	return out, errors.Join(errs...)
}

// verify reads records and verifies what they have to show. The error is the keys': nothing is decided about the records then.
func (p *Pipeline) verify(ctx context.Context, pending []store.Pending, terminals map[ids.TerminalID]store.Terminal, out []looked) error {
	tacs := newTACBatch(len(pending))
	for i, r := range pending {
		v, d, err := p.look(ctx, r, terminals[r.Terminal])
		if err != nil {
			return err
		}
		out[i] = v
		if d == nil || tacs.takes(p.doors.ep, i, d) {
			continue
		}
		said, err := d.evidence.verify(ctx, p.doors, d)
		if err != nil {
			return ofRecord(r, err)
		}
		out[i].judge(said)
	}
	return tacs.verify(ctx, p.doors.ep, func(i int, said verdict, err error) error {
		if err != nil {
			return ofRecord(pending[i], err)
		}
		out[i].judge(said)
		return nil
	})
}

func ofRecord(r store.Pending, err error) error {
	return fmt.Errorf("record %s/%x/%d: %w", r.Terminal, r.Epoch, r.Seq, err)
}

// look reads one record. The debit is nil if there is nothing to verify: the record is unreadable, or its card has no name.
func (p *Pipeline) look(ctx context.Context, r store.Pending, m store.Terminal) (looked, *debit, error) {
	unread := func(form error) (looked, *debit, error) {
		return looked{Verified: store.Verified{Pending: r}, form: form}, nil, nil
	}
	if m.ID == "" {
		return unread(badForm("its terminal is not registered: nobody is owed for it"))
	}
	d, form := read(p.readers, r.Body, r.Terminal, r.Epoch, r.Seq)
	if form != nil {
		return unread(form)
	}
	card, form := d.evidence.whose(p.doors)
	if form != nil {
		return unread(form)
	}
	if card.number == nil {
		known, err := p.named(ctx, *card.alias)
		if err != nil {
			return looked{}, nil, err
		}
		if known == nil {
			return looked{Verified: store.Verified{Pending: r}, unnamed: card.alias}, nil, nil
		}
		card = name{number: known}
	}
	v := store.Verified{Pending: r, Card: *card.number, Alias: card.alias, Family: d.family, Issuer: d.issuer, Levels: d.levels, Counter: d.counter, Kind: int32(d.what), Rule: d.rule,
		Claim: shadowaccount.Claim{
			Tap: ids.TapID{Terminal: r.Terminal, Epoch: r.Epoch, Tap: d.tap}, Seq: d.seq, At: d.timeMS, Merchant: m.Merchant,
			Amount: d.amount, Before: d.before, After: d.after, Said: d.said,
		}}
	if d.sam != nil && !m.HasPSAM(*d.sam) {
		v.Claim.Flags |= shadowaccount.FlagWrongSAM
	}
	return looked{Verified: v}, &d, nil
}

// judge enters what the keys said.
func (v *looked) judge(said verdict) {
	v.Claim.Proof, v.Claim.Debit, v.Reason = said.proof, said.debit, said.reason
	switch {
	case said.noKey:
		v.Claim.Flags |= shadowaccount.FlagUnknownKey
	case said.proof == shadowaccount.ProofBad:
		v.Claim.Flags |= shadowaccount.FlagBadTAC
	}
}

// named finds the card of an alias, nil if nobody knows it.
func (p *Pipeline) named(ctx context.Context, alias ids.CardNumber) (*ids.CardNumber, error) {
	var n ids.CardNumber
	var known bool
	err := p.store.Glance(ctx, func(tx *store.Tx) (err error) {
		n, known, err = tx.CardOfAlias(ctx, alias)
		return err
	})
	if err != nil || !known {
		return nil, err
	}
	return &n, nil
}
