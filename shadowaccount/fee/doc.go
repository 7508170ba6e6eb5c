// Package fee says what a fee standard charges for a sum of purchases, and how the charge is split.
//
// Start with [Standard.Split]: a standard is one or more charges, each by one model (flat per transaction, rate in
// parts per million, tier), each borne by payee or payer, and perhaps a tax on them. A charge looks at one transaction,
// at the day, or at the month so far ([Scope]). [Schedule] says which standards are in force on a day, [Parse] reads one,
// and [Standard.Explain] writes a fee out for people. The package is pure: it knows no account and no store. settlement
// asks it once per merchant and clearing day.
//
// Rounding happens in one place. Each charge is worked out exactly, the sum of all that one side bears is rounded once by
// the standard's rule, and that is what the side pays. Each kind's own part is rounded too, so the parts can miss the
// total by a minor unit or so: [Quote.Residue] is that difference, and it is booked to the account `rounding`, never
// dropped.
//
// Everything is symmetrical about zero: a refund is the same standard applied to the negative basis and gives back
// exactly what was charged.
package fee
