package node

import (
	"context"
	"fmt"
	"slices"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount/fee"
)

// GatewayRate is what payments online cost the merchants of apps whose terms name it.
type GatewayRate struct {
	ID string `yaml:"id"`

	// Refunds is what a refund does to the fee of what was earned: keep, the default, or give-back.
	Refunds string `yaml:"refunds"`

	fee.Schedule `yaml:",inline"`
}

// What refunds do to fees.
const (
	keepFee  = "keep"
	giveBack = "give-back"
)

// StandardRates are there in every scheme, for terms to name: what payments cost large merchants and small ones in the published figures, 0.3 % and 0.6 %. A rate of the scheme with the
// same id is in place of one.
var StandardRates = []GatewayRate{
	{ID: "large-merchant", Schedule: fee.Schedule{Terms: []fee.Term{{From: "2000-01-01", Standards: []fee.Standard{fee.Percent("large merchants", "service", 3000)}}}}},
	{ID: "small-merchant", Schedule: fee.Schedule{Terms: []fee.Term{{From: "2000-01-01", Standards: []fee.Standard{fee.Percent("small merchants", "service", 6000)}}}}},
}

func (g *Gateway) checkRates(bad func(string, ...any)) {
	seen := map[string]bool{}
	for i, r := range g.Rates {
		if err := ids.Check(r.ID); err != nil {
			bad("gateway.rates[%d].id: %w", i, err)
		}
		if seen[r.ID] {
			bad("gateway.rates[%d].id: %s stands twice", i, r.ID)
		}
		seen[r.ID] = true
		if r.Refunds != "" && r.Refunds != keepFee && r.Refunds != giveBack {
			bad("gateway.rates[%d].refunds: %q: want keep or give-back", i, r.Refunds)
		}
		if err := r.Check(); err != nil {
			bad("gateway.rates[%d]: %w", i, err)
		}
		for j, t := range r.Terms {
			if t.ExpireAfter != nil {
				bad("gateway.rates[%d].terms[%d].expire_after: is of taps", i, j)
			}
			for _, s := range t.Standards {
				if err := gateway.CheckRate(s); err != nil {
					bad("gateway.rates[%d]: %w", i, err)
				}
			}
		}
	}
}

// rate is what an app's terms say of one of our accounts.
func (g *Gateway) rate(ctx context.Context, tx *store.Tx, of gateway.Rated) (gateway.Rate, error) {
	ppm, id, err := app.Rate(ctx, tx, of.App, of.Account, of.Product)
	if err != nil || id == "" {
		return gateway.Plain(ppm), err
	}
	for _, r := range append(slices.Clone(g.Rates), StandardRates...) {
		if r.ID != id {
			continue
		}
		term, err := r.On(of.Paid)
		if err != nil {
			return gateway.Rate{}, fmt.Errorf("rate %s of gateway.rates: %w: %w", id, err, gateway.ErrRate)
		}
		return gateway.Rate{Name: id, Since: term.From, Standards: term.Standards, GivesBack: r.Refunds == giveBack}, nil
	}
	return gateway.Rate{}, fmt.Errorf("app %s pays by rate %s over %s, which is not among gateway.rates: %w", of.App, id, of.Account, gateway.ErrRate)
}
