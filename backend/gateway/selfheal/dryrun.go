package selfheal

import (
	"hash/fnv"
	"maps"
	"slices"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/route"
	"github.com/purselane/purselane/backend/store"
)

// Paid is an attempt of the past, with what routing was told of it.
type Paid struct {
	store.GatewayPayment
	App string
}

// Dry is what a plan would have changed. Amounts are minor units.
type Dry struct {
	Payments int
	Same     int
	Changes  map[[2]string]int // from account, to account; "" for none
	Old, New DrySide
}

// DrySide is what one plan comes to.
type DrySide struct {
	Nobody  int     // payments that no account took
	Fee     int64   // of those that one took
	Success float64 // expected, by what was learned up to each payment
	Took    map[string]int
}

// dryRouter routes the past by one plan.
type dryRouter struct {
	*route.Router
	shares fixed
	side   DrySide
}

func newDry(p route.Plan) (*dryRouter, error) {
	d := &dryRouter{shares: fixed{}, side: DrySide{Took: map[string]int{}}}
	d.Router = route.New(d.shares)
	return d, d.Use(p)
}

// first is the account of a first attempt, "" for none.
func (d *dryRouter) first(q *route.Question) (string, error) {
	names, _, err := d.Decide(nil, q)
	if err != nil || len(names) == 0 {
		d.side.Nobody++
		return "", err
	}
	why, err := d.Explain(q)
	if err != nil {
		return "", err
	}
	for _, r := range why {
		if r.Account == names[0] && r.Verdict == route.May {
			d.side.Fee += r.Fee
			d.side.Success += r.Success
			break
		}
	}
	d.side.Took[names[0]]++
	d.Spend(names[0], q.Bank, q.Amount, q.Now)
	return names[0], nil
}

// DryRun routes first attempts of the past, the oldest first, by two plans and says what would have been another way. Both learn from what became of the payments in truth, and see each channel's
// health as it was; moves are its changes, in any order. It is pure.
func DryRun(old, plan route.Plan, payments []Paid, moves []store.ChannelMove) (Dry, error) {
	a, err := newDry(old)
	if err != nil {
		return Dry{}, err
	}
	b, err := newDry(plan)
	if err != nil {
		return Dry{}, err
	}
	moves = slices.SortedStableFunc(slices.Values(moves), func(x, y store.ChannelMove) int {
		if d := x.At.Compare(y.At); d != 0 {
			return d
		}
		return int(x.Version) - int(y.Version)
	})
	out := Dry{Changes: map[[2]string]int{}}
	for _, p := range payments {
		for len(moves) > 0 && !moves[0].At.After(p.Created) {
			for _, d := range []*dryRouter{a, b} {
				d.shares[moves[0].Cell] = moves[0].Share
			}
			moves = moves[1:]
		}
		if p.N == 1 {
			out.Payments++
			q := route.Question{Product: channel.Product(p.Product), Currency: p.Currency, Amount: p.Amount.Minor(), Bank: p.Bank, App: p.App, Key: keyOf(p.Order), Now: p.Created}
			was, err := a.first(&q)
			if err != nil {
				return Dry{}, err
			}
			would, err := b.first(&q)
			if err != nil {
				return Dry{}, err
			}
			if was == would {
				out.Same++
			} else {
				out.Changes[[2]string{was, would}]++
			}
		}
		if good, counts := becameGood(p.GatewayPayment); counts {
			a.Learn(p.Channel, p.Bank, good)
			b.Learn(p.Channel, p.Bank, good)
		}
	}
	for _, d := range []*dryRouter{a, b} {
		if n := out.Payments - d.side.Nobody; n > 0 {
			d.side.Success /= float64(n)
		}
	}
	out.Old, out.New = a.side, b.side
	return out, nil
}

// becameGood is what an attempt says of its channel, long after.
func becameGood(p store.GatewayPayment) (good, counts bool) {
	switch order.PaymentState(p.State) {
	case order.Failed:
		switch channel.Class(p.Class) {
		case channel.ByIssuer, channel.ByChannel, channel.BySetting:
			return false, true
		}
		return false, false
	case order.Unknown:
		return false, true
	case order.Created, order.Challenged, order.Calling:
		return false, false
	}
	return true, true
}

// keyOf is what chance is drawn by.
func keyOf(order string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(order)) // never fails
	return h.Sum64()
}

// ChangesInOrder lists changes, the most frequent first.
func (d Dry) ChangesInOrder() [][2]string {
	return slices.SortedFunc(maps.Keys(d.Changes), func(a, b [2]string) int {
		if n := d.Changes[b] - d.Changes[a]; n != 0 {
			return n
		}
		return slices.Compare(a[:], b[:])
	})
}
