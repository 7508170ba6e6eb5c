package keys

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
)

// A master key comes from outside as components: two or three strings of 16 bytes, each held by another person, whose XOR is the key.
// Nobody who has all but one of them knows anything of the key.

// Errors of a ceremony. None shows a byte of a component.
var (
	// ErrComponent: a component is not in the form they have.
	ErrComponent = errors.New("not a key component: want 32 hexadecimal digits, and after them, if at all, the check value's 6")
	// ErrComponentCheck: a component was mistyped.
	ErrComponentCheck = errors.New("the component's check value differs: a digit is wrong, type it again")
	// ErrWeak: the components do not make a good key.
	ErrWeak = errors.New("the components make no good key: draw them anew")
	// ErrHeld: a ring has a key of that name; it is never written over.
	ErrHeld = errors.New("the key file has a key of that purpose, version and algorithm already")
	// ErrNoVersion: version FF is taken.
	ErrNoVersion = errors.New("all 255 versions of that key are taken")
)

// maxComponent bounds the text of a component.
const maxComponent = 256

// ParseComponent reads a component as its holder has it on paper: 32 hexadecimal digits, in groups if that is easier to read, and after them
// the 6 of its check value, which is then compared. Parity is taken as it is given.
func ParseComponent(text []byte) (Key, error) { return Kind3DES.ParseComponent(text) }

// ParseComponent is [ParseComponent] for a key of that kind: check values differ.
func (kind Kind) ParseComponent(text []byte) (Key, error) {
	if len(text) > maxComponent {
		return Key{}, ErrComponent
	}
	raw := make([]byte, hex.DecodedLen(maxComponent))
	defer clear(raw)
	n, err := hex.Decode(raw, bytes.Join(bytes.Fields(text), nil))
	if err != nil || n != len(Key{}) && n != len(Key{})+3 {
		return Key{}, ErrComponent // hex's own error quotes a digit
	}
	part := Key(raw[:len(Key{})])
	if n > len(Key{}) && kind.CheckValue(part) != [3]byte(raw[len(Key{}):n]) {
		return Key{}, ErrComponentCheck
	}
	return part, nil
}

// Combine is Kind.Combine for a 3DES key.
func Combine(components ...Key) (Key, error) { return Kind3DES.Combine(components...) }

// Combine makes a key of two or three components. It refuses what betrays a slip: a component that says nothing or comes twice, and a key
// of zeros or, with 3DES, of two equal halves, with which it is single DES.
func (kind Kind) Combine(components ...Key) (Key, error) {
	if n := len(components); n != 2 && n != 3 {
		return Key{}, fmt.Errorf("keys: %d components: want 2 or 3", n)
	}
	var k Key
	for i, c := range components {
		if c == (Key{}) {
			return Key{}, fmt.Errorf("keys: component %d is all zeros: %w", i+1, ErrWeak)
		}
		for j, other := range components[:i] {
			if c == other {
				return Key{}, fmt.Errorf("keys: components %d and %d are the same: %w", j+1, i+1, ErrWeak)
			}
		}
		for b := range k {
			k[b] ^= c[b]
		}
	}
	if k == (Key{}) {
		return Key{}, fmt.Errorf("keys: the key is all zeros: %w", ErrWeak)
	}
	if kind == Kind3DES && sameDES([8]byte(k[:8]), [8]byte(k[8:])) {
		return Key{}, fmt.Errorf("keys: both halves of the key are the same: %w", ErrWeak)
	}
	return k, nil
}

// sameDES compares two halves without the parity bits, which DES does not see.
func sameDES(a, b [8]byte) bool {
	for i := range a {
		if (a[i]^b[i])&0xFE != 0 {
			return false
		}
	}
	return true
}

// Parity says whether all bytes of a key have odd parity, as printed DES keys often have, or even, or neither.
func Parity(k Key) string {
	odd := 0
	for _, b := range k {
		odd += bits.OnesCount8(b) % 2
	}
	switch odd {
	case len(k):
		return "odd"
	case 0:
		return "even"
	}
	return "mixed"
}

// MayAdd says whether a master key of that name may come into the ring. Errors are ErrHeld, ErrDestroyed, ErrRole.
func (r *Ring) MayAdd(id ID) error {
	if err := checkWord(string(id.Purpose)); err != nil {
		return fmt.Errorf("keys: purpose %q: %w", id.Purpose, err)
	}
	if err := r.Role.mayHold(id.Purpose); err != nil {
		return err
	}
	if _, held := r.Masters[id]; held {
		return fmt.Errorf("keys: %v: %w", id, ErrHeld)
	}
	if old := r.Retired[id]; old.Gone != "" {
		return fmt.Errorf("keys: %v: %w", id, ErrDestroyed)
	}
	return nil
}

// Add puts a master key into the ring. Errors are those of MayAdd.
func (r *Ring) Add(id ID, k Key) error {
	if err := r.MayAdd(id); err != nil {
		return err
	}
	if r.Masters == nil {
		r.Masters = map[ID]Key{}
	}
	r.Masters[id] = k
	return nil
}

// Next returns the ID after the highest version that the ring has of that purpose and algorithm; version 1 if it has none. Older versions
// stay: cards that were issued with them work on.
func (r *Ring) Next(p Purpose, algorithm byte) (ID, error) {
	id := ID{Purpose: p, Algorithm: algorithm}
	for have := range r.Masters {
		if have.Purpose == p && have.Algorithm == algorithm {
			id.Version = max(id.Version, have.Version)
		}
	}
	for gone := range r.Retired { // also those that are gone, or in an HSM
		if gone.Purpose == p && gone.Algorithm == algorithm {
			id.Version = max(id.Version, gone.Version)
		}
	}
	if id.Version == 0xFF {
		return ID{}, fmt.Errorf("keys: %s: %w", p, ErrNoVersion)
	}
	id.Version++
	return id, nil
}
