package ec

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/internal/money"
)

// Reasons why the host refuses a load. None of them has moved money.
var (
	ErrNoRequest    = errors.New("cryptogram is no request to go online (ARQC)")
	ErrOtherBalance = errors.New("card's balance differs from the host's")
	ErrOverLimit    = errors.New("balance would be above the card's limit")
	ErrLoadAmount   = errors.New("amount is nothing, or takes more than there is")
	// ErrNotReversible: the money may be on the card, so it must not go back to its source.
	ErrNotReversible = errors.New("load is not known to have failed")
)

// LoadOrder is one load to authorise (EC facts 15).
type LoadOrder struct {
	Card   CardKeys
	Claim  Claim        // the card's request: its chip data as uploaded
	Amount money.Amount // put on the card; below zero it is taken back, as the void of a cash load does
	Known  money.Amount // what the host's books say is on the card
	Owed   money.Amount // what they say of the deposit used (DF63), which the card pays off first
	Limit  money.Amount // the card's balance limit (9F77)
	Script [4]byte      // the script's number
	// NoPadding is BalanceInput's.
	NoPadding bool
}

// Load is an authorised load as the host keeps it: what it needs to tell what became of it.
type Load struct {
	Card          CardKeys
	ATC           uint16
	ARQC          [8]byte
	Amount        money.Amount
	Before, After money.Amount // balance before, and after the script
	Script        [4]byte
}

// String prints the masked card number and the balances.
func (l Load) String() string {
	return fmt.Sprintf("load of %v to %v, ATC %d, %v to %v", l.Amount, l.Card.PAN, l.ATC, l.Before, l.After)
}

// Answer is what goes back to the terminal: tag 91, and template 72.
type Answer struct {
	Auth   [10]byte
	Script []byte // none if the request was refused
}

// AuthoriseLoad checks a card's request and makes the answer that loads it: the balance in the card's own data, proven by its MAC, plus the amount. Where it differs from the host's books
// the load is refused: one of the two does not know of a transaction. Keep the Load before the answer is sent.
func AuthoriseLoad(ctx context.Context, door Issuer, o LoadOrder) (Load, Answer, error) {
	before, err := VerifyRequest(ctx, door, o.Card, o.Claim, o.NoPadding)
	if err != nil {
		return Load{}, Answer{}, err
	}
	if before != o.Known {
		return Load{}, Answer{}, fmt.Errorf("%w: %v on %v, %v in the books", ErrOtherBalance, before, o.Card.PAN, o.Known)
	}
	value, err := before.Add(o.Amount)
	if err != nil {
		return Load{}, Answer{}, err
	}
	if o.Amount.IsZero() || value.Sign() < 0 {
		return Load{}, Answer{}, fmt.Errorf("%w: %v with %v on the card", ErrLoadAmount, o.Amount, before)
	}
	after, err := value.Sub(o.Owed)
	if err != nil {
		return Load{}, Answer{}, err
	}
	if after.Sign() < 0 {
		after = money.Amount{}
	}
	if after.Cmp(o.Limit) > 0 {
		return Load{}, Answer{}, fmt.Errorf("%w: %v, limit %v", ErrOverLimit, after, o.Limit)
	}
	o.Card.Algorithm = o.Claim.IAD.Algorithm
	put, err := PutBalance(ctx, door, o.Card, o.Claim.ATC, o.Claim.AC, value)
	if err != nil {
		return Load{}, Answer{}, err
	}
	script, err := Script(o.Script, put)
	if err != nil {
		return Load{}, Answer{}, err
	}
	auth, err := IssuerAuthentication(ctx, door, o.Card, o.Claim.ATC, o.Claim.AC, Approved)
	if err != nil {
		return Load{}, Answer{}, err
	}
	l := Load{Card: o.Card, ATC: o.Claim.ATC, ARQC: o.Claim.AC, Amount: o.Amount, Before: before, After: after, Script: o.Script}
	return l, Answer{Auth: auth, Script: script}, nil
}

// VerifyRequest checks that chip data is an ARQC of this card, and returns the balance that the card's MAC proves.
func VerifyRequest(ctx context.Context, door Issuer, card CardKeys, c Claim, noPadding bool) (money.Amount, error) {
	if c.Decision != ARQC {
		return money.Amount{}, fmt.Errorf("%w: %v", ErrNoRequest, c.Decision)
	}
	if err := VerifyCryptogram(ctx, door, card, c.Sent, c.AIP, c.ATC, c.IAD, c.AC); err != nil {
		return money.Amount{}, err
	}
	if err := VerifyBalance(ctx, door, card, c.ATC, c.IAD, noPadding); err != nil {
		return money.Amount{}, err
	}
	balance, ok := c.IAD.Balance()
	if !ok {
		return balance, fmt.Errorf("%w: no balance in the issuer application data", ErrMalformed)
	}
	return balance, nil
}

// Verdict is what is known of an authorised load.
type Verdict int

// Verdicts.
const (
	// Uncertain: the value may be on the card or not. It is neither sold nor given back.
	Uncertain Verdict = iota
	// Loaded: the card has carried the script out.
	Loaded
	// NotLoaded: it has not, and never will. The load may be reversed.
	NotLoaded
)

// String prints the verdict.
func (v Verdict) String() string {
	switch v {
	case Uncertain:
		return "uncertain"
	case Loaded:
		return "loaded"
	case NotLoaded:
		return "not loaded"
	}
	return fmt.Sprintf("verdict %d", int(v))
}

// ByResult judges by a terminal's report. Nobody signs it: that the script ran is taken from a terminal, that it did not is not.
func (l Load) ByResult(r ScriptResult) Verdict {
	if r.ID == l.Script && r.Outcome == ScriptDone {
		return Loaded
	}
	return Uncertain
}

// ByLog judges by a load log whose MAC was verified. capacity is how many records the issuer's cards keep; 0 if it is not known.
//
// A log without the load excludes it only if it was read in a later session: within the load's own one it may have been read before the script ran.
func (l Load) ByLog(log LoadLog, capacity int) Verdict {
	covered := len(log.Records) < capacity
	for _, r := range log.Records {
		switch {
		case r.Tag != TagBalance || r.ATC > l.ATC:
		case r.ATC < l.ATC:
			covered = true // records of that age are still there
		case r.Before == l.Before && r.After == l.After:
			return Loaded
		default:
			return Uncertain // another script ran in that session
		}
	}
	if covered && log.ATC > l.ATC {
		return NotLoaded
	}
	return Uncertain
}

// ByBalance judges by the balance of a later transaction before its own debit, from issuer application data whose MAC was verified. What lies between the two may hide
// debits that are not uploaded, so a balance that the load alone could have reached proves it, and the lower one proves the contrary only in the next session.
func (l Load) ByBalance(atc uint16, balance money.Amount) Verdict {
	low, high, ofHigh, ofLow := l.Before, l.After, Loaded, NotLoaded
	if low.Cmp(high) > 0 {
		low, high, ofHigh, ofLow = high, low, NotLoaded, Loaded
	}
	switch {
	case atc <= l.ATC:
		return Uncertain // the same session, or an older one
	case balance.Cmp(low) > 0 && balance.Cmp(high) <= 0:
		return ofHigh
	case balance == low && low != high && uint32(atc) == uint32(l.ATC)+1:
		return ofLow
	}
	return Uncertain
}

// Reversal is a load taken back at its source (0400). It never touches the card.
type Reversal struct {
	Card   CardKeys
	ATC    uint16 // these two name the load
	ARQC   [8]byte
	Amount money.Amount // goes back to where it came from
}

// Reverse builds the reversal of a load that is known to have failed, and of no other.
func (l Load) Reverse(v Verdict) (Reversal, error) {
	if v != NotLoaded {
		return Reversal{}, fmt.Errorf("%w: %v is %v", ErrNotReversible, l, v)
	}
	return Reversal{Card: l.Card, ATC: l.ATC, ARQC: l.ARQC, Amount: l.Amount}, nil
}
