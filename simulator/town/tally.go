package town

import (
	"reflect"

	"github.com/purselane/purselane/uplink/wire"
)

// Tally counts what happened, so that towns in which nothing happens are noticed.
type Tally struct {
	Events        int
	Presentations int // of cards at terminals
	Debits        int // that cards committed
	Loads         int // that cards committed
	Completed     int // records, by what they say
	Unknown       int
	Proved        int // completed by GET TRANSACTION PROVE
	FromLog       int // completed by the card's own log
	Voided        int
	Aged          int
	OutOfService  int // presentations at terminals that had to stop selling
	AlreadyPaid   int // green lights for what was paid before, recovered ones too
	LoadsDoubted  int // presentations at kiosks that left it open what the card did, or what the backend knows
	LoadsByRecord int // settled by a later debit of the card
	Open          int // taps nobody can know of: their riders never came back
	Inferred      int // taps that only the card's next counter has proved
	LoadsOpen     int // the same of loads
	PowerCuts     int
	BackendDeaths int
	Restores      int // of the backend from an older backup
	Refunds       int
	Lost, Doubled int // messages
	Hours         int // it lasted
}

// Add adds another town's tally to this one.
func (t *Tally) Add(o Tally) {
	mine, theirs := reflect.ValueOf(t).Elem(), reflect.ValueOf(o)
	for i := range mine.NumField() {
		mine.Field(i).SetInt(mine.Field(i).Int() + theirs.Field(i).Int())
	}
}

// record counts what a record says.
func (t *Tally) record(r *wire.Record) {
	switch {
	case r.GetState() == wire.State_STATE_UNKNOWN:
		t.Unknown++
	case r.GetState() == wire.State_STATE_VOIDED:
		t.Voided++
	case r.GetState() == wire.State_STATE_AGED:
		t.Aged++
	case r.GetEvidence() == wire.Evidence_EVIDENCE_PROVE:
		t.Proved++
	case r.GetEvidence() == wire.Evidence_EVIDENCE_CARD_LOG:
		t.FromLog++
	default:
		t.Completed++
	}
}
