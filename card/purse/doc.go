// Package purse is what a terminal asks of a stored-value card, whatever its family: one driver interface, and the neutral words in
// which a tap is told.
//
// A [Driver] opens a card; a [Card] is read, begins a debit, commits it, gives the evidence of it, and tells what became of an
// earlier one:
//
//	Open -> Read -> Begin -> Stage -> Commit -> Evidence
//	     -> Recover
//
// The promise that every driver keeps: nothing is debited before Commit, or Begin has said so with [ErrMaybeDebited]. So a terminal that
// has the [Attempt] on disk before Commit can always ask the card later. docs/card-drivers.md is the contract, pursetest its test.
//
// A driver of a family draws on its SAM, its keys and its random numbers by what it was made with. It keeps no clock: the time comes with
// the order.
package purse
