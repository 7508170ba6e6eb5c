// Package pursetest is the conformance suite of [purse.Driver]: what every driver must keep to with a card that is torn away, is lied about on
// the line, and comes back.
//
// Start with [Run], from the test of a driver, with a [Family]. The suite counts the commands of a clean visit and then breaks each of them
// in every way that a reader can tell, so a command that a driver learns is covered by itself. It knows what the card really did from
// the card alone. [Check] is the same without a *testing.T; the suite's own tests run it on drivers that are broken on purpose.
//
// docs/card-drivers.md has the promises in words.
package pursetest
