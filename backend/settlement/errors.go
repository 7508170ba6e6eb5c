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
	// ErrBooks: the books do not say what the taps say. Nothing was written.
	ErrBooks = errors.New("the books and the taps differ")
	// ErrChanged: the frozen items of a closed day no longer give the report that was closed.
	ErrChanged = errors.New("the closed day was changed")
)
