package acquirerfile

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// domain goes before the bytes that are signed, so that a signature of a file is no signature of anything else that the key signs.
const domain = "purselane-acquirer-file-1\x00"

// SignatureSuffix is what the name of a file's signature ends with, after the file's own.
const SignatureSuffix = ".sig"

const signatureLine = "purselane-signature 1"

// ErrSignature: the signature is not of this file, or not by this key.
var ErrSignature = errors.New("the signature does not verify")

// Sign makes a file's signature: three lines of text, which say what it is, whose key, and the Ed25519 signature (RFC 8032) over the
// domain and the file's bytes. The same file and key give the same bytes.
func Sign(key ed25519.PrivateKey, body []byte) []byte {
	sig := ed25519.Sign(key, append([]byte(domain), body...))
	public := key.Public().(ed25519.PublicKey)
	return fmt.Appendf(nil, "%s\nkey %s\nsignature %s\n", signatureLine, hex.EncodeToString(public), hex.EncodeToString(sig))
}

// Verify checks a file's signature against the scheme's key, which comes from elsewhere than the file. Error: [ErrSignature].
func Verify(key ed25519.PublicKey, body, signature []byte) error {
	if len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("public key of %d bytes: want %d", len(key), ed25519.PublicKeySize)
	}
	by, sig, err := parseSignature(signature)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if !bytes.Equal(by, key) {
		return fmt.Errorf("%w: it is by the key %x, and the scheme's is %x", ErrSignature, by, []byte(key))
	}
	if !ed25519.Verify(key, append([]byte(domain), body...), sig) {
		return fmt.Errorf("%w: the file is not the one that was signed", ErrSignature)
	}
	return nil
}

func parseSignature(raw []byte) (key, sig []byte, err error) {
	if len(raw) > 1024 {
		return nil, nil, fmt.Errorf("the signature file has %d bytes: want three short lines", len(raw))
	}
	line := strings.Split(string(raw), "\n")
	if len(line) != 4 || line[3] != "" || line[0] != signatureLine {
		return nil, nil, fmt.Errorf("the signature file is not of the form %q and two lines more", signatureLine)
	}
	field := func(s, name string, n int) []byte {
		text, found := strings.CutPrefix(s, name+" ")
		b, bad := hex.DecodeString(text)
		if (!found || bad != nil || len(b) != n) && err == nil {
			err = fmt.Errorf("the signature file's %s: want %d bytes in hexadecimal digits", name, n)
		}
		return b
	}
	key = field(line[1], "key", ed25519.PublicKeySize)
	sig = field(line[2], "signature", ed25519.SignatureSize)
	return key, sig, err
}

// ParseKey reads a public key as `purselane settle files` prints it: hexadecimal digits.
func ParseKey(s string) (ed25519.PublicKey, error) {
	raw, err := hex.DecodeString(strings.TrimSpace(s))
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("public key: want %d bytes in hexadecimal digits", ed25519.PublicKeySize)
	}
	return raw, nil
}
