// Package outbox delivers the messages that transactions have left (store.Tx.AddOutbox): a message is delivered if and only if its transaction was
// committed. Delivery is at least once, so a receiver drops a second one by its id; and in order within a key, so a message that cannot be
// delivered holds up its key and nothing else.
//
// Start with [Relay.Step]. Several processes may relay the same database: each takes messages for a time, and one that dies loses
// them to the others when the time is over.
package outbox
