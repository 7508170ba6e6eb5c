package cardacquirer

import (
	"crypto/cipher"
	"crypto/des"
	"crypto/subtle"
	"errors"
)

// SoftMAC is a double-length key in memory that makes the retail MAC of ANSI X9.19: for where no device holds it. It prints as
// nothing.
type SoftMAC struct {
	left, right cipher.Block
}

// NewSoftMAC takes the 16 bytes of a key.
func NewSoftMAC(key []byte) (*SoftMAC, error) {
	if len(key) != 16 {
		return nil, errors.New("cardacquirer: a MAC key has 16 bytes")
	}
	left, err := des.NewCipher(key[:8]) // as the acquirer's interface says
	if err != nil {
		return nil, errors.New("cardacquirer: the MAC key is none")
	}
	right, err := des.NewCipher(key[8:])
	if err != nil {
		return nil, errors.New("cardacquirer: the MAC key is none")
	}
	return &SoftMAC{left, right}, nil
}

// String hides the key.
func (*SoftMAC) String() string { return "MAC key" }

// GoString hides the key.
func (*SoftMAC) GoString() string { return "MAC key" }

// Sum is the MAC over a message that is filled up with zeros.
func (k *SoftMAC) Sum(message []byte) (sum [8]byte, err error) {
	for len(message) > 0 {
		n := subtle.XORBytes(sum[:], sum[:], message[:min(8, len(message))])
		message = message[n:]
		k.left.Encrypt(sum[:], sum[:])
	}
	k.right.Decrypt(sum[:], sum[:])
	k.left.Encrypt(sum[:], sum[:])
	return sum, nil
}

func equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
