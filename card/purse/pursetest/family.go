package pursetest

import (
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/internal/money"
)

// Family is a driver with all that the suite needs to break it.
type Family struct {
	// New makes a fresh bench: always the same cards, with at least 50.00 each, and no debit of the suite's on them.
	New func() Bench
	// Kinds are the orders that the driver takes.
	Kinds []purse.Kind
	// At is a time at which the cards are valid, in the scheme's zone, whole seconds.
	At time.Time
	// Refusals are status words with which a card refuses a command and does nothing; Failures those with which it answers when it may have
	// done it. The second may stand after a debit.
	Refusals, Failures []apdu.SW
	// Bank: the cards' numbers are a bank's. Each attempt and each verdict has the number sealed.
	Bank bool
}

// Bench is two cards of one scheme, and its terminals.
type Bench interface {
	// Card is one of two cards, 0 or 1.
	Card(n int) Chip
	// Driver is a driver made anew, as a restarted terminal makes it, of one of three terminals with different SAMs: 0 to 2.
	Driver(terminal int) purse.Driver
	// Held is how many SAMs are lent at the moment, by all drivers of the bench together.
	Held() int
}

// Chip is a simulated card, and the truth about it, which no driver sees.
type Chip interface {
	apdu.Transmitter
	Power(on bool)
	// Balance is what is on the card; Debits how many debits it has ever made, those of nothing included.
	Balance() money.Amount
	Debits() uint64
	// Memory is all that outlives the field, as a value to compare with ==.
	Memory() any
	// Number is the full card number, or a part of it, that must never print.
	Number() []byte
}
