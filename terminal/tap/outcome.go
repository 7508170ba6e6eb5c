package tap

import (
	firmwareconfig "github.com/purselane/purselane/firmware-config"
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

// Pattern is how an outcome looks and sounds; Key names its text in the screens' languages. Beeps: 1 is success, 2 an alert, 3 "hold the card still,
// again", where a profile does not say otherwise.
type Pattern struct {
	Key string
	firmwareconfig.Signal
}

var names = map[Outcome]string{
	Granted: "granted", GrantedLow: "granted-low-balance", AlreadyPaid: "already-paid", RecoveredGranted: "granted-recovered",
	PresentAgain: "present-same-card-again", RefusedBalance: "refused-balance", RefusedBlocked: "refused-blocked", RefusedExpired: "refused-expired",
	RefusedNotYetValid: "refused-not-yet-valid", RefusedDenied: "refused-denied", RefusedUnknown: "refused-unknown-card", RefusedKeyVersion: "refused-key-version",
	RefusedTrip: "refused-trip", RefusedFaulty: "refused-faulty-card", OneCardPlease: "one-card-please", OutOfService: "out-of-service",
}

// Pattern is the outcome's light and sound as that profile has them. No outcome has none.
func (o Outcome) Pattern(p *firmwareconfig.Profile) Pattern {
	return Pattern{Key: names[o], Signal: p.Signal(names[o])}
}

// String is the outcome's key.
func (o Outcome) String() string { return names[o] }

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
