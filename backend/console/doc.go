// Package console is the operators' page, rendered on the server, embedded in the binary.
//
// Start with [New]. The page shows where every cent is (the float identity written as an equation that balances or is
// flagged), the latest taps, the terminals and their backlog, open findings, the cases that run and the clearing days. A browser with
// scripts gets changed parts over server-sent events; one without gets the same page and reloads it.
//
// Where there is an online gateway, /channels shows its channels; an operator switches them there with a token and a reason, and closes incidents. All else
// answers GET and HEAD only and changes nothing.
//
// Beside it, /business, /merchants and /accounts show what package monitor finds, with its alerts.
//
// The handler sets headers under which the page runs no script but its own. It does not ask who is looking: serve it on a local address, or behind something that does. Card numbers never
// get here; the store hands out masked ones.
package console
