package shadowaccount

import (
	"github.com/purselane/purselane/internal/money"
)

// Status is what a claim is worth. Numbers are stored: they are never given a new meaning.
type Status int8

// Statuses. The comment says who moves next.
const (
	Nothing  Status = 0 // not decided yet
	Stands   Status = 1 // proved by its TAC; settlement moves next
	Inferred Status = 2 // no TAC, but the card's next counter shows it; settlement moves next, a TAC for the slot beats it
	Open     Status = 3 // nobody knows; the card's next record decides
	Clone    Status = 4 // a second proved claim to the slot; an officer decides
	BadTAC   Status = 5 // its TAC does not verify; an officer decides
	Void     Status = 6 // it did not happen, or is counted in another claim; nobody moves
	Granted  Status = 7 // nothing proves it, and officers decided to pay for it, at the scheme's loss; settlement moves next
	Denied   Status = 8 // nothing proves it, and officers decided not to pay for it; nobody moves
)

// String names the status as pages and reports do.
func (s Status) String() string {
	names := [...]string{"undecided", "accepted", "inferred", "unknown", "clone", "bad-tac", "void", "granted", "denied"}
	if s < 0 || int(s) >= len(names) {
		return "undecided"
	}
	return names[s]
}

// Occupies reports whether a claim of that status fills its slot: the shadow account follows it.
func (s Status) Occupies() bool { return s == Stands || s == Inferred }

// Decidable reports whether a claim of that status is for officers to decide, or was decided by them.
func (s Status) Decidable() bool { return s == Open || s == Clone || s == BadTAC || s.decided() }

func (s Status) decided() bool { return s == Granted || s == Denied }

// undecided is what a claim would be worth without its officers' decision: who has to pay for a tap does not change what was seen of it.
func (c Claim) undecided(s Status) Status {
	if !s.decided() {
		return s
	}
	switch c.Proof {
	case ProofGood:
		return Clone
	case ProofBad:
		return BadTAC
	}
	return Open
}

// Next is what is known of the slot after this one: the balance the card showed when its counter was one higher.
type Next struct {
	Known  bool
	Before money.Amount
	// Apart: of a card whose counter moves without a debit too (see [Chain]), the next slot that anything is known of. That the counter
	// has moved says nothing then; what the balance did says it.
	Apart bool
}

// NextFrom reads Next out of the claims to the following slot. A claim whose TAC is bad or spent says nothing; of the others a
// proved one is believed first, then the oldest.
func NextFrom(claims []Claim) Next {
	var best *Claim
	for i := range claims {
		c := &claims[i]
		if c.Proof == ProofBad || c.Spent {
			continue
		}
		if best == nil || better(*c, *best) {
			best = c
		}
	}
	if best == nil {
		return Next{}
	}
	return Next{Known: true, Before: best.Before}
}

func better(a, b Claim) bool {
	if a.proved() != b.proved() {
		return a.proved()
	}
	return older(a, b) < 0
}

// Explained reports whether a rise of the balance between two debits is explained by loads of the card. A difference of
// zero needs none.
type Explained func(rise money.Amount) bool

// Decide returns the status of each claim to one slot, in the order given.
//
//   - Proved claims: the oldest stands, the others are clones. "Oldest" is by terminal time, so that who came first to
//     the backend does not matter. A claim whose debit is spent is none of them: it is counted where the debit belongs.
//   - No proved claim: the slot was used if the next one is known, and an unproved claim whose amount leads to
//     the next balance is inferred. Of several the newest is: the card showed this counter again at the later
//     tap, so the earlier ones had not debited it.
//   - Claims that the slot's standing one excludes are void; claims that nothing decides stay open. Where the next slot stands apart,
//     a claim is void too if the balance has not moved.
//   - What then is open, a clone or of a bad TAC is as its [Decision] says, if there is one. A proof that comes later wins.
func Decide(claims []Claim, next Next, explained Explained) []Status {
	out := make([]Status, len(claims))
	standing, inferred := -1, -1
	led := make([]movement, len(claims))
	for i, c := range claims {
		switch {
		case c.proved():
			if standing < 0 || older(c, claims[standing]) < 0 {
				standing = i
			}
		case c.Proof == ProofNone && c.Said != SaidVoided:
			led[i] = leadsTo(c, next, explained)
			if led[i] == moved && (inferred < 0 || surer(c, claims[inferred])) {
				inferred = i
			}
		}
	}
	for i, c := range claims {
		switch {
		case c.Proof == ProofBad:
			out[i] = BadTAC
		case c.Spent:
			out[i] = Void
		case i == standing:
			out[i] = Stands
		case c.Proof == ProofGood:
			out[i] = Clone
		case standing >= 0 || c.Said == SaidVoided:
			out[i] = Void
		case i == inferred:
			out[i] = Inferred
		case inferred >= 0 || led[i] == stayed:
			out[i] = Void
		default:
			out[i] = Open
		}
		if out[i].Decidable() {
			out[i] = c.Decision.status(out[i])
		}
	}
	return out
}

// surer prefers a claim that the card's log backs, then the newer one.
func surer(a, b Claim) bool {
	if (a.Said == SaidCardLog) != (b.Said == SaidCardLog) {
		return a.Said == SaidCardLog
	}
	return older(a, b) > 0
}

// movement is what the next balance says of a claim.
type movement int8

const (
	unclear movement = iota
	moved            // by the claim's amount
	stayed           // not at all
)

func leadsTo(c Claim, next Next, explained Explained) movement {
	if !next.Known {
		return unclear
	}
	after, err := c.Before.Sub(c.Amount)
	if err != nil {
		return unclear
	}
	debited := follows(after, next.Before, explained)
	if !next.Apart {
		if debited == no {
			return unclear
		}
		return moved
	}
	kept := follows(c.Before, next.Before, explained)
	switch {
	case debited > kept:
		return moved
	case kept > debited:
		return stayed
	}
	return unclear // neither fits, or both as well
}

// fit says how well one balance follows another.
type fit int8

const (
	no      fit = iota
	byLoads     // a rise that loads explain
	asItIs      // it is the same
)

func follows(from, to money.Amount, explained Explained) fit {
	rise, err := to.Sub(from)
	switch {
	case err != nil || rise.Sign() < 0:
		return no
	case rise.IsZero():
		return asItIs
	case explained(rise):
		return byLoads
	}
	return no
}
