package order

import "github.com/purselane/purselane/backend/gateway/channel"

// AgreementState is the state of an agreement to debit. The text is stored and is part of the API.
type AgreementState string

// States of an agreement. The comment says who moves next.
const (
	Signing   AgreementState = "signing"  // the channel is called, or the payer signs
	Active    AgreementState = "active"   // in force: debits may be made
	Ending    AgreementState = "ending"   // no debit is made any more; the channel is told
	EndedThen AgreementState = "ended"    // nobody moves
	NotSigned AgreementState = "unsigned" // refused, or not signed in time; nobody moves
)

// AgreementStates lists every state of an agreement.
var AgreementStates = []AgreementState{Signing, Active, Ending, EndedThen, NotSigned}

// AgreementEvent is what can happen to an agreement.
type AgreementEvent string

// Events of an agreement.
const (
	Signed      AgreementEvent = "signed"
	SignRefused AgreementEvent = "refused"   // by the channel or the payer, or nobody signed in time
	EndAsked    AgreementEvent = "end-asked" // by the payer over the app, or it has lapsed
	AllOver     AgreementEvent = "ended"     // the channel has it no more; a payer may end it there, without us
)

// AgreementEvents lists every event of an agreement.
var AgreementEvents = []AgreementEvent{Signed, SignRefused, EndAsked, AllOver}

// agreementArrows is every move of an agreement; all others are refused.
var agreementArrows = []arrow[AgreementState, AgreementEvent]{
	{Signing, Signed, Active},
	{Signing, SignRefused, NotSigned},
	{Signing, EndAsked, Ending},
	{Active, EndAsked, Ending},
	{Active, AllOver, EndedThen},
	{Ending, AllOver, EndedThen},
	{NotSigned, Signed, Active}, // later than we waited for
}

// NextAgreement returns the state that follows s on e, or [ErrState].
func NextAgreement(s AgreementState, e AgreementEvent) (AgreementState, error) {
	return next("agreement", agreementArrows, s, e)
}

// AgreementEventOf says what a channel's word means to an agreement, and whether it means anything. missing is whether a request to sign cannot be on
// its way any more, nor a page that the payer has still bring it about.
func AgreementEventOf(s AgreementState, o channel.Outcome, missing bool) (AgreementEvent, bool) {
	switch o {
	case channel.Succeeded:
		return Signed, s == Signing || s == NotSigned
	case channel.Failed:
		return SignRefused, s == Signing
	case channel.Closed:
		if s == Signing {
			return SignRefused, true
		}
		return AllOver, s == Active || s == Ending
	case channel.Missing:
		if s == Signing {
			return SignRefused, missing
		}
		return AllOver, s == Ending && missing
	}
	return "", false
}
