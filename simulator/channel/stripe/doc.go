// Package stripe simulates Stripe as far as card payments need it: it keeps payments, refunds and balance transactions, answers an
// idempotency key with its first answer and refuses it for another body, refuses over-refunds, finds by searching only what is a minute
// old, and signs its events. It is strict where Stripe is: the key, the pinned version, and every parameter's name.
//
// Start with [New]; a [Simulator] is an http.Handler. Payers are known by the test cards of Stripe's own test mode, and act by [Simulator.Act].
package stripe
