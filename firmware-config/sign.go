package firmwareconfig

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
)

// signed profiles are the YAML text behind one line that holds the signature, so that they stay readable:
//
//	purselane-profile-1 <base64 of Ed25519 over the domain string and the text>
const signedHead = "purselane-profile-1 "

// domain keeps a signature over a profile from being one over anything else.
const domain = "purselane-profile-1\x00"

// ErrSignature says that a profile is not signed by the key that must have signed it.
var ErrSignature = errors.New("profile signature does not verify")

// Sign puts the signature line before the text of a profile.
func Sign(key ed25519.PrivateKey, text []byte) []byte {
	sig := ed25519.Sign(key, append([]byte(domain), text...))
	return append([]byte(signedHead+base64.StdEncoding.EncodeToString(sig)+"\n"), text...)
}

// Text is the YAML text of a profile file, and whether a signature line stands before it. Nothing is verified: it is for
// tools that show a file to people.
func Text(file []byte) (text []byte, signed bool) {
	if !bytes.HasPrefix(file, []byte(signedHead)) {
		return file, false
	}
	_, text, _ = bytes.Cut(file, []byte("\n"))
	return text, true
}

// OpenSigned verifies the signature and then, not before, reads the profile.
func OpenSigned(key ed25519.PublicKey, signed []byte) (*Profile, error) {
	if len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("profile key of %d bytes: want %d", len(key), ed25519.PublicKeySize)
	}
	rest, ok := bytes.CutPrefix(signed, []byte(signedHead))
	line, text, found := bytes.Cut(rest, []byte("\n"))
	if !ok || !found {
		return nil, fmt.Errorf("%w: no signature line; sign it with \"purselane profile sign\"", ErrSignature)
	}
	sig, err := base64.StdEncoding.Strict().DecodeString(string(line))
	if err != nil || !ed25519.Verify(key, append([]byte(domain), text...), sig) {
		return nil, fmt.Errorf("%w: it was changed, or signed by another key", ErrSignature)
	}
	return ParseProfile(text)
}
