package shadowaccount

import (
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// effect is what a claim of a status is worth in the books (design: shadow accounts and the books).
func effect(c Claim, s Status) ([]books.Line, error) {
	switch s {
	case Stands, Inferred:
		return books.Move(books.Float, books.MerchantPending(c.Merchant), c.Amount)
	case Open:
		return books.Move(books.SuspUnknown, books.MerchantHeld(c.Merchant), c.Amount)
	case Clone:
		return books.Move(books.SuspClone, books.MerchantHeld(c.Merchant), c.Amount)
	case Granted:
		return books.Move(books.LossGranted, books.MerchantPending(c.Merchant), c.Amount)
	case BadTAC:
		return books.Move(books.SuspBadTAC, books.MerchantHeld(c.Merchant), c.Amount)
	}
	return nil, nil
}

// shadow is what a claim of a status takes from the card's shadow account.
func shadow(c Claim, s Status) money.Amount {
	if s.Occupies() {
		return c.Amount
	}
	return money.Amount{}
}

// Effects returns the lines and the change of the shadow balance that turn what was posted for a claim (was, at wasStatus) into
// what it is worth now. A claim not seen before has wasStatus Nothing.
func Effects(was Claim, wasStatus Status, now Claim, nowStatus Status) ([]books.Line, money.Amount, error) {
	undo, err := effect(was, wasStatus)
	if err != nil {
		return nil, money.Amount{}, err
	}
	do, err := effect(now, nowStatus)
	if err != nil {
		return nil, money.Amount{}, err
	}
	lines := do
	for _, l := range undo {
		neg, err := l.Amount.Neg()
		if err != nil {
			return nil, money.Amount{}, err
		}
		lines = append(lines, books.Line{Account: l.Account, Amount: neg})
	}
	change, err := shadow(was, wasStatus).Sub(shadow(now, nowStatus))
	return lines, change, err
}
