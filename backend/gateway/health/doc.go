// Package health decides when a payment channel is taken out and how it comes back. It is pure: observations and the time go in, states come
// out; it asks no clock, no database and no channel.
//
// Health is kept per [Cell]: a channel, or one bank and card type of a channel that serves many, so that one bad bank is taken out without
// the others. A [Detector] finds a fault in what was seen of a cell; [Next] is the one table of what may become of it: available →
// unavailable → ramping → available; a [Trial] judges each step of a ramp, whose share doubles on success and falls to zero on failure;
// [Board] holds all cells and turns observations, probes and people's switches into moves, one for each fault however many ask.
//
// Where numbers stand for certainty: a fault is called when what was seen would come by chance, from a channel at the worst rate we tolerate,
// less often than once in a hundred million looks ([Settings].Alpha). That is the exact tail of the binomial distribution, so it holds for eight payments
// as for eight hundred.
package health
