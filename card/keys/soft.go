package keys

import (
	"context"
	"fmt"
	"maps"
)

// Soft is an [HSM] in software: it holds master keys in the memory of the process. It is for development and
// simulation; a scheme with money in it needs a device that keys cannot leave.
type Soft struct{ masters map[ID]Key }

var _ HSM = (*Soft)(nil)

// maxLevels is how many diversification levels there are at most (purse facts 5.2).
const maxLevels = 3

// NewSoft makes a Soft of master keys; the map is copied.
func NewSoft(masters map[ID]Key) *Soft { return &Soft{maps.Clone(masters)} }

func (s *Soft) derive(c Card, want Purpose) (Key, error) {
	if c.ID.Purpose != want {
		return Key{}, fmt.Errorf("keys: a %s key was asked to do a %s key's work", c.ID.Purpose, want)
	}
	master, ok := s.masters[c.ID]
	if !ok {
		return Key{}, fmt.Errorf("keys: %v: %w", c.ID, ErrUnknownKey)
	}
	if n := len(c.Factors); n < 1 || n > maxLevels {
		// Without a factor the master key itself would do the card's work.
		return Key{}, fmt.Errorf("keys: %v: %d diversification factors: want 1 to %d", c.ID, n, maxLevels)
	}
	return Diversify(master, c.Factors...), nil
}

// TAC implements HSM.
func (s *Soft) TAC(_ context.Context, c Card, message []byte) ([4]byte, error) {
	k, err := s.derive(c, TAC)
	if err != nil {
		return [4]byte{}, err
	}
	return MAC8(FoldTAC(k), message), nil
}

// SessionMAC implements HSM.
func (s *Soft) SessionMAC(_ context.Context, c Card, session [8]byte, message []byte) ([4]byte, error) {
	if c.ID.Purpose != Load && c.ID.Purpose != Purchase {
		return [4]byte{}, fmt.Errorf("keys: %s keys have no sessions", c.ID.Purpose)
	}
	k, err := s.derive(c, c.ID.Purpose)
	if err != nil {
		return [4]byte{}, err
	}
	return MAC8(SessionKey(k, session), message), nil
}
