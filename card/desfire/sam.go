package desfire

import (
	"context"
	"crypto/cipher"
	"crypto/subtle"
	"fmt"
	"io"

	"github.com/purselane/purselane/card/keys"
)

// SAM is the terminal's door to the application key: a SAM that authenticates and hands the session out. It holds one
// authentication at a time.
type SAM interface {
	// Begin answers the card's enciphered random number under the key of that number.
	Begin(ctx context.Context, number byte, challenge [16]byte) (answer [32]byte, err error)
	// Finish checks the card's answer; ErrAnswer says that the card does not know the key.
	Finish(ctx context.Context, answer [32]byte) (*Session, error)
}

// SoftSAM holds one application key in memory. It is for development. It is not safe for concurrent use.
type SoftSAM struct {
	key        keys.Key
	rand       io.Reader
	rndA, rndB [16]byte
	begun      bool
}

// NewSoftSAM is a SAM with one key, whatever its number. Its random numbers come from rand.
func NewSoftSAM(key keys.Key, rand io.Reader) *SoftSAM { return &SoftSAM{key: key, rand: rand} }

// Format prints no key.
func (*SoftSAM) Format(f fmt.State, _ rune) { io.WriteString(f, "[software SAM]") }

// rotate moves the first byte to the end.
func rotate(in [16]byte) (out [16]byte) {
	copy(out[:], in[1:])
	out[15] = in[0]
	return out
}

// Begin is the first half of AuthenticateEV2First (AN12196 table 14, steps 7 to 13).
func (s *SoftSAM) Begin(_ context.Context, _ byte, challenge [16]byte) ([32]byte, error) {
	s.begun = false
	if _, err := io.ReadFull(s.rand, s.rndA[:]); err != nil {
		return [32]byte{}, fmt.Errorf("random number: %w", err)
	}
	var zero [16]byte
	cipher.NewCBCDecrypter(block(s.key), zero[:]).CryptBlocks(s.rndB[:], challenge[:])
	var out [32]byte
	copy(out[:], s.rndA[:])
	turned := rotate(s.rndB)
	copy(out[16:], turned[:])
	cipher.NewCBCEncrypter(block(s.key), zero[:]).CryptBlocks(out[:], out[:])
	s.begun = true
	return out, nil
}

// Finish is the second half (AN12196 table 14, steps 16 to 28): the card gives TI, our number turned, and its capabilities, which
// mean nothing here.
func (s *SoftSAM) Finish(_ context.Context, answer [32]byte) (*Session, error) {
	if !s.begun {
		return nil, ErrOrder
	}
	s.begun = false
	var zero [16]byte
	var plain [32]byte
	cipher.NewCBCDecrypter(block(s.key), zero[:]).CryptBlocks(plain[:], answer[:])
	turned := rotate(s.rndA)
	if subtle.ConstantTimeCompare(turned[:], plain[4:20]) != 1 {
		return nil, fmt.Errorf("authentication: %w: the card has another key", ErrAnswer)
	}
	enc, mac := SessionKeys(s.key, s.rndA, s.rndB)
	return NewSession(enc, mac, [4]byte(plain[:4])), nil
}
