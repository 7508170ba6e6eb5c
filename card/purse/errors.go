package purse

import "errors"

// Kinds of error, each with its own remedy. Drivers wrap them; apdu.ErrNotSent and apdu.ErrNoAnswer say that the card left.
var (
	// ErrNoPurse: no purse of this family and scheme on the card.
	ErrNoPurse = errors.New("no purse of this scheme on the card")
	// ErrBlocked: the purse or the card is blocked.
	ErrBlocked = errors.New("the card is blocked")
	// ErrExpired: the card says that it has expired.
	ErrExpired = errors.New("the card has expired")
	// ErrInsufficient: too little value.
	ErrInsufficient = errors.New("too little value on the card")
	// ErrKey: the terminal has no key for this card.
	ErrKey = errors.New("the terminal has no key for this card")
	// ErrDeclined: the card, or a check of it, refuses the debit.
	ErrDeclined = errors.New("the card declined")

	// ErrNotDebited: Commit has certainly not debited.
	ErrNotDebited = errors.New("the card has not debited")
	// ErrMaybeDebited: Begin may have debited; the attempt that comes with it is unknown.
	ErrMaybeDebited = errors.New("the card may have debited")
	// ErrBadProof: the answer does not prove the debit.
	ErrBadProof = errors.New("the card's proof does not verify")
	// ErrOtherCard: the attempt is of another card, or of another purse on this one.
	ErrOtherCard = errors.New("another card or purse than that of the attempt")

	// ErrTerminal: the terminal's own part has failed, such as its SAM: nobody can be served.
	ErrTerminal = errors.New("the terminal itself fails")
	// ErrBusy: the SAM is held by another reader's purchase; nothing was taken.
	ErrBusy = errors.New("the SAM is held by another reader's purchase")
)
