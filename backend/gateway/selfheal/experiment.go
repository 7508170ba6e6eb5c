package selfheal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"github.com/purselane/purselane/backend/gateway/route"
	"github.com/purselane/purselane/backend/store"
)

// judgeEvery is how often an experiment is looked at.
const judgeEvery = 10 * time.Second

// What was decided before so long is added up for good, and how often that is written.
const (
	settledAfter = time.Hour
	foldEvery    = 10 * time.Minute
)

// ErrSameName says that an experiment under way may not become another one.
var ErrSameName = errors.New("an experiment that runs keeps its plan, part and seed: give another one a new name")

// MayTry reports why an experiment cannot begin, or go on, in place of the one that runs. It changes nothing.
func (x *Channels) MayTry(p route.Plan, e route.Experiment) error {
	if err := errors.Join(e.Check(), x.router.Check(p)); err != nil {
		return fmt.Errorf("experiment %s: %w", e.Name, err)
	}
	if was, plan, runs := x.router.Trial(); runs && was.Name == e.Name && (was.Part != e.Part || was.Seed != e.Seed || !reflect.DeepEqual(plan, p)) {
		return fmt.Errorf("experiment %s: %w", e.Name, ErrSameName)
	}
	return nil
}

// Try begins an experiment with a second plan, or goes on with it, in place of one that runs; one that has ended once stays ended, in every process and for ever: a new one wants a new name.
// Sides are counted in the store by what was recorded, so [Channels.Record] must run, and so must [Channels.Judge].
func (x *Channels) Try(p route.Plan, e route.Experiment) error {
	if err := x.MayTry(p, e); err != nil {
		return err
	}
	if err := x.router.Try(p, e); err != nil {
		return err
	}
	for _, a := range p.Accounts {
		x.keeper.Watch(a.Channel)
	}
	select {
	case x.tried <- struct{}{}:
	default:
	}
	return nil
}

// Rest has this process send nothing by the experiment that runs. It is not ended by that: named again, it goes on.
func (x *Channels) Rest() {
	if e, _, runs := x.router.Trial(); runs {
		x.router.EndTrial(e.Name)
	}
}

// Judge watches the experiment that runs until ctx ends, and stops it when it does harm.
func (x *Channels) Judge(st *store.Store, log *slog.Logger) func(context.Context) error {
	return func(ctx context.Context) error {
		t := time.NewTicker(judgeEvery)
		defer t.Stop()
		for {
			if e, _, runs := x.router.Trial(); runs {
				if _, err := x.JudgeTrial(ctx, e, st, log); err != nil && ctx.Err() == nil {
					log.Error("routing experiment: not looked at", "experiment", e.Name, "error", err)
				}
			}
			select {
			case <-ctx.Done():
				return nil
			case <-t.C:
			case <-x.tried:
			}
		}
	}
}

// JudgeTrial looks at an experiment once: where it does harm, or has been ended by another process or a person, all payments go by the plan again.
func (x *Channels) JudgeTrial(ctx context.Context, e route.Experiment, st *store.Store, log *slog.Logger) (running bool, _ error) {
	var now store.ChannelExperiment
	var f route.Finding
	why := ""
	ended := false
	err := st.Update(ctx, func(tx *store.Tx) (err error) {
		why, ended = "", false
		if now, err = tx.BeginChannelExperiment(ctx, e.Name, x.clock.Now()); err != nil || !now.Ended.IsZero() {
			return err
		}
		if settled := x.clock.Now().Add(-settledAfter); settled.Sub(now.Counted) >= foldEvery {
			if err := tx.FoldChannelArms(ctx, e.Name, settled); err != nil {
				return err
			}
		}
		base, variant, err := tx.ChannelArms(ctx, e.Name)
		if err != nil {
			return err
		}
		if f = e.Judge(route.Arm{Payments: base.Orders, Succeeded: base.Good}, route.Arm{Payments: variant.Orders, Succeeded: variant.Good}); !f.Stop {
			return nil
		}
		why = fmt.Sprintf("guardrail: success changed by %+.1f points (%+.1f to %+.1f), %d and %d orders", 100*f.Gain, 100*f.Lo, 100*f.Hi, base.Orders, variant.Orders)
		ended, err = tx.EndChannelExperiment(ctx, e.Name, why, x.clock.Now())
		return err
	})
	if err != nil {
		return true, err
	}
	if now.Ended.IsZero() && why == "" {
		return true, nil
	}
	x.router.EndTrial(e.Name)
	if ended {
		log.Warn("routing experiment stopped by itself", "experiment", e.Name, "why", why)
	}
	return false, nil
}
