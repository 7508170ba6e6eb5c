// Package timekeeper is a terminal's clock: it says what time it is, how wrong that may be, and how good the clock is.
//
// Start with [Keeper]. It hears sources (the machine's time service, the backend's receipts, what it knew before the machine was
// switched off, or the operator's word on the machine's clock), each with a bound of its own error, and counts on with a stopwatch that
// nobody can set. [Settings] are its limits. The time that it gives never goes back, and never below the newest record.
//
// What is believed is decided in judge.go, a plain state machine that reads no clock. The package knows no money: what may be
// priced by which clock is a setting of the profile.
package timekeeper
