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
	ProofBad  Proof = 2 // it does not
)

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
}

// Stronger returns the one of two claims of one tap that counts. It is commutative: which record came first does not
// matter.
func Stronger(a, b Claim) Claim {
	if c := cmp.Or(
		cmp.Compare(rank(a), rank(b)),
		cmp.Compare(b.Seq, a.Seq), // of two equals the first written
	); c < 0 {
		return b
	}
	return a
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

// older orders claims by terminal time, terminal, epoch and sequence: a total order that no arrival can change.
func older(a, b Claim) int {
	return cmp.Or(
		cmp.Compare(a.At, b.At),
		cmp.Compare(a.Tap.Terminal, b.Tap.Terminal),
		cmp.Compare(a.Tap.Epoch, b.Tap.Epoch),
		cmp.Compare(a.Seq, b.Seq),
	)
}

// String names the claim without the card.
func (c Claim) String() string {
	return fmt.Sprintf("%v amount %v said %d proof %d", c.Tap, c.Amount, c.Said, c.Proof)
}
