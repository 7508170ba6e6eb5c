// Package code is the business context of a payment as one string of 20 digits: which product it serves, in which mode, which action on money
// it is, over which payment channel and over which account there. Every order, payment, log line, message and book entry carries it, so that
// rules and reports can be keyed by it without asking where it came from. The layout is an outside contract: docs/gateway.md.
//
// Start with [Context] and [Registry]. The package is pure.
package code
