package monitor

import (
	"time"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/internal/money"
)

// Alert is one thing that somebody should look at.
type Alert struct {
	Code   string // names the rule; the pages have a line of text for each
	Grave  bool   // money is at stake, or payers are turned away now
	About  string // an app and its merchant, an account; "" for the whole
	Count  int64
	Before int64 // of a count: what it was
	Amount money.Amount
	Was    float64 // a share before, 0 to 1
	Is     float64 // the share now
}

// Codes of alerts. Each is a rule; docs/console.md is their page.
const (
	PaymentsLate = "payments-late" // attempts whose time is over, and nobody knows how they ended
	RefundsLate  = "refunds-late"  // refunds and pay-outs not done after a day
	LoadsLate    = "loads-late"    // loads on their way to a card for more than an hour
	HistoryLate  = "history-late"  // the gateway's history is behind by ten minutes
	OrdersFell   = "orders-fell"   // fewer than a tenth of the orders of the same hour yesterday
	SuccessFell  = "success-fell"  // fewer attempts are paid than before, and that is no chance
	RiskBlocks   = "risk-blocks"   // risk blocks a fifth of the attempts or more
	OwesUs       = "owes-us"       // a merchant has been paid more than it earned
	BelowMinimum = "below-minimum" // an own account holds less than should stay there
	WeOwe        = "we-owe"        // a channel's account is below zero: more went back over it than came
	NotZero      = "not-zero"      // a suspense account is not empty
	NotExplained = "not-explained" // lines of bank statements that nothing of ours explains
)

// Codes lists them all.
var Codes = []string{PaymentsLate, RefundsLate, LoadsLate, HistoryLate, OrdersFell, SuccessFell, RiskBlocks, OwesUs, BelowMinimum, WeOwe, NotZero, NotExplained}

const (
	z997        = 3.0 // standard deviations: of the two ranges that must not meet
	leastBefore = 50  // attempts, below which the time before says nothing
	leastNow    = 20
	leastOrders = 30 // of yesterday's hour, below which an empty hour is no wonder
	leastBlocks = 10

	lateHistory = 10 * time.Minute
)

// fell reports whether fewer attempts are paid now than before: the ranges in which the two rates lie do not meet.
func fell(before, now Count) (was, is float64, yes bool) {
	was, _ = before.Success()
	is, _ = now.Success()
	if before.Tried+before.Refused < leastBefore || now.Tried+now.Refused < leastNow {
		return was, is, false
	}
	lo, _ := health.Bound(int(before.Tried+before.Refused), int(before.Refused), z997)
	_, hi := health.Bound(int(now.Tried+now.Refused), int(now.Refused), z997)
	return was, is, hi < lo
}

// Alerts are what is wrong with the whole, the grave ones first.
func (b Business) Alerts() (out []Alert) {
	if b.Payments.Count > 0 {
		out = append(out, Alert{Code: PaymentsLate, Grave: true, Count: b.Payments.Count, Amount: b.Payments.Amount})
	}
	if len(b.Hours) == Hours {
		yesterday, now := b.Hours[0].Count, b.Hours[Hours-1].Count
		if yesterday.Orders >= leastOrders && 10*now.Orders < yesterday.Orders {
			out = append(out, Alert{Code: OrdersFell, Grave: true, Count: now.Orders, Before: yesterday.Orders})
		}
		var before Count
		for _, h := range b.Hours[:Hours-1] {
			before.add(h.Count)
		}
		if was, is, yes := fell(before, now); yes {
			out = append(out, Alert{Code: SuccessFell, Grave: true, Was: was, Is: is, Count: now.Tried + now.Refused})
		}
	}
	if b.Refunds.Count > 0 {
		out = append(out, Alert{Code: RefundsLate, Count: b.Refunds.Count, Amount: b.Refunds.Amount})
	}
	if b.Loads.Count > 0 {
		out = append(out, Alert{Code: LoadsLate, Count: b.Loads.Count, Amount: b.Loads.Amount})
	}
	if b.History != nil && b.History.Behind >= lateHistory {
		out = append(out, Alert{Code: HistoryLate, Count: b.History.Events})
	}
	return out
}

// Name is how a seller is called.
func (x Seller) Name() string {
	if x.Merchant == "" {
		return x.App
	}
	return x.App + " / " + string(x.Merchant)
}

// Alerts are what is wrong with single sellers, the grave ones first.
func (s Sales) Alerts() []Alert {
	var grave, rest []Alert
	for _, x := range s.Sellers {
		if was, is, yes := fell(x.Before, x.Last); yes {
			grave = append(grave, Alert{Code: SuccessFell, Grave: true, About: x.Name(), Was: was, Is: is, Count: x.Last.Tried + x.Last.Refused})
		}
		if tried := x.Day.Tried + x.Day.Refused; x.Blocked >= leastBlocks && 5*x.Blocked >= tried {
			rest = append(rest, Alert{Code: RiskBlocks, About: x.Name(), Count: x.Blocked})
		}
		if x.Available.Sign() < 0 {
			rest = append(rest, Alert{Code: OwesUs, About: x.Name(), Amount: x.Available})
		}
	}
	return append(grave, rest...)
}

// Alerts are what is wrong with accounts, the grave ones first.
func (a Accounts) Alerts() []Alert {
	var grave, rest []Alert
	for _, l := range a.Own {
		if l.Below && !l.Rules.NotedAt.IsZero() {
			grave = append(grave, Alert{Code: BelowMinimum, Grave: true, About: l.ID, Amount: l.Free})
		}
	}
	if a.Unmatched > 0 {
		grave = append(grave, Alert{Code: NotExplained, Grave: true, Count: a.Unmatched, Amount: a.Unknown})
	}
	for _, c := range a.Channels {
		if c.Amount.Sign() < 0 {
			rest = append(rest, Alert{Code: WeOwe, About: string(c.Account), Amount: c.Amount})
		}
	}
	for _, s := range a.Suspense {
		rest = append(rest, Alert{Code: NotZero, About: string(s.Account), Amount: s.Amount})
	}
	return append(grave, rest...)
}
