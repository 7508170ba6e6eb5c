package tap

import (
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// Outcome is what the rider is shown. Numbers are not stored; names are an outside contract of logs and screens.
type Outcome int

// Outcomes. Those up to RecoveredGranted let the rider pass.
const (
	Granted          Outcome = iota + 1 // debited
	GrantedLow                          // debited; the balance is low
	AlreadyPaid                         // the card shows that this trip is paid: nothing taken
	RecoveredGranted                    // an earlier tap with no answer turned out to be paid: nothing taken now
	PresentAgain                        // the card left too early: the same card, please
	RefusedBalance                      // too little value
	RefusedBlocked
	RefusedExpired
	RefusedNotYetValid
	RefusedDenied     // on the deny list
	RefusedUnknown    // no purse of this scheme
	RefusedKeyVersion // the SAM has no key for this card
	RefusedTrip       // the trip state does not fit this gate
	RefusedFaulty     // the card answers what it must not
	OneCardPlease
	OutOfService
)

// Pattern is how an outcome looks and sounds; Key names its text in the screens' languages.
type Pattern struct {
	Key   string
	Light string // green, amber or red
	Beeps int    // 1 is success, 2 an alert, 3 "hold the card still, again"
}

var patterns = map[Outcome]Pattern{
	Granted:            {"granted", "green", 1},
	GrantedLow:         {"granted-low-balance", "green", 2},
	AlreadyPaid:        {"already-paid", "green", 1},
	RecoveredGranted:   {"granted-recovered", "green", 1},
	PresentAgain:       {"present-same-card-again", "amber", 3},
	RefusedBalance:     {"refused-balance", "red", 2},
	RefusedBlocked:     {"refused-blocked", "red", 2},
	RefusedExpired:     {"refused-expired", "red", 2},
	RefusedNotYetValid: {"refused-not-yet-valid", "red", 2},
	RefusedDenied:      {"refused-denied", "red", 2},
	RefusedUnknown:     {"refused-unknown-card", "red", 2},
	RefusedKeyVersion:  {"refused-key-version", "red", 2},
	RefusedTrip:        {"refused-trip", "red", 2},
	RefusedFaulty:      {"refused-faulty-card", "red", 2},
	OneCardPlease:      {"one-card-please", "amber", 3},
	OutOfService:       {"out-of-service", "red", 0},
}

// Pattern is the outcome's light and sound.
func (o Outcome) Pattern() Pattern { return patterns[o] }

// String is the outcome's key.
func (o Outcome) String() string { return patterns[o].Key }

// Pass reports whether the rider may pass.
func (o Outcome) Pass() bool { return o >= Granted && o <= RecoveredGranted }

// Result is what became of one presentation of a card.
type Result struct {
	Outcome Outcome
	Reason  string       // for logs and field engineers; no card number
	Amount  money.Amount // taken, or at stake while the outcome is unknown; all debits of the visit together
	Balance money.Amount // after, where it is known
	Tap     ids.TapID    // of the last debit; zero: none was begun
	Card    ids.CardNumber

	Recovered *Recovery // an earlier tap settled by this presentation
}

// Recovery is what became of an earlier tap whose outcome was unknown.
type Recovery struct {
	Tap       ids.TapID
	Amount    money.Amount
	Completed bool // false: the card had not debited, or cannot tell any more
	Aged      bool
}
