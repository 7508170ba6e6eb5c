// Package balance is the channel that is no channel: a holder pays from what he has with us. No bank money moves; the holder's balance
// goes down, and the channel's account stands in between for as long as the gateway takes to book the other half, so that what is owed
// moves from one liability to another.
//
// Start with [New]; [TopUp] is how value comes to a balance. What is bought by it, refunded to it and held on it is in docs/combined-payment.md.
package balance
