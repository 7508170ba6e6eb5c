package risk

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/expr-lang/expr/vm"
)

// Engine decides by the rules in use. It is safe for concurrent use.
type Engine struct {
	rules    atomic.Pointer[compiled]
	machines sync.Pool
}

// Decision is what risk says of a payment.
type Decision struct {
	Outcome Outcome
	Version int    // of the rules
	Rule    string // the first of the strongest; "" when none fits, which passes
	Why     string

	// Failed is the first rule that could not be evaluated, "" for none. It counts as a step-up, whether it would have asked for one or blocked:
	// neither is everybody let in by a rule that is wrong, nor everybody locked out.
	Failed string
}

// Errors.
var (
	ErrNoRules = errors.New("there are no risk rules in use")
	ErrOld     = errors.New("newer risk rules are in use")
)

// New makes an engine without rules.
func New() *Engine {
	return &Engine{machines: sync.Pool{New: func() any { return &machine{} }}}
}

// Use takes rules for all decisions from now on. Rules that are wrong change nothing. Errors: [ErrRules], [ErrOld].
func (e *Engine) Use(s Set) error {
	c, err := compile(s)
	if err != nil {
		return err
	}
	for {
		old := e.rules.Load()
		if old != nil && s.Version < old.set.Version {
			return fmt.Errorf("version %d: %w: version %d", s.Version, ErrOld, old.set.Version)
		}
		if e.rules.CompareAndSwap(old, c) {
			return nil
		}
	}
}

// Set is the one in use; the second value is false where there is none.
func (e *Engine) Set() (Set, bool) {
	c := e.rules.Load()
	if c == nil {
		return Set{}, false
	}
	return c.set, true
}

// Decide decides. The same facts and rules give the same decision. Error: [ErrNoRules].
func (e *Engine) Decide(f *Facts) (Decision, error) {
	c := e.rules.Load()
	if c == nil {
		return Decision{}, ErrNoRules
	}
	m := e.machines.Get().(*machine)
	defer e.machines.Put(m)
	return c.decide(m, f), nil
}

// machine evaluates conditions. It is kept for the next decision.
type machine struct {
	vm    vm.VM
	facts Facts
}

// decide asks the rules, strongest first, until one fits.
func (c *compiled) decide(m *machine, f *Facts) Decision {
	m.facts = *f
	d := Decision{Outcome: Pass, Version: c.set.Version}
	for i := range c.rules {
		x := &c.rules[i]
		if x.Then == Pass && d.Outcome > Pass {
			break
		}
		if x.Then == StepUp && f.SteppedUp {
			continue
		}
		fits, err := x.fits(m)
		switch {
		case err != nil:
			if d.Failed == "" {
				d.Failed = x.Name
			}
			if x.Then > Pass && !f.SteppedUp && d.Outcome == Pass {
				d.Outcome, d.Rule, d.Why = StepUp, x.Name, "the rule could not be evaluated"
			}
		case fits:
			if x.Then > d.Outcome || d.Rule == "" {
				d.Outcome, d.Rule, d.Why = x.Then, x.Name, x.Why
			}
			return d
		}
	}
	return d
}

func (x *rule) fits(m *machine) (bool, error) {
	out, err := m.vm.Run(x.when, &m.facts)
	if err != nil {
		return false, err
	}
	return out.(bool), nil
}
