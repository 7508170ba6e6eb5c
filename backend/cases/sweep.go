package cases

import (
	"context"
	"errors"
	"time"

	"github.com/purselane/purselane/backend/store"
)

// atOnce is how many cases a transaction opens or ends: what waits behind it is posting.
const atOnce = 100

// sweeper stands in the trail for nobody's decision.
const sweeper = "the sweep"

// Swept is what a sweep did.
type Swept struct {
	Opened int // cases of taps that nothing has decided for long, or that came too late
	Ended  int // cases whose taps have decided themselves
}

// Sweep ends the cases whose taps have decided themselves, and opens one for each tap that nothing has decided for long, or that a closed day let expire. Sweeping again changes nothing.
func (s *Service) Sweep(ctx context.Context) (Swept, error) {
	var out Swept
	for {
		ended, opened, expired := 0, 0, 0
		err := s.store.Update(ctx, func(tx *store.Tx) error {
			var err error
			if ended, err = s.end(ctx, tx); err != nil {
				return err
			}
			if opened, err = s.openAged(ctx, tx); err != nil {
				return err
			}
			expired, err = s.openExpired(ctx, tx)
			return err
		})
		if err != nil {
			return out, err
		}
		out.Opened, out.Ended = out.Opened+opened+expired, out.Ended+ended
		if ended < atOnce && opened < atOnce && expired < atOnce {
			return out, nil
		}
	}
}

func (s *Service) end(ctx context.Context, tx *store.Tx) (int, error) {
	all, err := tx.OvercomeCases(ctx, atOnce)
	if err != nil {
		return 0, err
	}
	for i := range all {
		why := "the tap is " + all[i].Status.String()
		if Kind(all[i].Kind) == Expired {
			why = "the last closed day no longer says that it came too late"
		}
		if err := s.move(ctx, tx, &all[i], Overcome, sweeper, why); err != nil {
			return 0, err
		}
	}
	return len(all), nil
}

func (s *Service) openAged(ctx context.Context, tx *store.Tx) (int, error) {
	all, err := tx.AgedClaims(ctx, s.now().Add(-s.cfg.After), atOnce)
	if err != nil {
		return 0, err
	}
	for _, c := range all {
		kind, err := kindOf(c.Status)
		if err != nil {
			return 0, err
		}
		if _, err := s.add(ctx, tx, c.TapKey, kind, sweeper, "the tap is "+c.Status.String()); err != nil {
			return 0, err
		}
	}
	return len(all), nil
}

func (s *Service) openExpired(ctx context.Context, tx *store.Tx) (int, error) {
	all, err := tx.ExpiredClaims(ctx, atOnce)
	if err != nil {
		return 0, err
	}
	opened := 0
	for _, k := range all {
		_, err := tx.RunningCase(ctx, k)
		if err == nil {
			continue // of another kind: from before it stood, which the next sweep ends, or of its holder, which somebody decides
		}
		if !errors.Is(err, store.ErrNotFound) {
			return 0, err
		}
		if _, err := s.add(ctx, tx, k, Expired, sweeper, "the tap stands, and came too late to be paid for"); err != nil {
			return 0, err
		}
		opened++
	}
	return opened, nil
}

// Run sweeps at once and then every so often, until ctx ends. What fails is logged and made again.
func (s *Service) Run(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.ErrorContext(ctx, "cases", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
