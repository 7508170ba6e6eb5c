package ledger

import (
	"context"
	"log/slog"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
)

// settleTime is how long a day is left alone after it is over: what is under way at midnight is done then.
const settleTime = 2 * time.Hour

// Due is the latest day whose proof is due at a moment, which is in the scheme's time zone.
func Due(now time.Time) string {
	return now.Add(-settleTime).AddDate(0, 0, -1).Format(time.DateOnly)
}

// Nightly proves the books once a night.
type Nightly struct {
	Store    *store.Store
	Clock    clock.Clock
	Location *time.Location // of the scheme
	Log      *slog.Logger
	// Also is done once a night beside the proof; nil: nothing. If it fails it is done again.
	Also func(ctx context.Context) error

	done string // the last day that was looked at
}

// Run looks every so often whether a proof is due, until ctx ends. A proof that fails is logged as an error and does not stop the backend:
// taps that are accepted must be kept, whatever the books say.
func (n *Nightly) Run(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := n.Step(ctx); err != nil && ctx.Err() == nil {
			n.Log.Error("the night's proof could not be made; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Step proves the day that is due, if nobody has. Run calls it.
func (n *Nightly) Step(ctx context.Context) error {
	now := n.Clock.Now().In(n.Location)
	day := Due(now)
	if day == n.done {
		return nil
	}
	p, err := ProveDay(ctx, n.Store, day, now)
	if err != nil {
		return err
	}
	if n.Also != nil {
		if err := n.Also(ctx); err != nil {
			return err
		}
	}
	n.done = day
	if p.Passed {
		n.Log.Info("the books are proved", "day", day)
		return nil
	}
	for _, c := range p.Checks {
		if !c.Passed {
			n.Log.Error("the books are not sound: nothing is to be paid until they are", "day", day, "check", c.Name, "faults", len(c.Faults), "first", c.Faults[0], "do", c.Do)
		}
	}
	return nil
}
