// Package ep is the PBOC electronic purse (JR/T 0025.2 ED/EP, and T-Union EP by JT/T 978), 3DES and SM4: the purse's
// commands, files, status words, and the inputs of its MACs and TACs.
//
// Start with [Select], which returns a [Card] to send commands to, or with input.go for the bytes under each MAC. The
// package reads no clock, draws no random number and holds no key: MACs come from a door of package keys.
//
// A debit is committed by the card at DEBIT and not before. When its answer is lost, only [Card.Prove] can tell.
package ep
