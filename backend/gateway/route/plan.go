package route

import (
	"fmt"
	"slices"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// Account is one of our accounts at a channel, as routing sees it. Amounts are minor units.
type Account struct {
	Name       string            `json:"name"`
	Channel    string            `json:"channel"` // whose health counts
	Products   []channel.Product `json:"products"`
	Currencies []string          `json:"currencies"`
	Serves     []Serves          `json:"serves,omitempty"` // banks and cards; empty: whatever comes
	Cards      []string          `json:"cards,omitempty"`  // kinds of cards that its credential is for; empty: whatever comes
	Min        int64             `json:"min,omitempty"`
	Max        int64             `json:"max,omitempty"`      // of a payment; 0: no limit
	PerDay     int64             `json:"perDay,omitempty"`   // of the channel's own day; 0: no limit
	Zone       string            `json:"zone,omitempty"`     // of that day, as the time zone database names it; "" is UTC
	DayStart   int               `json:"dayStart,omitempty"` // minutes after midnight
	FeeFlat    int64             `json:"feeFlat,omitempty"`
	FeePPM     int64             `json:"feePPM,omitempty"`   // millionths of the amount
	Weight     int               `json:"weight,omitempty"`   // of a ratio
	Priority   int               `json:"priority,omitempty"` // those of a smaller one come first, whatever else a strategy goes by; 0 to 99
	Disabled   bool              `json:"disabled,omitempty"`
}

// Serves is a bank and kind of card that an account takes, with the bank's own limits there. One entry is a single-card channel, many are a
// cross-card one.
type Serves struct {
	Bank   string `json:"bank"`
	Card   string `json:"card,omitempty"` // debit or credit; "" both
	Max    int64  `json:"max,omitempty"`
	PerDay int64  `json:"perDay,omitempty"`
}

// Strategy orders the accounts of a rule.
type Strategy string

// Strategies.
const (
	Best       Strategy = "best"        // by learned success, the amount and the cost, with exploration
	InOrder    Strategy = "in-order"    // as the rule names them
	Ratio      Strategy = "ratio"       // by the accounts' weights
	RoundRobin Strategy = "round-robin" // in turn
)

// Rule says which accounts may take payments for which its condition holds. The first rule that fits and leaves an account counts; there is no hidden
// list behind the last one.
type Rule struct {
	Name     string   `json:"name"`
	When     string   `json:"when,omitempty"` // over [Facts], in the expr language; "" fits all
	Accounts []string `json:"accounts"`
	Strategy Strategy `json:"strategy"`
}

// Facts are what a rule's condition may ask.
type Facts struct {
	Product  string `expr:"product"`
	Currency string `expr:"currency"`
	Amount   int64  `expr:"amount"` // minor units
	Bank     string `expr:"bank"`
	Card     string `expr:"card"`
	App      string `expr:"app"`
	Hour     int    `expr:"hour"` // of the day in UTC
	Attempt  int    `expr:"attempt"`
}

// Plan is all that operators decide of routing.
type Plan struct {
	Version  int       `json:"version"` // goes up with each change
	Accounts []Account `json:"accounts"`
	Rules    []Rule    `json:"rules"`
}

const maxNodes = 200 // of a condition: enough for a person to read, too few to be slow

// compiled is a plan that is ready to decide by.
type compiled struct {
	plan     Plan
	accounts []account
	rules    []rule
}

type account struct {
	Account
	zone   *time.Location
	memory *learned // of all banks
	today  *spend
}

type rule struct {
	Rule
	when  *vm.Program // nil fits all
	order []int       // of accounts
	total int         // weight
}

// compile checks a plan. The error names the account or rule and what is wrong with it.
func (r *Router) compile(p Plan) (*compiled, error) {
	c := &compiled{plan: p}
	byName := map[string]int{}
	for i, a := range p.Accounts {
		if _, twice := byName[a.Name]; twice || a.Name == "" {
			return nil, fmt.Errorf("account %q: the name is empty or taken", a.Name)
		}
		zone, err := time.LoadLocation(a.Zone)
		if err != nil {
			return nil, fmt.Errorf("account %s: zone %q is not known", a.Name, a.Zone)
		}
		switch {
		case a.Channel == "" || len(a.Products) == 0 || len(a.Currencies) == 0:
			return nil, fmt.Errorf("account %s: wants a channel, products and currencies", a.Name)
		case a.Min < 0 || a.Max < 0 || a.PerDay < 0 || a.FeeFlat < 0 || a.FeePPM < 0 || a.FeePPM > 1_000_000 || a.Weight < 0 || a.DayStart < 0 || a.DayStart >= 24*60:
			return nil, fmt.Errorf("account %s: a limit, fee, weight or start of the day is out of range", a.Name)
		case a.Priority < 0 || a.Priority > 99:
			return nil, fmt.Errorf("account %s: priority %d: want 0 (first) to 99", a.Name, a.Priority)
		case slices.ContainsFunc(a.Cards, func(kind string) bool { return !slices.Contains(channel.CardKinds, kind) }):
			return nil, fmt.Errorf("account %s: cards %q: want %q", a.Name, a.Cards, channel.CardKinds)
		case a.Max > 0 && a.Min > a.Max:
			return nil, fmt.Errorf("account %s: takes at least %d and at most %d", a.Name, a.Min, a.Max)
		}
		byName[a.Name] = i
		c.accounts = append(c.accounts, account{a, zone, r.memory(a.Name, ""), r.spending(spendKey{a.Name, ""})})
	}
	for _, given := range p.Rules {
		x := rule{Rule: given}
		if !slices.Contains([]Strategy{Best, InOrder, Ratio, RoundRobin}, given.Strategy) {
			return nil, fmt.Errorf("rule %s: strategy %q: want best, in-order, ratio or round-robin", given.Name, given.Strategy)
		}
		if given.When != "" {
			when, err := expr.Compile(given.When, expr.Env(Facts{}), expr.AsBool(), expr.MaxNodes(maxNodes))
			if err != nil {
				return nil, fmt.Errorf("rule %s: %w", given.Name, err)
			}
			x.when = when
		}
		for _, name := range given.Accounts {
			i, known := byName[name]
			if !known {
				return nil, fmt.Errorf("rule %s: there is no account %q", given.Name, name)
			}
			x.order = append(x.order, i)
			x.total += c.accounts[i].Weight
		}
		if len(x.order) == 0 || len(x.order) > maxChoices {
			return nil, fmt.Errorf("rule %s: names %d accounts: want 1 to %d", given.Name, len(x.order), maxChoices)
		}
		if given.Strategy == Ratio && x.total == 0 {
			return nil, fmt.Errorf("rule %s: a ratio wants weights", given.Name)
		}
		c.rules = append(c.rules, x)
	}
	return c, nil
}

// day is the number of the account's day at a time.
func (a *account) day(now time.Time) int64 {
	if a.zone == time.UTC {
		return (now.Unix() - int64(a.DayStart)*60) / 86400
	}
	t := now.In(a.zone).Add(-time.Duration(a.DayStart) * time.Minute)
	_, offset := t.Zone()
	return (t.Unix() + int64(offset)) / 86400
}

// dayBegin is when the account's day at a time began.
func (a *account) dayBegin(now time.Time) time.Time {
	y, m, d := now.In(a.zone).Add(-time.Duration(a.DayStart) * time.Minute).Date()
	return time.Date(y, m, d, 0, a.DayStart, 0, 0, a.zone)
}

// fee of an amount, in minor units, rounded up.
func (a *account) fee(amount int64) int64 {
	return a.FeeFlat + (amount/1_000_000)*a.FeePPM + (amount%1_000_000*a.FeePPM+999_999)/1_000_000
}
