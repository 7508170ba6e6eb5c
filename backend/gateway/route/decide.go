package route

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/expr-lang/expr/vm"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/health"
)

// maxChoices is the most accounts of a rule.
const maxChoices = 32

// Question is a payment that wants a channel.
type Question struct {
	Product  channel.Product
	Currency string
	Amount   int64 // minor units
	Bank     string
	Card     string
	App      string
	Key      uint64 // belongs to the payment: the same key is answered alike while nothing has changed
	Tolerant bool   // its payer is among those who take a failure well
	Tried    []string
	Now      time.Time
}

// Health says how much of its traffic a cell may take, as [health.Board.Share] does. It is called for each account and must be quick.
type Health interface {
	Share(health.Cell) float64
}

// Router decides. It is safe for concurrent use.
type Router struct {
	plan     atomic.Pointer[compiled]
	trial    atomic.Pointer[trial]
	health   Health
	tolerant measured // part of payers who are
	turn     atomic.Uint64
	known    sync.Map // memoryKey → *learned
	spent    sync.Map // spendKey → *spend
	machines sync.Pool
}

type memoryKey struct{ account, bank string }
type spendKey struct{ account, bank string }

type spend struct {
	mu     sync.Mutex
	day    int64
	amount int64
}

// New makes a router that has no plan: it has no answer until [Router.Use].
func New(h Health) *Router {
	return &Router{health: h, machines: sync.Pool{New: func() any { return &machine{} }}}
}

// Use takes a plan for all decisions from now on. A plan that is wrong changes nothing; one with a version below that of the one in use is refused.
func (r *Router) Use(p Plan) error {
	c, err := r.compile(p)
	if err != nil {
		return fmt.Errorf("routing plan %d: %w", p.Version, err)
	}
	for {
		old := r.plan.Load()
		if old != nil && p.Version < old.plan.Version {
			return fmt.Errorf("routing plan %d: plan %d is in use: %w", p.Version, old.plan.Version, ErrOld)
		}
		if r.plan.CompareAndSwap(old, c) {
			return nil
		}
	}
}

// May reports why [Router.Use] would not take a plan. It changes nothing.
func (r *Router) May(p Plan) error {
	if err := r.Check(p); err != nil {
		return fmt.Errorf("routing plan %d: %w", p.Version, err)
	}
	if old := r.plan.Load(); old != nil && p.Version < old.plan.Version {
		return fmt.Errorf("routing plan %d: plan %d is in use: %w", p.Version, old.plan.Version, ErrOld)
	}
	return nil
}

// Plan is the one in use; the second value is false where there is none yet.
func (r *Router) Plan() (Plan, bool) {
	c := r.plan.Load()
	if c == nil {
		return Plan{}, false
	}
	return c.plan, true
}

// Learn tells what became of a payment on an account: whether it succeeded, of those where the channel or the bank had a say.
func (r *Router) Learn(account, bank string, good bool) {
	r.memory(account, bank).add(good)
	if bank != "" {
		r.memory(account, "").add(good)
	}
}

func (r *Router) memory(account, bank string) *learned {
	k := memoryKey{account, bank}
	if l, ok := r.known.Load(k); ok {
		return l.(*learned)
	}
	l, _ := r.known.LoadOrStore(k, &learned{})
	return l.(*learned)
}

// success is what is known of an account with a bank; with little of the bank, of the account.
func (r *Router) success(a *account, bank string) (mean, weight float64) {
	if bank != "" {
		if l, ok := r.known.Load(memoryKey{a.Name, bank}); ok {
			if mean, weight = l.(*learned).get(); weight >= 20 {
				return mean, weight
			}
		}
	}
	return a.memory.get()
}

// Spend counts a payment against the limits of a day of its account; a negative amount gives it back.
func (r *Router) Spend(accountName, bank string, amount int64, now time.Time) {
	c := r.plan.Load()
	if c == nil {
		return
	}
	for i := range c.accounts {
		if a := &c.accounts[i]; a.Name == accountName {
			a.today.add(a.day(now), amount)
			if bank != "" {
				r.spending(spendKey{a.Name, bank}).add(a.day(now), amount)
			}
		}
	}
}

// Limited lists the accounts that have a limit of a day, with the begin of that day.
func (r *Router) Limited(now time.Time) map[string]time.Time {
	out := map[string]time.Time{}
	for _, c := range r.plans() {
		for i := range c.accounts {
			a := &c.accounts[i]
			if a.PerDay > 0 || slices.ContainsFunc(a.Serves, func(s Serves) bool { return s.PerDay > 0 }) {
				out[a.Name] = a.dayBegin(now)
			}
		}
	}
	return out
}

// SetSpent takes over what was spent of an account's day by bank, in place of what was counted here.
func (r *Router) SetSpent(accountName string, byBank map[string]int64, now time.Time) {
	for _, c := range r.plans() {
		for i := range c.accounts {
			a := &c.accounts[i]
			if a.Name != accountName {
				continue
			}
			total := int64(0)
			for _, n := range byBank {
				total += n
			}
			a.today.set(a.day(now), total)
			for _, s := range a.Serves {
				r.spending(spendKey{a.Name, s.Bank}).set(a.day(now), byBank[s.Bank])
			}
			return
		}
	}
}

// plans are those in use: the plan, and an experiment's.
func (r *Router) plans() (out []*compiled) {
	if c := r.plan.Load(); c != nil {
		out = append(out, c)
	}
	if t := r.trial.Load(); t != nil {
		out = append(out, t.plan)
	}
	return out
}

func (r *Router) spending(k spendKey) *spend {
	if v, ok := r.spent.Load(k); ok {
		return v.(*spend)
	}
	v, _ := r.spent.LoadOrStore(k, &spend{})
	return v.(*spend)
}

func (s *spend) add(day, amount int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if day > s.day {
		s.day, s.amount = day, 0
	}
	if day == s.day {
		s.amount += amount
	}
}

func (s *spend) set(day, amount int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.day, s.amount = day, amount
}

func (s *spend) on(day int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.day != day {
		return 0
	}
	return s.amount
}

// Verdict says why an account may take a payment or not.
type Verdict string

// Verdicts.
const (
	May          Verdict = "may"
	Disabled     Verdict = "disabled"
	Tried        Verdict = "tried"
	NotSupported Verdict = "not-supported" // product, currency, bank or card: nobody's fault
	OverLimit    Verdict = "over-limit"
	DayLimit     Verdict = "day-limit"
	Faulty       Verdict = "faulty" // supports it, and is out or takes a share that this payment is not part of
)

// Errors.
var (
	ErrNoPlan = fmt.Errorf("there is no routing plan")
	ErrOld    = fmt.Errorf("an older routing plan")
)

// judge decides whether an account may take a payment.
func (r *Router) judge(a *account, q *Question) Verdict {
	switch {
	case a.Disabled:
		return Disabled
	case slices.Contains(q.Tried, a.Name):
		return Tried
	case !slices.Contains(a.Products, q.Product) || !slices.Contains(a.Currencies, q.Currency):
		return NotSupported
	case len(a.Cards) > 0 && q.Card != "" && !slices.Contains(a.Cards, q.Card): // of one whose kind nobody knows the channel has the word
		return NotSupported
	}
	var bank *Serves
	if len(a.Serves) > 0 {
		for i := range a.Serves {
			if s := &a.Serves[i]; s.Bank == q.Bank && (s.Card == "" || s.Card == q.Card) {
				bank = s
				break
			}
		}
		if bank == nil {
			return NotSupported
		}
	}
	if q.Amount < a.Min || a.Max > 0 && q.Amount > a.Max || bank != nil && bank.Max > 0 && q.Amount > bank.Max {
		return OverLimit
	}
	if a.PerDay > 0 && q.Amount > a.PerDay-a.today.on(a.day(q.Now)) {
		return DayLimit
	}
	if bank != nil && bank.PerDay > 0 && q.Amount > bank.PerDay-r.spending(spendKey{a.Name, bank.Bank}).on(a.day(q.Now)) {
		return DayLimit
	}
	if r.health != nil {
		share := r.health.Share(health.Cell{Channel: a.Channel, Bank: q.Bank, Card: q.Card})
		if !health.Admit(share, r.tolerant.part(), q.Tolerant, part(q.Key^0x9e3779b97f4a7c15)) {
			return Faulty
		}
	}
	return May
}

// machine evaluates conditions. It is kept for the next decision.
type machine struct {
	vm    vm.VM
	facts Facts
}

func (x *rule) fits(m *machine) (bool, error) {
	if x.when == nil {
		return true, nil
	}
	out, err := m.vm.Run(x.when, &m.facts)
	if err != nil {
		return false, fmt.Errorf("rule %s: %w", x.Name, err)
	}
	return out.(bool), nil
}

func factsOf(q *Question) Facts {
	return Facts{Product: string(q.Product), Currency: q.Currency, Amount: q.Amount, Bank: q.Bank, Card: q.Card, App: q.App, Hour: q.Now.UTC().Hour(), Attempt: len(q.Tried) + 1}
}

// Decide appends the accounts that may take a payment to into, best first, and returns them with the name of the rule. None means that nobody
// can take it now. Errors: [ErrNoPlan], or a rule that cannot be evaluated.
func (r *Router) Decide(into []string, q *Question) ([]string, string, error) {
	c, _ := r.planOf(q.Key)
	if c == nil {
		return into, "", ErrNoPlan
	}
	r.tolerant.add(q.Tolerant)
	m := r.machines.Get().(*machine)
	defer r.machines.Put(m)
	m.facts = factsOf(q)
	for i := range c.rules {
		x := &c.rules[i]
		ok, err := x.fits(m)
		if err != nil {
			return into, x.Name, err
		}
		if !ok {
			continue
		}
		var may [maxChoices]scored
		n := 0
		for _, j := range x.order {
			if a := &c.accounts[j]; r.judge(a, q) == May {
				may[n] = scored{a: a}
				n++
			}
		}
		if n == 0 {
			continue
		}
		turn := uint64(0)
		if x.Strategy == RoundRobin {
			turn = r.turn.Add(1) - 1
		}
		r.order(x, may[:n], q, turn)
		for _, s := range may[:n] {
			into = append(into, s.a.Name)
		}
		return into, x.Name, nil
	}
	return into, "", nil
}

type scored struct {
	a     *account
	score float64
}

// z95 standard deviations hold 95 % of what chance does.
const z95 = 1.96

// order sorts accounts that may take a payment, best first: by priority, and those of one priority by the rule's strategy.
func (r *Router) order(x *rule, may []scored, q *Question, turn uint64) {
	if x.Strategy == InOrder {
		return
	}
	for i := 1; i < len(may); i++ { // few, and mostly in order
		for j := i; j > 0 && may[j].a.Priority < may[j-1].a.Priority; j-- {
			may[j], may[j-1] = may[j-1], may[j]
		}
	}
	for len(may) > 0 {
		n := 1
		for n < len(may) && may[n].a.Priority == may[0].a.Priority {
			n++
		}
		r.orderEqual(x.Strategy, may[:n], q, turn)
		may = may[n:]
	}
}

func (r *Router) orderEqual(s Strategy, may []scored, q *Question, turn uint64) {
	switch s {
	case RoundRobin:
		rotate(may, int(turn%uint64(len(may))))
		return
	case Ratio:
		total := 0
		for _, s := range may {
			total += s.a.Weight
		}
		if total == 0 {
			return
		}
		at := int(part(q.Key) * float64(total))
		for k, s := range may {
			if at -= s.a.Weight; at < 0 {
				rotate(may, k)
				return
			}
		}
	case Best:
		for i := range may {
			a := may[i].a
			mean, weight := r.success(a, q.Bank)
			may[i].score = drawn(mean, weight, part(q.Key+uint64(i)*0xbf58476d1ce4e5b9)) * float64(q.Amount-a.fee(q.Amount))
		}
		for i := 1; i < len(may); i++ { // few, and mostly in order
			for j := i; j > 0 && may[j].score > may[j-1].score; j-- {
				may[j], may[j-1] = may[j-1], may[j]
			}
		}
	}
}

// rotate brings the k-th to the front and keeps the order of the others.
func rotate(all []scored, k int) {
	first := all[k]
	copy(all[1:k+1], all[:k])
	all[0] = first
}

// Reason is why one account stands where it does.
type Reason struct {
	Rule    string
	Account string
	Verdict Verdict
	Place   int     // among those that may take it, 1 the first; 0: none. In turn, it is as if it were asked next
	Success float64 // learned, 0 to 1
	Lo, Hi  float64 // in which it lies for certain to 95 %
	Seen    int     // payments that it is learned from, newest weighing most
	Fee     int64   // minor units
	Share   float64 // of its traffic that its health allows
}

// Explain says why, for each account of each rule that fits, up to the rule that decides. It decides nothing and counts nothing.
func (r *Router) Explain(q *Question) ([]Reason, error) {
	c, _ := r.planOf(q.Key)
	if c == nil {
		return nil, ErrNoPlan
	}
	m := r.machines.Get().(*machine)
	defer r.machines.Put(m)
	m.facts = factsOf(q)
	var out []Reason
	for i := range c.rules {
		x := &c.rules[i]
		ok, err := x.fits(m)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		var may [maxChoices]scored
		var at [maxChoices]int // of them in out
		n := 0
		for _, j := range x.order {
			a := &c.accounts[j]
			mean, weight := r.success(a, q.Bank)
			why := Reason{Rule: x.Name, Account: a.Name, Verdict: r.judge(a, q), Success: mean, Seen: int(weight), Fee: a.fee(q.Amount), Share: 1}
			why.Lo, why.Hi = health.BoundOf(mean, weight, z95)
			if r.health != nil {
				why.Share = r.health.Share(health.Cell{Channel: a.Channel, Bank: q.Bank, Card: q.Card})
			}
			if why.Verdict == May {
				may[n], at[n] = scored{a: a}, len(out)
				n++
			}
			out = append(out, why)
		}
		if n > 0 {
			r.order(x, may[:n], q, r.turn.Load())
			for place, s := range may[:n] {
				for _, i := range at[:n] {
					if out[i].Account == s.a.Name {
						out[i].Place = place + 1
					}
				}
			}
			break
		}
	}
	return out, nil
}
