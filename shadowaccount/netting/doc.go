// Package netting turns one clearing day's sums into one net position for each party, and proves them.
//
// Start with [Net]. It is pure: it takes sums that somebody else collected and decides only what follows from them.
// Two proofs come with every result. Zero sum: what all parties are owed and what the trust account moves by add up
// to nothing. Identity: the trust account moves by what the holders' money moves by, plus the fees earned, less the
// fees paid. The two are computed from different inputs, so that one wrong sum breaks one of them.
package netting
