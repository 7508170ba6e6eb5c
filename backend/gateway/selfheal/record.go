package selfheal

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/purselane/purselane/backend/gateway/route"
	"github.com/purselane/purselane/backend/store"
)

// How often decisions are brought to the store, how many a process holds while that is away, how long they are kept there, and how often old ones are looked for.
const (
	recordEvery   = 500 * time.Millisecond
	maxDecisions  = 10_000
	keepDecisions = 35 * 24 * time.Hour
	pruneEvery    = time.Hour
)

// recorder notes why payments went where they went. A decision waits for nothing: what cannot be kept is counted and dropped, because it is for people's eyes.
type recorder struct {
	mu      sync.Mutex
	waiting []store.ChannelDecision
	dropped int
}

func (r *recorder) add(d store.ChannelDecision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) >= maxDecisions {
		r.dropped++
		return
	}
	r.waiting = append(r.waiting, d)
}

func (r *recorder) take() (out []store.ChannelDecision, dropped int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out, dropped = r.waiting, r.dropped
	r.waiting, r.dropped = nil, 0
	return out, dropped
}

// RecordedReason is a [route.Reason] as it is kept.
type RecordedReason struct {
	Rule    string        `json:"rule"`
	Account string        `json:"account"`
	Verdict route.Verdict `json:"verdict"`
	Place   int           `json:"place,omitempty"`
	Success float64       `json:"success"`
	Lo      float64       `json:"lo"`
	Hi      float64       `json:"hi"`
	Seen    int           `json:"seen"`
	Fee     int64         `json:"fee"`
	Share   float64       `json:"share"`
}

// Reasons reads what was recorded.
func Reasons(d store.ChannelDecision) ([]route.Reason, error) {
	var all []RecordedReason
	if err := json.Unmarshal(d.Reasons, &all); err != nil {
		return nil, err
	}
	out := make([]route.Reason, len(all))
	for i, r := range all {
		out[i] = route.Reason(r)
	}
	return out, nil
}

// record notes a decision.
func (x *Channels) record(q *route.Question, order, rule string, names []string) {
	if x.recorder == nil || order == "" {
		return
	}
	why, err := x.router.Explain(q)
	if err != nil {
		return // the decision itself has said so
	}
	all := make([]RecordedReason, len(why))
	for i, r := range why {
		r.Place = 0
		for k, name := range names { // what was decided: asked again, another might be in turn
			if r.Account == name && r.Rule == rule {
				r.Place = k + 1
			}
		}
		all[i] = RecordedReason(r)
	}
	body, err := json.Marshal(all)
	if err != nil {
		return // no number here is one that JSON does not have
	}
	d := store.ChannelDecision{Order: order, At: q.Now, Rule: rule, Accounts: names, Reasons: body}
	d.Experiment, d.Variant, d.Plan = x.router.Side(q.Key)
	x.recorder.add(d)
}

// Record notes decisions in a store from now on; what it returns brings them there until its context ends.
func (x *Channels) Record(st *store.Store, log *slog.Logger) func(context.Context) error {
	x.recorder = &recorder{}
	return func(ctx context.Context) error {
		t := time.NewTicker(recordEvery)
		defer t.Stop()
		var pruned time.Time
		for ended := false; !ended; { // what was decided up to the end is kept too
			select {
			case <-ctx.Done():
				ended = true
			case <-t.C:
			}
			x.KeepRecords(context.WithoutCancel(ctx), st, log)
			if now := x.clock.Now(); now.Sub(pruned) >= pruneEvery && !ended {
				pruned = now
				if err := st.Update(ctx, func(tx *store.Tx) error { return tx.PruneChannelDecisions(ctx, now.Add(-keepDecisions)) }); err != nil && ctx.Err() == nil {
					log.Error("channel decisions: old ones are not forgotten", "error", err)
				}
			}
		}
		return nil
	}
}

// KeepRecords brings what was decided to the store. What it does not take waits.
func (x *Channels) KeepRecords(ctx context.Context, st *store.Store, log *slog.Logger) {
	all, dropped := x.recorder.take()
	if dropped > 0 {
		log.Warn("channel decisions were not recorded: the store did not take them in time", "decisions", dropped)
	}
	if len(all) == 0 {
		return
	}
	if err := st.Update(ctx, func(tx *store.Tx) error { return tx.AddChannelDecisions(ctx, all) }); err != nil {
		log.Error("channel decisions are not recorded yet", "decisions", len(all), "error", err)
		for _, d := range all {
			x.recorder.add(d)
		}
	}
}
