package risk

import (
	"fmt"
	"strings"
)

// Explanation is a decision with what every rule said.
type Explanation struct {
	Decision
	Rules []Said // strongest first
}

// Said is what one rule said.
type Said struct {
	Rule  string
	Then  Outcome
	Fits  bool
	Why   string
	Facts string // the facts it asks, with their values
	Error string // "" where it could be evaluated
}

// Explain says why a payment is decided as it is. Error: [ErrNoRules].
func (e *Engine) Explain(f *Facts) (Explanation, error) {
	c := e.rules.Load()
	if c == nil {
		return Explanation{}, ErrNoRules
	}
	m := e.machines.Get().(*machine)
	defer e.machines.Put(m)
	return c.explain(m, f), nil
}

func (c *compiled) explain(m *machine, f *Facts) Explanation {
	out := Explanation{Decision: c.decide(m, f)}
	for i := range c.rules {
		x := &c.rules[i]
		said := Said{Rule: x.Name, Then: x.Then, Why: x.Why, Facts: x.values(m)}
		fits, err := x.fits(m)
		if err != nil {
			said.Error = err.Error()
		}
		said.Fits = fits
		out.Rules = append(out.Rules, said)
	}
	return out
}

func (x *rule) values(m *machine) string {
	var all []string
	for i, name := range x.asks {
		v, err := m.vm.Run(x.value[i], &m.facts)
		if err != nil {
			v = "unknown"
		}
		if s, ok := v.(string); ok {
			v = fmt.Sprintf("%q", s)
		}
		all = append(all, fmt.Sprintf("%s = %v", name, v))
	}
	return strings.Join(all, ", ")
}

// String says it in words, the rules that fit with the decisive one first.
func (e Explanation) String() string {
	var b strings.Builder
	if e.Rule == "" {
		fmt.Fprintf(&b, "%v by rules version %d: nothing speaks against it.", e.Outcome, e.Version)
	} else {
		fmt.Fprintf(&b, "%v by rule %s of version %d: %s.", e.Outcome, e.Rule, e.Version, e.Why)
	}
	for _, s := range e.Rules {
		switch {
		case s.Error != "":
			fmt.Fprintf(&b, "\n- %s could not be evaluated: %s (%s)", s.Rule, s.Error, s.Facts)
		case s.Fits:
			fmt.Fprintf(&b, "\n- %s asks for %v: %s (%s)", s.Rule, s.Then, s.Why, s.Facts)
		}
	}
	return b.String()
}
