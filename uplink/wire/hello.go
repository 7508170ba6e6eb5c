package wire

import (
	"crypto/ed25519"
	"fmt"

	"google.golang.org/protobuf/proto"
)

// SealHello signs a hello with the device's key.
func SealHello(key ed25519.PrivateKey, h *Hello) ([]byte, error) {
	body, err := marshal.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("code hello: %w", err)
	}
	sig, err := sign(key, domainHello, body)
	if err != nil {
		return nil, fmt.Errorf("hello: %w", err)
	}
	return marshal.Marshal(&SignedHello{Version: Version, Signed: body, Signature: sig})
}

// OpenHello verifies and reads a hello of the device with that key.
func OpenHello(key ed25519.PublicKey, raw []byte) (*Hello, error) {
	var s SignedHello
	if err := proto.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("%w: not a hello", ErrSignature)
	}
	if s.GetVersion() != Version {
		return nil, fmt.Errorf("hello version %d: %w", s.GetVersion(), ErrVersion)
	}
	if err := verify(key, domainHello, s.GetSigned(), s.GetSignature()); err != nil {
		return nil, fmt.Errorf("hello: %w", err)
	}
	h := &Hello{}
	if err := proto.Unmarshal(s.GetSigned(), h); err != nil {
		return nil, malformed("hello: %w", err)
	}
	return h, nil
}
