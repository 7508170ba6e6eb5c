package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/reference"
)

// posters is how many post side by side, each with a share of the lanes.
const posters = 4

// beside is orders with several posters, which verify and post the records of their lanes while more come, cards are issued, loaded and blocked, and officers
// decide. On SQLite they take turns; on PostgreSQL their transactions run beside each other.
func (s suite) beside(t *testing.T) {
	for first := 0; first < max(1, *histories/10); first += together {
		model := reference.New(look)
		r := chance(*seed, uint64(first)<<8+0xFF)
		var lists [][]action
		for id := first; id < min(first+together, max(together, *histories)); id++ {
			h := newHistory(*seed, id, id)
			tellAll(model, h)
			lists = append(lists, arrive(h, r))
		}
		want, err := model.State()
		require.NoError(t, err)
		all := weave(lists, true, r)
		for i, a := range all {
			if one, ok := a.(step); ok { // the posters do that; who steps only reviews
				all[i] = review{one.limit}
			}
		}
		p := s.begin(t, s.fresh(t), nil)
		require.NoError(t, p.playBeside(t, all), "-history-seed %d, histories from %d", *seed, first)
		require.Empty(t, differs(p.store, want), "-history-seed %d, histories from %d", *seed, first)
		require.NoError(t, p.store.Close())
	}
}

// review: the backend decides cards again whose loads have changed.
type review struct{ limit int }

func (a review) do(p *player) error {
	_, err := p.review(a.limit)
	return err
}

func (review) tell(*reference.Model) {}

// lanePoster is one of several posters of a database.
type lanePoster struct {
	*player // it reads nothing of it that changes
	id      string
	turn    int
	posted  int
	wake    chan struct{} // there may be something to post
}

// playBeside does all actions while the posters post, and then what they have left.
func (p *player) playBeside(t *testing.T, all []action) error {
	mine := make([]*lanePoster, posters)
	for i := range mine {
		mine[i] = &lanePoster{player: &player{ctx: p.ctx, store: p.store}, id: fmt.Sprintf("poster-%d", i), wake: make(chan struct{}, 1)}
	}
	if err := p.update(func(tx *store.Tx) error {
		lanes, err := tx.AllLanes(p.ctx)
		if err != nil {
			return err
		}
		for i, l := range lanes {
			if err := tx.GiveLane(p.ctx, l, mine[i%posters].id); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	wake := func() {
		for _, o := range mine {
			select {
			case o.wake <- struct{}{}:
			default: // it has not taken the last word yet
			}
		}
	}
	told := make(chan struct{})
	errs := make([]error, posters+1)
	var running sync.WaitGroup
	for i, o := range mine {
		running.Go(func() { errs[i] = o.run(wake, told) })
	}
	for _, a := range all {
		if err := a.do(p); err != nil {
			errs[posters] = fmt.Errorf("%v: %w", a, err)
			break
		}
		wake()
	}
	close(told)
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, o := range mine {
		require.NotZero(t, o.posted, "%s had nothing to do: the suite proves less than it says", o.id)
	}
	return p.drain()
}

// run posts until all is told and nothing waits in the poster's lanes. What another's posting gives a name to after that is left.
func (o *lanePoster) run(wake func(), told <-chan struct{}) error {
	for {
		n, err := o.post(1 + o.turn%7*9)
		if err != nil {
			return err
		}
		if n > 0 {
			wake() // a name may have come for records of other lanes
			continue
		}
		select {
		case <-o.wake:
			continue
		case <-told:
		}
		select {
		case <-o.wake: // the last word came with the end
		default:
			return nil
		}
	}
}

// post is what intake's poster does, with records that need no keys. It returns how many records it has seen.
func (o *lanePoster) post(limit int) (int, error) {
	o.turn++
	var held store.Held
	var pending []store.Pending
	if err := o.store.View(o.ctx, func(tx *store.Tx) (err error) {
		if held, err = tx.LanesOf(o.ctx, o.id); err != nil {
			return err
		}
		pending, err = tx.PendingOf(o.ctx, held, o.turn, limit)
		return err
	}); err != nil || len(pending) == 0 {
		return 0, err
	}
	for i := range pending { // a group is of one clearing day
		if pending[i].Day != pending[0].Day {
			pending = pending[:i]
			break
		}
	}
	good, unreadable, unnamed, err := o.looked(pending)
	if err != nil {
		return 0, err
	}
	if len(unnamed) > 0 { // apart, so that whoever gives the name meanwhile sees them, or is seen
		if err := o.store.Apart(o.ctx, func(tx *store.Tx) error {
			if err := tx.KeepLanes(o.ctx, held); err != nil {
				return err
			}
			return o.awaitNames(tx, unnamed)
		}); err != nil {
			return 0, err
		}
	}
	if len(good)+len(unreadable) == 0 {
		return len(pending), nil
	}
	err = o.store.Posting(o.ctx, func(tx *store.Tx) error {
		if err := tx.HoldLanes(o.ctx, held); err != nil {
			return err
		}
		if err := o.noteUnreadable(tx, unreadable); err != nil || len(good) == 0 {
			return err
		}
		return tx.PostGroup(o.ctx, o.group(pending[0].Day), good)
	})
	if errors.Is(err, store.ErrPostedMeanwhile) { // a name was given in one of the lanes
		return len(pending), nil
	}
	if err == nil {
		o.posted += len(good)
	}
	return len(pending), err
}
