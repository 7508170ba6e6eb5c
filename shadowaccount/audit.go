package shadowaccount

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/purselane/purselane/internal/money"
)

// Card is what the issuer knows of a card.
type Card struct {
	Issued         bool   // false: a record of it verifies, and we never issued it
	Opening        uint32 // offline counter when it was issued; not read if it was not
	OpeningBalance money.Amount
	Shadow         money.Amount
	BlockedAt      int64 // Unix ms, 0: never
	Chain          Chain
}

// Counted is a claim with its slot and what it is worth, as the audit of a card reads it.
type Counted struct {
	Counter uint32
	Claim   Claim
	Status  Status
}

// Load is a load of the card that the backend has authorised and not taken back.
type Load struct {
	Counter uint16 // online counter before it
	Amount  money.Amount
	Loaded  bool // false: in progress or uncertain
}

// Gap is a run of counters whose records are missing: how many, and what they took, which the neighbours tell before
// the records come. Loads between the neighbours make Value a lower bound. On a sparse chain there is a gap only where value is
// missing, and one record of the run may have it all.
type Gap struct {
	First, Last uint32
	Value       money.Amount
}

// Missing is how many records the gap lacks: on a sparse chain, at least.
func (g Gap) Missing(c Chain) int {
	if c == Sparse {
		return 1
	}
	return int(int64(g.Last) - int64(g.First) + 1)
}

// Audit is what the whole chain of a card says.
type Audit struct {
	Complete uint32       // every counter from the opening one up to, and without, this one is occupied
	Next     uint32       // counter of the next debit as far as records tell: one above the highest occupied
	Tail     money.Amount // balance after the highest occupied counter, the opening balance if there is none
	Gaps     []Gap
	Findings []Finding
	// Explained are the online counters of loads not yet proved that the card's own balance shows to have happened.
	Explained []uint16
	// LoadsFrom says where [End.Extend] can go on: at a debit after the last, with the loads from this online counter on. -1: the whole chain
	// must be walked again.
	LoadsFrom int
}

// AuditCard walks the slots of a card in counter order. The result is a function of the sets: the slices may come in any
// order.
func AuditCard(card Card, claims []Counted, loads []Load) (Audit, error) {
	claims, loads = slices.Clone(claims), slices.Clone(loads)
	slices.SortFunc(claims, func(a, b Counted) int {
		return cmp.Or(cmp.Compare(a.Counter, b.Counter), older(a.Claim, b.Claim))
	})
	slices.SortFunc(loads, func(a, b Load) int { return cmp.Compare(a.Counter, b.Counter) })
	var out Audit
	var chain []Counted
	for _, c := range claims {
		out.look(card, c)
		if c.Status.Occupies() {
			chain = append(chain, c)
		}
	}
	if !card.Issued && len(chain) > 0 { // nobody knows how it began: its chain begins with what was seen first
		card.Opening, card.OpeningBalance = chain[0].Counter, chain[0].Claim.Before
		out.add(FindUnknownCard, card.Opening, "our keys verify it, and we never issued it")
	}
	if card.Shadow.Sign() < 0 {
		out.add(FindNegativeShadow, 0, "shadow balance %v", card.Shadow)
	}
	t := trail{expect: int64(card.Opening), loads: loads, proved: true, whole: true}
	out.Complete, out.Next, out.Tail = card.Opening, card.Opening, card.OpeningBalance
	for _, c := range chain {
		if c.Counter < card.Opening {
			out.add(FindCounterBack, c.Counter, "the card was issued with counter %d", card.Opening)
			continue
		}
		if err := out.step(card.Chain, &t, c); err != nil {
			return out, err
		}
	}
	out.LoadsFrom = -1
	if t.proved && out.ends(card, claims) {
		out.LoadsFrom = t.loadsFrom()
	}
	return out, nil
}

// look notes what is suspicious in a claim by itself.
func (a *Audit) look(card Card, c Counted) {
	from := c.Claim.Tap.Terminal
	seen := c.Claim.undecided(c.Status)
	if seen == Clone {
		a.add(FindClone, c.Counter, "second claim by terminal %s", from)
	}
	if c.Claim.Flags&FlagBadTAC != 0 {
		a.add(FindBadTAC, c.Counter, "from terminal %s", from)
	}
	if c.Claim.Flags&FlagWrongSAM != 0 {
		a.add(FindWrongSAM, c.Counter, "from terminal %s", from)
	}
	if c.Claim.Flags&FlagUnknownKey != 0 {
		a.add(FindUnknownKey, c.Counter, "from terminal %s", from)
	}
	if c.Claim.Spent {
		a.add(FindReplay, c.Counter, "again by terminal %s", from)
	}
	if card.BlockedAt > 0 && c.Claim.At > card.BlockedAt && (seen.Occupies() || seen == Open) {
		a.add(FindDenied, c.Counter, "at terminal %s", from)
	}
}

// trail is how far a walk has come.
type trail struct {
	expect int64 // the next counter
	loads  []Load
	used   int  // loads that balances so far have shown
	proved bool // the last debit
	whole  bool // no gap so far
	vain   bool // a rise was looked for among the loads in vain: another load may yet be it
}

// step checks that a debit's balance follows from the one before, and finds what is missing between them.
func (a *Audit) step(kind Chain, t *trail, s Counted) error {
	c, proved := s.Claim, s.Status == Stands
	rise, err := c.Before.Sub(a.Tail)
	if err != nil {
		return err
	}
	far := int64(s.Counter) > t.expect
	from, to, fits := run(t.loads, t.used, rise)
	t.vain = t.vain || (!fits && rise.Sign() > 0 && !(far && kind == Dense))
	if far && kind == Sparse {
		// The counters between need not have been debits. They were if value is missing: it fell, or rose by less than the loads did.
		room, err := sum(t.loads[t.used:])
		if err != nil {
			return err
		}
		far = !fits && rise.Cmp(room) < 0
	}
	if far {
		value, err := rise.Neg()
		if err != nil {
			return err
		}
		a.Gaps = append(a.Gaps, Gap{First: uint32(t.expect), Last: s.Counter - 1, Value: value})
		t.whole = false
	} else if rise.Sign() < 0 {
		a.add(FindBalanceDown, s.Counter, "was %v, is %v", a.Tail, c.Before)
	} else if fits {
		for _, l := range t.loads[from:to] {
			// Only between two balances that the card has put its TAC to: an inference may itself rest on a load. On a sparse chain a debit may
			// be missing beside the load; the load is settled by what the card shows online.
			if !l.Loaded && t.proved && proved && kind == Dense {
				a.Explained = append(a.Explained, l.Counter)
			}
		}
		t.used = max(t.used, to)
	} else {
		a.add(FindBalanceUp, s.Counter, "was %v, is %v", a.Tail, c.Before)
	}
	after, err := c.Before.Sub(c.Amount)
	if err != nil {
		return err
	}
	if after != c.After {
		a.add(FindArithmetic, s.Counter, "%v less %v reads %v", c.Before, c.Amount, c.After)
	}
	t.expect, t.proved = int64(s.Counter)+1, proved
	a.Next, a.Tail = uint32(min(t.expect, math.MaxUint32)), c.After
	if t.whole {
		a.Complete = a.Next
	}
	return nil
}

func (a *Audit) add(c Code, counter uint32, format string, args ...any) {
	for _, f := range a.Findings {
		if f.Code == c && f.Counter == counter {
			return // one finding a code and counter: the oldest claim's
		}
	}
	a.Findings = append(a.Findings, Finding{Code: c, Counter: counter, Detail: fmt.Sprintf(format, args...)})
}

func sum(loads []Load) (total money.Amount, err error) {
	for _, l := range loads {
		if total, err = total.Add(l.Amount); err != nil {
			return total, err
		}
	}
	return total, nil
}

// run finds the first contiguous run of loads, from index used on, whose sum is rise. A rise of zero is the empty run.
// Loads reach a card in the order of their online counters, so a run never skips one.
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
			if c := sum.Cmp(rise); c == 0 {
				return from, to + 1, true
			} else if c > 0 {
				break
			}
		}
	}
	return 0, 0, false
}

// ExplainedBy makes the Explained of [Decide] from a card's loads: a rise is explained if a contiguous run of loads that
// are known to be on the card sums to it. One that is in progress or uncertain explains nothing here: an inference must not rest on
// a load that may in turn be settled by it.
func ExplainedBy(loads []Load) Explained {
	known := slices.DeleteFunc(slices.Clone(loads), func(l Load) bool { return !l.Loaded })
	slices.SortFunc(known, func(a, b Load) int { return cmp.Compare(a.Counter, b.Counter) })
	return func(rise money.Amount) bool {
		_, _, ok := run(known, 0, rise)
		return ok
	}
}
