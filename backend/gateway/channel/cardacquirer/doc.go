// Package cardacquirer takes bank cards through an acquirer that speaks ISO 8583 over TCP: purchases, authorisations with increments, capture
// and release, refunds, voids, and the acquirer's settlement file. It multiplexes one connection, signs on, and proves messages by MAC.
//
// What must not get lost is in a journal before it is sent: a capture, a void, a release, and, with an acquirer that answers no enquiries, the
// reversal of whatever got no answer. Such messages are repeated until they are answered, over any crash.
//
// The gateway knows cards by token. The number is taken from the vault when the message is packed, and is in no error, log or journal; a CVV
// has no place in any type here.
//
// Start with [New]. The contract is docs/channel-card.md.
package cardacquirer
