package wire

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
)

// Version of the messages.
//
//   - 1: 2026-11-24: first
const Version = 1

// Domain strings keep a signature over one kind of message from being one over another.
const (
	domainEnvelope = "purselane-envelope-1\x00"
	domainHello    = "purselane-hello-1\x00"
	domainReceipt  = "purselane-receipt-1\x00"
)

// Errors of opening. Match with errors.Is.
var (
	// ErrSignature: the message is not signed by the key it must be signed by. It is dropped, never answered.
	ErrSignature = errors.New("signature does not verify")
	// ErrMalformed: the message is signed and cannot be read. It is quarantined, and the sender told.
	ErrMalformed = errors.New("malformed message")
	// ErrVersion: a version this program does not read. It is dropped: a newer program may read it when it is sent again.
	ErrVersion = errors.New("message version not supported")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrMalformed, fmt.Errorf(format, args...))
}

// marshal is deterministic, so that the same message signed twice is the same bytes.
var marshal = proto.MarshalOptions{Deterministic: true}

// RecordHash is the SHA-256 by which a record is chained, over its bytes as stored.
func RecordHash(stored []byte) [32]byte { return sha256.Sum256(stored) }

func sign(key ed25519.PrivateKey, domain string, body []byte) ([]byte, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("signing key of %d bytes: want %d", len(key), ed25519.PrivateKeySize)
	}
	return ed25519.Sign(key, append([]byte(domain), body...)), nil
}

// verify checks the lengths itself: ed25519.Verify panics at a key of another length.
func verify(key ed25519.PublicKey, domain string, body, sig []byte) error {
	if len(key) != ed25519.PublicKeySize || len(sig) != ed25519.SignatureSize || !ed25519.Verify(key, append([]byte(domain), body...), sig) {
		return ErrSignature
	}
	return nil
}
