package node

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/purselane/purselane/backend/gateway/keeper"
	"github.com/purselane/purselane/backend/gateway/outbox"
	"github.com/purselane/purselane/backend/gateway/route"
	"github.com/purselane/purselane/backend/gateway/selfheal"
	"github.com/purselane/purselane/backend/store"
)

// GatewayExperiment sends a part of payments by a second routing plan; docs/routing.md says when it ends by itself.
type GatewayExperiment struct {
	Name      string  `yaml:"name"` // a new one for each experiment
	Plan      string  `yaml:"plan"` // file, beside this one
	Part      float64 `yaml:"part"` // of payments, at most 0.5
	Seed      uint64  `yaml:"seed"`
	Sample    int     `yaml:"sample"`    // orders of each side before anything is said
	Guardrail float64 `yaml:"guardrail"` // loss of success, in points of one, that is too much
}

func (e *GatewayExperiment) of() route.Experiment {
	return route.Experiment{Name: e.Name, Seed: e.Seed, Part: e.Part, MinSample: e.Sample, Guardrail: e.Guardrail}
}

func (e *GatewayExperiment) check(bad func(string, ...any)) {
	if e == nil {
		return
	}
	if err := e.of().Check(); err != nil {
		bad("gateway.experiment: %w", err)
	}
	if e.Plan == "" {
		bad("gateway.experiment.plan: want the file with the second routing plan")
	}
}

// mayTry reports why the section's experiment cannot begin with a plan.
func (g *Gateway) mayTry(channels *selfheal.Channels, p route.Plan) error {
	if err := g.checkPlan(p); err != nil {
		return err
	}
	return channels.MayTry(p, g.Experiment.of())
}

// healing chooses channels, and takes out and brings back those that are ill.
type healing struct {
	keep     *keeper.Keeper
	channels *selfheal.Channels
	run      []func(context.Context) error
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
	plan, err := covered(plan, c.Channels)
	if err != nil {
		return healing{}, err
	}
	n.probes.use(plan, c.Channels)
	keep := keeper.New(n.store, keeper.Config{Settings: g.HealthOf, Clock: c.Clock, Probe: n.probes.ask,
		Sinks: g.Sinks(), Log: c.Log})
	channels, err := selfheal.New(keep, plan, c.Clock)
	if err != nil {
		return healing{}, fmt.Errorf("routing plan: %w", err)
	}
	h := healing{keep: keep, channels: channels}
	told, err := n.tell()
	if err != nil {
		return healing{}, err
	}
	h.run = append(told, keep.Run, n.publish(h), channels.Record(n.store, c.Log), channels.Limits(n.store, c.Log), channels.Judge(n.store, c.Log))
	if g.Experiment != nil && c.Variant != nil {
		variant, err := covered(*c.Variant, c.Channels)
		if err != nil {
			return healing{}, err
		}
		if err := g.mayTry(channels, variant); err != nil {
			return healing{}, err
		}
		if err := channels.Try(variant, g.Experiment.of()); err != nil {
			return healing{}, err
		}
	}
	return h, n.assume(h)
}

// assume takes over what the last fall-back file says of channels' health, until the database is heard.
func (n *Node) assume(h healing) error {
	at, err := h.channels.Assume(FallbackPath(n.cfg.Dir), n.routeKey().Public().(ed25519.PublicKey))
	switch {
	case errors.Is(err, route.ErrFallback):
		n.cfg.Log.Warn("the routing fall-back file is not used", "error", err) // it is written anew at once
		return nil
	case err != nil:
		return err
	case !at.IsZero():
		n.cfg.Log.Info("routing starts from the fall-back file, until the database is heard", "age", n.cfg.Clock.Now().Sub(at).Round(time.Second))
	}
	return nil
}

// publish writes the fall-back file again and again.
func (n *Node) publish(h healing) func(context.Context) error {
	return func(ctx context.Context) error {
		return h.channels.PublishAlways(ctx, selfheal.Publishing{Path: FallbackPath(n.cfg.Dir), Key: n.routeKey(), Log: n.cfg.Log})
	}
}

func (n *Node) routeKey() ed25519.PrivateKey { return RouteKey(n.cfg.TokenKey) }

// FallbackPath is where a node keeps its routing fall-back file.
func FallbackPath(dir string) string { return filepath.Join(dir, "routing.fallback") }

// RouteKey signs the fall-back file. Like [GatewayKey] it is made from the scheme's token key.
func RouteKey(tokenKey []byte) ed25519.PrivateKey {
	h := hmac.New(sha256.New, tokenKey)
	h.Write([]byte("purselane-route-fallback-key-1"))
	return ed25519.NewKeyFromSeed(h.Sum(nil))
}

// Channels chooses the gateway's channels; nil where this process runs no gateway.
func (n *Node) Channels() *selfheal.Channels {
	if n.online == nil {
		return nil
	}
	return n.online.channels
}

// LogSink is told of channels that go out and come back; one of the processes that run the gateway logs each move.
const LogSink = "log"

// AppsSink tells apps by their webhooks.
const AppsSink = "apps"

// logMove is an operator's first word of a channel's move; docs/channel-health.md says what is in it.
func logMove(log *slog.Logger) outbox.Handler {
	return func(ctx context.Context, m store.OutboxMessage) error {
		log.WarnContext(ctx, "payment channel", "notice", string(m.Body))
		return nil
	}
}
