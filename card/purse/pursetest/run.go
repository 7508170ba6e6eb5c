package pursetest

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// check is one part of the suite.
type check struct {
	name string
	run  func(r *report)
}

// checks are all but the random days.
func (f Family) checks() []check {
	var out []check
	for _, s := range f.scenarios() {
		out = append(out,
			check{s.name, func(r *report) { r.everyFault(f, s) }},
			check{s.name + ", recovered", func(r *report) { r.everyRecovery(f, s) }},
			check{s.name + ", others in between", func(r *report) { r.inBetween(f, s) }},
			check{s.name + ", other kinds in between", func(r *report) { r.otherKinds(f, s) }},
			check{s.name + ", another card", func(r *report) { r.otherCard(f, s) }},
			check{s.name + ", asked around", func(r *report) { r.askedAround(f, s) }})
	}
	return append(out,
		check{"lost debits", func(r *report) { r.tells(f) }},
		check{"equal debits", func(r *report) { r.equalDebits(f) }},
		check{"too much", func(r *report) { r.tooMuch(f) }},
		check{"strangers", func(r *report) { r.strangers(f) }})
}

// Check runs the suite but for the random days, and returns what it found. It ends early once one of the rules was found broken.
func Check(f Family, until ...Rule) []Finding {
	r := report{bank: f.Bank}
	for _, c := range f.checks() {
		c.run(&r)
		if slices.ContainsFunc(r.findings, func(x Finding) bool { return slices.Contains(until, x.Rule) }) {
			break
		}
	}
	return r.findings
}

// Day runs one day that choose makes: it gives one of 0 to n-1.
func Day(f Family, choose func(what string, n int) int) []Finding {
	r := report{bank: f.Bank}
	r.randomDay(f, choose)
	return r.findings
}

// shown is how many findings of one rule a check prints: a driver that breaks a promise breaks it often.
const shown = 3

// Run runs the suite on a driver, as subtests.
func Run(t *testing.T, f Family) {
	for _, c := range f.checks() {
		t.Run(c.name, func(t *testing.T) {
			r := report{bank: f.Bank}
			c.run(&r)
			of := map[Rule]int{}
			for _, found := range r.findings {
				if of[found.Rule]++; of[found.Rule] <= shown {
					t.Error(found)
				}
			}
			for rule, n := range of {
				t.Logf("%s: broken %d times", rule, n)
			}
		})
	}
	t.Run("random days", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			for _, found := range Day(f, func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(t, what) }) {
				t.Fatal(found)
			}
		})
	})
}
