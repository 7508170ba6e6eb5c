// Package shadowaccount is the rules of the mirror: what the records of a card's taps, verified, do to its shadow account and to the books,
// and what is suspicious in them. It is pure: no SQL, no clock, no network.
//
// Start with [Decide]. A slot is one value of a card's offline counter: the card made at most one debit with it. What stands in a
// slot is a function of the set of claims to it and of what is known of the next slot, never of the order in which they came;
// postings are the difference between what the slot is worth now and what was posted for it before ([Effects]).
// So late, doubled and shuffled records end in the same accounts, and every correction is a new entry.
package shadowaccount
