// Package pn532 emulates a PN532 on a pseudo terminal, with simulated cards in its field: a terminal's PN532 reader works on it as on
// the chip.
//
// Start with [New], [Chip.Put] and [Chip.Take]; [Chip.Inject] makes the line and the chip misbehave. The emulator sleeps after power-on
// and hears nothing but SAMConfiguration until it got that; it loses what is sent at another speed than its own; a new command or an ACK
// stops the one under way. It knows the commands that readers use, and answers all others with the syntax error frame.
package pn532
