package order

import (
	"fmt"
	"strings"
	"time"
)

// Kinds of numbers: the first letter of each.
const (
	OfOrder     byte = 'O'
	OfPayment   byte = 'P'
	OfOperation byte = 'R'
	OfAgreement byte = 'A'
)

// NumberLen is the length of a number: a letter, ten characters of time, sixteen of chance.
const NumberLen = 27

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// Number makes a number: numbers of one kind sort by the millisecond they were made in, and tell nothing else. Channels take 20 to 32
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

// CheckNumber reports whether s has the form of a number of a kind.
func CheckNumber(kind byte, s string) error {
	if len(s) != NumberLen || s[0] != kind || strings.Trim(s[1:], crockford) != "" {
		return fmt.Errorf("%q: want %c and %d characters of 0-9 and A-Z", s, kind, NumberLen-1)
	}
	return nil
}
