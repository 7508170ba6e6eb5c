//go:build !linux

package main

import "time"

// machine is a machine that cannot be asked who keeps its clock.
type machine struct{ stopwatch }

func newMachine() machine { return machine{newStopwatch()} }

// Elapsed is the runtime's stopwatch.
func (m machine) Elapsed() time.Duration { return m.elapsed() }

// Wall is the machine's clock.
func (machine) Wall() time.Time { return time.Now() }

// Kept says that nobody is known to keep it.
func (machine) Kept() (at time.Time, bound time.Duration, kept bool) { return at, 0, false }

// RTC says that there is none to be read.
func (machine) RTC() int64 { return 0 }

// Boot says that a start of this machine has no name.
func (machine) Boot() string { return "" }
