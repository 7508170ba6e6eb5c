// Package town is a whole scheme in one goroutine: riders with simulated cards, terminals, a link, the backend and kiosks,
// all of them the real code, with one clock and one seed. Every fault is drawn from the seed: a card pulled at any command, power
// cut at any journal commit, a message lost, doubled or late, a backend that dies before or after a commit, a lost answer.
// Then the faults stop, and all that is owed must arrive.
//
// Start with [Run]. The same seed is the same town, event by event, so a failure is replayed by its seed alone. What must
// hold is in the check files; what a card truly did is seen by an observer inside the card, never by asking a terminal.
//
// docs/town.md says what is simulated and what is not.
package town
