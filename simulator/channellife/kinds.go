package channellife

import (
	"math/rand/v2"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/route"
)

// Kind is a way to a payer's bank, and the success that was published for it.
type Kind struct {
	Name    string
	Success float64 // 0 to 1
}

// Kinds are the published figures, and what simulated kinds of channels succeed with unless something else is said: a payer who must type his way through a bank's page seldom gets there,
// one whose card is bound mostly does. That is why cards are bound.
var Kinds = []Kind{{"net banking", 0.20}, {"UnionPay direct", 0.50}, {"bank direct", 0.70}}

// Place is what the router made of one kind.
type Place struct {
	Kind
	Learned float64 // success as the router believes it in the end
	Share   float64 // of the last quarter of the payments
}

// LearnKinds lets a router that knows nothing find out which of the kinds succeed, over so many payments, and returns them in their order. The same seed gives the same.
func LearnKinds(kinds []Kind, seed uint64, payments int) ([]Place, error) {
	p := route.Plan{Version: 1, Rules: []route.Rule{{Name: "all", Strategy: route.Best}}}
	for _, k := range kinds {
		p.Accounts = append(p.Accounts, route.Account{Name: k.Name, Channel: k.Name, Products: []channel.Product{channel.Quick}, Currencies: []string{"CNY"}, FeePPM: 6000})
		p.Rules[0].Accounts = append(p.Rules[0].Accounts, k.Name)
	}
	r := route.New(nil)
	if err := r.Use(p); err != nil {
		return nil, err
	}
	chance := rand.New(rand.NewPCG(seed, 21))
	last := map[string]int{}
	for i := range payments {
		names, _, err := r.Decide(nil, &route.Question{Product: channel.Quick, Currency: "CNY", Amount: 5000, Key: chance.Uint64(), Now: time.Unix(int64(i), 0)})
		if err != nil {
			return nil, err
		}
		for j, k := range kinds {
			if k.Name == names[0] {
				r.Learn(k.Name, "", chance.Float64() < kinds[j].Success)
			}
		}
		if i >= payments-payments/4 {
			last[names[0]]++
		}
	}
	var out []Place
	for _, k := range kinds {
		x := Place{Kind: k, Share: float64(last[k.Name]) / float64(max(payments/4, 1))}
		for _, l := range r.Learned() {
			if l.Account == k.Name && l.Bank == "" {
				x.Learned = l.Success
			}
		}
		out = append(out, x)
	}
	return out, nil
}
