package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/timekeeper"
)

// clockConfig says what the terminal may believe of its machine's clock.
type clockConfig struct {
	UnkeptError time.Duration `yaml:"unkept_error"` // while no time service keeps it; 0: it is not believed
}

func (c clockConfig) check(f *faults) {
	if c.UnkeptError < 0 || c.UnkeptError > 10*time.Minute {
		f.bad("clock.unkept_error: %v: want how wrong the machine's clock may be while nothing keeps it, at most 10m, or nothing if nobody knows", c.UnkeptError)
	}
}

// clockFile is where the time is kept while the machine is off: beside the journal.
func (c *config) clockFile() string { return c.path(c.Journal.Path) + ".clock" }

// keeper starts the terminal's clock.
func (c *config) keeper(log *slog.Logger) *timekeeper.Keeper {
	return timekeeper.New(timekeeper.Config{
		Settings: timekeeper.Settings{Unkept: c.Clock.UnkeptError}, System: newMachine(), File: c.clockFile(), Log: log,
	})
}

// openClock gives the terminal its clock, and keeps that until stop is called.
func (c *config) openClock(ctx context.Context, cfg *edge.Config) (stop func()) {
	k := c.keeper(cfg.Log)
	cfg.Time, cfg.Clock, cfg.ClockState = k, k, k.State
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { k.Run(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

// clockNow is how the terminal's clock would start now. It writes nothing.
func (c *config) clockNow() timekeeper.Time { return c.keeper(nil).Time() }

// stopwatch is a System's Elapsed where the kernel has no better one: the runtime's, which stands still while the machine sleeps.
type stopwatch struct{ start time.Time }

func newStopwatch() stopwatch { return stopwatch{time.Now()} }

func (s stopwatch) elapsed() time.Duration { return time.Since(s.start) }
