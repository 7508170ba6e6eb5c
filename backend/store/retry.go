package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrRunAgain says that a transaction came to nothing because of another one, and must be run again from its start. Tests return it from
// [Options].Fault.
var ErrRunAgain = errors.New("the transaction collided with another and must be run again")

// SQLSTATE codes of a collision.
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
)

// mustRunAgain reports whether a transaction's error is a collision: nothing of it was committed. A connection that was lost in a commit
// is none, because nobody knows what became of that.
func mustRunAgain(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == serializationFailure || pg.Code == deadlockDetected
	}
	return errors.Is(err, ErrRunAgain)
}

// Runs of one Update, and the pauses between them.
const (
	maxRuns    = 12
	firstPause = 4 * time.Millisecond
	maxPause   = time.Second
)

// pause is how long to wait after a run that collided: longer after each, and by chance (from 0 to below 1) shorter by up to a half, so
// that two that collided do not do so again.
func pause(run int, chance float64) time.Duration {
	full := maxPause
	if run < 16 {
		full = min(firstPause<<(run-1), maxPause)
	}
	return full - time.Duration(chance*float64(full)/2)
}

// wait passes d, or less if ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
