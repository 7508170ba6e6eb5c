// Package tap is one tap of a card on a terminal, from SELECT to the light.
//
// Start with [Terminal.Purchase], which reads top to bottom like the specification. The package decides; cards, SAMs and journals
// stand behind small interfaces, the time is an argument, and a test can cut the power at every call.
//
// Two promises hold it together. The intent is on disk before DEBIT is on the air; and while an outcome is unknown there is no second
// debit of that card here, until the card itself has told.
package tap
