// Package channeltest is the suite that every adapter of a payment channel passes against its simulator: see [Run] and [Bench].
//
// It knows no channel. It plants faults, moves the clock, lets payers act, and compares what the adapter says with the simulator's own
// count of the money ([Truth]). What a channel cannot do, by its Capabilities or by a field of the Bench that is nil, is not run.
package channeltest
