package sinks

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/keeper"
	"github.com/purselane/purselane/backend/gateway/outbox"
	"github.com/purselane/purselane/backend/store"
)

// within is how long one message may take; then it comes again.
const within = 10 * time.Second

// Filter says what a sink is told of. The zero Filter lets everything through.
type Filter struct {
	Channels []string // none: all
	Faults   bool     // only what begins and ends a fault, and alarms
}

func (f Filter) wants(n keeper.Notice) bool {
	if len(f.Channels) > 0 && !slices.Contains(f.Channels, n.Channel) {
		return false
	}
	return !f.Faults || n.Alarm || n.Action == string(health.SetFault) || n.Action == string(health.SetNormal)
}

// filtered gives deliver what a sink is told of, for a time.
func filtered(f Filter, deliver func(context.Context, store.OutboxMessage, keeper.Notice) error) outbox.Handler {
	return func(ctx context.Context, m store.OutboxMessage) error {
		var n keeper.Notice
		if err := json.Unmarshal(m.Body, &n); err != nil {
			return fmt.Errorf("notice %s: %w", m.ID, err)
		}
		if !f.wants(n) {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		return deliver(ctx, m, n)
	}
}
