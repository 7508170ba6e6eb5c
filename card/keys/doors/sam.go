package doors

import (
	"context"
	"crypto/subtle"
	"fmt"
	"io"
	"slices"

	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
)

// DESFireSAM is a [desfire.SAM] over an application key behind a door: for a kiosk or a bench that has an HSM in place of a SAM. The key stays
// behind the door; the keys of a session come out, since the session is worked here. It is not safe for concurrent use.
type DESFireSAM struct {
	keys       keys.Families
	id         keys.ID
	rand       io.Reader
	rndA, rndB [16]byte
	begun      bool
}

var _ desfire.SAM = (*DESFireSAM)(nil)

// NewDESFireSAM makes a SAM with the application key of that version, whatever the card's number for it. Its random numbers come from rand.
func NewDESFireSAM(k keys.Families, version byte, rand io.Reader) *DESFireSAM {
	return &DESFireSAM{keys: k, id: keys.ID{Purpose: keys.DESFireApp, Version: version}, rand: rand}
}

// Format prints no key and no random number.
func (s *DESFireSAM) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[SAM with the key %v]", s.id) }

// rotate moves the first byte to the end.
func rotate(in [16]byte) (out [16]byte) {
	copy(out[:], in[1:])
	out[15] = in[0]
	return out
}

// Begin implements desfire.SAM (AN12196 table 14, steps 7 to 13).
func (s *DESFireSAM) Begin(ctx context.Context, _ byte, challenge [16]byte) (answer [32]byte, err error) {
	s.begun = false
	if _, err := io.ReadFull(s.rand, s.rndA[:]); err != nil {
		return answer, fmt.Errorf("random number: %w", err)
	}
	plain, err := s.keys.AppCBC(ctx, s.id, true, challenge[:])
	if err != nil {
		return answer, err
	}
	s.rndB = [16]byte(plain)
	turned := rotate(s.rndB)
	out, err := s.keys.AppCBC(ctx, s.id, false, slices.Concat(s.rndA[:], turned[:]))
	if err != nil {
		return answer, err
	}
	s.begun = true
	return [32]byte(out), nil
}

// Finish implements desfire.SAM (AN12196 table 14, steps 16 to 28).
func (s *DESFireSAM) Finish(ctx context.Context, answer [32]byte) (*desfire.Session, error) {
	if !s.begun {
		return nil, desfire.ErrOrder
	}
	s.begun = false
	plain, err := s.keys.AppCBC(ctx, s.id, true, answer[:])
	if err != nil {
		return nil, err
	}
	turned := rotate(s.rndA)
	if subtle.ConstantTimeCompare(turned[:], plain[4:20]) != 1 {
		return nil, fmt.Errorf("authentication: %w: the card has another key", desfire.ErrAnswer)
	}
	enc, err := s.session(ctx, 0xA5, 0x5A)
	if err != nil {
		return nil, err
	}
	mac, err := s.session(ctx, 0x5A, 0xA5)
	if err != nil {
		return nil, err
	}
	return desfire.NewSession(enc, mac, [4]byte(plain[:4])), nil
}

// session makes a session key: the AES-CMAC over two blocks of the random numbers (MF2DLHX0 9.1.7). A CMAC is the last block of a CBC chain
// whose last block has the sub-key worked in.
func (s *DESFireSAM) session(ctx context.Context, a, b byte) (keys.Key, error) {
	sv := [32]byte{a, b, 0x00, 0x01, 0x00, 0x80}
	copy(sv[6:], s.rndA[:8])
	subtle.XORBytes(sv[8:14], s.rndA[2:8], s.rndB[:6])
	copy(sv[14:], s.rndB[6:])
	copy(sv[24:], s.rndA[8:])
	zeros, err := s.keys.AppCBC(ctx, s.id, false, make([]byte, 16))
	if err != nil {
		return keys.Key{}, err
	}
	last := keys.CMACLast([16]byte(zeros), sv[16:])
	copy(sv[16:], last[:])
	out, err := s.keys.AppCBC(ctx, s.id, false, sv[:])
	if err != nil {
		return keys.Key{}, err
	}
	return keys.Key(out[16:]), nil
}
