package holdings

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
)

// expireEvery is the pause between two looks for points that have expired, and expireAtOnce how many lots one transaction ends.
const (
	expireEvery  = time.Minute
	expireAtOnce = 100
)

// Run takes back what has expired until ctx ends. Any number of processes may.
func (s *Service) Run(ctx context.Context) error {
	for {
		if err := s.Expire(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.WarnContext(ctx, "points: not looked for what has expired", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(expireEvery):
		}
	}
}

// Expire takes back what is left of points that have expired.
func (s *Service) Expire(ctx context.Context) error {
	for {
		ended := 0
		err := s.store.Update(ctx, func(tx *store.Tx) error {
			ended = 0
			due, err := tx.PointsLotsDue(ctx, s.cfg.Clock.Now(), expireAtOnce)
			for _, l := range due {
				if err := s.end(ctx, tx, l); err != nil {
					return fmt.Errorf("points %s: %w", l.ID, err)
				}
			}
			ended = len(due)
			return err
		})
		if err != nil || ended < expireAtOnce {
			return err
		}
	}
}

// end takes back what is left of a lot, but for what is held for a payment: if that is not made, the holder keeps it.
func (s *Service) end(ctx context.Context, tx *store.Tx, l store.PointsLot) error {
	if mine, err := tx.EndPointsLot(ctx, l.ID); err != nil || !mine {
		return err
	}
	balance, held, err := tx.Points(ctx, l.Holder, l.Currency)
	if err != nil {
		return err
	}
	lots, err1 := tx.PointsLots(ctx, l.Holder, l.Currency)
	entries, err2 := tx.PointsEntries(ctx, l.Holder)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	left := money.Minor(min(leftOf(l, lots, entries), balance.Minor()-held.Minor()))
	if left.Sign() <= 0 {
		return nil
	}
	return tx.MovePoints(ctx, expiredID(l), l.Holder, "", l.Currency, left, l.ID, s.cfg.Clock.Now())
}

func expiredID(l store.PointsLot) string { return "expired:" + l.ID }

// leftOf is what is left of a lot after a holder's entries: what expires first is used first, and what never expires last. lots are ordered by when they expire.
func leftOf(l store.PointsLot, lots []store.PointsLot, entries []store.PointsEntry) int64 {
	left := map[string]int64{} // of each lot
	others, owed := int64(0), int64(0)
	use := func(from, want int64) (rest, open int64) { n := min(from, want); return from - n, want - n }
	for _, e := range entries {
		if e.Currency != l.Currency {
			continue
		}
		of := slices.IndexFunc(lots, func(x store.PointsLot) bool { return x.ID == e.Ref })
		amount := e.Amount.Minor()
		switch {
		case amount < 0 && of >= 0 && e.ID == expiredID(lots[of]):
			left[lots[of].ID] += amount
		case amount < 0:
			owed -= amount
		case of >= 0:
			left[lots[of].ID] += amount
		default:
			others += amount
		}
		for _, x := range lots { // what is owed longer than an entry was written in the same millisecond as what it takes
			left[x.ID], owed = use(left[x.ID], owed)
		}
		others, owed = use(others, owed)
	}
	return left[l.ID]
}
