package shadowaccount

// Code names a kind of finding. Codes are an outside contract: they are never given a new meaning.
type Code string

// Findings.
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

// Severity says how fast someone must look.
type Severity string

// Severities.
const (
	Alarm Severity = "alarm" // now
	Watch Severity = "watch" // today
)

// SeverityOf is the severity of a code, and what the scheme does about it.
func SeverityOf(c Code) (Severity, string) {
	switch c {
	case FindClone:
		return Alarm, "candidate for the deny list; the second claim is held"
	case FindReplay:
		return Alarm, "counted once; look at the terminal"
	case FindBadTAC, FindUnknownKey:
		return Alarm, "claim held; look at the terminal"
	case FindWrongSAM:
		return Alarm, "counted for the terminal's merchant; look at the terminal"
	case FindRecordConflict:
		return Alarm, "second content kept apart; look at the terminal"
	case FindBalanceUp, FindCounterBack, FindNegativeShadow:
		return Alarm, "candidate for the deny list"
	case FindUnknownCard:
		return Alarm, "card registered as unknown; look at personalisation"
	}
	return Watch, "case"
}

// Finding is something suspicious at one counter of one card.
type Finding struct {
	Code    Code
	Counter uint32
	Detail  string
}
