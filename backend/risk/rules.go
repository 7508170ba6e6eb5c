package risk

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// Set is one version of the rules.
type Set struct {
	Form    int    `json:"form"`    // of the file: 1
	Version int    `json:"version"` // of the rules: goes up with each change
	Rules   []Rule `json:"rules"`
}

// Rule is a condition and what it asks for. All rules are asked and the strongest outcome wins; of the same outcome the first rule is named.
type Rule struct {
	Name string  `json:"name"`
	When string  `json:"when"` // over [Facts], in the expr language
	Then Outcome `json:"then"`
	Why  string  `json:"why"` // for people who ask
}

const (
	setForm  = 1
	maxRules = 200
	maxNodes = 200 // of a condition: enough for a person to read, too few to be slow
	maxText  = 400 // bytes of a name or a reason
)

// ErrRules says that rules cannot be used.
var ErrRules = errors.New("bad risk rules")

type compiled struct {
	set   Set
	rules []rule // strongest first
}

type rule struct {
	Rule
	when  *vm.Program
	asks  []string // names of facts in the condition
	value []*vm.Program
}

// compile checks a set. The error names the rule and what is wrong with it.
func compile(s Set) (*compiled, error) {
	switch {
	case s.Form != setForm:
		return nil, fmt.Errorf("%w: form %d, want %d", ErrRules, s.Form, setForm)
	case s.Version < 1:
		return nil, fmt.Errorf("%w: version %d, want 1 or more", ErrRules, s.Version)
	case len(s.Rules) > maxRules:
		return nil, fmt.Errorf("%w: %d rules, want at most %d", ErrRules, len(s.Rules), maxRules)
	}
	c := &compiled{set: s}
	names := map[string]bool{}
	for _, given := range s.Rules {
		if given.Name == "" || len(given.Name) > maxText || names[given.Name] {
			return nil, fmt.Errorf("%w: rule %.40q: the name is empty, too long or taken", ErrRules, given.Name)
		}
		names[given.Name] = true
		x, err := compileRule(given)
		if err != nil {
			return nil, fmt.Errorf("%w: rule %.40s: %w", ErrRules, given.Name, err)
		}
		c.rules = append(c.rules, x)
	}
	slices.SortStableFunc(c.rules, func(a, b rule) int { return int(b.Then - a.Then) })
	return c, nil
}

func compileRule(given Rule) (rule, error) {
	switch {
	case !slices.Contains(Outcomes, given.Then):
		return rule{}, fmt.Errorf("outcome %v: want pass, step-up or block", given.Then)
	case strings.TrimSpace(given.Why) == "" || len(given.Why) > maxText:
		return rule{}, fmt.Errorf("wants a reason of 1 to %d bytes, for people who ask", maxText)
	}
	when, err := expr.Compile(given.When, expr.Env(Facts{}), expr.AsBool(), expr.MaxNodes(maxNodes))
	if err != nil {
		return rule{}, err
	}
	tree, err := parser.Parse(given.When)
	if err != nil {
		return rule{}, err
	}
	var found facts
	ast.Walk(&tree.Node, &found)
	if found.repeats != "" {
		return rule{}, fmt.Errorf("%s is not allowed: write comparisons with && and ||", found.repeats)
	}
	x := rule{Rule: given, when: when, asks: found.names()}
	for _, name := range x.asks {
		value, err := expr.Compile(name, expr.Env(Facts{}))
		if err != nil {
			return rule{}, err
		}
		x.value = append(x.value, value)
	}
	return x, nil
}

// facts collects which facts a condition asks. Functions and ranges are found too: without them nothing in a condition repeats, so that the number of
// its nodes bounds its time.
type facts struct {
	whole, members []string
	repeats        string
}

// Visit implements [ast.Visitor].
func (f *facts) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		f.whole = append(f.whole, n.Value)
	case *ast.MemberNode:
		of, ok := n.Node.(*ast.IdentifierNode)
		field, named := n.Property.(*ast.StringNode)
		if ok && named {
			f.members = append(f.members, of.Value+"."+field.Value)
		}
	case *ast.BinaryNode:
		if n.Operator == ".." {
			f.repeats = "a range"
		}
	case *ast.BuiltinNode, *ast.CallNode, *ast.PredicateNode:
		f.repeats = "a function"
	}
}

// names lists the facts once each, in alphabetical order: of a window its figures, not the window. Variables of the condition's own are none.
func (f *facts) names() []string {
	out := slices.Clone(f.members)
	for _, name := range f.whole {
		if _, err := expr.Compile(name, expr.Env(Facts{})); err == nil && !strings.HasPrefix(name, "by_") {
			out = append(out, name)
		}
	}
	out = slices.DeleteFunc(out, func(name string) bool {
		_, err := expr.Compile(name, expr.Env(Facts{}))
		return err != nil
	})
	slices.Sort(out)
	return slices.Compact(out)
}
