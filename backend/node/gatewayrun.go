package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/purselane/purselane/backend/gateway"
	gatewayapi "github.com/purselane/purselane/backend/gateway/api"
	"github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/keeper"
	"github.com/purselane/purselane/backend/gateway/outbox"
	"github.com/purselane/purselane/backend/gateway/sealed"
	"github.com/purselane/purselane/backend/gateway/selfheal"
	"github.com/purselane/purselane/backend/gateway/webhook"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
)

// online is the gateway and what goes with it.
type online struct {
	service *gateway.Service
	api     http.Handler
	run     []func(context.Context) error
}

// openGateway joins the gateway's parts; n.topup is there.
func (n *Node) openGateway() (*online, error) {
	c, g := n.cfg, n.cfg.Scheme.Gateway
	if c.Channels == nil {
		return nil, nil // a tool's work, or a scheme without a gateway
	}
	if g == nil {
		return nil, errors.New("node: Channels are set, and the scheme has no gateway")
	}
	registry, err := code.NewRegistry(g.Products, g.Companies)
	if err != nil {
		return nil, err
	}
	var accounts []gateway.Account
	for _, a := range g.Accounts {
		ch := c.Channels[a.ID]
		if ch == nil {
			return nil, fmt.Errorf("node: account %s of the gateway has no channel", a.ID)
		}
		accounts = append(accounts, gateway.Account{ID: a.ID, Company: a.Company, Number: a.Number, Channel: ch, NotifyURL: g.notifyURL(a.ID), FeePPM: a.FeePPM})
	}
	plan := g.plan(c.Channels)
	if c.Plan != nil {
		plan = *c.Plan
	}
	if err := g.checkPlan(plan); err != nil {
		return nil, err
	}
	probed := map[string]channel.Channel{} // what one plan's channel is asked by
	for _, a := range plan.Accounts {
		probed[a.Channel] = c.Channels[a.Name]
	}
	keep := keeper.New(n.store, keeper.Config{Settings: func(health.Cell) health.Settings { return health.Defaults() }, Clock: c.Clock, Probe: selfheal.Prober(probed),
		Sinks: []string{LogSink}, Log: c.Log})
	channels, err := selfheal.New(keep, plan, c.Clock)
	if err != nil {
		return nil, fmt.Errorf("routing plan: %w", err)
	}
	service, err := gateway.New(n.store, c.Clock, gateway.Config{
		Registry: registry, Accounts: accounts, Router: channels, Watch: channels.Watch, Currency: c.Scheme.Currency, Location: c.Scheme.Location(), Log: c.Log,
		OnPaid: func(ctx context.Context, tx *store.Tx, o gateway.Order) error {
			return n.topup.PaidOnline(ctx, tx, o.ID, o.Received)
		},
		OnRefund: func(ctx context.Context, tx *store.Tx, o gateway.Order, back money.Amount) error {
			return n.topup.GiveBackOnline(ctx, tx, o.ID, back)
		},
	})
	if err != nil {
		return nil, err
	}
	box, err := sealed.New(GatewayKey(c.TokenKey))
	if err != nil {
		return nil, err
	}
	apps, err1 := app.New(n.store, app.Config{Box: box, Clock: c.Clock, Log: c.Log})
	hooks, err2 := webhook.New(n.store, webhook.Config{Box: box, Clock: c.Clock, Log: c.Log})
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	relay, err := outbox.New(n.store, outbox.Config{Handlers: map[string]outbox.Handler{webhook.Topic: hooks.Take, keeper.Topic(LogSink): logMove(c.Log)}, Clock: c.Clock, Log: c.Log})
	if err != nil {
		return nil, err
	}
	api, err := gatewayapi.New(gatewayapi.Config{Gateway: service, Apps: apps, Clock: c.Clock, Log: c.Log})
	if err != nil {
		return nil, err
	}
	return &online{service: service, api: api, run: []func(context.Context) error{service.Run, keep.Run, relay.Run, hooks.Run, apps.Run}}, nil
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

// Gateway is the online gateway, nil where this process runs none.
func (n *Node) Gateway() *gateway.Service {
	if n.online == nil {
		return nil
	}
	return n.online.service
}

// GatewayAPI is the gateway's HTTP API, with /notify/ACCOUNT for the channels; nil where this process runs no gateway. It must see the path that was sent.
func (n *Node) GatewayAPI() http.Handler {
	if n.online == nil {
		return nil
	}
	return n.online.api
}
