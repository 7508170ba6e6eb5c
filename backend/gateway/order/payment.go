package order

import "github.com/purselane/purselane/backend/gateway/channel"

// PaymentState is the state of one attempt to pay an order. The text is stored and is part of the API.
type PaymentState string

// States of a payment. The comment says who moves next.
const (
	Created        PaymentState = "created"    // on disk; the channel has not been called
	Challenged     PaymentState = "challenged" // risk wants the payer to prove more; the payer, with the same attempt
	Calling        PaymentState = "calling"    // the channel is being called; after a crash nobody knows
	Waiting        PaymentState = "waiting"    // the channel has it and waits for the payer or a bank
	Unknown        PaymentState = "unknown"    // nobody knows: the channel is asked
	AuthorisedThen PaymentState = "authorised" // reserved; the merchant captures or releases
	PaymentPaid    PaymentState = "paid"       // the money has come; what becomes of it is told by its order and by refunds
	Failed         PaymentState = "failed"     // refused, or never sent; nobody moves
	PaymentClosed  PaymentState = "closed"     // nobody paid it in time; nobody moves
	Freed          PaymentState = "released"   // what was reserved is free again; nobody moves
)

// PaymentStates lists every state of a payment.
var PaymentStates = []PaymentState{Created, Challenged, Calling, Waiting, Unknown, AuthorisedThen, PaymentPaid, Failed, PaymentClosed, Freed}

// PaymentEvent is what can happen to a payment.
type PaymentEvent string

// Events of a payment.
const (
	StepUp     PaymentEvent = "challenged" // risk asks for more
	Blocked    PaymentEvent = "blocked"    // risk refuses
	Called     PaymentEvent = "called"     // risk lets it pass: the next thing is the channel
	Accepted   PaymentEvent = "accepted"   // the channel has it and waits
	Doubted    PaymentEvent = "doubted"    // no answer, or one that says nothing
	Reserved   PaymentEvent = "reserved"
	Succeeded  PaymentEvent = "paid"
	Refused    PaymentEvent = "refused" // by the channel, or the request never left
	ChannelEnd PaymentEvent = "ended"   // closed or expired unpaid
	SetFree    PaymentEvent = "released"
	Late       PaymentEvent = "late" // the channel says paid of an attempt that had ended here
)

// PaymentEvents lists every event of a payment.
var PaymentEvents = []PaymentEvent{StepUp, Blocked, Called, Accepted, Doubted, Reserved, Succeeded, Refused, ChannelEnd, SetFree, Late}

// paymentArrows is every move of a payment; all others are refused. Money that has come is never unsaid: paid has no way out, and an
// attempt that had ended still becomes paid if the channel says so.
var paymentArrows = []arrow[PaymentState, PaymentEvent]{
	{Created, StepUp, Challenged},
	{Created, Blocked, Failed},
	{Created, Called, Calling},
	{Created, ChannelEnd, PaymentClosed}, // never called
	{Created, Succeeded, PaymentPaid},    // called by a run whose notes were lost
	{Challenged, Blocked, Failed},
	{Challenged, Called, Calling},
	{Challenged, ChannelEnd, PaymentClosed},
	{Challenged, Succeeded, PaymentPaid},
	{Calling, Accepted, Waiting},
	{Calling, Doubted, Unknown},
	{Calling, Reserved, AuthorisedThen},
	{Calling, Succeeded, PaymentPaid},
	{Calling, Refused, Failed},
	{Calling, ChannelEnd, PaymentClosed},
	{Waiting, Reserved, AuthorisedThen},
	{Waiting, Succeeded, PaymentPaid},
	{Waiting, Refused, Failed},
	{Waiting, ChannelEnd, PaymentClosed},
	{Unknown, Accepted, Waiting},
	{Unknown, Reserved, AuthorisedThen},
	{Unknown, Succeeded, PaymentPaid},
	{Unknown, Refused, Failed},
	{Unknown, ChannelEnd, PaymentClosed},
	{AuthorisedThen, Succeeded, PaymentPaid}, // captured
	{AuthorisedThen, SetFree, Freed},
	{Failed, Late, PaymentPaid},
	{PaymentClosed, Late, PaymentPaid},
}

// NextPayment returns the state that follows s on e, or [ErrState].
func NextPayment(s PaymentState, e PaymentEvent) (PaymentState, error) {
	return next("payment", paymentArrows, s, e)
}

// InDoubt reports that the channel's word is awaited: the payment is asked for.
func (s PaymentState) InDoubt() bool { return s == Calling || s == Waiting || s == Unknown }

// Ended reports that nothing is on its way any more.
func (s PaymentState) Ended() bool {
	return s == PaymentPaid || s == Failed || s == PaymentClosed || s == Freed
}

// EventOf says what a channel's word means to a payment in a state, and whether it means anything: unknown to what is in doubt already, or a
// repeated word, does not. missing is whether the request cannot be on its way any more, so that a channel that does not know it never will.
// reserve is whether the attempt was to reserve money only.
func EventOf(s PaymentState, o channel.Outcome, reserve, missing bool) (PaymentEvent, bool) {
	switch o {
	case channel.Succeeded:
		switch {
		case reserve && s.InDoubt():
			return Reserved, true
		case reserve || s == PaymentPaid || s == AuthorisedThen || s == Freed:
			return "", false // a reservation's captures and releases have answers of their own
		case s == Failed || s == PaymentClosed:
			return Late, true
		}
		return Succeeded, true
	case channel.Failed:
		return Refused, s.InDoubt()
	case channel.Closed:
		return ChannelEnd, s.InDoubt()
	case channel.Pending:
		return Accepted, s == Calling || s == Unknown
	case channel.Missing:
		if missing {
			return Refused, s.InDoubt()
		}
	}
	return Doubted, s == Calling
}
