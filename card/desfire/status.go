package desfire

import (
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
)

// Kinds of answer, each with its own remedy. A StatusError unwraps to one of them where the table knows it.
var (
	// ErrNoApplication: the card has no such application, or is no DESFire card.
	ErrNoApplication = errors.New("no such application on the card")
	// ErrBoundary: the value would leave its limits (a debit: not enough money), or there is no such record.
	ErrBoundary = errors.New("beyond the limits of the file")
	// ErrIntegrity: the card refused a MAC or padding; its session is over.
	ErrIntegrity = errors.New("MAC refused by the card")
	// ErrAuthentication: the card does not know us, or knows us no more.
	ErrAuthentication = errors.New("not authenticated")
	// ErrKey: no key of that number.
	ErrKey = errors.New("no such key")
	// ErrPermission: the access rights or the state of the card do not allow it; so does a counter at its limit.
	ErrPermission = errors.New("permission denied")
	// ErrNotFound: no file of that number.
	ErrNotFound = errors.New("no such file")
	// ErrNothingToCommit: the transaction has changed nothing.
	ErrNothingToCommit = errors.New("nothing to commit")
	// ErrUnsupported: the card does not know the command or its form.
	ErrUnsupported = errors.New("command not supported")
	// ErrMemory: the card's memory failed or is full.
	ErrMemory = errors.New("card memory failure")
)

// Faults that this package finds itself.
var (
	// ErrUnknown: whether the card committed is not known. Keep the attempt and ask the same card with Recover.
	ErrUnknown = errors.New("outcome unknown")
	// ErrAnswer: the MAC of an answer does not verify. Something between card and terminal changed it.
	ErrAnswer = errors.New("MAC of the answer does not verify")
	// ErrMalformed: the answer has the wrong length or form.
	ErrMalformed = errors.New("malformed answer")
	// ErrSessionOver: an error ended the session. Open the card again.
	ErrSessionOver = errors.New("session is over; open the card again")
	// ErrOrder: the calls came in the wrong order, or for another attempt. Nothing was sent.
	ErrOrder = errors.New("call out of order")
	// ErrOtherCard: the attempt is of another card or application. Nothing was learned about it.
	ErrOtherCard = errors.New("another card than that of the attempt")
	// ErrCounter: the counter of the transaction MAC is at its end, or the card counts wrongly.
	ErrCounter = errors.New("transaction MAC counter")
)

type meaning struct {
	is   error
	text string
}

// meanings are the status bytes behind 91 (MF2DLHX0, status and error codes; also in public reader manuals). AD is from EV2 notes.
var meanings = map[byte]meaning{
	0x0C: {ErrNothingToCommit, "no changes"},
	0x0E: {ErrMemory, "memory full"},
	0x1C: {ErrUnsupported, "unknown command"},
	0x1E: {ErrIntegrity, "integrity error"},
	0x40: {ErrKey, "no such key"},
	0x7E: {ErrUnsupported, "wrong length"},
	0x9D: {ErrPermission, "permission denied"},
	0x9E: {ErrUnsupported, "parameter error"},
	0xA0: {ErrNoApplication, "application not found"},
	0xA1: {ErrMemory, "application damaged"},
	0xAD: {ErrAuthentication, "authentication delayed, try again"},
	0xAE: {ErrAuthentication, "authentication error"},
	0xAF: {ErrMalformed, "more frames than the command has"},
	0xBE: {ErrBoundary, "boundary error"},
	0xC1: {ErrMemory, "card damaged"},
	0xCA: {ErrOrder, "previous command not completed"},
	0xCD: {ErrMemory, "card disabled"},
	0xEE: {ErrMemory, "memory error"},
	0xF0: {ErrNotFound, "file not found"},
	0xF1: {ErrMemory, "file damaged"},
}

// StatusError is a card's answer with any status word but 9100. No MAC covers it: anything on the air can say it.
type StatusError struct {
	Command byte // INS
	SW      apdu.SW
}

func (e *StatusError) meaning() meaning {
	if e.SW>>8 == 0x91 {
		if m, ok := meanings[byte(e.SW)]; ok {
			return m
		}
	}
	switch e.SW >> 8 {
	case 0x6D, 0x6E:
		return meaning{ErrNoApplication, "no DESFire card"}
	}
	return meaning{nil, "unlisted status word"}
}

// Error names command, status word and meaning.
func (e *StatusError) Error() string {
	return fmt.Sprintf("DESFire command %02X: %v %s", e.Command, e.SW, e.meaning().text)
}

// Unwrap lets errors.Is see the kind through the status word. It is nil where the table knows none.
func (e *StatusError) Unwrap() error { return e.meaning().is }
