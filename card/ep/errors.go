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

	CmdChallenge            CommandName = "GET CHALLENGE"
	CmdExternalAuthenticate CommandName = "EXTERNAL AUTHENTICATE"
	CmdInternalAuthenticate CommandName = "INTERNAL AUTHENTICATE"
	CmdVerify               CommandName = "VERIFY"
	CmdChangePIN            CommandName = "CHANGE PIN"
	CmdReloadPIN            CommandName = "RELOAD PIN"
	CmdUnblockPIN           CommandName = "PIN UNBLOCK"
	CmdInitUnload           CommandName = "INITIALIZE FOR UNLOAD"
	CmdDebitUnload          CommandName = "DEBIT FOR UNLOAD"
	CmdInitLimit            CommandName = "INITIALIZE FOR UPDATE"
	CmdUpdateLimit          CommandName = "UPDATE OVERDRAFT LIMIT"
	CmdUpdateBinary         CommandName = "UPDATE BINARY"
	CmdUpdateRecord         CommandName = "UPDATE RECORD"
	CmdAppendRecord         CommandName = "APPEND RECORD"
	CmdWriteKey             CommandName = "WRITE KEY"
	CmdBlock                CommandName = "APPLICATION BLOCK"
	CmdUnblock              CommandName = "APPLICATION UNBLOCK"
	CmdBlockCard            CommandName = "CARD BLOCK"
	CmdGetMessage           CommandName = "GET MESSAGE"
	CmdDeliveryKey          CommandName = "DELIVERY KEY"
	CmdCipherData           CommandName = "CIPHER DATA"
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
	// ErrPINBlocked: the PIN, or the key of EXTERNAL AUTHENTICATE, was tried wrong too often. Only the issuer can help.
	ErrPINBlocked = errors.New("PIN or key blocked after too many wrong tries")
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
	0x6281: {ErrMemory, "data may be corrupt"},
	0x6283: {ErrBlocked, "file or application invalid"},
	0x6581: {ErrMemory, "memory failure"},
	0x6400: {ErrMemory, "state of memory unchanged"},
	0x6700: {nil, "wrong length"},
	0x6900: {ErrOrder, "command cannot be carried out"},
	0x6901: {ErrOrder, "invalid state"},
	0x6981: {nil, "file of another type"},
	0x6982: {ErrSecurity, "security status not satisfied"},
	0x6983: {ErrBlocked, "authentication method blocked"},
	0x6984: {ErrOrder, "referenced data invalid, no challenge came first"},
	0x6985: {ErrOrder, "conditions of use not satisfied"},
	0x6986: {ErrOrder, "no file is selected"},
	0x6987: {ErrMAC, "secure messaging data missing"},
	0x6988: {ErrMAC, "secure messaging MAC wrong"},
	0x6A80: {nil, "data field wrong"},
	0x6A81: {ErrBlocked, "function not supported, or application blocked"},
	0x6A82: {ErrNotFound, "file not found"},
	0x6A83: {ErrNotFound, "record not found"},
	0x6A84: {nil, "no space in the file"},
	0x6A86: {nil, "wrong P1 P2"},
	0x6A88: {ErrKeyIndex, "key not found"},
	0x6B00: {nil, "wrong P1 P2"},
	0x6D00: {ErrNoPurse, "instruction not supported"},
	0x6E00: {ErrNoPurse, "class not supported"},
	0x6F00: {nil, "no precise diagnosis"},
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
		0x6985: {ErrNoProof, "no proof (as one bus card says it)"},
		0x6A86: {ErrNoProof, "no proof of that type"},
		0x6A88: {ErrNoProof, "no proof"},
	},
	CmdVerify: {
		0x6983: {ErrPINBlocked, "PIN blocked"},
		0x6A88: {ErrKeyIndex, "no such PIN"},
	},
	CmdChangePIN: {
		0x6983: {ErrPINBlocked, "PIN blocked"},
		0x6A88: {ErrKeyIndex, "no such PIN"},
	},
	CmdReloadPIN: {
		0x6A88: {ErrKeyIndex, "no such PIN, or no key to reload it"},
	},
	CmdUnblockPIN: {
		0x6A88: {ErrKeyIndex, "no such PIN, or no key to unblock it"},
	},
	CmdExternalAuthenticate: {
		0x6983: {ErrPINBlocked, "key blocked"},
	},
	CmdInitUnload: {
		0x6985: {ErrBlocked, "application blocked"},
	},
	CmdDebitUnload: {
		0x9302: {ErrMAC, "MAC2 does not verify"},
	},
	CmdInitLimit: {
		0x6985: {ErrBlocked, "application blocked"},
	},
	CmdUpdateLimit: {
		0x9302: {ErrMAC, "MAC2 does not verify"},
	},
	CmdInitSAM: {
		0x9403: {ErrKeyIndex, "the PSAM has no key of that version and algorithm"},
	},
	CmdDeliveryKey: {
		0x9403: {ErrKeyIndex, "the PSAM has no such key"},
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
	if e.SW&0xFFF0 == 0x63C0 {
		return meaning{ErrSecurity, fmt.Sprintf("authentication failed, %d tries left", e.SW&0xF)}
	}
	return meaning{nil, "unlisted status word"}
}

// TriesLeft is how many tries are left after a wrong PIN or authentication (63Cx).
func (e *StatusError) TriesLeft() (n int, ok bool) { return int(e.SW & 0xF), e.SW&0xFFF0 == 0x63C0 }

// Error names command, status word and meaning.
func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: %v %s", e.Command, e.SW, e.meaning().text)
}

// Unwrap lets errors.Is see the kind through the status word. It is nil where the table knows none.
func (e *StatusError) Unwrap() error { return e.meaning().is }

// Is makes every refusal of PROVE an ErrNoProof beside what its status word says: cards differ in the word they choose
// (conflict C21), and a terminal takes any of them as "not committed" (purse facts 3.10).
func (e *StatusError) Is(target error) bool { return target == ErrNoProof && e.Command == CmdProve }

// NothingDone reports a status word by which the card says that it has not carried the command out: ISO's checking errors
// (67 to 6E) and the purse's own (93, 94) that the table knows. Any other word leaves it open, and money must not depend on
// it: warnings come after the work, a card with failing memory is the last to be believed, and 6F says nothing at all.
func (e *StatusError) NothingDone() bool {
	switch sw1 := e.SW >> 8; sw1 {
	case 0x67, 0x68, 0x69, 0x6A, 0x6B, 0x6C, 0x6D, 0x6E:
		return true
	case 0x93, 0x94:
		_, listed := common[e.SW]
		return listed
	}
	return false
}
