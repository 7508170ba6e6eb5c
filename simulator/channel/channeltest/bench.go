package channeltest

import (
	"testing"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/clock"
	sim "github.com/purselane/purselane/simulator/channel"
)

// Will is what the payer of a payment is going to do.
type Will int

// Wills.
const (
	Pays     Will = iota + 1 // pays, at the latest when told to by Bench.Act
	Declines                 // cannot or does not want to: the channel ends it, or goes on waiting
	Waits                    // has not decided; Bench.Act lets him pay
)

// Truth is what the simulator itself has counted for a payment number of ours, over everything that it has booked under that number.
type Truth struct {
	Charges  int   // how many times money was taken
	Paid     int64 // minor units that were taken
	Refunded int64 // minor units that were given back, by refund or void
}

// Code is one of the channel's codes of failure, and what the adapter must make of it.
type Code struct {
	Code    string
	Outcome channel.Outcome
	Class   channel.Class // of a Failed one
}

// Forgery is a notification that must not be believed.
type Forgery struct {
	Name         string
	Notification channel.Notification
	Why          string // what the error must say; "" for anything
}

// WrongKey is an adapter with one setting wrong.
type WrongKey struct {
	Name    string
	Channel channel.Channel
	Says    string // what the answer, the error or the ForgedError must name
	Notify  bool   // it shows when a notification is read; else when a payment is asked for

	Signature bool // the channel refuses what is signed with it, refunds too
}

// Bench is an adapter in front of its simulator, made anew for each test. The fields below "may be nil" may be left out.
type Bench struct {
	Channel channel.Channel
	Clock   *clock.Manual // of adapter and simulator
	Weather *sim.Weather

	// Request makes a payment request of that number, in minor units, for a payer with that will. It is asked for again with the same
	// number and must then tell of the same payer.
	Request func(number string, minor int64, will Will) channel.PayRequest

	// Act lets the payer do what he is going to, if he has not yet. The error says that the channel did not let him pay.
	Act func(number string) error

	// Truth is the simulator's own count.
	Truth func(number string) Truth

	// Remembers: the channel is ours and keeps what it was asked, so a request that was lost behind it is pending, and not missing.
	Remembers bool

	// GivesBack: what is paid after a close the channel gives back by itself, and the payment stays closed.
	GivesBack bool

	// May be nil:

	Notifier  *sim.Notifier                                // a channel that sends notifications
	Forgeries func(genuine channel.Notification) []Forgery // beside those that the suite makes itself
	WrongKeys []WrongKey
	Codes     []Code                                              // of a payment, by Fate.Error
	Authorise func(number string, minor int64) channel.PayRequest // a card for Authoriser; nil: Request with Pays
	Sign      func(number string) channel.SignRequest             // for Agreements; Act lets the payer sign
	Debit     func(number, agreement string, minor int64) channel.PayRequest
	EndThere  func(number string) error // lets the payer end an agreement at the channel, without us
	TellsEnds bool                      // Agreements: the channel notifies of signings, and of ends that the payer makes
	Payout    func(number string, minor int64) channel.PayoutRequest
	PaidOut   func(number string) Truth // Payouts: Charges and Paid of a pay-out
	Drain     func()                    // Payouts, may be nil even so: takes all away that we have for pay-outs
	Refuses   func()                    // Payouts, may be nil even so: has the next payee not get what is sent
}

// Maker makes a bench. The URL of notifications in its requests is up to it: the suite receives them all.
type Maker func(t *testing.T) *Bench
