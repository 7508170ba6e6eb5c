// Package journal is the terminal's durable memory of money: the intents of debits that may be under way, and the records
// of taps, hash-chained, until the backend has a receipt for them.
//
// Start with [Open]. An intent is a draft record: [Journal.Begin] writes it before DEBIT goes out; [Journal.Finish]
// writes the record and takes the intent away in one commit. Between the two lies everything that can go wrong, and what is on
// disk then says so. See states.go for the table of moves.
//
// An intent stands in a place of its own beside the tree (slots.go) and costs one sync; everything else is a commit of the tree.
//
// The journal is a row of bbolt files, of which only the newest is written; [Journal.Roll] begins the next. A commit is durable when the call returns.
// Nothing is deleted without a receipt, and then by whole files; a file that cannot be read is moved aside by [Quarantine], never removed.
package journal
