package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
)

// Groups that each of several posters posts in a turn, so that the end of a turn, when one waits for the others, counts little.
const turn = 4

// Posters of the lines with several.
const (
	pair = 2
	four = 4
)

// postersLine is two posters on PostgreSQL; its floor is one poster with as many groups, in the same store.
func (p postgres) postersLine(ctx context.Context, _ string, cards int) (line, error) {
	s, err := p.shared(ctx, cards)
	if err != nil {
		return line{}, err
	}
	own := func() (time.Duration, error) {
		return s.postedBy(pair, pair*turn, func(terminal int) int { return terminal })
	}
	floor := func() (time.Duration, error) {
		return s.postedBy(1, pair*turn, func(terminal int) int { return terminal })
	}
	return line{records: size, own: own, floor: floor, end: s.end}, nil
}

// hotLine is four posters on PostgreSQL whose groups all pay one merchant; its floor is four whose groups pay one merchant each, and seldom the same.
func (p postgres) hotLine(ctx context.Context, _ string, cards int) (line, error) {
	s, err := p.shared(ctx, cards)
	if err != nil {
		return line{}, err
	}
	own := func() (time.Duration, error) { return s.postedBy(four, four*turn, func(int) int { return 0 }) }
	floor := func() (time.Duration, error) {
		return s.postedBy(four, four*turn, func(terminal int) int { return terminal })
	}
	return line{records: size, own: own, floor: floor, end: s.end}, nil
}

// shared is a scheme on PostgreSQL whose lanes belong to four posters.
func (p postgres) shared(ctx context.Context, cards int) (*scheme, error) {
	if err := p.empty(ctx); err != nil {
		return nil, err
	}
	s, err := newSchemeAt(ctx, p.url, cards)
	if err != nil {
		return nil, err
	}
	if err := s.store.Update(ctx, func(tx *store.Tx) error {
		lanes, err := tx.AllLanes(ctx)
		if err != nil {
			return err
		}
		for _, l := range lanes {
			if err := tx.GiveLane(ctx, l, posterOf(l.Number)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	return s, p.settle(ctx)
}

// posterOf is whose a lane is, and so a card's records.
func posterOf(lane int) string { return fmt.Sprint("poster-", lane%four) }

// postedBy is the time of a group while posters post so many. Each poster has groups of its own cards, by a terminal a group; pays says whom a terminal's taps pay. That the
// records are kept first is not timed.
func (s *scheme) postedBy(posters, groups int, pays func(terminal int) int) (time.Duration, error) {
	shares := make([][]batch, posters)
	for i := range groups {
		b, err := s.drawFor(i%posters, posters)
		if err != nil {
			return 0, err
		}
		merchant := merchantOf(pays(s.turn % merchants))
		for j := range b.verified {
			b.verified[j].Claim.Merchant = merchant
		}
		if err := s.keep(b); err != nil {
			return 0, err
		}
		shares[i%posters] = append(shares[i%posters], b)
	}
	total, err := timed(func() error {
		var all errgroup.Group
		for i, share := range shares {
			all.Go(func() error {
				for _, b := range share {
					if err := s.postAs(posterOf(i), b); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return all.Wait()
	})
	return total / time.Duration(groups), err
}

// drawFor is a batch of random cards that one of so many posters has.
func (s *scheme) drawFor(poster, posters int) (batch, error) {
	picks := s.picks()
	for i := range picks {
		for !owned(numberOf(picks[i]), poster, posters) {
			picks[i] = s.random.IntN(s.cards)
		}
	}
	return s.batch(s.next(), picks)
}

func owned(card ids.CardNumber, poster, posters int) bool {
	return store.LaneOf(card)%posters == poster
}

// postAs posts a batch as a poster of the intake does.
func (s *scheme) postAs(poster string, b batch) error {
	var held store.Held
	if err := s.store.View(s.ctx, func(tx *store.Tx) (err error) {
		held, err = tx.LanesOf(s.ctx, poster)
		return err
	}); err != nil {
		return err
	}
	return s.store.Posting(s.ctx, func(tx *store.Tx) error {
		if err := tx.HoldLanes(s.ctx, held); err != nil {
			return err
		}
		return tx.PostGroup(s.ctx, s.group(), b.verified)
	})
}
