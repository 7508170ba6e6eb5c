package intake

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/purselane/purselane/backend/store"
)

// A poster posts the records of its lanes. Where several processes have one database, each has posters, and all of them share the lanes among those whose
// beat moves. No clock is compared with another machine's: a poster is gone when this process has seen its beat stand still for patience.
const (
	beatEvery = time.Second
	patience  = 6 * time.Second
	leaveIn   = 5 * time.Second // how long the end of a process waits to give its lanes back; else others take them after patience
)

type poster struct {
	p    *Pipeline
	id   string
	seen map[string]sighting // posters, by id

	journal *store.JournalFirst // nil if it posts strictly
}

// sighting is a beat and when it was first seen.
type sighting struct {
	beat  int64
	since time.Time
}

func (p *Pipeline) poster() *poster {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &poster{p: p, id: fmt.Sprintf("%s-%d-%s", host, os.Getpid(), rand.Text()[:8]), seen: map[string]sighting{}, journal: p.memory()}
}

// beat says that the poster runs, gives back lanes that are others' share, and takes those of its own that nobody has.
func (o *poster) beat(ctx context.Context) error {
	var posters []store.Poster
	var lanes []store.Lane
	if err := o.p.store.Glance(ctx, func(tx *store.Tx) (err error) {
		if posters, err = tx.Posters(ctx); err != nil {
			return err
		}
		lanes, err = tx.AllLanes(ctx)
		return err
	}); err != nil {
		return fmt.Errorf("read posters: %w", err)
	}
	live, gone := o.look(posters, o.p.clock.Now())
	moves := share(o.id, live, lanes)
	if slices.ContainsFunc(moves, func(m move) bool { return m.to == "" }) { // who takes a lane is not to begin with the rest of this one's work
		if _, err := idle(ctx, o.journal); err != nil {
			return err
		}
	}
	err := o.p.store.Apart(ctx, func(tx *store.Tx) error {
		if err := tx.BeatPoster(ctx, o.id); err != nil {
			return err
		}
		for _, g := range gone {
			if err := tx.DropPoster(ctx, g); err != nil {
				return err
			}
		}
		for _, m := range moves {
			if err := tx.GiveLane(ctx, m.lane, m.to); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("share lanes: %w", err)
	}
	return nil
}

// look notes what has changed, and tells who runs, this one among them, and who is gone.
func (o *poster) look(posters []store.Poster, now time.Time) (live []string, gone []store.Poster) {
	seen := map[string]sighting{}
	for _, p := range posters {
		s, known := o.seen[p.ID]
		if !known || s.beat != p.Beat {
			s = sighting{p.Beat, now}
		}
		seen[p.ID] = s
		switch {
		case p.ID == o.id:
		case now.Sub(s.since) >= patience:
			gone = append(gone, p)
		default:
			live = append(live, p.ID)
		}
	}
	o.seen = seen
	live = append(live, o.id)
	slices.Sort(live)
	return live, gone
}

// move is a lane that gets another owner, "" for none.
type move struct {
	lane store.Lane
	to   string
}

// share says which lanes a poster takes and gives back. The lanes are cut into as many equal stretches as posters live, in their order; a lane that a
// living one still has is taken when it has given it back.
func share(id string, live []string, lanes []store.Lane) []move {
	at := slices.Index(live, id)
	lo, hi := at*len(lanes)/len(live), (at+1)*len(lanes)/len(live)
	var out []move
	for i, l := range lanes {
		mine := lo <= i && i < hi
		switch {
		case l.Owner == id && !mine:
			out = append(out, move{l, ""})
		case l.Owner != id && mine && !slices.Contains(live, l.Owner):
			out = append(out, move{l, id})
		}
	}
	return out
}

// step posts one group of the poster's lanes. Zero: nothing waits, or it has no lanes.
func (o *poster) step(ctx context.Context) (int, error) {
	first := false
	n, err := o.p.postNext(ctx, o.journal, func(tx *store.Tx) (store.Held, error) {
		held, err := tx.LanesOf(ctx, o.id)
		first = err == nil && slices.Contains(held.Lanes(), 0)
		return held, err
	})
	if err == nil && n == 0 && first { // one of all is enough for reviews
		n, err = o.p.review(ctx)
	}
	if errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrPostedMeanwhile) {
		return 0, nil // others have posted them, or will
	}
	return n, err
}

// leave gives the lanes back, so that others need not wait. It is for the end of a process, whose context has ended.
func (o *poster) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveIn)
	defer cancel()
	_, err := idle(ctx, o.journal)
	return errors.Join(err, o.p.store.Apart(ctx, func(tx *store.Tx) error { return tx.LeavePosting(ctx, o.id) }))
}
