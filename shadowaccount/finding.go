package shadowaccount

// Code names a kind of finding. Codes are an outside contract: they are never given a new meaning. What each means, and what is done
// about it, stands in [Catalogue].
type Code string

// Findings of the audit of a card's chain ([AuditCard]), and of a terminal's journal.
const (
	FindClone          Code = "CLONE"           // two proved debits with one counter
	FindReplay         Code = "REPLAY"          // one proved debit in two records
	FindBadTAC         Code = "BAD_TAC"         // a record whose TAC does not verify
	FindBalanceUp      Code = "BALANCE_UP"      // the balance rose without a load
	FindBalanceDown    Code = "BALANCE_DOWN"    // the balance fell without a debit
	FindArithmetic     Code = "ARITHMETIC"      // balance after is not balance before less the amount
	FindCounterBack    Code = "COUNTER_BACK"    // a debit with a counter below the card's opening counter
	FindDenied         Code = "DENIED_TAP"      // a debit after the card was blocked
	FindUnknownCard    Code = "UNKNOWN_CARD"    // our keys verify a card we never issued
	FindWrongSAM       Code = "WRONG_SAM"       // the record's PSAM is not the terminal's
	FindUnknownKey     Code = "UNKNOWN_KEY"     // a key version the HSM does not have
	FindRecordConflict Code = "RECORD_CONFLICT" // one sequence number, two contents
	FindNegativeShadow Code = "NEGATIVE_SHADOW" // more debits than value: an unseen load, or a clone
)

// Findings of the watch: of a card's taps together with when, where and by which list they were taken ([WatchCard]), and of terminals and
// PSAMs.
const (
	FindVelocity       Code = "VELOCITY"          // too many taps in a short time
	FindOverLimit      Code = "OVER_LIMIT"        // more than one tap may take
	FindTravel         Code = "IMPOSSIBLE_TRAVEL" // two places, and no time to go from one to the other
	FindDeniedAcquirer Code = "DENIED_ACQUIRER"   // the terminal had the list that denied the card
	FindDeniedIssuer   Code = "DENIED_ISSUER"     // the terminal had not got it yet
	FindAgedUnknown    Code = "AGED_UNKNOWN"      // nobody has found out what became of a tap
	FindAgedGap        Code = "AGED_GAP"          // a card's records are missing for days
	FindClockAhead     Code = "CLOCK_AHEAD"       // a terminal's time is later than the arrival of its record
	FindClockBack      Code = "CLOCK_BACK"        // a terminal's time went back from one tap to the next
	FindSAMHole        Code = "SAM_HOLE"          // a PSAM counted purchases of which no record came
	FindRecordsMissing Code = "RECORDS_MISSING"   // a terminal's records are missing for days
	FindRecordsLost    Code = "RECORDS_LOST"      // a terminal no longer has records that never came
)

// Severity says how fast someone must look.
type Severity string

// Severities.
const (
	Alarm Severity = "alarm" // now
	Watch Severity = "watch" // today
	Info  Severity = "info"  // when there is time: it explains other findings
)

// Consequence is what the scheme does about a finding.
type Consequence string

// Consequences.
const (
	OnlyTold  Consequence = "none"  // the books have it right; it is told, and that is all
	LookAt    Consequence = "watch" // someone looks at the terminal or the settings
	Held      Consequence = "hold"  // the money of the claim is held until an officer has decided
	Deny      Consequence = "deny"  // the card is proposed for the deny list
	OpensCase Consequence = "case"  // an officer takes it up, and closes it
)

// SeverityOf is the severity of a code, and what the scheme does about it.
func SeverityOf(c Code) (Severity, string) {
	if e, ok := Explain(c); ok {
		return e.Severity, e.Remedy
	}
	return Watch, "case"
}

// Finding is something suspicious at one counter of one card.
type Finding struct {
	Code    Code
	Counter uint32
	Detail  string
}
