// Package cases decides taps that nothing proves: taps of unknown outcome that have aged, second debits of one counter, records whose proof does not verify, and
// taps that a merchant or a holder claims.
//
// Start with [Service.Open] and [Service.Sweep]. A case is about one tap's claim to a slot. One officer proposes to grant or deny it, another one approves, and
// the books follow in the same transaction, through the code that posts records (store.DecideClaim). A proof that comes later is stronger than the
// decision. States and moves are the table in state.go.
package cases
