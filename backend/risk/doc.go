// Package risk decides whether a payment passes, needs more proof, or is blocked. It is pure: facts go in, a decision comes out; it asks no database, no
// clock and no network.
//
// A [Set] is a version of the rules; [Engine.Decide] evaluates them over [Facts] and the strongest outcome wins. [Velocity] counts and sums what happened in
// sliding windows, [Lists] knows who is denied or allowed, [Free] holds young money back from withdrawals. [Compare] says what a new version would have
// decided otherwise, before it is used; [Engine.Explain] says in words why one payment was decided as it was.
//
// Persons, devices and cards are known here as keyed hashes alone ([Hasher]): neither rules nor explanations can tell who somebody is.
package risk
