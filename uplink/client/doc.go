// Package client is the terminal's side of the uplink: it sends what the journal holds until the backend has given a
// receipt for it.
//
// Start with [Sender], a plain state machine without I/O: what to send is a function of the journal, the clock and the
// receipts. [Client] runs one over MQTT. A publish that the broker acknowledged proves nothing; only a signed receipt
// does.
//
// The package writes and judges no record: it moves the journal's bytes as they are.
package client
