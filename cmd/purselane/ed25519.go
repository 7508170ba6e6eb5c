package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// readEd25519 reads a private key in PEM (PKCS #8, RFC 8410), which must be its owner's alone.
func readEd25519(path string) (ed25519.PrivateKey, error) {
	raw, err := readKeyFile(path, true)
	if err != nil {
		return nil, err
	}
	if b, _ := pem.Decode(raw); b != nil {
		if any, err := x509.ParsePKCS8PrivateKey(b.Bytes); err == nil {
			if key, is := any.(ed25519.PrivateKey); is {
				return key, nil
			}
		}
	}
	return nil, fmt.Errorf("%s: holds no Ed25519 private key without a passphrase (PKCS #8)", path)
}
