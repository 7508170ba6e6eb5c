package ec

import (
	"errors"
	"fmt"
)

// Decision is what a terminal does with a card's answer.
type Decision int

// Decisions.
const (
	Decline Decision = iota
	Approve
	GoOnline
	SwitchInterface
)

// String prints the decision.
func (d Decision) String() string {
	switch d {
	case Decline:
		return "decline"
	case Approve:
		return "approve"
	case GoOnline:
		return "go online"
	case SwitchInterface:
		return "switch interface"
	}
	return fmt.Sprintf("decision %d", int(d))
}

// Reasons to decline that are the terminal's own.
var (
	ErrCardDeclined = errors.New("card declined (AAC)")
	ErrNeedsOnline  = errors.New("card wants to go online and the reader cannot")
	ErrExpired      = errors.New("application has expired")
	ErrDenied       = errors.New("card is on the deny list")
)

// Facts are what a terminal knows of a card's answer when it decides.
type Facts struct {
	Card    Cryptogram // the card's decision
	TTQ     TTQ
	CTQ     CTQ
	Expired bool
	Denied  bool
	ODA     error // why authentication failed, nil if it did not
}

// Decide is the terminal's decision on the facts, with the reason for anything but approval (EC facts 11).
func Decide(f Facts) (Decision, error) {
	online := !f.TTQ.OfflineOnly()
	switch {
	case f.Card == AAC:
		return Decline, ErrCardDeclined
	case f.Card == ARQC && online:
		return GoOnline, nil
	case f.Card == ARQC:
		return Decline, ErrNeedsOnline
	case f.Card != TC:
		return Decline, fmt.Errorf("%w: %v", ErrMalformed, f.Card)
	case f.Expired && f.CTQ.OnlineIfExpired() && online:
		return GoOnline, ErrExpired
	case f.Expired:
		return Decline, ErrExpired
	case f.Denied:
		return Decline, ErrDenied
	case f.ODA != nil && f.CTQ.OnlineIfFailed() && online:
		return GoOnline, f.ODA
	case f.ODA != nil && f.CTQ.SwitchIfFailed() && f.TTQ[0]&0x10 != 0:
		return SwitchInterface, f.ODA
	case f.ODA != nil:
		return Decline, f.ODA
	}
	return Approve, nil
}
