// Package watch looks at what is posted for what is suspicious: it applies the finders of package shadowaccount to cards, terminals and
// PSAMs, and keeps what they find. docs/findings.md is its page.
//
// Start with [Watch]. Step takes one posting group that it has not seen, Sweep goes over everything that may change with time or without a
// record. Both read snapshots of what is committed and write tables of their own, so posting waits for neither. What is found is a
// function of what is in the store and of the time: a pass made again finds the same, and what a late record explains is cleared.
package watch
