package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/purselane/purselane/backend/gateway"
	gatewayapi "github.com/purselane/purselane/backend/gateway/api"
	"github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/holdings"
	"github.com/purselane/purselane/backend/gateway/outbox"
	"github.com/purselane/purselane/backend/gateway/sealed"
	"github.com/purselane/purselane/backend/gateway/selfheal"
	"github.com/purselane/purselane/backend/gateway/trace"
	"github.com/purselane/purselane/backend/gateway/webhook"
	"github.com/purselane/purselane/backend/history"
	"github.com/purselane/purselane/backend/risk/desk"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
)

// online is the gateway and what goes with it.
type online struct {
	service  *gateway.Service
	channels *selfheal.Channels
	risk     *desk.Desk    // nil: none
	trace    *trace.File   // nil: none
	history  *history.Feed // nil: none
	api      http.Handler
	run      []func(context.Context) error
}

// openGateway joins the gateway's parts; n.topup is there.
func (n *Node) openGateway(ctx context.Context) (*online, error) {
	c, g := n.cfg, n.cfg.Scheme.Gateway
	if c.Channels == nil {
		return nil, nil // a tool's work, or a scheme without a gateway
	}
	if g == nil {
		return nil, errors.New("node: Channels are set, and the scheme has no gateway")
	}
	if err := errors.Join(n.openVault(), n.makeChannels(ctx)); err != nil {
		return nil, err
	}
	c = n.cfg
	accounts, err := n.gatewayAccounts()
	if err != nil {
		return nil, err
	}
	healing, err := n.gatewayHealth()
	if err != nil {
		return nil, err
	}
	assessor, err := n.openRisk(ctx)
	if err != nil {
		return nil, fmt.Errorf("risk: %w", err)
	}
	spans, err := n.openTraces()
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	service, err := n.gatewayService(accounts, healing, assessor, spans)
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
	handlers := map[string]outbox.Handler{webhook.Topic: hooks.Take}
	relay, err := outbox.New(n.store, outbox.Config{Handlers: handlers, Clock: c.Clock, Log: c.Log})
	if err != nil {
		return nil, err
	}
	api, err := gatewayapi.New(gatewayapi.Config{Gateway: service, Apps: apps, Clock: c.Clock, Log: c.Log})
	if err != nil {
		return nil, err
	}
	points, err := holdings.New(n.store, holdings.Config{Currency: currencyOf(c.Scheme), Location: c.Scheme.Location(), Clock: c.Clock, Log: c.Log})
	if err != nil {
		return nil, err
	}
	run := append([]func(context.Context) error{service.Run, relay.Run, hooks.Run, apps.Run, points.Run}, healing.run...)
	run = append(run, func(ctx context.Context) error { return n.returned(ctx, service) })
	if assessor != nil {
		run = append(run, assessor.Run, n.lately.Run)
	}
	feed, err := n.openHistory(ctx)
	if err != nil {
		return nil, err
	}
	if feed != nil {
		run = append(run, feed.Run)
	}
	return &online{history: feed, service: service, channels: healing.channels, risk: assessor, trace: spans, api: api, run: append(run, n.owing()...)}, nil
}

// gatewayService is the gateway over these accounts; loads are sold by it.
func (n *Node) gatewayService(accounts []gateway.Account, healing healing, assessor *desk.Desk, spans *trace.File) (*gateway.Service, error) {
	c, g := n.cfg, n.cfg.Scheme.Gateway
	registry, err := code.NewRegistry(g.Products, g.Companies)
	if err != nil {
		return nil, err
	}
	box, err := sealed.New(GatewayKey(c.TokenKey))
	if err != nil {
		return nil, err
	}
	var assess gateway.Risk // nil: everything passes
	if assessor != nil {
		assess = assessor
	}
	var tracer gateway.Tracer // nil: nobody looks
	if spans != nil {
		tracer = spans
	}
	phones, err := n.phoneCodes()
	if err != nil {
		return nil, err
	}
	var owners app.Owners
	return gateway.New(n.store, c.Clock, gateway.Config{
		Registry: registry, Box: box, Accounts: accounts, Router: healing.channels, Risk: assess, Trace: tracer, Watch: healing.channels.Watch, Out: healing.channels.Out, Currency: c.Scheme.Currency, Location: c.Scheme.Location(), Log: c.Log, Cards: n.cardOf, Typed: n.typedOf(), ForgetTyped: n.forgetTyped(), PhoneCodes: phones,
		OnPaid: func(ctx context.Context, tx *store.Tx, o gateway.Order) error {
			return n.topup.PaidOnline(ctx, tx, o.ID, o.Received)
		},
		OnRefund: func(ctx context.Context, tx *store.Tx, o gateway.Order, back money.Amount) error {
			return loadError(n.topup.GiveBackOnline(ctx, tx, o.ID, back))
		},
		OnTopUp:    func(m channel.Money) error { return loadError(n.topup.MayLoad(m.Amount)) },
		MaxBalance: c.Scheme.MaxBalance,
		EarnAfter:  g.Times.EarnAfter, ClaimFor: g.Times.ClaimFor, HoldFor: g.Times.HoldFor, ReserveFor: g.Times.ReserveFor,
		Rate: g.rate,
		Own: func(ctx context.Context, id string) (own, others []string, err error) {
			return owners.Own(ctx, n.store, id)
		},
	})
}

// gatewayAccounts are the scheme's accounts with the channels that speak for them.
func (n *Node) gatewayAccounts() ([]gateway.Account, error) {
	g := n.cfg.Scheme.Gateway
	var accounts []gateway.Account
	for _, a := range g.Accounts {
		ch := n.cfg.Channels[a.ID]
		if ch == nil {
			return nil, fmt.Errorf("node: account %s of the gateway has no channel", a.ID)
		}
		accounts = append(accounts, gateway.Account{ID: a.ID, Company: a.Company, Number: a.Number, Channel: ch, NotifyURL: g.notifyURL(a.ID), FeePPM: a.FeePPM})
	}
	return accounts, nil
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
