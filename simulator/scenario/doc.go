// Package scenario runs one story of one terminal, its kiosk, its backend and some cards, told in a file, over any way to the cards and any
// door to the keys: in process, over a reader, with an HSM. What the file expects is the same on each.
//
// Start with [Run], which takes a [Scenario] read by [Parse] and a [Way]. The form of the file is in docs/card-tools.md.
package scenario
