package keys

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
)

// Names of the secrets a backend needs beside the master keys.
const (
	// SecretToken keys the tokens that stand for card numbers (HMAC, 32 bytes). Never change it: every token in the
	// database and in the acquirers' files would stop meaning its card.
	SecretToken = "token"
	// SecretReceipt is the Ed25519 seed that signs receipts: a terminal prunes its journal on them.
	SecretReceipt = "receipt"
	// SecretProfile is the Ed25519 seed that signs terminal profiles.
	SecretProfile = "profile"
)

// ErrNoSecret says that a ring has no secret of that name and length.
var ErrNoSecret = errors.New("no such secret in the key file: it was made for something else, draw a new one with `purselane keys init`")

// Secret is the bytes of a named secret. It never prints.
type Secret []byte

// Ring is all secrets of one scheme: what a sealed file holds. It never prints. It is not safe for concurrent use while
// it is changed.
type Ring struct {
	Role    Role // whose it is
	Masters map[ID]Key
	Secrets map[string]Secret
	// Retired says which versions are on their way out, or gone. Their keys may be in the ring, or in the HSM beside it.
	Retired map[ID]Retirement
}

// NewRing draws a fresh ring for a scheme: a master key for each purpose, version 1, algorithm 0, and the three secrets of the backend. The same bytes from rand make the same ring, which is for simulations.
func NewRing(rand io.Reader) (*Ring, error) {
	r := &Ring{Masters: map[ID]Key{}, Secrets: map[string]Secret{}}
	seen := map[[8]byte]bool{}
	draw := func(n int) ([]byte, error) {
		b := make([]byte, n)
		if _, err := io.ReadFull(rand, b); err != nil {
			return nil, fmt.Errorf("keys: drawing keys: %w", err)
		}
		for half := range slices.Chunk(b, 8) {
			// A source that repeats itself is broken, and equal halves would make 3DES single DES.
			if seen[[8]byte(half)] {
				return nil, errors.New("keys: drawing keys: the random source repeats itself; repair it before drawing keys")
			}
			seen[[8]byte(half)] = true
		}
		return b, nil
	}
	masters := func(all ...Purpose) error {
		for _, p := range all {
			b, err := draw(len(Key{}))
			if err != nil {
				return err
			}
			r.Masters[ID{Purpose: p, Version: 1}] = Key(b)
		}
		return nil
	}
	if err := masters(Purchase, Load, TAC, Maintenance); err != nil {
		return nil, err
	}
	for _, name := range []string{SecretToken, SecretReceipt, SecretProfile} {
		b, err := draw(32)
		if err != nil {
			return nil, err
		}
		r.Secrets[name] = b
	}
	// Last, because they came later: a source that is repeated still gives the ring it gave.
	if err := masters(Unload, Limit, Reload, Unblock, ECCryptogram, ECMAC, ECEncipher, DESFireTMAC, DESFireApp); err != nil {
		return nil, err
	}
	return r, nil
}

// HSM returns a software HSM that holds the ring's master keys.
func (r *Ring) HSM() *Soft {
	s := NewSoft(r.Masters)
	s.retired = retiredOf(r.RetiredIDs())
	return s
}

// CachedHSM is HSM with the derived keys of cards held under the policy.
func (r *Ring) CachedHSM(p CachePolicy) (*Soft, error) {
	s, err := NewCachedSoft(r.Masters, p)
	if err != nil {
		return nil, err
	}
	s.retired = retiredOf(r.RetiredIDs())
	return s, nil
}

// Secret returns a copy of the named secret, or ErrNoSecret when the ring has none of n bytes.
func (r *Ring) Secret(name string, n int) ([]byte, error) {
	s, ok := r.Secrets[name]
	if !ok || len(s) != n {
		return nil, fmt.Errorf("keys: secret %q of %d bytes: %w", name, n, ErrNoSecret)
	}
	return slices.Clone(s), nil
}

// SigningKey returns the Ed25519 key of the named seed, or ErrNoSecret.
func (r *Ring) SigningKey(name string) (ed25519.PrivateKey, error) {
	seed, err := r.Secret(name, ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// Format hides the secret under every verb: String alone would leave %d.
func (Secret) Format(f fmt.State, _ rune) { hide(f) }

// LogValue hides the secret from structured logs.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText fails: a secret goes into a sealed file or nowhere.
func (Secret) MarshalText() ([]byte, error) { return nil, errNoText }

// Format prints how many keys the ring has, under every verb, and none of them.
func (r Ring) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[%v's ring of %d master keys and %d secrets]", r.Role, len(r.Masters), len(r.Secrets))
}

// LogValue is Format for structured logs.
func (r Ring) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(r)) }

// MarshalText fails: a ring goes into a sealed file or nowhere.
func (Ring) MarshalText() ([]byte, error) { return nil, errNoText }
