// Package vpcd is the card's side of the vpcd protocol of vsmartcard: it plugs a simulated chip into a slot of a real
// pcscd, or of package terminal/reader/socket, over TCP.
//
// Start with [Slot.Run]. The driver must never be sent an empty message: it would block its caller without end. A chip
// that gives no answer therefore leaves its slot instead, which is what a torn card looks like to PC/SC.
//
// The driver looks at its slots every 400 ms. Who takes a card away and brings it back must leave the slot empty for
// [AwayTime], or a client that saw the removal goes on seeing an empty slot.
package vpcd
