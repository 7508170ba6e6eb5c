// Package bankfile reads and writes the ISO 20022 files that go to a bank and come from it: pain.001 (pay these), pain.002 (what became of
// that) and camt.053 (what the account's statement says). docs/bank.md is its page.
//
// Start with [Message.Pain001], [ReadPain002] and [ReadCamt053]. The package is pure: it reads no disk and no clock, and keeps nothing.
// backend/settlement books what the files say.
package bankfile
