// Package wire is what travels between terminal and backend: the schema of records, envelopes, hellos and receipts
// (wire.proto), and their signatures.
//
// Start with [SealEnvelope] and [OpenEnvelope]. A signature is verified before the bytes under it are read; the two
// errors that matter are [ErrSignature] (nobody's word: drop it) and [ErrMalformed] (the device's word, unreadable: keep
// it and let the device go on). docs/uplink.md is the outside contract.
//
// The package knows no transport, and of a record only its bytes: what is in it is the backend's to judge.
package wire
