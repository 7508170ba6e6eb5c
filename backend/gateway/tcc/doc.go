// Package tcc pays one order with several instruments at once, all or nothing: each participant first reserves its part (try), then all
// take it (confirm), or all give it up (cancel). Between the phases nothing is held but rows; no connection and no lock.
//
// The decisions are two pure tables: guard.go says what a participant does with a message by what it has done before, so that doubled, late
// and reordered messages do no harm; state.go says how the coordinator moves. The tests try every order of messages on exactly these tables.
//
// Start with [Coordinator.Pay]. A payment with one instrument goes the shorter way of compensation: it is done at once, and undone if the
// payment comes to nothing. docs/combined-payment.md has the words.
package tcc
