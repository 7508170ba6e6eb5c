// Package bitslice is DES for 64 blocks at once, each under a key of its own: word i of a [Block] holds bit i of all of them, and each
// instruction of the cipher works on that bit in 64 lanes. S-boxes are circuits of gates and the key schedule is wiring, so a key that is used once
// costs nothing to set up, which is most of the work of a card's MAC; and no step looks anything up or branches by a key or by data, so the time it takes tells nothing.
//
// Start with [Block.Set] and [Block.Encrypt]; [Key] is the purse's double-length key with its levels, [MAC] and [RetailMAC] its chains over
// messages of any lengths (purse facts 6.2). The package knows no cards and no doors: package keys fills the lanes. The gates (round.go) are
// made by gen, whose search found them. One block alone is faster by crypto/des; from some three on, these are.
package bitslice

//go:generate go run ./gen
