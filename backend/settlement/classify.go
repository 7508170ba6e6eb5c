package settlement

import (
	"fmt"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount"
)

// Class is what settlement makes of a tap.
type Class string

// Classes. The comment says who moves next.
const (
	Accepted Class = "accepted" // paid for; nobody
	Rejected Class = "rejected" // not paid for, with a reason; the acquirer
	Suspect  Class = "suspect"  // held, and ages; the issuer
	Void     Class = "void"     // did not happen; nobody. Listed only where an earlier day had settled it as something else
)

// The reasons a report gives; an outside contract, never given a new meaning. A record that never became a tap has its
// verdict as the reason, such as "unreadable".
const (
	ReasonBadTAC  = "bad-tac" // rejected: the TAC does not verify
	ReasonUnknown = "unknown" // suspect: the answer to the debit was lost and nothing has told since
	ReasonClone   = "clone"   // suspect: a second proved debit with one counter
	ReasonGranted = "granted" // accepted: nothing proves it, and the issuer decided to pay
	ReasonDenied  = "denied"  // rejected: nothing proves it, and the issuer decided not to pay
	ReasonExpired = "expired" // rejected: it came too late
	// ReasonLateGranted: accepted: it came too late, and the issuer decided to pay all the same.
	ReasonLateGranted = "late-granted"
)

// classify reads class and reason from a tap's status in its slot, and from whether it came in time. Only what stands can expire: of what does not, nobody is
// owed anything yet, and what officers granted they granted.
func classify(s shadowaccount.Status, late store.Late) (Class, string, error) {
	switch s {
	case shadowaccount.Stands, shadowaccount.Inferred:
		switch late {
		case store.TooLate, store.LateDenied:
			return Rejected, ReasonExpired, nil
		case store.LateGranted:
			return Accepted, ReasonLateGranted, nil
		}
		return Accepted, "", nil
	case shadowaccount.Granted:
		return Accepted, ReasonGranted, nil
	case shadowaccount.Denied:
		return Rejected, ReasonDenied, nil
	case shadowaccount.BadTAC:
		return Rejected, ReasonBadTAC, nil
	case shadowaccount.Open:
		return Suspect, ReasonUnknown, nil
	case shadowaccount.Clone:
		return Suspect, ReasonClone, nil
	case shadowaccount.Void:
		return Void, "", nil
	}
	return "", "", fmt.Errorf("settlement: a tap of status %d cannot be settled", s)
}
