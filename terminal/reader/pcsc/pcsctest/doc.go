// Package pcsctest is what tests over a real pcscd with virtual readers share: that the pcscd is theirs, and that a slot is
// empty before a card comes.
//
// Start with [Free]. Its functions need the build tag pcsc.
package pcsctest
