package settlement

import "errors"

// Why a day cannot be closed or paid. The message beside the error says what to do.
var (
	// ErrFuture: the day has not begun.
	ErrFuture = errors.New("the day has not begun")
	// ErrNotPosted: records of the day are accepted and not yet posted.
	ErrNotPosted = errors.New("records are not posted yet")
	// ErrOrder: days are closed in order.
	ErrOrder = errors.New("days are closed in order")
	// ErrNotClosed: only a closed day has a report, and only a closed day is paid.
	ErrNotClosed = errors.New("the day is not closed")
	// ErrPaid: the day was paid under another bank reference.
	ErrPaid = errors.New("the day is paid")
	// ErrOrdered: the day's payments go through the bank, so it is not paid by hand.
	ErrOrdered = errors.New("the day's payments are ordered at the bank")
	// ErrResend: the payment has not come back, so it is not ordered again.
	ErrResend = errors.New("the payment has not come back")
	// ErrAccount: a bank account is not known, or a statement is of another.
	ErrAccount = errors.New("bank account")
	// ErrMessage: a status report speaks of a message that was never ordered.
	ErrMessage = errors.New("no such message was ordered")
	// ErrBooks: the books do not say what the taps say. Nothing was written.
	ErrBooks = errors.New("the books and the taps differ")
	// ErrChanged: the frozen items of a closed day no longer give the report that was closed.
	ErrChanged = errors.New("the closed day was changed")
)
