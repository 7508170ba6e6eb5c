package node

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/route"
	"github.com/purselane/purselane/backend/gateway/selfheal"
)

// probes are what channels of the plan in use are asked by, by the plan's names.
type probes struct {
	of atomic.Pointer[map[string]channel.Channel]
}

// use takes the channels of a plan.
func (p *probes) use(plan route.Plan, channels map[string]channel.Channel) {
	of := map[string]channel.Channel{}
	for _, a := range plan.Accounts {
		of[a.Channel] = channels[a.Name]
	}
	p.of.Store(&of)
}

// ask is the keeper's probe.
func (p *probes) ask(ctx context.Context, c health.Cell) bool {
	return selfheal.Prober(*p.of.Load())(ctx, c)
}

// Reload takes rules or routing plan, with their limits, an experiment with its plan, and the BIN table of a configuration that was read anew. All of it is checked first: where anything
// is wrong, nothing changes. What else differs in the gateway's section is refused, because it counts from the next start.
func (n *Node) Reload(c Config) error {
	if n.online == nil || c.Scheme == nil || c.Scheme.Gateway == nil {
		return errors.New("reload: this process runs no gateway, or the scheme has none any more")
	}
	if err := sameBut(*n.cfg.Scheme.Gateway, *c.Scheme.Gateway); err != nil {
		return err
	}
	plan := c.Scheme.Gateway.plan(n.cfg.Channels)
	plan.Version = n.online.channels.Plan().Version
	if c.Plan != nil {
		plan = *c.Plan
	}
	if err := c.Scheme.Gateway.checkPlan(plan); err != nil {
		return fmt.Errorf("reload: gateway: %w", err)
	}
	plan, err := covered(plan, n.cfg.Channels)
	if err != nil {
		return fmt.Errorf("reload: gateway: %w", err)
	}
	if c.Vault != nil && c.Vault.Bins != nil {
		if err := n.bins.May(c.Vault.Bins); err != nil {
			return fmt.Errorf("reload: gateway.cards.bins: %w", err)
		}
	}
	channels, e := n.online.channels, c.Scheme.Gateway.Experiment
	if err := channels.MayUse(plan); err != nil {
		return fmt.Errorf("reload: gateway: %w", err)
	}
	var variant route.Plan
	if e != nil && c.Variant != nil {
		if variant, err = covered(*c.Variant, n.cfg.Channels); err != nil {
			return fmt.Errorf("reload: gateway.experiment: %w", err)
		}
		if err := c.Scheme.Gateway.mayTry(channels, variant); err != nil {
			return fmt.Errorf("reload: gateway.experiment: %w", err)
		}
	}
	if err := channels.Use(plan); err != nil {
		return fmt.Errorf("reload: gateway: %w", err)
	}
	n.probes.use(plan, n.cfg.Channels)
	if e == nil || c.Variant == nil {
		channels.Rest()
	} else if err := channels.Try(variant, e.of()); err != nil {
		return fmt.Errorf("reload: gateway.experiment: %w", err)
	}
	if c.Vault != nil && c.Vault.Bins != nil {
		return n.bins.Use(c.Vault.Bins)
	}
	return nil
}

// sameBut reports what differs and is no rule, plan, experiment or BIN table.
func sameBut(was, is Gateway) error {
	for _, g := range []*Gateway{&was, &is} {
		g.Rules, g.Plan, g.Experiment = nil, "", nil
		if g.Cards != nil {
			cards := *g.Cards
			cards.Bins = ""
			g.Cards = &cards
		}
	}
	a, b := reflect.ValueOf(was), reflect.ValueOf(is)
	for i := range a.NumField() {
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			return fmt.Errorf("reload: gateway.%s was changed: that counts from the next start, and nothing was taken over", a.Type().Field(i).Tag.Get("yaml"))
		}
	}
	return nil
}
