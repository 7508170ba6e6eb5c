// Package gateway takes money over payment channels and gives it back. An order is what is owed; a payment is one attempt to pay it over one channel; an
// operation is a refund, a void or a step of a reservation. Their states and moves are the tables of package order; each move is one
// transaction with its line in the order's timeline, its entry in the books and its message in the outbox.
//
// Start with [Service.Create] and [Service.Pay], which is the pipeline from top to bottom, then change.go, which is what a channel's word does, from
// whatever side it came: its answer, its notification ([Service.Notified]) or its answer to a question ([Service.Scan]).
//
// The rules that everything serves: unknown is not failed, and only the channel's verified word moves money in the books; no channel is called
// inside a transaction; what is to be called is on disk before the call, so that a crash anywhere leaves a row that is asked about; an
// order is paid once, and what comes beside goes back by itself. The words are explained in docs/gateway.md.
package gateway
