// Package stripe is the adapter to Stripe: foreign cards, by PaymentIntents of one pinned API version (docs/channel-stripe.md).
//
// Each request that changes something has our number as its idempotency key, and each object of Stripe's has it in its metadata. Stripe
// forgets a key after a day, so what may be older is looked for before anything is asked for a second time.
//
// Start with [New]. Money in settlement currencies is read from balance transactions, which are the bill ([Channel.Bill]).
package stripe
