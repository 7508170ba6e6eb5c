package gateway

import (
	"errors"
	"fmt"

	"github.com/purselane/purselane/shadowaccount/books"
)

// Kinds of refusal. Any other error means that the service could not do its work, and says nothing about the money.
var (
	// ErrRequest: a part of the request is missing or does not fit.
	ErrRequest = errors.New("the request does not fit")
	// ErrUnknownOrder: there is no such order, or it is another app's.
	ErrUnknownOrder = errors.New("no such order")
	// ErrRate: nobody says what an app's merchants pay for a payment.
	ErrRate = errors.New("no rate")
	// ErrUnknownAgreement: there is no such agreement, or it is another app's.
	ErrUnknownAgreement = errors.New("no such agreement")
	// ErrUnknownBinding: there is no such binding, or it is another app's or another holder's.
	ErrUnknownBinding = errors.New("no such binding")
	// ErrNotTyped: what the payer has typed is not held any more.
	ErrNotTyped = errors.New("what was typed is not held any more: have the payer type it again")
	// ErrCode: a code of ours is wrong, or too old.
	ErrCode = errors.New("the code is wrong, or too old")
	// ErrCards: a holder binds more cards, or asks for more codes, than anybody needs.
	ErrCards = errors.New("too many: unbind a card, or begin anew")
	// ErrUnknownPayout: there is no such pay-out.
	ErrUnknownPayout = errors.New("no such pay-out")
	// ErrUnknownAccount: we have no such account at a channel.
	ErrUnknownAccount = errors.New("no such channel account")
	// ErrConflict: the idempotency key was used before for something else.
	ErrConflict = errors.New("the idempotency key was used for something else")
	// ErrCardExpired: the card of a token has expired.
	ErrCardExpired = errors.New("the card has expired: pay with another, or keep the renewed one")
	// ErrExpired: the order's time is over.
	ErrExpired = errors.New("the order's time is over")
	// ErrNoChannel: no channel can take it. The text says what was asked for.
	ErrNoChannel = errors.New("no channel takes this")
	// ErrUnsupported: the order's channel cannot do it.
	ErrUnsupported = errors.New("the channel cannot do this")
	// ErrTooMuch: more would be given back than was paid.
	ErrTooMuch = errors.New("more than is left of the payment")
	// ErrFunds: the payee does not have as much.
	ErrFunds = errors.New("the payee's account does not hold as much")
	// ErrFrozen: the operator has switched off that money leaves the payee's account.
	ErrFrozen = errors.New("the payee's account is frozen: ask the operator")
	// ErrWindow: the channel refunds no more.
	ErrWindow = errors.New("the channel's time for refunds is over")
	// ErrLoadAmount: no card may be loaded with it, or a top-up is to be given back in part.
	ErrLoadAmount = errors.New("the amount is not one that is loaded, or given back of a load")
	// ErrLoadState: a top-up is on its card, or on its way to one.
	ErrLoadState = errors.New("the load is on its card, or on its way to one, or was given back")
	// ErrBlocked: risk does not let it pass.
	ErrBlocked = errors.New("refused as a risk")
	// ErrDecided: a pay-out waits for another decision, or for another person's.
	ErrDecided = errors.New("a second person must decide the same")
	// ErrCardNumber: something looks like a card number. It was not stored.
	ErrCardNumber = errors.New("looks like a card number: send the channel's token of the card instead")
)

// frozen says in the gateway's words that the switches of an account forbid what was asked for. Nothing of it is kept.
func frozen(err error) error {
	if errors.Is(err, books.ErrSwitched) {
		return fmt.Errorf("%w: %w", ErrFrozen, err)
	}
	return err
}

// Codes of findings. Codes are an outside contract: they are never given a new meaning.
const (
	FindConflict      = "PAY_KEY_REUSED"      // an idempotency key came again with other content
	FindAmount        = "PAY_AMOUNT_DIFFERS"  // a channel says that another amount was paid
	FindContradiction = "PAY_CONTRADICTION"   // a channel unsays what it has said
	FindOtherNumber   = "PAY_OTHER_NUMBER"    // a channel gives one payment a second number of its own
	FindOtherChannel  = "PAY_OTHER_CHANNEL"   // a notification about a payment that was made on another channel
	FindSurplus       = "PAY_TWICE"           // an order was paid twice, or after it was closed; the surplus goes back by itself
	FindUnknownNumber = "PAY_UNKNOWN_NUMBER"  // a channel tells of a payment or a refund that we never asked for
	FindStuck         = "PAY_REFUND_STUCK"    // a surplus, a top-up or a reservation could not be given back: a person must
	FindHook          = "PAY_NOT_KEPT"        // a channel has the money, and the load of it cannot be written: it is tried again, and a person must look
	FindRate          = "PAY_NO_RATE"         // what a payment earned stays pending, because nobody says what it costs its merchant
	FindAssumed       = "PAY_OUT_UNCONFIRMED" // nobody says what became of a pay-out: it counts as paid until two persons decide otherwise
	FindReturned      = "PAY_OUT_RETURNED"    // a pay-out came back after it counted as paid; two persons may send another
)
