package kiosk

import (
	"context"
	"errors"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// State of a load order, as the backend's API has it.
type State string

// States.
const (
	Paid       State = "paid"        // money taken, nothing on the way
	InProgress State = "in_progress" // MAC2 is out
	Uncertain  State = "uncertain"   // MAC2 is out and no answer is known
	Loaded     State = "loaded"      // on the card
	Refunded   State = "refunded"    // given back
)

// Order is a load order.
type Order struct {
	ID     string
	Amount money.Amount
	State  State
}

// CardInit is a card's identity and its answer to INITIALIZE FOR LOAD, with what it was asked.
type CardInit struct {
	Card     ids.CardNumber
	Issuer   ep.Factor
	Levels   int // of key diversification
	Answer   ep.LoadInit
	Amount   money.Amount
	Terminal ep.TerminalNumber
}

// OpenLoad is a load whose money is on its way to the card.
type OpenLoad struct {
	Order     string
	Amount    money.Amount
	Counter   uint16            // the card's online counter before it
	Challenge ep.TerminalNumber // to ask the card with, for evidence that it was not credited
}

// CardInfo is what the backend knows of a card.
type CardInfo struct {
	Token   string
	Blocked bool      // it is not loaded
	Open    *OpenLoad // nil: none
	Waiting *WaitingLoad
}

// Authorisation is what CREDIT FOR LOAD needs.
type Authorisation struct {
	DateTime  ep.DateTime
	MAC2      ep.MAC
	Challenge ep.TerminalNumber
}

// Evidence is what the card says of an open load: exactly one of the two.
type Evidence struct {
	TAC  *ep.MAC
	Init *CardInit
}

// Host is the backend. Every call may be made again after a lost answer and has its effect once. Errors that the backend
// has decided are one of the kinds below, by errors.Is; any other error means that it is not known whether the call had
// its effect.
type Host interface {
	// CreateOrder books the money taken under a key that names the sale.
	CreateOrder(ctx context.Context, key string, amount money.Amount) (Order, error)
	// Order finds an order.
	Order(ctx context.Context, id string) (Order, error)
	// Lookup verifies the card and tells of its open load.
	Lookup(ctx context.Context, c CardInit) (CardInfo, error)
	// Authorise verifies MAC1 and answers with MAC2.
	Authorise(ctx context.Context, id string, c CardInit) (Authorisation, error)
	// Confirm hands in the TAC of CREDIT.
	Confirm(ctx context.Context, id string, tac ep.MAC) (Order, error)
	// Uncertain says that CREDIT was not answered.
	Uncertain(ctx context.Context, id string) (Order, error)
	// Resolve hands in what the card says of an open load, whoever sold it; the amount of the answer may be zero.
	Resolve(ctx context.Context, id string, e Evidence) (Order, error)
}

// WaitingLoad is a load that was paid online for this card, and not by this kiosk.
type WaitingLoad struct {
	Order  string       `json:"order"`
	Amount money.Amount `json:"amount"`
}

// CashRequest is an electronic cash card and its request to go online over full PBOC.
type CashRequest struct {
	Card     ec.PAN
	Sequence byte
	ChipData []byte // field 55; see ec.Online
}

// CashInfo is what the backend knows of an electronic cash card.
type CashInfo struct {
	Token   string
	Balance money.Amount // as the card's MAC proves it
	Blocked bool         // it is not loaded
	Open    string       // the order whose money is on its way to it; "": none
	Waiting *WaitingLoad // nil: none
}

// CashEvidence is what a card says of an open load in a later session.
type CashEvidence struct {
	CashRequest
	Log []byte // its load log in one answer; nil: none
}

// CashHost is a backend that loads electronic cash too. Its calls are as those of [Host].
type CashHost interface {
	Host
	// LookupCash verifies the card and tells of its open load.
	LookupCash(ctx context.Context, c CashRequest) (CashInfo, error)
	// AuthoriseCash verifies the cryptogram and gives the issuer's answer.
	AuthoriseCash(ctx context.Context, id string, c CashRequest) (ec.Answer, error)
	// ReportScript says what became of the answer's script.
	ReportScript(ctx context.Context, id string, r ec.ScriptResult) (Order, error)
	// ResolveCash hands in what the card says of an open load, whoever sold it; the amount of the answer may be zero.
	ResolveCash(ctx context.Context, id string, e CashEvidence) (Order, error)
}

// What the backend decides against, by its problem codes.
var (
	ErrConflict     = errors.New("the sale's key was used before for another amount")
	ErrAmount       = errors.New("amount not allowed")
	ErrMaxPaidOut   = errors.New("more than the desk pays out on one day")
	ErrMaxBalance   = errors.New("the card would hold more than is allowed")
	ErrUnknownOrder = errors.New("no such order")
	ErrUnknownCard  = errors.New("the card is not of this scheme")
	ErrCardBlocked  = errors.New("the card is blocked")
	ErrCardData     = errors.New("the card shows other data than it was issued with")
	ErrUnknownKey   = errors.New("the card's load key is not known")
	ErrMAC1         = errors.New("the card's MAC1 does not verify")
	ErrARQC         = errors.New("the electronic cash card's cryptogram does not verify")
	ErrChipData     = errors.New("the chip data is no request to go online")
	ErrTAC          = errors.New("the card's TAC does not verify")
	ErrOtherCard    = errors.New("the order belongs to another card")
	ErrOpenLoad     = errors.New("the card has an open load")
	ErrOpenEnd      = errors.New("the card has another order for its end")
	ErrStale        = errors.New("the card's answer is out of date")
	ErrChallenge    = errors.New("the card was not asked with the challenge")
	ErrState        = errors.New("the order's state does not allow it")
	ErrEvidence     = errors.New("the evidence decides nothing")
	ErrOnlineOff    = errors.New("the backend takes no online payments")
	ErrNoChannel    = errors.New("no channel takes the payment now")
	ErrNoRefund     = errors.New("the channel does not give the payment back")
	ErrAccess       = errors.New("the backend does not accept the token")
	ErrRequest      = errors.New("the backend does not understand the request")
)

// ErrOtherSeen says that the card in the field is not the one that was looked at a moment ago. It was left alone.
var ErrOtherSeen = errors.New("this is another card than the one just shown: hold one card alone")

// ErrNotCash says that the value of a card that ended is for another card.
var ErrNotCash = errors.New("its value is for another card: load that with the order's load order")

// ErrUnavailable says that the backend could not be reached or could not do its work, after every try. Whether the last
// try had its effect is not known.
var ErrUnavailable = errors.New("backend not available")
