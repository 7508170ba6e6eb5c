package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/purselane/purselane/backend/cardlife"
	"github.com/purselane/purselane/backend/cases"
	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/kiosksale"
	"github.com/purselane/purselane/backend/ledger"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Kind is one kind of problem: what a code means. Codes are an outside contract, listed in docs/api.md: they are never
// given a new meaning.
type Kind struct {
	Code   string
	Status int // of the answer
	Title  string
	Remedy string

	is    []error // errors that are of this kind
	quiet bool    // the title is all the detail there is: the error's text may quote the request, or is not the caller's business
}

// Codes that the API gives by itself.
const (
	codeRequest         = "request"
	codeMediaType       = "media-type"
	codeTooLarge        = "too-large"
	codeNotFound        = "not-found"
	codeMethod          = "method"
	codeUnauthor        = "unauthorised"
	codeForbidden       = "forbidden"
	codeUnknownCard     = "unknown-card"
	codeOrder           = "unknown-order"
	codeUnknownMerchant = "unknown-merchant"
	codeUnknownAccount  = "unknown-account"
	codeUnavailable     = "unavailable"
	codeInternal        = "internal"
)

// kinds is every kind there is. An error is of the first kind that names it; one that no kind names is unavailable.
var kinds = []Kind{
	{Code: codeRequest, Status: http.StatusBadRequest, Title: "the request does not follow the document",
		Remedy: "Make the request as /v1/openapi.yaml says.", is: []error{topup.ErrKey, cardlife.ErrRequest, cases.ErrRequest, gateway.ErrRequest}},
	{Code: codeMediaType, Status: http.StatusUnsupportedMediaType, Title: "the body is not JSON",
		Remedy: "Send Content-Type: application/json."},
	{Code: codeTooLarge, Status: http.StatusRequestEntityTooLarge, Title: "the body is too large",
		Remedy: "Send only what /v1/openapi.yaml asks for."},
	{Code: codeNotFound, Status: http.StatusNotFound, Title: "no such resource",
		Remedy: "Look the path up in /v1/openapi.yaml."},
	{Code: codeMethod, Status: http.StatusMethodNotAllowed, Title: "the resource does not have that method",
		Remedy: "Use a method of the Allow header."},
	{Code: codeUnauthor, Status: http.StatusUnauthorized, Title: "no token, or one that is not known",
		Remedy: "Send Authorization: Bearer and a token that the operator gave you."},
	{Code: codeForbidden, Status: http.StatusForbidden, Title: "the token is not good for this operation",
		Remedy: "Use a token of a role that /v1/openapi.yaml names under x-roles."},
	{Code: "unknown-agent", Status: http.StatusForbidden, Title: "the token's acquirer is not registered",
		Remedy: "Ask the operator to register the acquirer.", is: []error{topup.ErrUnknownAgent}},
	{Code: "idempotency-conflict", Status: http.StatusUnprocessableEntity, Title: "the idempotency key was used before with other content",
		Remedy: "Use a new key for a new sale; if it is the same sale, send what was sent first. The operator has been alarmed.",
		is:     []error{topup.ErrConflict, gateway.ErrConflict}},
	{Code: "amount", Status: http.StatusUnprocessableEntity, Title: "the amount is not allowed",
		Remedy: "Choose an amount within the limits, and ask the card with the order's amount.", is: []error{topup.ErrAmount}},
	{Code: "max-balance", Status: http.StatusUnprocessableEntity, Title: "the card would hold more than is allowed",
		Remedy: "Load less, or refund the order.", is: []error{topup.ErrMaxBalance}},
	{Code: "max-paid-out", Status: http.StatusUnprocessableEntity, Title: "the agent would pay out more than is allowed on one day",
		Remedy: "Hand nothing over; pay it out on another day, or let the holder load it onto a card. The scheme's max_paid_out is the limit.", is: []error{topup.ErrMaxPaidOut}},
	{Code: codeOrder, Status: http.StatusNotFound, Title: "there is no such order, or it is another agent's",
		Remedy: "Use the id that the order was answered with, and its agent's token.", is: []error{topup.ErrUnknownOrder, cardlife.ErrUnknownOrder, gateway.ErrUnknownOrder}, quiet: true},
	{Code: codeUnknownCard, Status: http.StatusNotFound, Title: "the scheme has not issued this card",
		Remedy: "Check that it is a card of this scheme.", is: []error{topup.ErrUnknownCard, cardlife.ErrUnknownCard}, quiet: true},
	{Code: "card-blocked", Status: http.StatusUnprocessableEntity, Title: "the card is blocked",
		Remedy: "Do not load it; an open load of it can be resolved. Send the holder to the operator.", is: []error{topup.ErrCardBlocked, cardlife.ErrBlocked}},
	{Code: "card-data", Status: http.StatusUnprocessableEntity, Title: "the card shows other data than it was issued with",
		Remedy: "Check the key levels your kiosk is set to; if they are right, keep the card's details for the operator.", is: []error{topup.ErrCardData}},
	{Code: "unknown-key", Status: http.StatusUnprocessableEntity, Title: "the card's load key is not known",
		Remedy: "Ask the operator to bring the key version into the HSM.", is: []error{topup.ErrUnknownKey}},
	{Code: "mac1", Status: http.StatusUnprocessableEntity, Title: "MAC1 does not verify",
		Remedy: "Send a fresh INITIALIZE answer, and exactly what the card was asked with.", is: []error{topup.ErrMAC1}},
	{Code: "arqc", Status: http.StatusUnprocessableEntity, Title: "the electronic cash card's cryptogram does not verify",
		Remedy: "Begin a new session with the card, and send exactly what it answers.", is: []error{topup.ErrARQC}},
	{Code: "chip-data", Status: http.StatusUnprocessableEntity, Title: "the chip data is no request to go online",
		Remedy: "Ask the card for an ARQC over full PBOC, and send field 55 of its answer.", is: []error{topup.ErrChipData}},
	{Code: "tac", Status: http.StatusUnprocessableEntity, Title: "the TAC proves no session of the order",
		Remedy: "Look the card up and resolve the load by an INITIALIZE answer.", is: []error{topup.ErrTAC}},
	{Code: "other-card", Status: http.StatusConflict, Title: "the order's money is on its way to another card",
		Remedy: "Present the card that the load was begun with.", is: []error{topup.ErrOtherCard}},
	{Code: "open-load", Status: http.StatusConflict, Title: "the card has an open load",
		Remedy: "Look the card up and resolve its open load first.", is: []error{topup.ErrOpenLoad}},
	{Code: "stale", Status: http.StatusConflict, Title: "the INITIALIZE answer is out of date",
		Remedy: "Make a new INITIALIZE FOR LOAD and send its answer.", is: []error{topup.ErrStale}},
	{Code: "challenge", Status: http.StatusConflict, Title: "the INITIALIZE answer was not made with the challenge",
		Remedy: "Look the card up, make an INITIALIZE FOR LOAD with the challenge as terminal number, and send its answer.",
		is:     []error{topup.ErrChallenge}},
	{Code: "state", Status: http.StatusConflict, Title: "the order's or the case's state does not allow it",
		Remedy: "Read it; docs/topup.md, docs/card-life.md and docs/cases.md say what may follow on its state.", is: []error{topup.ErrState, cardlife.ErrState, cases.ErrState, order.ErrState}},
	{Code: "evidence", Status: http.StatusUnprocessableEntity, Title: "the evidence decides nothing",
		Remedy: "Send either tac or init; if the card and its records contradict each other, the operator decides.", is: []error{topup.ErrEvidence}},
	{Code: "unknown-acquirer", Status: http.StatusUnprocessableEntity, Title: "no acquirer of that name is registered",
		Remedy: "Name an acquirer as the scheme registers it.", is: []error{cardlife.ErrUnknownAgent, cases.ErrUnknownAgent}, quiet: true},
	{Code: "target-card", Status: http.StatusUnprocessableEntity, Title: "the value cannot go to that card",
		Remedy: "Name another card, of this scheme and in use.", is: []error{cardlife.ErrTarget}},
	{Code: "open-order", Status: http.StatusConflict, Title: "the card has another open order",
		Remedy: "Let that order end, or cancel it first.", is: []error{cardlife.ErrOpen}},
	{Code: "same-person", Status: http.StatusUnprocessableEntity, Title: "who asked or proposed cannot decide",
		Remedy: "Have another person decide, with a token of their own.", is: []error{cardlife.ErrSamePerson, cases.ErrSamePerson}},
	{Code: "unknown-case", Status: http.StatusNotFound, Title: "there is no such case",
		Remedy: "Use the id that the case was answered with.", is: []error{cases.ErrUnknownCase}, quiet: true},
	{Code: "unknown-tap", Status: http.StatusNotFound, Title: "no record of that tap has been posted",
		Remedy: "Check terminal, epoch and number; a tap whose records wait comes later.", is: []error{cases.ErrUnknownTap}, quiet: true},
	{Code: "nothing-to-decide", Status: http.StatusConflict, Title: "the card's own records say what the tap is worth",
		Remedy: "Read the tap; docs/cases.md says which can be decided.", is: []error{cases.ErrNothingToDecide}},
	{Code: "too-much", Status: http.StatusUnprocessableEntity, Title: "more would be given back than the card paid",
		Remedy: "Propose less, or leave the amount out for all that is left.", is: []error{cases.ErrTooMuch}},
	{Code: "running-case", Status: http.StatusConflict, Title: "another case of the tap runs",
		Remedy: "Decide or withdraw that case first.", is: []error{cases.ErrRunning}},
	{Code: "paid-online", Status: http.StatusForbidden, Title: "loads that are paid online are the gateway's alone",
		Remedy: "Sell and refund them through the gateway.", is: []error{topup.ErrOnline}},
	{Code: "online-off", Status: http.StatusConflict, Title: "online payment is not set up here",
		Remedy: "Ask the operator to run the gateway with a product called kiosk; docs/kiosk.md says how.", is: []error{kiosksale.ErrOff}},
	{Code: "no-channel", Status: http.StatusConflict, Title: "no channel takes this payment now",
		Remedy: "Offer the rider another way to pay, or try again later. Nothing was taken.", is: []error{kiosksale.ErrWay, gateway.ErrNoChannel}},
	{Code: "no-refund", Status: http.StatusConflict, Title: "the channel does not give this back",
		Remedy: "Send the rider to the operator with the payment's number.", is: []error{gateway.ErrUnsupported, gateway.ErrWindow, gateway.ErrFunds, gateway.ErrTooMuch}},
	{Code: "not-idle", Status: http.StatusUnprocessableEntity, Title: "the card was used too lately to be written off",
		Remedy: "Wait until the card has been still for as long as the scheme's rules say.", is: []error{cardlife.ErrNotIdle}},
	{Code: codeUnknownMerchant, Status: http.StatusNotFound, Title: "there is no such merchant, or it is another acquirer's",
		Remedy: "Use a merchant's id as the scheme registers it, and a token of its acquirer.", quiet: true},
	{Code: codeUnknownAccount, Status: http.StatusNotFound, Title: "the books have no such account",
		Remedy: "List the accounts; one that nothing was ever posted to is not there.", is: []error{books.ErrNoAccount}, quiet: true},
	{Code: "external-account", Status: http.StatusUnprocessableEntity, Title: "the account's balance is kept by somebody else",
		Remedy: "Ask for its turnover, and read the balance in the statement of whoever keeps it.", is: []error{ledger.ErrExternal}},
	{Code: "statement", Status: http.StatusInternalServerError, Title: "the statement does not add up",
		Remedy: "Do not rely on these books. Run 'purselane books prove'.", is: []error{ledger.ErrAdds}},
	{Code: "not-closed", Status: http.StatusNotFound, Title: "the clearing day is not closed",
		Remedy: "List the closed days.", is: []error{settlement.ErrNotClosed}},
	{Code: "day-changed", Status: http.StatusInternalServerError, Title: "the closed day no longer gives the report that was closed",
		Remedy: "Do not pay from this day. Run 'purselane books verify' and restore the database from before the change.", is: []error{settlement.ErrChanged}},
	{Code: codeUnavailable, Status: http.StatusServiceUnavailable, Title: "the service could not do its work",
		Remedy: "Make the same request again.", quiet: true},
	{Code: codeInternal, Status: http.StatusInternalServerError, Title: "the service has a fault",
		Remedy: "Make the same request again; if that does not help, tell the operator.", quiet: true},
}

// Kinds lists every kind of problem the API can answer with.
func Kinds() []Kind { return append([]Kind(nil), kinds...) }

func kindOf(code string) Kind {
	for _, k := range kinds {
		if k.Code == code {
			return k
		}
	}
	panic("api: no problem of code " + code) // a fault of this package, found by every test that gets there
}

// refusal is a problem that the API finds by itself. Its detail quotes nothing of the request's values.
type refusal struct {
	code   string
	detail string // "": the title says it
}

// Error names code and detail.
func (r refusal) Error() string { return r.code + ": " + r.detail }

// problemOf makes the problem document of an error.
func problemOf(err error) Problem {
	kind, detail := kindOf(codeUnavailable), ""
	if own, is := errors.AsType[refusal](err); is {
		kind, detail = kindOf(own.code), own.detail
	} else {
		kind = kindOfError(err)
		if !kind.quiet {
			detail = err.Error()
		}
	}
	if detail == "" {
		detail = kind.Title
	}
	return Problem{Type: "urn:purselane:problem:" + kind.Code, Title: kind.Title, Status: kind.Status, Code: kind.Code, Detail: detail, Remedy: kind.Remedy}
}

func kindOfError(err error) Kind {
	for _, k := range kinds {
		for _, target := range k.is {
			if errors.Is(err, target) {
				return k
			}
		}
	}
	return kindOf(codeUnavailable)
}

// writeProblem answers with a problem document.
func writeProblem(w http.ResponseWriter, p Problem) {
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and a number
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the caller has gone; there is nobody to tell
}
