package identity

import (
	"fmt"
	"time"

	"github.com/purselane/purselane/internal/money"
)

// Settings of a service. Start from [Defaults] and set prices and budget.
type Settings struct {
	Timeout time.Duration // who asks is answered after it, whatever the provider does
	AtOnce  int           // calls at the same time, those counted that are too late for who asked

	Failures uint          // in a row open the breaker
	OpenFor  time.Duration // before one call is let through to see

	Two, Three, Four money.Amount   // price of a call by its elements, in the provider's currency
	Budget           money.Amount   // of a day; a call that would exceed it is not made
	Zone             *time.Location // of that day

	KeepMatch, KeepMismatch, KeepNotInDatabase time.Duration // how long an answer is remembered; 0: not at all
	Remember                                   int           // answers at most
}

// Defaults have no prices and no budget: nothing can be asked by them.
func Defaults() Settings {
	return Settings{
		Timeout: 3 * time.Second, AtOnce: 16, Failures: 5, OpenFor: 30 * time.Second, Zone: time.UTC,
		KeepMatch: 30 * 24 * time.Hour, KeepMismatch: 10 * time.Minute, KeepNotInDatabase: 24 * time.Hour, Remember: 100_000,
	}
}

// Check reports the first setting that makes no sense, and what would.
func (s Settings) Check() error {
	switch {
	case s.Timeout <= 0 || s.Timeout > time.Minute:
		return fmt.Errorf("identity: a time-out of %v: want more than zero and at most a minute", s.Timeout)
	case s.AtOnce < 1 || s.AtOnce > 1000:
		return fmt.Errorf("identity: %d calls at once: want 1 to 1000", s.AtOnce)
	case s.Failures < 1 || s.Failures > 1000:
		return fmt.Errorf("identity: the breaker opens after %d failures: want 1 to 1000", s.Failures)
	case s.OpenFor <= 0 || s.OpenFor > 24*time.Hour:
		return fmt.Errorf("identity: the breaker opens for %v: want more than zero and at most a day", s.OpenFor)
	case s.Two.Sign() < 0 || s.Three.Sign() < 0 || s.Four.Sign() < 0 || s.Budget.Sign() <= 0:
		return fmt.Errorf("identity: prices of %v, %v, %v and a budget of %v: want none below zero, and a budget", s.Two, s.Three, s.Four, s.Budget)
	case s.Zone == nil:
		return fmt.Errorf("identity: the budget's day wants a time zone")
	case s.KeepMatch < 0 || s.KeepMismatch < 0 || s.KeepNotInDatabase < 0:
		return fmt.Errorf("identity: an answer cannot be kept for less than no time")
	case s.Remember < 0 || s.Remember > 10_000_000:
		return fmt.Errorf("identity: %d answers to remember: want 0 to 10000000", s.Remember)
	}
	return nil
}

func (s Settings) price(elements int) money.Amount {
	return [...]money.Amount{2: s.Two, 3: s.Three, 4: s.Four}[elements]
}

func (s Settings) keep(a Answer) time.Duration {
	return [...]time.Duration{Match: s.KeepMatch, Mismatch: s.KeepMismatch, NotInDatabase: s.KeepNotInDatabase}[a]
}
