// Package desk is risk at work: rules and lists from files that are looked at again and again, windows and decisions from the database, codes for payers, and who
// somebody is. [Open] gives what the gateway asks (docs/risk.md is the page).
package desk
