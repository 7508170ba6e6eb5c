// Package channellife plays the life of payment channels on an accelerated clock: payers come, banks refuse now and then, and faults of eight shapes
// begin and end at times that are known, so that what the health of package backend/gateway/health does can be held against the truth.
//
// Start with [Fault], which is a labelled fault, and [Run], which plays one channel through one of them under one mode. A run is a function of its seed.
//
// What is a model: a probe is the smallest real call (an order opened and closed again), so it meets what payers meet except what one bank does; people
// ([Operator]) see an alarm, look, act and ask the bank again at the paces written there.
package channellife
