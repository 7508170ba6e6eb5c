// Package bcd codes packed binary-coded decimal, two digits a byte, most significant first, as ISO 7816 purses carry
// dates (YYYYMMDD) and times (hhmmss).
package bcd

import "fmt"

// Put writes n as 2·len(dst) decimal digits into dst. It fails when n needs more digits.
func Put(dst []byte, n uint64) error {
	rest := n
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = byte(rest/10%10)<<4 | byte(rest%10)
		rest /= 100
	}
	if rest != 0 {
		return fmt.Errorf("bcd: %d does not fit %d digits", n, 2*len(dst))
	}
	return nil
}

// Get reads all digits of src, at most 9 bytes, and fails on a nibble above 9.
func Get(src []byte) (uint64, error) {
	if len(src) > 9 {
		return 0, fmt.Errorf("bcd: %d bytes are more than 18 digits", len(src))
	}
	var n uint64
	for i, b := range src {
		if b>>4 > 9 || b&15 > 9 {
			return 0, fmt.Errorf("bcd: byte %d is %02X: not decimal digits", i, b)
		}
		n = n*100 + uint64(b>>4)*10 + uint64(b&15)
	}
	return n, nil
}
