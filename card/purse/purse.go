package purse

import (
	"context"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// Driver knows the cards of one family in one scheme. It serves one visit at a time.
type Driver interface {
	// Family names the card family in records: "ep", "ec", "desfire".
	Family() string
	// Open selects the purse; nothing on the card changes that a power cut would not undo. ErrNoPurse: the card has none of this
	// family, ask the next driver.
	Open(ctx context.Context, t apdu.Transmitter) (Card, error)
}

// Card is an opened purse. It serves one visit, on one goroutine but for Stage.
type Card interface {
	// Read reads what the visit needs. Errors leave the card as it was.
	Read(ctx context.Context, n Need) (Reading, error)

	// Begin prepares an order as far as it goes without debiting. An error means that nothing was debited and nothing will be, except
	// ErrMaybeDebited, with which an Attempt comes that Recover can ask about. A Begin that is not committed leaves the card as it was. A
	// second Begin on one card follows a finished first one.
	Begin(ctx context.Context, o Order) (Attempt, error)
	// Stage sends the card what may go to it while the attempt goes to disk. It may run on another goroutine, and has returned
	// before Commit is called. An error means that nothing was debited and nothing will be.
	Stage(ctx context.Context) error
	// Commit makes the debit true. Nil: the card has answered. ErrNotDebited: for certain it was not debited. Any other error: unknown.
	Commit(ctx context.Context) error
	// Evidence checks the card's proof and, where the card is still there, what it did. ErrBadProof: the answer does not
	// prove the debit, which stays unknown. A card that has left after a good proof is no error.
	Evidence(ctx context.Context) (Evidence, error)

	// Recover asks the card what became of an earlier attempt, after Read and before any Begin. It may be called for several attempts, one
	// after the other. An error means that the card has not told, and may be asked again; ErrOtherCard, that the attempt is of another
	// card, another purse on this one (Application), or another family: such a one is never Voided.
	Recover(ctx context.Context, a Attempt) (Verdict, Evidence, error)

	// Close gives back what the visit holds, such as a SAM. It sends nothing to the card.
	Close()
}

// Need is what a visit wants read; identity and validity always come.
type Need struct {
	Trip    bool // the metro trip record
	Ride    bool // the newest ride
	Balance bool
}

// Reading is what a card says before a debit.
type Reading struct {
	// Card names the card in journals and lists. Zero: this family tells it only with an Attempt.
	Card ids.CardNumber
	// ValidFrom and ValidUntil are dates as YYYYMMDD, both days included; 0: not said.
	ValidFrom, ValidUntil int
	Trip                  Trip
	Ride                  Ride
	Balance               money.Amount
}

// Place is where a trip record was written.
type Place struct {
	Line, Station [2]byte
}

// Point is one end of a trip: where, when, and by which debit.
type Point struct {
	Place
	At   time.Time // zero: what the card says is no time
	Mark string    // names the debit that wrote it; see Attempt.Mark
}

// Trip is the metro trip record.
type Trip struct {
	Locked      bool // the card refuses any trip
	Open        bool // entered and not left
	Left        bool // left by a gate
	Entry, Exit Point
	Marked      money.Amount // due if the trip is never left
}

// Ride is the newest single ride, of a bus.
type Ride struct {
	Bus bool // false: the newest record is none of a bus ride
	Point
}

// Kind is what an order does to the card's trip records.
type Kind int

// Kinds.
const (
	Sale       Kind = iota + 1 // writes none
	BusRide                    // a single ride
	Enter                      // opens a trip
	Leave                      // closes the open trip
	CloseTrip                  // closes a trip that was never left
	LeaveUnmet                 // leaves without an entry
)

// Order is one debit to make.
type Order struct {
	Kind     Kind
	Amount   money.Amount
	Marked   money.Amount // of Enter: due if the trip is never left
	At       time.Time    // the terminal's time, in the scheme's zone
	Place    Place
	Merchant string
}

// Attempt is a debit that was begun: what a record tells of it, and all that Recover needs. It goes to disk before Commit. Fields that a family
// does not have are empty.
type Attempt struct {
	Family      string
	Application []byte         // AID
	Card        ids.CardNumber // never zero; that of the Reading, where that had one
	Issuer      []byte
	KeyLevels   int
	KeyVersion  byte
	Algorithm   byte
	Type        byte   // the family's transaction type
	Counter     uint32 // the card's, as the family's record has it
	Amount      money.Amount
	Before      money.Amount
	After       money.Amount // what the debit should leave
	SAM         []byte       // 6 bytes: the terminal number in the MACs
	Serial      uint32       // terminal transaction serial
	Time        []byte       // 7 bytes BCD, as it went to the card
	MAC1        []byte
	State       []byte // the driver's own, for Recover: no card number that is a bank's in clear
	// Sealed is the card number, readable by the backend alone, where it is a bank's: an attempt that nobody settles has it too.
	Sealed []byte
}

// How tells how a debit is known.
type How int

// Hows.
const (
	Reply   How = iota + 1 // by the answer to Commit
	Prove                  // by a proof that the card gave later
	CardLog                // by the card's own log alone
)

// Evidence is what shows that a debit took place.
type Evidence struct {
	How  How
	Kind string // of Data: "ep-tac/1", "ec-field55/1", "desfire-tmac/1"
	// MAC2 and TAC are of an EP purse, whose record has fields for them.
	MAC2, TAC []byte
	Data      []byte // of the other families: for the host to recheck
	// Sealed is as in the attempt, perhaps another text. Empty: the attempt's stands.
	Sealed   []byte
	Balance  money.Amount // read back where it was read, else as it should be
	Unread   bool         // the card left before it could be read back
	Mismatch string       // read back, the card is not as the debit should have left it: why. Empty: it is, or was not read
}

// Verdict is what became of an attempt.
type Verdict int

// Verdicts. All are final.
const (
	Completed Verdict = iota + 1
	Voided            // the card shows that it did not debit
	Aged              // the card cannot tell any more
)
