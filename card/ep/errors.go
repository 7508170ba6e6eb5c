package ep

import (
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
)

// CommandName is a command of the purse by the standard's name. Status words mean different things to different ones.
type CommandName string

// Commands.
const (
	CmdSelect       CommandName = "SELECT"
	CmdReadBinary   CommandName = "READ BINARY"
	CmdReadRecord   CommandName = "READ RECORD"
	CmdGetBalance   CommandName = "GET BALANCE"
	CmdInitPurchase CommandName = "INITIALIZE FOR PURCHASE"
	CmdUpdateCache  CommandName = "UPDATE CAPP DATA CACHE"
	CmdDebit        CommandName = "DEBIT FOR PURCHASE"
	CmdInitLoad     CommandName = "INITIALIZE FOR LOAD"
	CmdCreditLoad   CommandName = "CREDIT FOR LOAD"
	CmdProve        CommandName = "GET TRANSACTION PROVE"
	CmdInitSAM      CommandName = "INIT SAM FOR PURCHASE"
	CmdCreditSAM    CommandName = "CREDIT SAM FOR PURCHASE"
)

// Kinds of answer, each with its own remedy. A StatusError unwraps to one of them where the table knows it.
var (
	// ErrNoPurse: the card has no such application. It is another kind of card.
	ErrNoPurse = errors.New("no such purse on the card")
	// ErrBlocked: the application, the card or the PSAM is blocked.
	ErrBlocked = errors.New("blocked")
	// ErrInsufficient: balance and overdraft are below the amount.
	ErrInsufficient = errors.New("balance below the amount")
	// ErrMAC: the card or PSAM refused a MAC; it changed nothing. Never retry with the same: some count failures.
	ErrMAC = errors.New("MAC refused")
	// ErrKeyIndex: no key of that index, version or algorithm.
	ErrKeyIndex = errors.New("key not supported")
	// ErrOrder: the command needs another before it (no INITIALIZE came first).
	ErrOrder = errors.New("command out of order")
	// ErrCounterMax: the transaction counter is at its maximum; the card is at its end.
	ErrCounterMax = errors.New("transaction counter at its maximum")
	// ErrNoProof: the card has no proof of that transaction: it was not committed, or another followed.
	ErrNoProof = errors.New("no proof of that transaction")
	// ErrSecurity: a PIN or authentication is wanted first.
	ErrSecurity = errors.New("security status not satisfied")
	// ErrNotFound: file or record not found.
	ErrNotFound = errors.New("file or record not found")
	// ErrMemory: the card's memory failed; state unchanged by the standard, unknown by caution.
	ErrMemory = errors.New("card memory failure")
	// ErrMalformed: the answer has the wrong length or form although the status word is 9000.
	ErrMalformed = errors.New("malformed answer")
)

type meaning struct {
	is   error
	text string
}

// common holds the meanings that no command changes (purse facts chapter 11).
var common = map[apdu.SW]meaning{
	0x6283: {ErrBlocked, "file or application invalid"},
	0x6581: {ErrMemory, "memory failure"},
	0x6400: {ErrMemory, "state of memory unchanged"},
	0x6700: {nil, "wrong length"},
	0x6901: {ErrOrder, "invalid state"},
	0x6982: {ErrSecurity, "security status not satisfied"},
	0x6983: {ErrBlocked, "authentication method blocked"},
	0x6985: {ErrOrder, "conditions of use not satisfied"},
	0x6A80: {nil, "data field wrong"},
	0x6A81: {ErrBlocked, "function not supported, or application blocked"},
	0x6A82: {ErrNotFound, "file not found"},
	0x6A83: {ErrNotFound, "record not found"},
	0x6A86: {nil, "wrong P1 P2"},
	0x6D00: {ErrNoPurse, "instruction not supported"},
	0x6E00: {ErrNoPurse, "class not supported"},
	0x9301: {ErrInsufficient, "not enough money"},
	0x9302: {ErrMAC, "MAC wrong"},
	0x9303: {ErrBlocked, "application blocked for good"},
	0x9401: {ErrInsufficient, "not enough money"},
	0x9402: {ErrCounterMax, "counter at its maximum"},
	0x9403: {ErrKeyIndex, "key index not supported"},
	0x9406: {ErrNoProof, "MAC and TAC not available"},
	0x9408: {ErrBlocked, "grey-locked"},
}

// meanings holds what one command means by a status word where that differs from common.
var meanings = map[CommandName]map[apdu.SW]meaning{
	CmdSelect: {
		0x6A82: {ErrNoPurse, "application not found"},
		0x6985: {ErrBlocked, "application blocked"},
	},
	CmdInitPurchase: {
		0x6985: {ErrBlocked, "application blocked"},
	},
	CmdInitLoad: {
		0x6985: {ErrBlocked, "application blocked"},
	},
	CmdDebit: {
		0x9302: {ErrMAC, "MAC1 does not verify"},
		0x6985: {ErrOrder, "no INITIALIZE came first"},
	},
	CmdCreditLoad: {
		0x9302: {ErrMAC, "MAC2 does not verify"},
	},
	CmdProve: {
		// Any refusal of PROVE reads as "not committed": cards differ in the word they choose (conflict C21).
		0x6985: {ErrNoProof, "no proof (as one bus card says it)"},
		0x6A86: {ErrNoProof, "no proof of that type"},
		0x6A88: {ErrNoProof, "no proof"},
	},
	CmdInitSAM: {
		0x9403: {ErrKeyIndex, "the PSAM has no key of that version and algorithm"},
	},
	CmdCreditSAM: {
		0x9302: {ErrMAC, "MAC2 does not verify"},
	},
}

// StatusError is a card's or PSAM's answer with any status word but 9000.
type StatusError struct {
	Command CommandName
	SW      apdu.SW
}

func (e *StatusError) meaning() meaning {
	if m, ok := meanings[e.Command][e.SW]; ok {
		return m
	}
	if m, ok := common[e.SW]; ok {
		return m
	}
	if e.Command == CmdProve {
		return meaning{ErrNoProof, "no proof"}
	}
	return meaning{nil, "unlisted status word"}
}

// Error names command, status word and meaning.
func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: %v %s", e.Command, e.SW, e.meaning().text)
}

// Unwrap lets errors.Is see the kind through the status word. It is nil where the table knows none.
func (e *StatusError) Unwrap() error { return e.meaning().is }
