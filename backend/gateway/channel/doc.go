// Package channel is what the gateway asks of a payment channel: one small interface with a list of what the channel can do, and ports for
// what only some can. An adapter (a package below this one) speaks one channel's wire format and decides nothing; it keeps no orders.
//
// The one rule that everything here serves: unknown is not failed. An [Outcome] that nobody has stated is [Unknown], an error says
// nothing about the money, and only the channel's own verified word makes a payment succeed or fail.
//
// Start with [Channel], [Result] and [Outcome].
package channel
