package shadowaccount

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/purselane/purselane/internal/money"
)

// Occupied is a slot with its standing claim, as the audit of a card reads it.
type Occupied struct {
	Counter       uint16
	Amount        money.Amount
	Before, After money.Amount
	Proved        bool
}

// Load is a load of the card that the backend has authorised and not taken back.
type Load struct {
	Counter uint16 // online counter before it
	Amount  money.Amount
	Loaded  bool // false: in progress or uncertain
}

// Code names a kind of finding. Codes are an outside contract: they are never given a new meaning.
type Code string

// Findings.
const (
	FindClone          Code = "CLONE"           // two proved debits with one counter
	FindBadTAC         Code = "BAD_TAC"         // a record whose TAC does not verify
	FindBalanceUp      Code = "BALANCE_UP"      // the balance rose without a load
	FindBalanceDown    Code = "BALANCE_DOWN"    // the balance fell without a debit
	FindArithmetic     Code = "ARITHMETIC"      // balance after is not balance before less the amount
	FindCounterBack    Code = "COUNTER_BACK"    // a debit with a counter below the card's opening counter
	FindUnknownCard    Code = "UNKNOWN_CARD"    // our keys verify a card we never issued
	FindWrongSAM       Code = "WRONG_SAM"       // the record's PSAM is not the terminal's
	FindUnknownKey     Code = "UNKNOWN_KEY"     // a key version the HSM does not have
	FindRecordConflict Code = "RECORD_CONFLICT" // one sequence number, two contents
	FindNegativeShadow Code = "NEGATIVE_SHADOW" // more debits than value: an unseen load, or a clone
)

// Severity says how fast someone must look.
type Severity string

// Severities.
const (
	Alarm Severity = "alarm" // now
	Watch Severity = "watch" // today
)

// SeverityOf is the severity of a code, and Consequence what the scheme does about it.
func SeverityOf(c Code) (Severity, string) {
	switch c {
	case FindClone:
		return Alarm, "candidate for the deny list; the second claim is held"
	case FindBadTAC, FindWrongSAM, FindUnknownKey:
		return Alarm, "claim held; look at the terminal"
	case FindRecordConflict:
		return Alarm, "second content kept apart; look at the terminal"
	case FindBalanceUp, FindCounterBack, FindNegativeShadow:
		return Alarm, "candidate for the deny list"
	case FindUnknownCard:
		return Alarm, "card registered as unknown; look at personalisation"
	}
	return Watch, "case"
}

// Finding is something suspicious at one counter of one card.
type Finding struct {
	Code    Code
	Counter uint16
	Detail  string
}

// Gap is a run of counters whose records are missing: how many, and what they took, which the neighbours tell before
// the records come. Loads between the neighbours make Value a lower bound.
type Gap struct {
	First, Last uint16
	Value       money.Amount
}

// Audit is what the whole chain of a card says.
type Audit struct {
	Gaps     []Gap
	Findings []Finding
	// Explained are the online counters of loads not yet proved that the card's own balance shows to have happened.
	Explained []uint16
}

// AuditCard walks the occupied slots of a card in counter order. opening is the card's first counter and balance when
// it was issued. The result is a function of the set: the slices may come in any order.
func AuditCard(opening uint16, openingBalance money.Amount, slots []Occupied, loads []Load) (Audit, error) {
	slots, loads = slices.Clone(slots), slices.Clone(loads)
	slices.SortFunc(slots, func(a, b Occupied) int { return cmp.Compare(a.Counter, b.Counter) })
	slices.SortFunc(loads, func(a, b Load) int { return cmp.Compare(a.Counter, b.Counter) })
	var out Audit
	expect, balance, used := int(opening), openingBalance, 0
	for _, s := range slots {
		if s.Counter < opening {
			out.add(FindCounterBack, s.Counter, "the card was issued with counter %d", opening)
			continue
		}
		if int(s.Counter) > expect {
			value, err := balance.Sub(s.Before)
			if err != nil {
				return out, err
			}
			out.Gaps = append(out.Gaps, Gap{First: uint16(expect), Last: s.Counter - 1, Value: value})
		} else {
			rise, err := s.Before.Sub(balance)
			if err != nil {
				return out, err
			}
			switch from, to, ok := run(loads, used, rise); {
			case rise.Sign() < 0:
				out.add(FindBalanceDown, s.Counter, "was %v, is %v", balance, s.Before)
			case ok:
				for _, l := range loads[from:to] {
					if !l.Loaded {
						out.Explained = append(out.Explained, l.Counter)
					}
				}
				used = max(used, to)
			default:
				out.add(FindBalanceUp, s.Counter, "was %v, is %v", balance, s.Before)
			}
		}
		after, err := s.Before.Sub(s.Amount)
		if err != nil {
			return out, err
		}
		if after != s.After {
			out.add(FindArithmetic, s.Counter, "%v less %v reads %v", s.Before, s.Amount, s.After)
		}
		expect, balance = int(s.Counter)+1, s.After
	}
	return out, nil
}

func (a *Audit) add(c Code, counter uint16, format string, args ...any) {
	a.Findings = append(a.Findings, Finding{Code: c, Counter: counter, Detail: fmt.Sprintf(format, args...)})
}

// run finds the first contiguous run of loads, from index used on, whose sum is rise. A rise of zero is the empty run.
func run(loads []Load, used int, rise money.Amount) (from, to int, ok bool) {
	if rise.IsZero() {
		return used, used, true
	}
	for from = used; from < len(loads); from++ {
		var sum money.Amount
		for to = from; to < len(loads); to++ {
			var err error
			if sum, err = sum.Add(loads[to].Amount); err != nil {
				return 0, 0, false
			}
			switch sum.Cmp(rise) {
			case 0:
				return from, to + 1, true
			case 1:
				to = len(loads)
			}
		}
	}
	return 0, 0, false
}

// ExplainedBy makes the Explained of [Decide] from a card's loads: a rise is explained if any contiguous run of loads sums
// to it.
func ExplainedBy(loads []Load) Explained {
	loads = slices.Clone(loads)
	slices.SortFunc(loads, func(a, b Load) int { return cmp.Compare(a.Counter, b.Counter) })
	return func(rise money.Amount) bool {
		_, _, ok := run(loads, 0, rise)
		return ok
	}
}
