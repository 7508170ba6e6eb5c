// Package ecdriver is the electronic cash family (PBOC EC over qPBOC) behind [purse.Driver]. The card proves itself by its own
// signature, and its issuer checks the cryptogram later; only cards that make trips want a SAM, with the operator's keys of their records (transit.go).
//
// Start with [New]. A visit is SELECT (Open), GET PROCESSING OPTIONS (Begin), the records but the last with the check of all that can refuse
// the card (Stage), the last READ RECORD, which is the debit (Commit), and the card's signature (Evidence). What became of a
// lost debit is told by the card's own copy of that last record, or by its counter and balance (recover.go).
//
// The card number is a bank's. Journals and lists have a token for it (token.go), the backend gets it sealed (seal.go), and it stands in nothing
// else that this package gives. docs/card-evidence.md is the contract.
package ecdriver
