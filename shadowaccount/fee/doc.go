// Package fee says what a fee standard charges for a sum of purchases, and how the charge is split.
//
// Start with [Standard.Split]: a standard is one or more charges, each by one model (flat per transaction, rate in
// parts per million, tier), and a side that says who bears them. The package is pure: it knows no account, no day
// and no store. settlement asks it once per merchant and clearing day, on the day's gross.
//
// Rounding happens in one place. Each charge is worked out exactly, the sum of all is rounded once, half away from
// zero, and that is what the party pays. Each kind's own part is rounded too, so the parts can miss the total by a
// minor unit or so: [Quote.Residue] is that difference, and it is booked to the account `rounding`, never dropped.
//
// Everything is symmetrical about zero: a refund is the same standard applied to the negative basis and gives back
// exactly what was charged.
package fee
