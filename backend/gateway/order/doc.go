// Package order is what can become of a payment: the states of an order (what is owed), of a payment (one attempt to pay it over one channel),
// of an operation (a refund, a pay-out, a capture …) and of an agreement, each with every move there is in one table; the numbers by which channels know them; and when
// a channel is asked again what became of one.
//
// Start with the tables in states.go, payment.go, operation.go and agreement.go. The drawings in docs/gateway.md are printed from them. The package is pure:
// it is told the time and the chance.
package order
