package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
)

// PayoutsCmd is `purselane payouts`.
type PayoutsCmd struct {
	List     PayoutsListCmd     `cmd:"" help:"List what the gateway has paid out, the newest first."`
	Returned PayoutsReturnedCmd `cmd:"" help:"Ask that an unconfirmed pay-out be booked back, because the channel's bill does not have it; a second person asks for the same."`
	Resend   PayoutsResendCmd   `cmd:"" help:"Ask that a withdrawal that came back be sent once more; a second person asks for the same. The backend sends it."`
	TakeBack PayoutsTakeBackCmd `cmd:"" help:"Forget what one person has asked for a pay-out."`
}

// withOrders does a tool's work on the gateway's orders. It has no channels: what is to be sent a running backend sends.
func (f schemeFolder) withOrders(ctx context.Context, do func(*gateway.Service) error) error {
	scheme, err := f.scheme()
	if err != nil {
		return err
	}
	registry, err := code.NewRegistry(nil, nil)
	if err != nil {
		return err
	}
	return f.withStore(ctx, func(s *store.Store) error {
		g, err := gateway.New(s, clock.System{}, gateway.Config{Registry: registry, Router: gateway.FixedRouter{}, Currency: scheme.Currency, Location: scheme.Location()})
		if err != nil {
			return err
		}
		return do(g)
	})
}

// PayoutsListCmd is `purselane payouts list`.
type PayoutsListCmd struct {
	schemeFolder
	State string `enum:"any,ordered,waiting,unknown,assumed,done,failed,returned" default:"any" help:"Of one state: ordered, waiting, unknown, assumed, done, failed or returned."`
	Most  int    `default:"100" help:"How many at most."`
	JSON  bool   `name:"json" help:"Print JSON, one pay-out a line."`
}

// shownPayout is the JSON form.
type shownPayout struct {
	Number   string    `json:"number"`
	Order    string    `json:"order"`
	Kind     string    `json:"kind"`
	Merchant string    `json:"merchant"`
	Account  string    `json:"account"`
	Amount   string    `json:"amount"`
	Currency string    `json:"currency"`
	State    string    `json:"state"`
	Created  time.Time `json:"created"`
	Code     string    `json:"code,omitempty"`
	Asked    string    `json:"asked,omitempty"`
	AskedBy  string    `json:"asked_by,omitempty"`
}

// Run lists.
func (c *PayoutsListCmd) Run(ctx context.Context, k *kong.Kong) error {
	state := order.OperationState(c.State)
	if c.State == "any" {
		state = ""
	}
	return c.withOrders(ctx, func(g *gateway.Service) error {
		all, err := g.Payouts(ctx, state, c.Most)
		if err != nil {
			return err
		}
		p := &printer{out: k.Stdout}
		for _, o := range all {
			s := shownPayout{Number: o.Number, Order: o.Order, Kind: o.Kind.String(), Merchant: o.Merchant, Account: o.Account, Amount: o.Money.Amount.String(), Currency: o.Money.Currency,
				State: string(o.State), Created: o.Created.UTC(), Code: o.Code}
			if o.Asked != nil {
				s.Asked, s.AskedBy = string(o.Asked.What), o.Asked.By
			}
			if c.JSON {
				if err := json.NewEncoder(k.Stdout).Encode(s); err != nil {
					return err
				}
				continue
			}
			p.line("%s  %s %s of %s over %s: %s, %s", s.Number, s.Amount, s.Currency, s.Merchant, s.Account, s.State, s.Created.Format(time.DateTime))
			if o.Asked != nil {
				p.line("  %s asks for %s, and a second person must: %s", o.Asked.By, o.Asked.What, o.Asked.Reason)
			}
		}
		return p.err
	})
}

// payoutStep is what every decision about a pay-out takes.
type payoutStep struct {
	schemeFolder
	Number string `arg:"" help:"The pay-out, R and 26 characters."`
	By     string `required:"" help:"Who asks for it."`
	Reason string `required:"" help:"Why, for people."`
}

func (c payoutStep) decide(ctx context.Context, k *kong.Kong, d gateway.Decision) error {
	return c.withOrders(ctx, func(g *gateway.Service) error {
		o, waits, err := g.Decide(ctx, c.Number, d, c.By, c.Reason)
		if err != nil {
			return err
		}
		if waits {
			_, err = fmt.Fprintf(k.Stdout, "%s asks for %s of %s over %v: a second person must ask for the same\n", c.By, d, o.Number, o.Money.Amount)
			return err
		}
		_, err = fmt.Fprintf(k.Stdout, "%s over %v is %s\n", o.Number, o.Money.Amount, o.State)
		return err
	})
}

// PayoutsReturnedCmd is `purselane payouts returned`.
type PayoutsReturnedCmd struct{ payoutStep }

// Run asks.
func (c *PayoutsReturnedCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.decide(ctx, k, gateway.DecideReturned)
}

// PayoutsResendCmd is `purselane payouts resend`.
type PayoutsResendCmd struct{ payoutStep }

// Run asks.
func (c *PayoutsResendCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.decide(ctx, k, gateway.DecideResend)
}

// PayoutsTakeBackCmd is `purselane payouts take-back`.
type PayoutsTakeBackCmd struct {
	schemeFolder
	Number string `arg:"" help:"The pay-out."`
}

// Run forgets.
func (c *PayoutsTakeBackCmd) Run(ctx context.Context) error {
	return c.withOrders(ctx, func(g *gateway.Service) error { return g.Undecide(ctx, c.Number) })
}
