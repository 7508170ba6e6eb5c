package shadowaccount

import (
	"math"

	"github.com/purselane/purselane/internal/money"
)

// End is where the audit of a card's chain left off: enough to go on with debits that follow, without those before. All but LoadsFrom
// are facts about the card; LoadsFrom is the audit's word that it can go on, and of one that cannot it is -1.
//
// What the audit said so far stays true as long as no claim comes but by Extend and no load below LoadsFrom comes, goes or changes its amount.
type End struct {
	Complete, Next uint32       // see [Audit]
	Tail           money.Amount // see [Audit]
	LoadsFrom      int
}

// Asks reports whether Extend needs the card's loads: a balance does not follow from the one before.
func (e End) Asks(debits []Counted) bool {
	tail := e.Tail
	for _, d := range debits {
		if d.Claim.Before != tail {
			return true
		}
		tail = d.Claim.After
	}
	return false
}

// Extend audits debits that come after all claims to the card's slots, in counter order, each alone in its slot and proved: it says what [AuditCard] of
// the whole chain would say, as far as that is new. Gaps, Findings and Explained are those to add; the other fields are the card's now. loads are the
// card's from LoadsFrom on, in the order of their counters, or none if they are not asked for. It is not ok where only the whole chain can tell.
func (e End) Extend(card Card, debits []Counted, loads []Load) (out Audit, ok bool, err error) {
	if e.LoadsFrom < 0 || card.Shadow.Sign() < 0 {
		return Audit{}, false, nil
	}
	out = Audit{Complete: e.Complete, Next: e.Next, Tail: e.Tail}
	t := trail{expect: int64(e.Next), loads: loads, proved: true, whole: e.Complete == e.Next}
	for _, d := range debits {
		if d.Status != Stands || !d.Claim.proved() || int64(d.Counter) < t.expect || d.Counter == math.MaxUint32 {
			return Audit{}, false, nil
		}
		out.look(card, d)
		if err := out.step(card.Chain, &t, d); err != nil {
			return Audit{}, false, err
		}
	}
	out.LoadsFrom = max(e.LoadsFrom, t.loadsFrom())
	if t.vain || negative(loads) {
		out.LoadsFrom = -1
	}
	return out, true, nil
}

// ends reports whether the chain ends in a way that what comes after it can change nothing before: with the highest claim there is, which is proved,
// or with none. claims are all the card's, in order.
func (a *Audit) ends(card Card, claims []Counted) bool {
	if card.Shadow.Sign() < 0 {
		return false // a finding about it is to be taken back once it is not
	}
	if len(claims) == 0 {
		return card.Issued
	}
	last := claims[len(claims)-1].Counter
	if last == math.MaxUint32 || last+1 != a.Next {
		return false
	}
	for i := len(claims) - 1; i >= 0 && claims[i].Counter == last; i-- {
		if claims[i].Status == Stands {
			return true
		}
	}
	return false
}

// loadsFrom is the online counter from which on loads have shown in no balance, -1 if one that may come may change what was said.
func (t *trail) loadsFrom() int {
	if t.vain || negative(t.loads) {
		return -1
	}
	if t.used == 0 {
		return 0
	}
	return int(t.loads[t.used-1].Counter) + 1
}

// negative reports whether a load takes value away. None does; run relies on it where it stops at a sum that is too high.
func negative(loads []Load) bool {
	for _, l := range loads {
		if l.Amount.Sign() < 0 {
			return true
		}
	}
	return false
}
