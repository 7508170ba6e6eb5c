package selfheal

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/keeper"
	"github.com/purselane/purselane/backend/gateway/route"
	"github.com/purselane/purselane/internal/clock"
)

// Channels chooses and watches the accounts of a gateway. Its methods Route and Watch are the gateway's Router and Watch.
type Channels struct {
	router *route.Router
	health shares
	keeper *keeper.Keeper // nil: offline

	recorder *recorder     // nil: decisions are not kept
	counts   bool          // limits of a day are counted
	tried    chan struct{} // an experiment has begun
	clock    clock.Clock
}

// shares is the health that routing reads.
type shares interface {
	route.Health
	Shares() map[health.Cell]float64 // of cells that take less than all; not to be changed
}

// New joins a keeper to a plan. Each account of the plan is watched as its channel.
func New(k *keeper.Keeper, p route.Plan, c clock.Clock) (*Channels, error) {
	x := &Channels{router: route.New(k), health: k, keeper: k, clock: c, tried: make(chan struct{}, 1)}
	if err := x.Use(p); err != nil {
		return nil, err
	}
	return x, nil
}

// Use takes another plan. One that is wrong or older changes nothing.
func (x *Channels) Use(p route.Plan) error {
	if err := x.router.Use(p); err != nil {
		return err
	}
	if x.keeper != nil {
		for _, a := range p.Accounts {
			x.keeper.Watch(a.Channel)
		}
	}
	return nil
}

// MayUse reports why another plan would not be taken. It changes nothing.
func (x *Channels) MayUse(p route.Plan) error { return x.router.May(p) }

// Plan is the one in use.
func (x *Channels) Plan() route.Plan {
	p, _ := x.router.Plan() // there is one: New took it
	return p
}

var _ gateway.Router = (*Channels)(nil)

// Route implements [gateway.Router].
func (x *Channels) Route(_ context.Context, w gateway.Wanted) ([]string, error) {
	q := x.question(w)
	names, rule, err := x.router.Decide(nil, &q)
	if err == nil {
		x.record(&q, w.Order, rule, names)
		if x.counts && w.Order != "" && len(names) > 0 {
			x.router.Spend(names[0], q.Bank, q.Amount, q.Now) // until what was taken in truth is read
		}
	}
	return names, err
}

// Explain says why each account stands where it does for what is wanted.
func (x *Channels) Explain(w gateway.Wanted) ([]route.Reason, error) {
	q := x.question(w)
	return x.router.Explain(&q)
}

func (x *Channels) question(w gateway.Wanted) route.Question {
	return route.Question{Product: w.Product, Currency: w.Money.Currency, Amount: w.Money.Amount.Minor(), Bank: w.Bank, Card: w.Card, App: w.App, Key: keyOf(w.Order), Tolerant: w.Tolerant, Now: x.clock.Now()}
}

// Watch notes that an account is asked for a payment. What it returns is told what came of it.
func (x *Channels) Watch(account, bank string) func(channel.Result, error) {
	if x.keeper == nil {
		return func(channel.Result, error) {}
	}
	c := health.Cell{Channel: x.channelOf(account), Bank: bank}
	number := x.keeper.Began(c)
	return func(r channel.Result, err error) {
		failed, counts := Judge(r, err)
		x.keeper.Ended(number, failed, counts)
		if counts {
			x.router.Learn(account, bank, !failed)
		}
	}
}

// Out reports that an account's channel takes nothing now: what can wait, such as a refund, waits until it is back.
func (x *Channels) Out(account string) bool {
	return x.health.Share(health.Cell{Channel: x.channelOf(account)}) == 0
}

func (x *Channels) channelOf(account string) string {
	if p, ok := x.router.Plan(); ok {
		for _, a := range p.Accounts {
			if a.Name == account {
				return a.Channel
			}
		}
	}
	return account
}

// Judge says whether a call failed by the fault of the channel or the bank, and whether it says anything of them: what the payer or risk refused does not,
// and neither does a caller who went away.
func Judge(r channel.Result, err error) (failed, counts bool) {
	switch {
	case errors.Is(err, context.Canceled):
		return false, false
	case errors.Is(err, channel.ErrUnsupported):
		return false, false
	case err != nil:
		return true, true
	case r.Outcome == channel.Succeeded || r.Outcome == channel.Pending:
		return false, true
	case r.Outcome == channel.Failed:
		switch r.Class {
		case channel.ByPayer, channel.ByRisk, channel.NotSupported:
			return false, false
		}
		return true, true
	case r.Outcome == channel.Unknown:
		return true, true
	}
	return false, false // closed or missing: not what asking for a payment is answered with
}

// Prober makes a channel's smallest real call out of its query: it asks for a payment that nobody ever made. A channel that is well knows that it does not know
// it. One that has a probe of its own is asked by that.
func Prober(of map[string]channel.Channel) func(context.Context, health.Cell) bool {
	return func(ctx context.Context, c health.Cell) bool {
		ch := of[c.Channel]
		if ch == nil {
			return false
		}
		if own, has := ch.(channel.Prober); has {
			return own.Probe(ctx) != nil
		}
		r, err := ch.Query(ctx, channel.Ref{Number: "00000000000000000000"})
		return err != nil || r.Outcome == channel.Unknown
	}
}

// String tells which plan is in use.
func (x *Channels) String() string {
	p, _ := x.router.Plan()
	return fmt.Sprintf("routing plan %d", p.Version)
}
