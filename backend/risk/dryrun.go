package risk

import (
	"fmt"
	"iter"
)

// Report is what a dry run found.
type Report struct {
	Old, New int // versions
	Cases    int
	Changed  int
	Table    [4][4]int      // [old outcome][new outcome], by number
	Rules    map[string]int // cases that each rule of the new version decides; "" for none
	Failed   map[string]int // cases in which a rule of the new version could not be evaluated
	Examples []Example      // at most maxExamples of each change
}

// Example is a case that is decided otherwise.
type Example struct {
	Case     string // as the caller names it
	Old, New Decision
}

const maxExamples = 5

// Compare decides cases by two versions: what was decided yesterday, and how it would be decided now. The facts are those that were asked then, so
// that no window has to be brought back. Error: [ErrRules].
func Compare(inUse, next Set, cases iter.Seq2[string, Facts]) (Report, error) {
	a, err := compile(inUse)
	if err != nil {
		return Report{}, fmt.Errorf("in use: %w", err)
	}
	b, err := compile(next)
	if err != nil {
		return Report{}, fmt.Errorf("new: %w", err)
	}
	r := Report{Old: inUse.Version, New: next.Version, Rules: map[string]int{}, Failed: map[string]int{}}
	for _, x := range next.Rules {
		r.Rules[x.Name] = 0
	}
	var m machine
	for name, f := range cases {
		was, will := a.decide(&m, &f), b.decide(&m, &f)
		r.Cases++
		r.Rules[will.Rule]++
		if will.Failed != "" {
			r.Failed[will.Failed]++
		}
		r.Table[was.Outcome][will.Outcome]++
		if was.Outcome == will.Outcome {
			continue
		}
		r.Changed++
		if r.Table[was.Outcome][will.Outcome] <= maxExamples {
			r.Examples = append(r.Examples, Example{Case: name, Old: was, New: will})
		}
	}
	return r, nil
}
