package selfheal

import (
	"maps"
	"slices"

	"github.com/purselane/purselane/backend/gateway/keeper"
	"github.com/purselane/purselane/backend/gateway/route"
)

// Names lists the channels of the plan in use, by name.
func (x *Channels) Names() []string {
	p, _ := x.router.Plan()
	seen := map[string]bool{}
	for _, a := range p.Accounts {
		seen[a.Channel] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// Lonely lists the products, with their currency, that only one channel takes as the plan has it: without that channel nobody can pay so.
func (x *Channels) Lonely() []string {
	p, _ := x.router.Plan()
	by := map[string]map[string]bool{}
	for _, a := range p.Accounts {
		used := slices.ContainsFunc(p.Rules, func(r route.Rule) bool { return slices.Contains(r.Accounts, a.Name) })
		if a.Disabled || !used {
			continue
		}
		for _, product := range a.Products {
			for _, currency := range a.Currencies {
				kind := string(product) + " " + currency
				if by[kind] == nil {
					by[kind] = map[string]bool{}
				}
				by[kind][a.Channel] = true
			}
		}
	}
	maps.DeleteFunc(by, func(_ string, of map[string]bool) bool { return len(of) > 1 })
	return slices.Sorted(maps.Keys(by))
}

// Keeper keeps the health of the channels; nil offline.
func (x *Channels) Keeper() *keeper.Keeper { return x.keeper }
