package sign

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Kind of a key. It fixes the algorithm, so a caller cannot choose one: no header names it. The text is stored and is an outside contract.
type Kind string

// Kinds.
const (
	HMAC      Kind = "hmac-sha256" // a secret that both sides have
	RSASHA256 Kind = "rsa-sha256"  // PKCS #1 v1.5 (RFC 8017 8.2): the gateway has the public key only
)

// ErrKey says that a key is none that requests are signed with.
var ErrKey = errors.New("not a key for signing requests")

// SecretSize is the length of a secret in bytes.
const SecretSize = 32

const secretPrefix = "psk_"

// Secret signs by HMAC-SHA256. It prints itself masked.
type Secret struct{ raw [SecretSize]byte }

// NewSecret makes a secret.
func NewSecret() Secret {
	var s Secret
	_, _ = rand.Read(s.raw[:]) // never fails
	return s
}

// SecretOf is the secret of its bytes. Error: [ErrKey].
func SecretOf(raw []byte) (Secret, error) {
	if len(raw) != SecretSize {
		return Secret{}, fmt.Errorf("%d bytes: want %d: %w", len(raw), SecretSize, ErrKey)
	}
	return Secret{[SecretSize]byte(raw)}, nil
}

// ParseSecret reads a secret as [Secret.Reveal] writes it. Error: [ErrKey], which does not quote it.
func ParseSecret(text string) (Secret, error) {
	rest, ours := strings.CutPrefix(strings.TrimSpace(text), secretPrefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if !ours || err != nil {
		return Secret{}, fmt.Errorf("want %s and base64url without padding: %w", secretPrefix, ErrKey)
	}
	return SecretOf(raw)
}

// Reveal is the secret itself, to be shown once to whom it belongs.
func (s Secret) Reveal() string { return secretPrefix + base64.RawURLEncoding.EncodeToString(s.raw[:]) }

// Bytes is the secret for the one place that seals it.
func (s Secret) Bytes() []byte { return append([]byte(nil), s.raw[:]...) }

// String masks the secret.
func (Secret) String() string { return secretPrefix + "…" }

// GoString masks the secret.
func (Secret) GoString() string { return secretPrefix + "…" }

// Sign signs a request's text.
func (s Secret) Sign(text []byte) ([]byte, error) {
	h := hmac.New(sha256.New, s.raw[:])
	h.Write(text)
	return h.Sum(nil), nil
}

// Verify reports whether a signature is over a text, in a time that does not depend on where it differs.
func (s Secret) Verify(text, signature []byte) bool {
	want, _ := s.Sign(text)
	return hmac.Equal(want, signature)
}

// RSA signs with a private key.
type RSA struct{ key *rsa.PrivateKey }

// ParseRSA reads a private key: PEM, PKCS #8 or PKCS #1, not enciphered. Error: [ErrKey].
func ParseRSA(text []byte) (RSA, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return RSA{}, fmt.Errorf("want a private key in PEM: %w", ErrKey)
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		var any8 any
		if any8, err = x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			key, _ = any8.(*rsa.PrivateKey)
		}
	}
	if err != nil || key == nil {
		return RSA{}, fmt.Errorf("want an RSA private key, PKCS #8 or PKCS #1, not enciphered: %w", ErrKey)
	}
	return RSAOf(key)
}

// RSAOf takes a private key of 2048 to 4096 bits. Error: [ErrKey].
func RSAOf(key *rsa.PrivateKey) (RSA, error) {
	if key == nil {
		return RSA{}, fmt.Errorf("no private key: %w", ErrKey)
	}
	if err := fits(&key.PublicKey); err != nil {
		return RSA{}, err
	}
	return RSA{key}, nil
}

// Sign signs a request's text.
func (r RSA) Sign(text []byte) ([]byte, error) {
	if r.key == nil {
		return nil, fmt.Errorf("no private key: %w", ErrKey)
	}
	sum := sha256.Sum256(text)
	return rsa.SignPKCS1v15(nil, r.key, crypto.SHA256, sum[:])
}

// Public verifies what an [RSA] has signed.
type Public struct{ key *rsa.PublicKey }

// ParsePublic reads an RSA public key of 2048 to 4096 bits in PEM (PKIX, "BEGIN PUBLIC KEY"). Error: [ErrKey].
func ParsePublic(text []byte) (Public, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" || strings.TrimSpace(string(rest)) != "" {
		return Public{}, fmt.Errorf("want one public key in PEM (BEGIN PUBLIC KEY), and no private key: %w", ErrKey)
	}
	return PublicOf(block.Bytes)
}

// PublicOf reads the same from its DER form. Error: [ErrKey].
func PublicOf(der []byte) (Public, error) {
	k, err := x509.ParsePKIXPublicKey(der)
	key, is := k.(*rsa.PublicKey)
	if err != nil || !is {
		return Public{}, fmt.Errorf("want an RSA public key: %w", ErrKey)
	}
	if err := fits(key); err != nil {
		return Public{}, err
	}
	return Public{key}, nil
}

// fits bounds a key: below 2048 bits it is weak, and a long one or a large exponent costs whoever verifies.
func fits(k *rsa.PublicKey) error {
	if n := k.N.BitLen(); n < 2048 || n > 4096 || k.E != 65537 {
		return fmt.Errorf("RSA of %d bits, exponent %d: want 2048 to 4096 bits and 65537: %w", n, k.E, ErrKey)
	}
	return nil
}

// DER is the key's PKIX form.
func (p Public) DER() ([]byte, error) { return x509.MarshalPKIXPublicKey(p.key) }

// Verify reports whether a signature is over a text.
func (p Public) Verify(text, signature []byte) bool {
	sum := sha256.Sum256(text)
	return rsa.VerifyPKCS1v15(p.key, crypto.SHA256, sum[:], signature) == nil
}
