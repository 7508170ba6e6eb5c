package books

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// ErrNumber says that a text is no account number: one digit may be wrong, or two may stand in the wrong order.
var ErrNumber = errors.New("no account number")

// numberDigits is the length of an account number: three of the type, sixteen, and the check digit.
const numberDigits = 3 + 16 + 1

// Number makes the number of an account, which people and files can give instead of its name: its type, sixteen digits drawn from its
// name, a check digit. Numbers drawn from names need no counter that two engines or two posters would have to share. Two names
// may draw the same digits: whoever keeps numbers tries the next attempt then, from 0. Error: [ErrNoAccount].
func Number(a Account, attempt int) (string, error) {
	t, err := TypeOf(a)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "purselane-account-number-1\x00%s\x00%d", a, attempt))
	n := t + fmt.Sprintf("%016d", binary.BigEndian.Uint64(sum[:])%1e16)
	return n + string('0'+check(n)), nil
}

// ParseNumber returns the type of an account number. Errors: [ErrNumber].
func ParseNumber(n string) (string, error) {
	if len(n) != numberDigits {
		return "", fmt.Errorf("%q: %w: want %d digits", n, ErrNumber, numberDigits)
	}
	for i := range len(n) {
		if n[i] < '0' || n[i] > '9' {
			return "", fmt.Errorf("%q: %w: want digits alone", n, ErrNumber)
		}
	}
	if check(n) != 0 {
		return "", fmt.Errorf("%q: %w: its check digit says that it was mistyped", n, ErrNumber)
	}
	if !slices.ContainsFunc(Chart, func(s Subject) bool { return s.Code == n[:3] }) {
		return "", fmt.Errorf("%q: %w: the chart has no type %s", n, ErrNumber, n[:3])
	}
	return n[:3], nil
}

// damm is the quasigroup of Damm's check digit, which finds every wrong digit and every two neighbours that changed places.
var damm = [10][10]byte{
	{0, 3, 1, 7, 5, 9, 8, 6, 4, 2},
	{7, 0, 9, 2, 1, 5, 4, 8, 6, 3},
	{4, 2, 0, 6, 8, 7, 1, 3, 5, 9},
	{1, 7, 5, 0, 9, 8, 3, 4, 2, 6},
	{6, 1, 2, 3, 0, 4, 5, 9, 7, 8},
	{3, 6, 7, 4, 2, 0, 9, 5, 8, 1},
	{5, 8, 6, 9, 7, 2, 0, 1, 3, 4},
	{8, 9, 4, 5, 3, 6, 2, 0, 1, 7},
	{9, 4, 3, 8, 6, 1, 7, 2, 0, 5},
	{2, 5, 8, 1, 4, 3, 6, 7, 9, 0},
}

// check is the check digit of digits; zero for digits that end in theirs.
func check(digits string) byte {
	var c byte
	for i := range len(digits) {
		c = damm[c][digits[i]-'0']
	}
	return c
}
