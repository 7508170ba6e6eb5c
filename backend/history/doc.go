// Package history keeps what became of the gateway's orders in a database file of its own, for risk, credit and statistics: who asks it long questions disturbs no payment.
//
// It is fed from the outbox's events of orders ([Feed]): each exactly once by its id, with the order's row as it is then. Nothing is added to the way of a payment: the feed reads messages that were
// delivered, and remembers in its own file, in the transaction that writes them, how far it has come. Start with [Open].
package history
