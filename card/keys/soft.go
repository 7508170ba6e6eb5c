package keys

import (
	"context"
	"crypto/cipher"
	"fmt"
	"maps"
)

// Soft is an [HSM] in software: it holds master keys in the memory of the process. It is for development and
// simulation; a scheme with money in it needs a device that keys cannot leave.
type Soft struct {
	masters map[ID]Key
	cards   *cache[cipher.Block] // key schedules: of the TAC key as it is folded, of all others whole
	sm4     byte                 // algorithm byte of SM4 keys; 0: AlgorithmSM4
	retired retired
}

var _ HSM = (*Soft)(nil)

// maxLevels is how many diversification levels there are at most (purse facts 5.2).
const maxLevels = 3

// NewSoft makes a Soft of master keys; the map is copied. It holds no derived key from one call to the next.
func NewSoft(masters map[ID]Key) *Soft {
	return &Soft{masters: maps.Clone(masters), cards: newCache(CachePolicy{}, wipeBlock)}
}

// NewCachedSoft is NewSoft with the derived keys of cards held under the policy. The error is that of [CachePolicy.Check].
func NewCachedSoft(masters map[ID]Key, p CachePolicy) (*Soft, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	return &Soft{masters: maps.Clone(masters), cards: newCache(p, wipeBlock)}, nil
}

// UseSM4 names the algorithm byte of SM4 keys, where it is not [AlgorithmSM4]. Call it before the first use.
func (s *Soft) UseSM4(algorithm byte) { s.sm4 = algorithm }

// cipher is what the card's key works with.
func (s *Soft) cipher(c Card) Cipher { return CipherOf(c.ID.Algorithm, s.sm4) }

// Forget wipes every derived key held.
func (s *Soft) Forget() { s.cards.empty() }

func (s *Soft) derive(c Card, want Purpose) (Key, error) {
	if c.ID.Purpose != want {
		return Key{}, fmt.Errorf("keys: a %s key was asked to do a %s key's work", c.ID.Purpose, want)
	}
	master, err := s.master(c.ID)
	if err != nil {
		return Key{}, err
	}
	if n := len(c.Factors); n < 1 || n > maxLevels {
		// Without a factor the master key itself would do the card's work.
		return Key{}, fmt.Errorf("keys: %v: %d diversification factors: want 1 to %d", c.ID, n, maxLevels)
	}
	return s.cipher(c).Diversify(master, c.Factors...), nil
}

func (s *Soft) master(id ID) (Key, error) {
	master, ok := s.masters[id]
	if !ok {
		return Key{}, fmt.Errorf("keys: %v: %w", id, ErrUnknownKey)
	}
	return master, nil
}

// cardKey returns the card's key in use; give it back with s.cards.done.
func (s *Soft) cardKey(c Card, want Purpose) (*heldKey[cipher.Block], error) {
	if n := len(c.Factors); c.ID.Purpose != want || n < 1 || n > maxLevels {
		_, err := s.derive(c, want) // says which of them it is
		return nil, err
	}
	return s.cards.get(c, s.schedule)
}

func (s *Soft) schedule(c Card) (cipher.Block, error) {
	k, err := s.derive(c, c.ID.Purpose)
	switch {
	case err != nil:
		return nil, err
	case c.ID.Purpose == TAC:
		return singleDES(FoldTAC(k)), nil
	}
	return s.cipher(c).block(k), nil
}

// TAC implements HSM.
func (s *Soft) TAC(_ context.Context, c Card, message []byte) ([4]byte, error) {
	if s.cipher(c) == SM4 {
		k, err := s.derive(c, TAC)
		if err != nil {
			return [4]byte{}, err
		}
		return SM4.TAC(k, message), nil
	}
	k, err := s.cardKey(c, TAC)
	if err != nil {
		return [4]byte{}, err
	}
	last := cbc(k.key, [8]byte{}, message)
	s.cards.done(k)
	return [4]byte(last[:4]), nil
}

// SessionMAC implements HSM.
func (s *Soft) SessionMAC(_ context.Context, c Card, session [8]byte, message []byte) ([4]byte, error) {
	switch c.ID.Purpose {
	case Load, Purchase, Unload, Limit:
	default:
		return [4]byte{}, fmt.Errorf("keys: %s keys have no sessions", c.ID.Purpose)
	}
	if err := s.retired.refuse(c.ID); err != nil {
		return [4]byte{}, err
	}
	if s.cipher(c) == SM4 { // derived for each call: the cache holds 3DES key schedules
		k, err := s.derive(c, c.ID.Purpose)
		if err != nil {
			return [4]byte{}, err
		}
		return SM4.SessionMAC(k, session, message), nil
	}
	k, err := s.cardKey(c, c.ID.Purpose)
	if err != nil {
		return [4]byte{}, err
	}
	k.key.Encrypt(session[:], session[:])
	s.cards.done(k)
	return MAC8(session, message), nil
}

// SecureMAC is the MAC of secure messaging over message with the card's challenge, under a maintenance key, which rewrites, blocks and
// unblocks cards, or an unblock key, which unblocks PINs (purse facts 6.6).
func (s *Soft) SecureMAC(_ context.Context, c Card, challenge, message []byte) ([4]byte, error) {
	k, err := s.secureKey(c)
	if err != nil {
		return [4]byte{}, err
	}
	return s.cipher(c).SecureMAC(k, challenge, message)
}

// Encipher is the enciphered data of a secured command, under the same keys.
func (s *Soft) Encipher(_ context.Context, c Card, data []byte) ([]byte, error) {
	k, err := s.secureKey(c)
	if err != nil {
		return nil, err
	}
	return s.cipher(c).Encipher(k, data)
}

func (s *Soft) secureKey(c Card) (Key, error) {
	if err := s.retired.refuse(c.ID); err != nil {
		return Key{}, err
	}
	if c.ID.Purpose == Unblock {
		return s.derive(c, Unblock)
	}
	return s.derive(c, Maintenance)
}

// ReloadMAC is the MAC of RELOAD PIN over the new PIN's bytes.
func (s *Soft) ReloadMAC(_ context.Context, c Card, pin []byte) ([4]byte, error) {
	if err := s.retired.refuse(c.ID); err != nil {
		return [4]byte{}, err
	}
	k, err := s.derive(c, Reload)
	if err != nil {
		return [4]byte{}, err
	}
	return s.cipher(c).TAC(k, pin), nil
}
