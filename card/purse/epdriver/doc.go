// Package epdriver is the EP family behind [purse.Driver]: T-Union, city union and plain PBOC purses, with a PSAM in the terminal.
//
// Start with [New]. A visit is SELECT, the files, INITIALIZE with the SAM's MAC1 (Begin), the trip records into the card's cache (Stage),
// DEBIT (Commit), MAC2 and read-back (Evidence). What became of a lost debit is told by the card's counter, GET TRANSACTION PROVE and
// the card's log (recover.go; purse facts 4.3).
package epdriver
