package session

import (
	"fmt"
	"slices"
)

// State is what a rider sees. The text is part of the contract with the page and names its words.
type State string

// States, in the order in which a rider meets them; then the screens of what went wrong.
const (
	Idle     State = "idle"     // hold your card
	Reading  State = "reading"  // the card is read
	Amount   State = "amount"   // balance; choose an amount
	Way      State = "way"      // choose how to pay
	Ordering State = "ordering" // the payment is asked for
	QR       State = "qr"       // scan and pay
	Hold     State = "hold"     // paid: hold the same card
	Loading  State = "loading"  // the value goes to the card
	Done     State = "done"     // receipt

	NoReader State = "no-reader" // the reader is gone, and nobody has paid
	Unread   State = "unread"    // the card left, or could not be read
	NotOurs  State = "not-ours"  // a card of somebody else, or one that does not work
	Blocked  State = "blocked"   // the card is blocked
	Full     State = "full"      // the card can hold no more
	Offline  State = "offline"   // no network, and nobody has paid
	Off      State = "off"       // the backend takes no online payments

	WayOut    State = "way-out"    // that way to pay is out of order
	Refused   State = "refused"    // the payment was refused
	Proof     State = "proof"      // the rider must prove more, which cannot be done here
	Expired   State = "expired"    // nobody paid in time
	Cancelled State = "cancelled"  // the rider does not want to pay
	QROffline State = "qr-offline" // the code is shown, and the network is gone: whether it was paid cannot be seen
	Checking  State = "checking"   // the channel does not say yet
	Closing   State = "closing"    // the channel is asked that nobody can pay any more
	Unsure    State = "unsure"     // nobody knows, and the rider need not wait

	Again        State = "again"          // the card left in the middle: hold the same card again
	WrongCard    State = "wrong-card"     // another card than the one that the sale began with
	NotLoaded    State = "not-loaded"     // the card or the backend refused the load; again, or the money back
	PaidOffline  State = "paid-offline"   // paid, and the network is gone
	PaidNoReader State = "paid-no-reader" // paid, and the reader is gone
	Kept         State = "kept"           // paid, not loaded: it waits for the card
	Refunding    State = "refunding"      // the money is asked to go back
	Refunded     State = "refunded"       // it is back
	RefundLater  State = "refund-later"   // it is on its way back, and the rider need not wait
)

// Money is where a rider's money is. The text names its words too.
type Money string

// Places.
const (
	None     Money = "none"     // nothing was taken
	Yours    Money = "yours"    // with the rider, until the rider pays
	Asked    Money = "asked"    // with the rider or with us: the channel is asked
	InOrder  Money = "order"    // with us, in the rider's order
	Moving   Money = "moving"   // on its way to the card: the card tells
	OnCard   Money = "card"     // on the card
	Back     Money = "back"     // on its way back to the rider
	Returned Money = "returned" // back with the rider
)

// Event is what happened in a state.
type Event string

// Events.
const (
	CardSeen         Event = "card"              // a card is in the field
	CardRead         Event = "read"              // it is ours, and can be loaded
	OwedFound        Event = "owed"              // it was paid for earlier
	DoubtFound       Event = "doubted"           // a payment for it was in doubt earlier
	Unreadable       Event = "unreadable"        // it left, or two are there
	NotServed        Event = "not-served"        // it is none of ours
	IsBlocked        Event = "is-blocked"        //
	IsFull           Event = "is-full"           // no amount fits on it
	LinkLost         Event = "link-lost"         // the backend cannot be reached
	LinkBack         Event = "link-back"         //
	IsOff            Event = "is-off"            // the backend takes no online payments
	ReaderLost       Event = "reader-lost"       //
	ReaderBack       Event = "reader-back"       //
	AmountChosen     Event = "amount-chosen"     //
	WayChosen        Event = "way-chosen"        //
	NoWay            Event = "no-way"            // no channel takes it now
	Shown            Event = "shown"             // there is a code to scan
	PaidHeard        Event = "paid"              // the backend says
	RefusedHeard     Event = "payment-refused"   // likewise
	ProofHeard       Event = "proof-wanted"      // likewise: refused unless the rider proves more
	ClosedHeard      Event = "payment-closed"    // likewise: nobody paid, and nobody can
	DoubtHeard       Event = "payment-in-doubt"  // likewise: nobody knows
	Left             Event = "left"              // the card left in the middle of the load, or would not say
	OtherCard        Event = "other-card"        // not the card of this sale
	LoadRefused      Event = "load-refused"      // by the card, or by the backend
	LoadedHeard      Event = "loaded"            // it is on the card
	RefundedHeard    Event = "given-back"        // it is back
	GoingBack        Event = "going-back"        // it is on its way back
	RefundImpossible Event = "refund-impossible" // the load is on its way, or the channel gives nothing back
	CancelAsked      Event = "cancel"            // by the rider
	BackAsked        Event = "back"              // likewise: one step
	AgainAsked       Event = "again"             // likewise
	RefundAsked      Event = "refund"            // likewise
	Finished         Event = "finish"            // likewise: has read it
	TimeOut          Event = "time-out"          // the rider has gone, or has waited enough
)

// arrow is one line of the table.
type arrow struct {
	from State
	on   Event
	to   State
}

// arrows is the table. What is not in it cannot happen.
var arrows = []arrow{
	{Idle, CardSeen, Reading}, {Idle, ReaderLost, NoReader},
	{NoReader, ReaderBack, Idle},

	{Reading, CardRead, Amount}, {Reading, OwedFound, Loading}, {Reading, DoubtFound, Checking}, {Reading, Unreadable, Unread}, {Reading, NotServed, NotOurs},
	{Reading, IsBlocked, Blocked}, {Reading, IsFull, Full}, {Reading, LinkLost, Offline}, {Reading, IsOff, Off},
	{Amount, AmountChosen, Way}, {Amount, CancelAsked, Idle}, {Amount, TimeOut, Idle},
	{Way, WayChosen, Ordering}, {Way, LinkLost, Offline}, {Way, IsOff, Off}, {Way, BackAsked, Amount}, {Way, CancelAsked, Idle}, {Way, TimeOut, Idle},

	{Ordering, Shown, QR}, {Ordering, PaidHeard, Hold}, {Ordering, RefusedHeard, Refused}, {Ordering, ProofHeard, Proof}, {Ordering, ClosedHeard, Expired}, {Ordering, DoubtHeard, Checking},
	{Ordering, NoWay, WayOut}, {Ordering, LinkLost, Offline}, {Ordering, IsOff, Off},
	{QR, PaidHeard, Hold}, {QR, RefusedHeard, Refused}, {QR, ClosedHeard, Expired}, {QR, DoubtHeard, Checking}, {QR, LinkLost, QROffline}, {QR, CancelAsked, Closing}, {QR, TimeOut, Closing},
	{QROffline, Shown, QR}, {QROffline, PaidHeard, Hold}, {QROffline, RefusedHeard, Refused}, {QROffline, ClosedHeard, Expired}, {QROffline, DoubtHeard, Checking}, {QROffline, CancelAsked, Unsure}, {QROffline, TimeOut, Unsure},
	{Checking, Shown, QR}, {Checking, PaidHeard, Hold}, {Checking, RefusedHeard, Refused}, {Checking, ClosedHeard, Expired}, {Checking, LoadedHeard, Done}, {Checking, TimeOut, Unsure}, {Checking, Finished, Unsure},
	{Closing, ClosedHeard, Cancelled}, {Closing, RefusedHeard, Cancelled}, {Closing, PaidHeard, Hold}, {Closing, TimeOut, Unsure},

	{Hold, CardSeen, Loading}, {Hold, ReaderLost, PaidNoReader}, {Hold, RefundAsked, Refunding}, {Hold, TimeOut, Kept},
	{Loading, LoadedHeard, Done}, {Loading, Left, Again}, {Loading, OtherCard, WrongCard}, {Loading, LoadRefused, NotLoaded}, {Loading, LinkLost, PaidOffline}, {Loading, RefundedHeard, Refunded},
	{Again, CardSeen, Loading}, {Again, ReaderLost, PaidNoReader}, {Again, TimeOut, Kept},
	{WrongCard, CardSeen, Loading}, {WrongCard, ReaderLost, PaidNoReader}, {WrongCard, RefundAsked, Refunding}, {WrongCard, TimeOut, Kept},
	{NotLoaded, AgainAsked, Hold}, {NotLoaded, RefundAsked, Refunding}, {NotLoaded, TimeOut, Refunding},
	{PaidOffline, LinkBack, Hold}, {PaidOffline, LoadedHeard, Done}, {PaidOffline, TimeOut, Kept},
	{PaidNoReader, ReaderBack, Hold}, {PaidNoReader, RefundAsked, Refunding}, {PaidNoReader, TimeOut, Kept},
	{Refunding, RefundedHeard, Refunded}, {Refunding, GoingBack, RefundLater}, {Refunding, LinkLost, RefundLater}, {Refunding, TimeOut, RefundLater}, {Refunding, RefundImpossible, Kept},

	// The gateway gives back by itself what comes too late or twice.
	{Ordering, RefundedHeard, Refunded}, {QR, RefundedHeard, Refunded}, {QROffline, RefundedHeard, Refunded}, {Checking, RefundedHeard, Refunded}, {Closing, RefundedHeard, Refunded}, {PaidOffline, RefundedHeard, Refunded},
	{Ordering, GoingBack, RefundLater}, {QR, GoingBack, RefundLater}, {QROffline, GoingBack, RefundLater}, {Checking, GoingBack, RefundLater}, {Closing, GoingBack, RefundLater}, {Loading, GoingBack, RefundLater}, {PaidOffline, GoingBack, RefundLater},

	{WayOut, AgainAsked, Way}, {Refused, AgainAsked, Way}, {Proof, AgainAsked, Way}, {Expired, AgainAsked, Way},
	{Unread, CardSeen, Reading}, {Unread, ReaderLost, NoReader},
	{Unread, TimeOut, Idle}, {NotOurs, TimeOut, Idle}, {Blocked, TimeOut, Idle}, {Full, TimeOut, Idle}, {Offline, TimeOut, Idle}, {Off, TimeOut, Idle}, {WayOut, TimeOut, Idle},
	{Refused, TimeOut, Idle}, {Proof, TimeOut, Idle}, {Expired, TimeOut, Idle}, {Cancelled, TimeOut, Idle}, {Unsure, TimeOut, Idle}, {Kept, TimeOut, Idle}, {Refunded, TimeOut, Idle}, {RefundLater, TimeOut, Idle}, {Done, TimeOut, Idle},
	{NotOurs, Finished, Idle}, {Blocked, Finished, Idle}, {Full, Finished, Idle}, {Offline, Finished, Idle}, {Off, Finished, Idle}, {WayOut, Finished, Idle},
	{Refused, Finished, Idle}, {Proof, Finished, Idle}, {Expired, Finished, Idle}, {Cancelled, Finished, Idle}, {Unsure, Finished, Idle}, {Kept, Finished, Idle}, {Refunded, Finished, Idle}, {RefundLater, Finished, Idle}, {Done, Finished, Idle},
}

// places is where the money is in each state. Of a sale whose load is on its way, what waits in the order is [Moving].
var places = map[State]Money{
	Idle: None, Reading: None, Amount: None, Way: None, Ordering: None, NoReader: None, Unread: None, NotOurs: None, Blocked: None, Full: None, Offline: None, Off: None,
	WayOut: None, Refused: None, Proof: None, Expired: None, Cancelled: None,
	QR: Yours, QROffline: Asked, Checking: Asked, Closing: Asked, Unsure: Asked,
	Hold: InOrder, WrongCard: InOrder, NotLoaded: InOrder, PaidOffline: InOrder, PaidNoReader: InOrder, Kept: InOrder,
	Loading: Moving, Again: Moving, Done: OnCard,
	Refunding: Back, RefundLater: Back, Refunded: Returned,
}

// PlaceOf is where the money is in a state, of a sale whose load is not on its way.
func PlaceOf(s State) Money { return places[s] }

// States lists every state.
func States() []State {
	var all []State
	for s := range places {
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}

// Next is the state after an event. The error is a fault of this program.
func Next(s State, e Event) (State, error) {
	for _, a := range arrows {
		if a.from == s && a.on == e {
			return a.to, nil
		}
	}
	return s, fmt.Errorf("kiosk: %s in state %s: the table does not know it", e, s)
}

// choices are what a rider can say.
var choices = []Event{AmountChosen, WayChosen, CancelAsked, BackAsked, AgainAsked, RefundAsked, Finished}

// Choices are what a rider can say in a state.
func Choices(s State) []Event {
	out := []Event{}
	for _, e := range choices {
		if _, err := Next(s, e); err == nil {
			out = append(out, e)
		}
	}
	return out
}
