package api

import (
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/tap"
)

// Event is one thing that happened, as clients are told. The card is masked.
type Event struct {
	ID      uint64 `json:"id"` // rises by one; it starts anew with the program
	Version int    `json:"version"`
	Type    string `json:"type"` // card, outcome, out-of-service, ready, journal
	At      string `json:"at"`   // UTC, milliseconds
	Lane    int    `json:"lane"` // -1: every lane
	Mode    string `json:"mode,omitempty"`

	Outcome string `json:"outcome,omitempty"`
	Pass    bool   `json:"pass"`
	Light   string `json:"light,omitempty"`
	Beeps   int    `json:"beeps,omitempty"`
	Blink   *Blink `json:"blink,omitempty"` // how light and beeps go
	Amount  string `json:"amount,omitempty"`
	Balance string `json:"balance,omitempty"`
	Card    string `json:"card,omitempty"`
	Tap     string `json:"tap,omitempty"`
	Reason  string `json:"reason,omitempty"`
	TookMS  int64  `json:"took_ms,omitempty"`

	Records *uint64 `json:"records,omitempty"` // of journal: without a receipt
}

// Blink is the pattern of a light and its beeps, in milliseconds.
type Blink struct {
	OnMS    int64 `json:"on_ms"`
	OffMS   int64 `json:"off_ms"`
	Repeats int   `json:"repeats"`
	BeepMS  int64 `json:"beep_ms"` // with each blink; 0: silent
}

// Types of events.
const (
	TypeCard    = "card"           // a card is there
	TypeOutcome = "outcome"        // what became of it
	TypeOut     = "out-of-service" // the whole terminal does not sell
	TypeReady   = "ready"          // it sells again
	TypeJournal = "journal"        // other records are without a receipt than before
)

func eventOf(e edge.Event, mode string) Event {
	out := fill(e.Result, e.Pattern)
	out.Version, out.At, out.Lane, out.Mode, out.TookMS = Version, stamp(e.At), e.Lane, mode, e.Took.Milliseconds()
	switch {
	case e.Card:
		return Event{Version: Version, Type: TypeCard, At: out.At, Lane: e.Lane, Mode: mode}
	case e.Ready:
		return Event{Version: Version, Type: TypeReady, At: out.At, Lane: e.Lane}
	case e.Lane == edge.AllLanes:
		out.Type = TypeOut
	default:
		out.Type = TypeOutcome
	}
	return out
}

// fill says what a result is.
func fill(r tap.Result, p tap.Pattern) Event {
	e := Event{Outcome: r.Outcome.String(), Pass: r.Outcome.Pass(), Light: p.Light, Beeps: p.Beeps(), Reason: r.Reason}
	if p.Repeats > 0 {
		e.Blink = &Blink{OnMS: p.On.Milliseconds(), OffMS: p.Off.Milliseconds(), Repeats: p.Repeats, BeepMS: p.Beep.Milliseconds()}
	}
	if r.Card != (ids.CardNumber{}) {
		e.Card = r.Card.String()
	}
	if r.Tap != (ids.TapID{}) {
		e.Tap, e.Amount = r.Tap.String(), r.Amount.String()
	}
	if r.Outcome.Pass() && !r.Balance.IsZero() {
		e.Balance = r.Balance.String()
	}
	return e
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
