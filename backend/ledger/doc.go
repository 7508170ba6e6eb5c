// Package ledger proves the books and says what is in them: the nightly proof with its report, balances at the end of a day, and statements
// of cards and merchants.
//
// Start with [Prove]. Everything here reads; what is found is reported and kept, never repaired.
package ledger
