package wire

import (
	"crypto/ed25519"
	"fmt"

	"google.golang.org/protobuf/proto"
)

// SealReceipt signs a receipt with the backend's key.
func SealReceipt(key ed25519.PrivateKey, r *Receipt) ([]byte, error) {
	body, err := marshal.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("code receipt: %w", err)
	}
	sig, err := sign(key, domainReceipt, body)
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	return marshal.Marshal(&SignedReceipt{Version: Version, Signed: body, Signature: sig})
}

// OpenReceipt verifies and reads a receipt of the backend with that key. Whose receipt it is, and of which epoch, is for
// the caller to check.
func OpenReceipt(key ed25519.PublicKey, raw []byte) (*Receipt, error) {
	var s SignedReceipt
	if err := proto.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("%w: not a receipt", ErrSignature)
	}
	if s.GetVersion() != Version {
		return nil, fmt.Errorf("receipt version %d: %w", s.GetVersion(), ErrVersion)
	}
	if err := verify(key, domainReceipt, s.GetSigned(), s.GetSignature()); err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	r := &Receipt{}
	if err := proto.Unmarshal(s.GetSigned(), r); err != nil {
		return nil, malformed("receipt: %w", err)
	}
	return r, nil
}
