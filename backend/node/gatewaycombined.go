package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/tcc"
)

// GatewayCombined is what an operator writes of combined payments: an account of kind combined.
type GatewayCombined struct {
	With     []string            `yaml:"with"`       // what payers may put together besides balance and points: accounts and products, as stripe/quick
	Refunds  tcc.Rule            `yaml:"refunds"`    // by-order or pro-rata
	Points   map[string]tcc.Rate `yaml:"points"`     // what points are worth, by their currency; none: none are taken
	OnTheWay time.Duration       `yaml:"on_the_way"` // how long a request may still reach a channel; 0: 5 minutes
}

// sweepLimit is how many payments one sweep carries on.
const sweepLimit = 100

// check tells every fault of the section.
func (g *Gateway) checkCombined(bad func(string, ...any)) {
	of := -1
	for i, a := range g.Accounts {
		if a.Kind != Combined {
			continue
		}
		if of >= 0 {
			bad("gateway.accounts[%d].kind: there is one combined account, accounts[%d]", i, of)
		}
		of = i
	}
	switch c := g.Combined; {
	case of < 0 && c == nil:
	case c == nil:
		bad("gateway.combined: want it: accounts[%d] is of combined payments", of)
	case of < 0:
		bad("gateway.combined: no account is of kind combined")
	default:
		c.check(g.Accounts, bad)
	}
}

func (c *GatewayCombined) check(accounts []GatewayAccount, bad func(string, ...any)) {
	for i, with := range c.With {
		id, product, _ := strings.Cut(with, "/")
		at := slices.IndexFunc(accounts, func(a GatewayAccount) bool { return a.ID == id })
		switch {
		case product == "" || at < 0:
			bad("gateway.combined.with[%d]: %q: want an account of the gateway and a product, as stripe/quick", i, with)
		case accounts[at].Kind == Combined || accounts[at].Kind == Balance:
			bad("gateway.combined.with[%d]: %q: balances and points are always there, and combined payments are not combined", i, with)
		}
	}
	if c.Refunds != tcc.ByOrder && c.Refunds != tcc.ProRata {
		bad("gateway.combined.refunds: %q: want %s or %s", c.Refunds, tcc.ByOrder, tcc.ProRata)
	}
	for currency, r := range c.Points {
		if r.Units <= 0 || r.Worth <= 0 {
			bad("gateway.combined.points.%s: want units and worth above nothing", currency)
		}
	}
	if c.OnTheWay < 0 {
		bad("gateway.combined.on_the_way: %v: want more than nothing, or leave it out", c.OnTheWay)
	}
}

// combine makes the channel of combined payments over the others, and its coordinator.
func (n *Node) combine(id string, others map[string]channel.Channel) (*tcc.Channel, error) {
	c, g := n.cfg, n.cfg.Scheme.Gateway
	at, set := c.Scheme.Location(), g.Combined
	participants := map[string]tcc.Participant{
		tcc.WithBalance: tcc.Balance{Store: n.store, Clock: c.Clock, Location: at},
		tcc.WithPoints:  tcc.Points{Store: n.store, Clock: c.Clock},
	}
	onTheWay := set.OnTheWay
	if onTheWay == 0 {
		onTheWay = 5 * time.Minute
	}
	for i, with := range set.With {
		account, product, _ := strings.Cut(with, "/")
		ch, p := others[account], channel.Product(product)
		if ch == nil || !slices.Contains(ch.Capabilities().Products, p) {
			return nil, fmt.Errorf("combined.with[%d]: account %s has no product %q", i, account, product)
		}
		participants[with] = tcc.Remote{Store: n.store, Channel: ch, ID: account, Clock: c.Clock, Location: at, OnTheWay: onTheWay,
			Request: func(_ context.Context, l tcc.Leg) (channel.PayRequest, error) {
				return channel.PayRequest{Product: p, NotifyURL: g.notifyURL(account), Payer: partsPayer(p, l.Account)}, nil
			}}
	}
	var err error
	if n.coordinator, err = tcc.New(tcc.Settings{Store: n.store, Participants: participants, Clock: c.Clock, Log: c.Log}); err != nil {
		return nil, err
	}
	return tcc.NewChannel(tcc.ChannelSettings{Coordinator: n.coordinator, ID: id, Currency: currencyOf(c.Scheme), Rule: set.Refunds, Points: set.Points})
}

// partsPayer is the payer of one part: what the product needs of him.
func partsPayer(p channel.Product, account string) channel.Payer {
	switch p {
	case channel.Quick, channel.Card:
		return channel.Payer{Token: account}
	case channel.Agreement:
		return channel.Payer{Agreement: account}
	case channel.JSAPI:
		return channel.Payer{OpenID: account}
	case channel.Code:
		return channel.Payer{Code: account}
	}
	return channel.Payer{}
}

// sweep carries on combined payments until ctx ends: those of a process that has died, too.
func (n *Node) sweep(ctx context.Context) error {
	for {
		if err := n.coordinator.Sweep(ctx, sweepLimit); err != nil && ctx.Err() == nil {
			n.cfg.Log.WarnContext(ctx, "combined payments: not carried on", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}
