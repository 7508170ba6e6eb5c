package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/alecthomas/kong"

	firmwareconfig "github.com/purselane/purselane/firmware-config"
)

// readSecret reads a file that only its owner may read. A secret that others can read is refused: it may be copied already.
func readSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s: others may read it (mode %v): chmod 600 it, and make a new secret if anyone may have copied it", path, info.Mode().Perm())
	}
	return os.ReadFile(path)
}

// readDeviceKey reads an Ed25519 private key in PEM (PKCS #8).
func readDeviceKey(path string) (ed25519.PrivateKey, error) {
	raw, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("%s: want a PEM private key, as \"purselane-terminal device-key\" makes it", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: no PKCS #8 key", path) // the cause may quote the key
	}
	ed, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: a key of type %T: want Ed25519", path, key)
	}
	return ed, nil
}

// readPassword reads the first line of a file.
func readPassword(path string) (string, error) {
	raw, err := readSecret(path)
	if err != nil {
		return "", err
	}
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	line = bytes.TrimRight(line, "\r")
	if len(line) == 0 {
		return "", fmt.Errorf("%s: the first line is empty, it wants to be the password", path)
	}
	return string(line), nil
}

// publicKey reads a key that check has found well-formed.
func publicKey(text string) ed25519.PublicKey {
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil
	}
	return raw
}

func (c *config) readProfile() (*firmwareconfig.Profile, error) {
	raw, err := os.ReadFile(c.path(c.Profile.File))
	if err != nil {
		return nil, fmt.Errorf("profile.file: %w", err)
	}
	p, err := firmwareconfig.OpenSigned(publicKey(c.Profile.PublicKey), raw)
	if err != nil {
		return nil, fmt.Errorf("profile.file: %s: %w", c.path(c.Profile.File), err)
	}
	return p, nil
}

// tls is the link's TLS configuration; nil for none.
func (c *config) tls() (*tls.Config, error) {
	u := c.Uplink
	if u.Certificate == "" {
		return nil, nil
	}
	key, err := readSecret(c.path(u.Key))
	if err != nil {
		return nil, fmt.Errorf("uplink.key: %w", err)
	}
	certificate, err := os.ReadFile(c.path(u.Certificate))
	if err != nil {
		return nil, fmt.Errorf("uplink.certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("uplink.certificate: %w", err)
	}
	if leaf, err := x509.ParseCertificate(pair.Certificate[0]); err == nil && leaf.Subject.CommonName != c.Terminal {
		return nil, fmt.Errorf("uplink.certificate: it is of %q, and this is terminal %q: the broker would refuse it", leaf.Subject.CommonName, c.Terminal)
	}
	raw, err := os.ReadFile(c.path(u.CA))
	if err != nil {
		return nil, fmt.Errorf("uplink.ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("uplink.ca: %s holds no PEM certificate", c.path(u.CA))
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// DeviceKeyCmd is `purselane-terminal device-key`.
type DeviceKeyCmd struct {
	File string `required:"" placeholder:"FILE" type:"path" help:"The file to make. One that exists is shown, never replaced."`
}

// Run makes the key file if there is none and prints the public key. The private key is shown to nobody.
func (c *DeviceKeyCmd) Run(k *kong.Kong) error {
	if _, err := os.Lstat(c.File); errors.Is(err, os.ErrNotExist) {
		if err := makeDeviceKey(c.File); err != nil {
			return err
		}
	}
	key, err := readDeviceKey(c.File)
	if err != nil {
		return err
	}
	fmt.Fprintf(k.Stdout, "device key %s\npublic key %x: register it at the backend\n", c.File, key.Public())
	return nil
}

func makeDeviceKey(path string) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".device-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // after the rename there is nothing of that name
	err = pem.Encode(temp, &pem.Block{Type: "PRIVATE KEY", Bytes: raw})
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
