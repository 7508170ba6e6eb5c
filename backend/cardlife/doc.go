// Package cardlife ends the life of a card in the books: lost or broken cards whose value moves to another card, cards that are given back for
// cash, and value that nobody has asked for in years.
//
// Start with [Service.Request]. A card that is reported is blocked at once. Its value waits until its last records have had time to come
// (the settling period); then what its shadow account still owes is released as a load order that waits at a desk, or is written off as
// breakage. Every order needs two persons. States and moves are the table in state.go.
package cardlife
