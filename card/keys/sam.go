package keys

import (
	"context"
	"errors"
	"time"
)

// What can be wrong with a SAM. Whoever implements [SAM] says it with these, wrapped round its own error; [Pool] acts on them.
var (
	// ErrSAMBlocked: the SAM serves nobody any more, mostly after too many wrong MAC2.
	ErrSAMBlocked = errors.New("the SAM is blocked: have it unblocked by its issuer, or replace it")
	// ErrSAMNumber: another SAM is in the slot than the one that was there.
	ErrSAMNumber = errors.New("the SAM has another terminal number than it had: put the right one back")
	// ErrSAMOrder: the SAM is in the middle of something else, or has forgotten the purchase it was in.
	ErrSAMOrder = errors.New("the SAM is busy with something else, or has lost its purchase")
	// ErrSAMGone: the SAM does not answer: it was pulled, or its reader was.
	ErrSAMGone = errors.New("the SAM does not answer: check that it is in its slot and the reader is plugged in")
	// ErrSAMBroken: the SAM answers that it fails.
	ErrSAMBroken = errors.New("the SAM says that it fails: replace it")
	// ErrSAMExhausted: every serial of the SAM is used.
	ErrSAMExhausted = errors.New("the SAM has no serial left: replace it")
	// ErrSAMSerial: the SAM gave a serial that is not above its last. With it two debits would have one name.
	ErrSAMSerial = errors.New("the SAM gave a serial that is not new: it was reset or copied; replace it")
)

// samFault is a row of samFaults.
type samFault struct {
	is          error
	first, most time.Duration
}

// samFaults says what takes a SAM out of a [Pool], and how long it rests before it is asked again: at first, and at most, after doubling
// with each time that it did not work. Whatever is not in the table is not the SAM's fault: a card's wrong MAC2, a key that the SAM has not.
var samFaults = []samFault{
	{ErrSAMSerial, 0, 0}, // never asked again
	{ErrSAMBlocked, 5 * time.Minute, 5 * time.Minute},
	{ErrSAMExhausted, 5 * time.Minute, 5 * time.Minute},
	{ErrSAMNumber, 10 * time.Second, time.Minute},
	{ErrSAMBroken, 10 * time.Second, 5 * time.Minute},
	{ErrSAMOrder, time.Second, 10 * time.Second},
	{ErrSAMGone, time.Second, time.Minute},
	{context.DeadlineExceeded, time.Second, time.Minute}, // of the command's own time
}

// faultOf finds the row of an error; nil for none.
func faultOf(err error) *samFault {
	for i := range samFaults {
		if errors.Is(err, samFaults[i].is) {
			return &samFaults[i]
		}
	}
	return nil
}

// rest is how long a SAM rests after so many failures in a row, 1 at least; false for ever.
func (f *samFault) rest(failures int) (time.Duration, bool) {
	d := f.first
	for ; failures > 1 && d < f.most; failures-- {
		d *= 2
	}
	return min(d, f.most), f.first > 0
}
