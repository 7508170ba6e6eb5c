// Package psam is a virtual PSAM (JR/T 0025.2 purchase SAM): it makes MAC1 and checks MAC2 of an offline purchase with the
// scheme's master purchase key, as purse facts chapter 5 gives it.
//
// Start with [PSAM.Transmit]; package ep's OpenPSAM talks to it as to a real one. A PSAM comes from [New] and an [Image],
// or from a file that keeps its serial between runs ([OpenFile]). A terminal transaction serial is stored before it is
// handed out, so no crash makes the PSAM use one twice.
//
// It holds a master key in a plain file: for development only. Of DELIVERY KEY and CIPHER DATA (801A, 80FA) it has what secure messaging
// to a 3DES card takes: usage 05 and one MAC with its initial vector.
package psam
