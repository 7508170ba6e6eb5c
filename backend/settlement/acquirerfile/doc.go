// Package acquirerfile is the form of the files that an acquirer gets of a closed clearing day: CSV (RFC 4180) with a header, rows in a
// fixed order and a trailer that counts, adds up and hashes them, and a signature beside it. docs/settlement-files.md is its page.
//
// Start with [Encode] and [Parse]; [Sign] and [Verify] are of the signature. The package reads no disk and no clock: an acquirer's
// own programs may use it as they are.
package acquirerfile
