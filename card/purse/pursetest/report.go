package pursetest

import (
	"fmt"
	"reflect"
	"strings"
)

// Rule is a promise of package purse.
type Rule string

// Rules.
const (
	Works        Rule = "a clean visit works"
	Early        Rule = "nothing is debited before Commit"
	NotDebited   Rule = "ErrNotDebited is certain"
	Debited      Rule = "good evidence is a debit of the amount"
	Truth        Rule = "Recover never says what is not so"
	Repeatable   Rule = "Recover can be repeated"
	Tells        Rule = "Recover tells of a debit that is lost and of one that is not made"
	Harmless     Rule = "Open, Read, Recover and Close change nothing"
	OtherCard    Rule = "Recover knows another card"
	Trips        Rule = "trip records change with the debit"
	OneEvidence  Rule = "every debit has an evidence of its own"
	Released     Rule = "every SAM comes back"
	Sealed       Rule = "a bank's card number comes sealed with each attempt and verdict"
	Hidden       Rule = "no card number prints"
	NoPurse      Rule = "a card of another kind is told apart"
	Insufficient Rule = "too little value is refused before anything is debited"
	Sums         Rule = "what the card lost is what the terminals know of"
)

// Finding is a promise that was not kept.
type Finding struct {
	Rule  Rule
	Where string // which order, and what went wrong with which command
	What  string
}

// String is one line.
func (f Finding) String() string { return fmt.Sprintf("%s: %s: %s", f.Rule, f.Where, f.What) }

// report collects findings.
type report struct {
	bank     bool // Family.Bank
	where    string
	findings []Finding
	shown    map[string][]string // notations by number
	printed  map[string]bool     // types with a content that has been looked at
}

func (r *report) found(rule Rule, format string, args ...any) {
	r.findings = append(r.findings, Finding{Rule: rule, Where: r.where, What: fmt.Sprintf(format, args...)})
}

// want is found unless ok.
func (r *report) want(ok bool, rule Rule, format string, args ...any) bool {
	if !ok {
		r.found(rule, format, args...)
	}
	return ok
}

// verbs are all that print a value's content.
const verbs = "%[1]v %+[1]v %#[1]v %[1]s %[1]d %[1]x %[1]q"

// hidden looks for a card number in each way to print the values.
func (r *report) hidden(number []byte, values ...any) {
	if r.shown == nil {
		r.shown, r.printed = map[string][]string{}, map[string]bool{}
	}
	if r.shown[string(number)] == nil {
		r.shown[string(number)] = notations(number)
	}
	for _, v := range values {
		if v == nil || reflect.ValueOf(v).IsZero() {
			continue
		}
		once := fmt.Sprintf("%x %T %v", number, v, v)
		if r.printed[once] {
			continue
		}
		r.printed[once] = true
		out := strings.ToLower(fmt.Sprintf(verbs, v))
		for _, n := range r.shown[string(number)] {
			if strings.Contains(out, n) {
				r.found(Hidden, "a printed %T shows %q", v, n)
				break
			}
		}
	}
}

// window is how many bytes of a number in a row are too many. The last two may be shown.
const window = 4

// notations are the ways in which Go prints bytes, for each part of the number that is too long to be shown.
func notations(number []byte) []string {
	var out []string
	for i := 0; i+window <= len(number); i++ {
		part := number[i : i+window]
		list := strings.Trim(fmt.Sprintf("%d", part), "[]")
		out = append(out, fmt.Sprintf("%x", part), fmt.Sprintf("% x", part), list, strings.ReplaceAll(list, " ", ", "),
			strings.TrimSuffix(strings.TrimPrefix(strings.ToLower(fmt.Sprintf("%#v", part)), "[]byte{"), "}"), strings.ToLower(string(part)))
	}
	return out
}

// sealed wants the sealed number of a bank's card, of an attempt that may be unknown for ever or of what the card told.
func (r *report) sealed(what string, got []byte) {
	r.want(!r.bank || len(got) > 0, Sealed, "%s has no sealed card number", what)
}
