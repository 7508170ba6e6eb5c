package shadowaccount

import (
	"cmp"
	"fmt"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// Said is what a terminal says of a tap. Numbers are stored: they are never given a new meaning.
type Said int8

// What terminals say, in rising strength: of several records of one tap the strongest counts.
const (
	SaidUnknown   Said = 1 // DEBIT went out, no answer came
	SaidAged      Said = 2 // given up at the terminal
	SaidVoided    Said = 3 // the card has shown that it did not debit
	SaidCardLog   Said = 4 // the card's log shows the debit; no TAC
	SaidCompleted Said = 5 // debited, with a TAC
)

// Proof is what the backend found of the TAC.
type Proof int8

// Proofs.
const (
	ProofNone Proof = 0 // the record carries no TAC
	ProofGood Proof = 1 // the TAC verifies
	ProofBad  Proof = 2 // it does not, or nothing could verify it
)

// Flags are what was odd about any of a tap's records. They stay when a stronger record speaks for the tap: a forged TAC is an
// alarm even if a good one follows. Bits are stored: they are never given a new meaning.
type Flags uint8

// Flags.
const (
	FlagBadTAC     Flags = 1 << 0 // a TAC did not verify, or was missing where one is due
	FlagWrongSAM   Flags = 1 << 1 // the PSAM in the record is not the terminal's
	FlagUnknownKey Flags = 1 << 2 // no key of the record's version and algorithm
)

// Decision is what officers decided of a claim that nothing proves. Numbers are stored: they are never given a new meaning.
type Decision int8

// Decisions.
const (
	Undecided  Decision = 0
	GrantClaim Decision = 1 // the merchant is paid, and the scheme bears it: no card's value pays for what its card has not proved
	DenyClaim  Decision = 2 // nothing is owed
)

func (d Decision) status(without Status) Status {
	switch d {
	case GrantClaim:
		return Granted
	case DenyClaim:
		return Denied
	}
	return without
}

// Claim is one tap's claim to a slot: the strongest of its records.
type Claim struct {
	Tap      ids.TapID
	Seq      uint64 // of the record
	At       int64  // terminal time, Unix ms
	Merchant ids.MerchantID
	Amount   money.Amount
	Before   money.Amount // balance the card showed before the debit
	After    money.Amount
	Said     Said
	Proof    Proof
	Flags    Flags

	// Debit names the debit that a good TAC proves: what the card's TAC was made over. Counter and balances are not in a TAC, so a
	// terminal can put one TAC into two records; a debit counts once. Empty: not compared.
	Debit string
	// Spent: an older claim of the card has the same Debit. See [Spend].
	Spent bool
	// Decision is of the tap in this slot, whichever of its records speaks for it.
	Decision Decision
}

// Merge returns what two records of one tap say together. It is commutative and associative: which record came first
// does not matter.
func Merge(a, b Claim) Claim {
	m := a
	if c := cmp.Or(
		cmp.Compare(rank(a), rank(b)),
		cmp.Compare(b.Seq, a.Seq), // of two equals the first written
	); c < 0 {
		m = b
	}
	m.Flags = a.Flags | b.Flags
	m.Decision = max(a.Decision, b.Decision) // records carry none
	return m
}

func rank(c Claim) int {
	switch {
	case c.Proof == ProofGood:
		return 10 // a TAC is the card's own word
	case c.Proof == ProofBad:
		return 0 // a forged word is weaker than none
	}
	return int(c.Said)
}

// proved reports whether a claim has a card's own word of its own.
func (c Claim) proved() bool { return c.Proof == ProofGood && !c.Spent }

// older orders claims by terminal time, terminal, epoch and sequence: a total order that no arrival can change.
func older(a, b Claim) int {
	return cmp.Or(
		cmp.Compare(a.At, b.At),
		cmp.Compare(a.Tap.Terminal, b.Tap.Terminal),
		cmp.Compare(a.Tap.Epoch, b.Tap.Epoch),
		cmp.Compare(a.Seq, b.Seq),
	)
}

// Spend returns which one of several proved claims with the same Debit it belongs to; it is spent for the others. A
// terminal with the PSAM that the TAC names is believed before one with another, then the older claim.
func Spend(claims []Claim) (owner int) {
	for i, c := range claims {
		o := claims[owner]
		if cmp.Or(cmp.Compare(c.Flags&FlagWrongSAM, o.Flags&FlagWrongSAM), older(c, o)) < 0 {
			owner = i
		}
	}
	return owner
}

// String names the claim without the card.
func (c Claim) String() string {
	return fmt.Sprintf("%v amount %v said %d proof %d", c.Tap, c.Amount, c.Said, c.Proof)
}
