package vpcd

import "fmt"

// ATR is the answer to reset that PC/SC builds for a contactless card with these historical bytes (at most 15): 3B 8N 80 01,
// the bytes, and the XOR of all but the first (PC/SC part 3, 3.1.3.2.3).
func ATR(historical []byte) ([]byte, error) {
	if len(historical) > 15 {
		return nil, fmt.Errorf("vpcd: %d historical bytes: want at most 15", len(historical))
	}
	out := append([]byte{0x3B, 0x80 | byte(len(historical)), 0x80, 0x01}, historical...)
	var check byte
	for _, b := range out[1:] {
		check ^= b
	}
	return append(out, check), nil
}
