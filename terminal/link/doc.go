// Package link tells the terminals of one vehicle or gate line of each other's taps over their LAN, so that the same card at the other door
// within the window of one trip is one trip.
//
// It is a help and never a condition: with the link down each terminal decides by the card's own record, and the backend sees the rest. Messages are
// UDP datagrams with a MAC under a key that the linked terminals share; a card is named by a token under the same key, so no card number is on the
// wire. docs/terminal-link.md is the contract.
//
// [Table] decides and reads no clock; [Link] carries its datagrams.
package link
