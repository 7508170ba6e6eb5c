package api

import (
	"time"

	"github.com/purselane/purselane/internal/ids"
)

// Version of the API and of its events.
const Version = 1

// Health is how a terminal does. It holds no card number and no secret.
type Health struct {
	Version  int            `json:"version"`
	Terminal ids.TerminalID `json:"terminal"`
	Program  string         `json:"program"`
	At       time.Time      `json:"at"`
	InUse    bool           `json:"in_use"`           // it sells
	Reason   string         `json:"reason,omitempty"` // why it does not
	Profile  ProfileHealth  `json:"profile"`
	Clock    ClockHealth    `json:"clock"`
	Lanes    []LaneHealth   `json:"lanes"`
	Journal  JournalHealth  `json:"journal"`
	Uplink   *UplinkHealth  `json:"uplink,omitempty"` // none: no link of its own
}

// ProfileHealth is the profile in use.
type ProfileHealth struct {
	Version    uint64     `json:"version"`
	Scheme     string     `json:"scheme"`
	ValidUntil *time.Time `json:"valid_until,omitempty"`
}

// ClockHealth is how good the clock is.
type ClockHealth struct {
	State   string `json:"state"` // good, holdover, bad
	ErrorMS int64  `json:"error_ms"`
}

// LaneHealth is one reader and what it does.
type LaneHealth struct {
	Lane   int       `json:"lane"`
	Mode   string    `json:"mode"`
	Reader string    `json:"reader,omitempty"`
	State  string    `json:"state"` // idle, waiting, card, removing, lost, failing
	Since  time.Time `json:"since"`
	Error  string    `json:"error,omitempty"`
}

// JournalHealth is how full the journal is.
type JournalHealth struct {
	Records     uint64     `json:"records"`          // without a receipt
	Oldest      *time.Time `json:"oldest,omitempty"` // of them
	OpenIntents int        `json:"open_intents"`     // taps whose outcome is not known yet
	Value       string     `json:"value"`            // of the records without a receipt
	Bytes       int64      `json:"bytes"`            // on disk
	MaxBytes    int64      `json:"max_bytes"`        // at which it stops selling
}

// UplinkHealth is how the link does.
type UplinkHealth struct {
	State    string `json:"state"`
	InFlight int    `json:"in_flight"`
	Backlog  uint64 `json:"backlog"`
	Resends  int    `json:"resends"`
}
