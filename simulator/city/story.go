package city

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/internal/money"
)

// StoryVersion of the JSON form of a story.
//
//   - 1: 2026-11-24: first
//   - 2: 2026-11-25: loads paid by phone; loaded = with agents + with channels
//   - 3: 2026-11-25: loads paid by bank card; each channel's funding, and what of it is on cards
const StoryVersion = 3

// Story is what a day came to: the outside contract of `purselane demo --json` (docs/demo.md).
type Story struct {
	Version int    `json:"version"`
	Seed    uint64 `json:"seed"`
	Cards   int    `json:"cards"`

	Taps          int            `json:"taps"`          // visits of riders to readers
	Presentations int            `json:"presentations"` // with the repeated ones
	Outcomes      map[string]int `json:"outcomes"`      // of presentations
	Torn          int            `json:"torn"`          // presentations in which the card left too early
	Recovered     int            `json:"recovered"`     // unknown outcomes that the card itself showed as paid
	Voided        int            `json:"voided"`        // unknown outcomes that the card itself showed as not paid
	Unknown       int            `json:"unknown"`       // taps whose outcome nobody knows at the end of the day
	Killed        int            `json:"killed"`        // terminals that lost power between debit and record
	Inferred      int            `json:"inferred"`      // taps proved by the card's next record alone

	ModemDead         string `json:"modem_dead"`
	ModemBacklog      int    `json:"modem_backlog"` // records that waited when it came back
	DuplicatesSent    int    `json:"duplicates_sent"`
	DuplicatesIgnored int    `json:"duplicates_ignored"`

	Loads     int          `json:"loads"`
	LoadsTorn int          `json:"loads_torn"`
	Loaded    money.Amount `json:"loaded"`

	Phones           int `json:"phones"`            // loads paid by phone
	BankCards        int `json:"bank_cards"`        // loads paid by bank card
	PhonesAsked      int `json:"phones_asked"`      // of both learned by asking the channel, as no notification or no answer came
	NotificationsBad int `json:"notifications_bad"` // that did not verify, and changed nothing

	DoubleCharged    int            `json:"double_charged"`    // visits in which the card was debited more than once
	PassedUnpaid     int            `json:"passed_unpaid"`     // visits with a green light and no debit
	Lost             int            `json:"lost"`              // debits of cards that the backend does not count, or counts wrongly
	ShadowMismatches int            `json:"shadow_mismatches"` // cards whose shadow account is not what they hold
	Findings         map[string]int `json:"findings"`

	Funded []Funded `json:"funded"` // by channel

	Sums      Sums          `json:"sums"`
	Conserved bool          `json:"conserved"`
	Faults    []string      `json:"faults"` // what `purselane books verify` and the checks of the sums found
	Day       string        `json:"day"`
	Settled   []SettledLine `json:"settlement"`
	Digest    string        `json:"settlement_digest"` // of the report
	Repeated  bool          `json:"settlement_repeated"`
}

// Sums are where the money is when all has arrived and the day is not closed yet: Loaded = OnCards + Debited = Agents + Channels;
// OnCards = Shadow = Float; Debited = Merchants; InFlight, Funding, Held and Trial are zero.
type Sums struct {
	Loaded    money.Amount `json:"loaded"`    // handed in at kiosks
	OnCards   money.Amount `json:"on_cards"`  // read from the cards
	Debited   money.Amount `json:"debited"`   // read from the cards' own logs
	Shadow    money.Amount `json:"shadow"`    // the backend's mirror of the cards
	Float     money.Amount `json:"float"`     // the books' account for it
	InFlight  money.Amount `json:"in_flight"` // loads on their way
	Funding   money.Amount `json:"funding"`
	Merchants money.Amount `json:"merchants"` // earned, not settled
	Held      money.Amount `json:"held"`      // claimed by taps under suspicion or not known
	Agents    money.Amount `json:"agents"`    // cash taken for loads, with the acquirers
	Channels  money.Amount `json:"channels"`  // paid by phone: what the payment channels owe us, and what they keep for it
	Trial     money.Amount `json:"trial_balance"`
}

// Funded is what came over one payment channel: all four are one sum, and Charges is Loads.
type Funded struct {
	Channel string       `json:"channel"`
	Loads   int          `json:"loads"`
	Charges int          `json:"charges"` // that the channel made
	Charged money.Amount `json:"charged"` // by the channel's own books, less what it gave back
	Paid    money.Amount `json:"paid"`    // by the gateway's orders
	Booked  money.Amount `json:"booked"`  // in the books: what the channel owes us, and what it keeps
	Loaded  money.Amount `json:"loaded"`  // on riders' cards
}

// agrees reports that nothing was paid twice, and nothing is anywhere but on cards.
func (f Funded) agrees() bool {
	return f.Charges == f.Loads && f.Charged == f.Paid && f.Paid == f.Booked && f.Booked == f.Loaded
}

// SettledLine is one acquirer's day.
type SettledLine struct {
	Acquirer  string       `json:"acquirer"`
	Name      string       `json:"name"`
	Count     int64        `json:"count"`
	Accepted  money.Amount `json:"accepted"`
	Rejected  money.Amount `json:"rejected"`
	Suspect   money.Amount `json:"suspect"`
	Fees      money.Amount `json:"fees"`
	SoldLoads money.Amount `json:"sold_loads"`
	Net       money.Amount `json:"net"`
}

func settledLines(r settlement.Report) []SettledLine {
	var out []SettledLine
	for _, a := range r.Acquirers {
		out = append(out, SettledLine{a.ID, a.Name, a.Accepted.Count, a.Accepted.Amount, a.Rejected.Amount, a.Suspect.Amount, a.Fees.Total, a.SoldLoads, a.Net})
	}
	return out
}

// Sound reports whether the day went as it must.
func (s Story) Sound() bool {
	return s.Conserved && s.DoubleCharged == 0 && s.PassedUnpaid == 0 && s.Lost == 0 && s.ShadowMismatches == 0 && s.DuplicatesIgnored == s.DuplicatesSent && s.Repeated
}

// Print writes the story for people: one screen.
func (s Story) Print(w io.Writer) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("")
	line("One day of the sample city, %s, seed %d", s.Day, s.Seed)
	line("")
	line("  Taps         %6d   by %d cards, in %d presentations", s.Taps, s.Cards, s.Presentations)
	var outcomes []string
	for k := range s.Outcomes {
		outcomes = append(outcomes, k)
	}
	slices.SortFunc(outcomes, func(a, b string) int {
		if s.Outcomes[a] != s.Outcomes[b] {
			return s.Outcomes[b] - s.Outcomes[a]
		}
		return strings.Compare(a, b)
	})
	for _, k := range outcomes {
		line("               %6d   %s", s.Outcomes[k], k)
	}
	line("  Torn         %6d   the card left too early; %d were found paid, %d not paid, %d proved by the next record, %d unknown",
		s.Torn, s.Recovered, s.Voided, s.Inferred, s.Unknown)
	line("  Power cut    %6d   between a debit and its record; settled by the card itself", s.Killed)
	line("  Dead modem   %6d   records of %s waited for its link", s.ModemBacklog, s.ModemDead)
	line("  Sent twice   %6d   records, %d ignored", s.DuplicatesSent, s.DuplicatesIgnored)
	line("  Loads        %6d   worth %v; %d presentations torn", s.Loads, s.Loaded, s.LoadsTorn)
	line("  By phone     %6d   of them, and %d by bank card; %d learned by asking, as notification or answer was lost; %d forged notifications changed nothing", s.Phones, s.BankCards, s.PhonesAsked, s.NotificationsBad)
	line("")
	line("  Charged twice      %d", s.DoubleCharged)
	line("  Passed unpaid      %d", s.PassedUnpaid)
	line("  Debits lost        %d", s.Lost)
	line("  Shadow mismatches  %d   of %d cards", s.ShadowMismatches, s.Cards)
	for _, code := range slices.Sorted(maps.Keys(s.Findings)) {
		line("  Finding            %d   %s", s.Findings[code], code)
	}
	line("")
	line("  %-20s %6s %11s %10s %9s %11s %11s", "Settlement", "taps", "accepted", "rejected", "fees", "sold loads", "net")
	for _, a := range s.Settled {
		line("  %-20s %6d %11v %10v %9v %11v %11v", a.Name, a.Count, a.Accepted, a.Rejected, a.Fees, a.SoldLoads, a.Net)
	}
	line("  report %.16s…, the same bytes when closed again: %s", s.Digest, yes(s.Repeated))
	line("")
	line("  %-20s %6s %11s %11s %11s %11s", "Funding", "loads", "charged", "paid", "booked", "on cards")
	for _, f := range s.Funded {
		line("  %-20s %6d %11v %11v %11v %11v", f.Channel, f.Loads, f.Charged, f.Paid, f.Booked, f.Loaded)
	}
	line("")
	m := s.Sums
	line("  loaded %v = on cards %v + debited %v", m.Loaded, m.OnCards, m.Debited)
	line("  on cards %v = shadow accounts %v = float %v; in flight %v, funding %v", m.OnCards, m.Shadow, m.Float, m.InFlight, m.Funding)
	line("  debited %v = earned by merchants %v; held %v; loaded %v = with agents %v + with channels %v; trial balance %v", m.Debited, m.Merchants, m.Held, m.Loaded, m.Agents, m.Channels, m.Trial)
	for _, f := range s.Faults {
		line("  FAULT: %s", f)
	}
	line("conserved: %s", yes(s.Conserved))
	_, err := io.WriteString(w, b.String())
	return err
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
