// Package desfiredriver is the DESFire family behind [purse.Driver]: a value file, a transaction MAC and one record a debit.
//
// Start with [New]. The record (record.go) says who debited, and carries the rider's trip and newest ride from debit to debit: so they
// change together with the value, in one CommitTransaction. docs/card-desfire.md has its bytes.
package desfiredriver
