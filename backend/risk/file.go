package risk

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const maxFile = 4 << 20

var setDomain = []byte("purselane-risk-rules-1\n")

// ErrSigned says that a file is not what the key's owner signed.
var ErrSigned = errors.New("the risk file does not verify")

// Parse reads rules from JSON and compiles them. Fields that are not known are refused: a rule whose word was mistyped is not half a rule. Error:
// [ErrRules].
func Parse(file []byte) (Set, error) {
	var s Set
	if err := decode(file, &s); err != nil {
		return Set{}, fmt.Errorf("%w: %w", ErrRules, err)
	}
	if _, err := compile(s); err != nil {
		return Set{}, err
	}
	return s, nil
}

func decode(file []byte, into any) error {
	if len(file) > maxFile {
		return fmt.Errorf("%d bytes, want at most %d", len(file), maxFile)
	}
	d := json.NewDecoder(bytes.NewReader(file))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON")
	}
	return nil
}

// Seal signs rules: an Ed25519 signature of 64 bytes over a domain and the JSON that follows it.
func Seal(s Set, key ed25519.PrivateKey) ([]byte, error) {
	if _, err := compile(s); err != nil {
		return nil, err
	}
	body, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return append(ed25519.Sign(key, append(bytes.Clone(setDomain), body...)), body...), nil
}

// Open verifies a signed file before it reads it. Errors: [ErrSigned], [ErrRules].
func Open(file []byte, key ed25519.PublicKey) (Set, error) {
	if len(file) < ed25519.SignatureSize || len(file) > maxFile {
		return Set{}, fmt.Errorf("%w: %d bytes", ErrSigned, len(file))
	}
	sig, body := file[:ed25519.SignatureSize], file[ed25519.SignatureSize:]
	if !ed25519.Verify(key, append(bytes.Clone(setDomain), body...), sig) {
		return Set{}, fmt.Errorf("%w: the signature is of another key or content", ErrSigned)
	}
	return Parse(body)
}
