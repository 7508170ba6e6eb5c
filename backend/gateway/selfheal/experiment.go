package selfheal

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/purselane/purselane/backend/gateway/route"
	"github.com/purselane/purselane/backend/store"
)

// judgeEvery is how often an experiment is looked at.
const judgeEvery = 10 * time.Second

// Try begins an experiment with a second plan, or goes on with it; one that has ended once stays ended, in every process and for ever: a new one wants a new name.
// Sides are counted in the store by what was recorded, so [Channels.Record] must run. What it returns watches the experiment until ctx ends and stops it when it does harm.
func (x *Channels) Try(p route.Plan, e route.Experiment, st *store.Store, log *slog.Logger) (func(context.Context) error, error) {
	if err := x.router.Try(p, e); err != nil {
		return nil, err
	}
	for _, a := range p.Accounts {
		x.keeper.Watch(a.Channel)
	}
	return func(ctx context.Context) error {
		t := time.NewTicker(judgeEvery)
		defer t.Stop()
		for {
			running, err := x.JudgeTrial(ctx, e, st, log)
			if err != nil && ctx.Err() == nil {
				log.Error("routing experiment: not looked at", "experiment", e.Name, "error", err)
			}
			if err == nil && !running {
				return nil
			}
			select {
			case <-ctx.Done():
				return nil
			case <-t.C:
			}
		}
	}, nil
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
	x.router.EndTrial()
	if ended {
		log.Warn("routing experiment stopped by itself", "experiment", e.Name, "why", why)
	}
	return false, nil
}
