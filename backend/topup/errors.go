package topup

import "errors"

// Kinds of refusal, each with its own remedy; docs/api.md lists them with their codes. Any other error means that the
// service could not do its work: nothing is known to have changed, and the same call may be made again.
var (
	// ErrConflict: the agent used an idempotency key a second time, with another amount. It is an alarm at the agent.
	ErrConflict = errors.New("idempotency key used before with other content")
	// ErrKey: the idempotency key is missing or too long.
	ErrKey = errors.New("idempotency key must have 1 to 64 characters")
	// ErrAmount: the amount is not allowed, or the card was asked with another one than the order's.
	ErrAmount = errors.New("amount not allowed")
	// ErrMaxBalance: the card would hold more than the scheme allows.
	ErrMaxBalance = errors.New("balance would be above the scheme's maximum")
	// ErrMaxPaidOut: the agent would pay out more than the scheme allows on one day.
	ErrMaxPaidOut = errors.New("more than an agent pays out on one day")
	// ErrUnknownAgent: no acquirer of that name is registered.
	ErrUnknownAgent = errors.New("no such acquirer is registered")
	// ErrOnline: loads that are paid online are made and given back by the gateway only.
	ErrOnline = errors.New("loads paid online are sold and refunded through the gateway")
	// ErrUnknownOrder: there is no such order, or it is another agent's.
	ErrUnknownOrder = errors.New("no such order")
	// ErrUnknownCard: the card was never issued by this scheme.
	ErrUnknownCard = errors.New("card was not issued by this scheme")
	// ErrCardBlocked: the card must not be loaded.
	ErrCardBlocked = errors.New("card is blocked")
	// ErrCardData: the issuer or key levels the card shows are not those it was issued with.
	ErrCardData = errors.New("card shows other data than it was issued with")
	// ErrUnknownKey: the card names a load key that the HSM does not have.
	ErrUnknownKey = errors.New("card's load key is unknown")
	// ErrMAC1: the INITIALIZE answer is not the card's, or was not made with what the caller says.
	ErrMAC1 = errors.New("MAC1 does not verify")
	// ErrARQC: an electronic cash card's request, or the MAC over its balance or load log, does not verify.
	ErrARQC = errors.New("the card's cryptogram does not verify")
	// ErrChipData: what should be an electronic cash card's request to go online is none.
	ErrChipData = errors.New("chip data is no request to go online")
	// ErrTAC: the TAC proves none of the order's sessions.
	ErrTAC = errors.New("TAC does not verify")
	// ErrOtherCard: the order's money is on its way to another card.
	ErrOtherCard = errors.New("order belongs to another card")
	// ErrOpenLoad: the card has an open load that must be resolved first.
	ErrOpenLoad = errors.New("card has an open load")
	// ErrStale: the INITIALIZE answer is older than what is known of the card. A new one is wanted.
	ErrStale = errors.New("INITIALIZE answer is out of date")
	// ErrChallenge: the INITIALIZE answer was not made with the open load's challenge, so it proves nothing about now.
	ErrChallenge = errors.New("INITIALIZE answer was not made with the challenge")
	// ErrEvidence: not exactly one piece of evidence was given, or it contradicts what is known.
	ErrEvidence = errors.New("evidence decides nothing")
)

// Codes of findings about orders. Codes are an outside contract: they are never given a new meaning.
const (
	FindConflict      = "LOAD_KEY_REUSED"    // an idempotency key came again with another amount
	FindBadTAC        = "LOAD_BAD_TAC"       // a TAC that proves nothing
	FindAfterReturn   = "LOAD_AFTER_RETURN"  // a TAC proves a credit whose money had been taken back
	FindCounterBack   = "LOAD_COUNTER_BACK"  // a card shows an online counter below what it had
	FindContradiction = "LOAD_CONTRADICTION" // the card says not loaded, its records say loaded
	FindAuthFailed    = "LOAD_MAC1_BAD"      // an INITIALIZE answer for the order does not verify
	FindECAuthFailed  = "LOAD_ARQC_BAD"      // an electronic cash card's request for the order does not verify
)
