package order

import (
	"strings"
	"time"
)

// Kinds of numbers: the first letter of each.
const (
	OfOrder     byte = 'O'
	OfPayment   byte = 'P'
	OfOperation byte = 'R'
	OfAgreement byte = 'A'
	OfBinding   byte = 'B'
)

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// Number makes a number of 27 characters: a letter, ten characters of time, sixteen of chance. Numbers of one kind sort by the millisecond they were made in, and tell nothing else. Channels take 20 to 32
// characters of letters and digits, and keep them for ever, so 80 bits of chance make them unique without a counter that would tell how much is sold.
func Number(kind byte, at time.Time, chance [10]byte) string {
	var b strings.Builder
	b.WriteByte(kind)
	ms := uint64(at.UnixMilli())
	for shift := 45; shift >= 0; shift -= 5 {
		b.WriteByte(crockford[ms>>shift&31])
	}
	for _, half := range [2][]byte{chance[:5], chance[5:]} {
		var v uint64
		for _, x := range half {
			v = v<<8 | uint64(x)
		}
		for shift := 35; shift >= 0; shift -= 5 {
			b.WriteByte(crockford[v>>shift&31])
		}
	}
	return b.String()
}
