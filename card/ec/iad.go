package ec

import (
	"bytes"
	"fmt"

	"github.com/purselane/purselane/internal/money"
)

// Versions of the cryptogram's input (EC facts 14).
const (
	CVN01 byte = 0x01
	CVN17 byte = 0x11
)

// Algorithms of the cryptogram.
const (
	Algorithm3DES byte = 0x01
	AlgorithmSM4  byte = 0x04
)

// IAD is the issuer application data (9F10; EC facts 9).
type IAD struct {
	DKI, CVN  byte
	CVR       CVR
	Algorithm byte
	Option    byte    // 01 EC balance, 02 cumulative amount, 03 both, 04 cumulative amount and its limit, 05 available amount; 0: none of the rest
	Values    []byte  // 5 or 10 bytes
	MAC       [4]byte // over the ATC and Values, under the card's MAC key
}

// ParseIAD reads tag 9F10. A contact card may send the first 8 bytes only.
func ParseIAD(raw []byte) (IAD, error) {
	if len(raw) < 8 || raw[0] != 0x07 {
		return IAD{}, fmt.Errorf("%w: issuer application data of %d bytes, want 8 or more that begin with 07", ErrMalformed, len(raw))
	}
	i := IAD{DKI: raw[1], CVN: raw[2], CVR: CVR(raw[4:7]), Algorithm: raw[7]}
	if raw[3] != 0x03 {
		return IAD{}, fmt.Errorf("%w: CVR length %02X, want 03", ErrMalformed, raw[3])
	}
	rest := raw[8:]
	if len(rest) == 0 {
		return i, nil
	}
	n := int(rest[0])
	if n != len(rest)-1 || n != 0x0A && n != 0x0F {
		return IAD{}, fmt.Errorf("%w: issuer discretionary data: length %02X, %d bytes follow; want 0A or 0F", ErrMalformed, n, len(rest)-1)
	}
	i.Option, i.Values, i.MAC = rest[1], bytes.Clone(rest[2:n-3]), [4]byte(rest[n-3:])
	if want := valuesOf(i.Option); want != len(i.Values) {
		return IAD{}, fmt.Errorf("%w: issuer discretionary data: option %02X with %d bytes", ErrMalformed, i.Option, len(i.Values))
	}
	return i, nil
}

func valuesOf(option byte) int {
	switch option {
	case 0x01, 0x02, 0x05:
		return 5
	case 0x03, 0x04:
		return 10
	}
	return -1
}

// Bytes codes tag 9F10.
func (i IAD) Bytes() []byte {
	out := append([]byte{0x07, i.DKI, i.CVN, 0x03}, i.CVR[:]...)
	out = append(out, i.Algorithm)
	if i.Option == 0 {
		return out
	}
	out = append(out, byte(5+len(i.Values)), i.Option)
	return append(append(out, i.Values...), i.MAC[:]...)
}

// Balance is the EC balance in it: after the debit in a TC. ok is false if the card does not send one, or not in decimal digits.
func (i IAD) Balance() (a money.Amount, ok bool) {
	if i.Option != 0x01 && i.Option != 0x03 || len(i.Values) < 5 {
		return a, false
	}
	a, err := ParseAmount(i.Values[:5])
	return a, err == nil
}
