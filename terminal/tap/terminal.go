package tap

import (
	"time"

	"github.com/purselane/purselane/card/purse"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/uplink/wire"
)

// Journal is the durable memory a tap needs; terminal/journal has it. Every call that returns nil is on disk.
type Journal interface {
	Epoch() uint64
	// OpenIntent is asked before each debit for the open intent of its card, and for that of the zero number before a card may be debited
	// whose number is told only then. An error ends the visit, so this is where an implementation may turn a card away.
	OpenIntent(card ids.CardNumber) (draft *wire.Record, unknown, found bool, err error)
	// OpenIntents are the drafts of all open intents by tap number.
	OpenIntents() ([]*wire.Record, error)
	// Begin writes the intent. A draft of STATE_UNKNOWN is of a card that may have debited already: it is too late to refuse it.
	Begin(draft *wire.Record) (tap uint64, err error)
	Drop(tap uint64) error
	MarkUnknown(tap uint64) error
	Finish(tap uint64, final *wire.Record) error
}

// Terminal is what stays the same from tap to tap.
type Terminal struct {
	ID       ids.TerminalID
	Merchant ids.MerchantID
	Journal  Journal
	Drivers  []purse.Driver // the card families that are served; the first whose purse is on a card has it
	Profile  *firmwareconfig.Profile
	Location *time.Location // of Profile.TimeZone
	BootID   []byte

	// Denied reports a card on the deny list. Nil: there is none.
	Denied func(ids.CardNumber) bool
	// DenyVersion is of the list that Denied asks, for the record. Nil: not told.
	DenyVersion func() uint64
	// Paid tells where a card has paid for a ride on a line a moment ago, as other readers and linked terminals know: for cards whose own records
	// do not show it. Nil: nobody else knows.
	Paid func(card ids.CardNumber, line fare.Code) (where string, paid bool)
	// Ready tells why the terminal must not sell now: journal full, records too old. Nil: always ready.
	Ready func(now time.Time) error
}

// Mode is what a reader sells.
type Mode int

// Modes.
const (
	BusFlat Mode = iota + 1
	MetroEntry
	MetroExit
	Sale // an amount from the till
)

// Request is one presentation of a card at one reader.
type Request struct {
	Mode      Mode
	Line      fare.Code
	Station   fare.Code    // the stop, or the gate's station
	Amount    money.Amount // of a Sale
	RequestID string       // of a Sale: the till's idempotency key

	Now       time.Time
	Clock     wire.ClockState
	ClockErr  time.Duration // bound of Now's error
	Monotonic time.Duration // since BootID
}
