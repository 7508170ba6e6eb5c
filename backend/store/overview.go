package store

import (
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Overview is the scheme at one moment, read in one snapshot: what the operators' first page shows.
type Overview struct {
	Cards     int64           // shadow accounts
	OnCards   money.Amount    // sum of the shadow accounts, from the card rows and not from the books
	Balances  []books.Balance // every account
	Taps      []TapLine       // latest first, as they arrived
	Terminals []Terminal
	Findings  []FindingCount // open ones, by code
	Days      []DayLine      // clearing days, latest first
}

// TapLine is one record as the page shows it. It holds no card number: Card is masked.
type TapLine struct {
	At       time.Time // by the terminal's clock
	Terminal ids.TerminalID
	Place    string
	Kind     string // purchase, entry, exit, correction
	Card     string // "****1234"
	Amount   money.Amount
	Outcome  string // what the terminal said: completed, unknown, voided, aged
	Verdict  string // what the backend decided, "" while it has not
}

// FindingCount is how many findings of one code are open.
type FindingCount struct {
	Code     string
	Severity string
	Open     int64
}

// DayLine is one clearing day in short.
type DayLine struct {
	Day      string
	State    string // open, closed, paid
	Accepted Tally
	Rejected Tally
	Suspect  Tally
	Net      money.Amount // what all parties together are owed; negative: what they owe
	Digest   string       // of the report, "" while open
}

// Tally counts records and adds up their amounts.
type Tally struct {
	Count  int64
	Amount money.Amount
}
