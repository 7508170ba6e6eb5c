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
	uniqueViolation      = "23505"
)

// rerun says whether a transaction that failed is to be run again. Nothing of it was committed then.
type rerun int

const (
	final   rerun = iota
	perhaps       // it may have been a collision: another run tells
	surely
)

// rerunOf reads it from a transaction's error. A row that is there already may have come from another transaction since this one looked:
// PostgreSQL then calls it a violation, if the look was not for this very key. A connection that was lost in a commit is no collision, because nobody
// knows what became of that.
func rerunOf(err error) rerun {
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && (pg.Code == serializationFailure || pg.Code == deadlockDetected):
		return surely
	case pg != nil && pg.Code == uniqueViolation:
		return perhaps
	case errors.Is(err, ErrRunAgain):
		return surely
	}
	return final
}

// Runs of one Update, how many of them while this process posts, how many may end in a perhaps, and the pauses between them.
const (
	maxRuns    = 12
	sharedRuns = 3
	maxPerhaps = 3
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
