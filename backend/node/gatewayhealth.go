package node

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/keeper"
	"github.com/purselane/purselane/backend/gateway/outbox"
	"github.com/purselane/purselane/backend/gateway/selfheal"
	"github.com/purselane/purselane/backend/store"
)

// healing chooses channels, and takes out and brings back those that are ill.
type healing struct {
	keep     *keeper.Keeper
	channels *selfheal.Channels
}

// gatewayHealth joins routing plan and keeper.
func (n *Node) gatewayHealth() (healing, error) {
	c, g := n.cfg, n.cfg.Scheme.Gateway
	plan := g.plan(c.Channels)
	if c.Plan != nil {
		plan = *c.Plan
	}
	if err := g.checkPlan(plan); err != nil {
		return healing{}, err
	}
	probed := map[string]channel.Channel{} // what one plan's channel is asked by
	for _, a := range plan.Accounts {
		probed[a.Channel] = c.Channels[a.Name]
	}
	keep := keeper.New(n.store, keeper.Config{Settings: func(health.Cell) health.Settings { return health.Defaults() }, Clock: c.Clock, Probe: selfheal.Prober(probed),
		Sinks: []string{LogSink}, Log: c.Log})
	channels, err := selfheal.New(keep, plan, c.Clock)
	if err != nil {
		return healing{}, fmt.Errorf("routing plan: %w", err)
	}
	return healing{keep, channels}, nil
}

// handle adds who is told of channels' moves.
func (h healing) handle(handlers map[string]outbox.Handler, log *slog.Logger) {
	handlers[keeper.Topic(LogSink)] = logMove(log)
}

// LogSink is told of channels that go out and come back; one of the processes that run the gateway logs each move.
const LogSink = "log"

// logMove is an operator's first word of a channel's move; docs/channel-health.md says what is in it.
func logMove(log *slog.Logger) outbox.Handler {
	return func(ctx context.Context, m store.OutboxMessage) error {
		log.WarnContext(ctx, "payment channel", "notice", string(m.Body))
		return nil
	}
}
