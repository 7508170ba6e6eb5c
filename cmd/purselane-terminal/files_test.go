package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/simulator/psam"
)

// writeCertificate makes a self-signed certificate of that name, and its key.
func writeCertificate(t *testing.T, dir, name string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "device.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "device-tls.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
}

// linked is a home whose terminal has an uplink with a certificate.
func linked(t *testing.T) home {
	h := newHome(t)
	raw, err := os.ReadFile(h.config)
	require.NoError(t, err)
	raw = append(raw, `device_key: device.key
uplink:
  broker: tls://broker.example:8883
  backend_key: 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
  certificate: device.pem
  key: device-tls.key
  ca: device.pem
`...)
	require.NoError(t, os.WriteFile(h.config, raw, 0o644))
	_, err = terminal("device-key", "--file", filepath.Join(h.dir, "device.key"))
	require.NoError(t, err)
	writeCertificate(t, h.dir, "bus-7-1")
	return h
}

func TestTheLinksCertificate(t *testing.T) {
	file := func(h home, name string) string { return filepath.Join(h.dir, name) }
	cases := []struct {
		name   string
		change func(t *testing.T, h home)
		says   string
	}{
		{"sound", func(*testing.T, home) {}, ""},
		{"of another terminal", func(t *testing.T, h home) { writeCertificate(t, h.dir, "bus-8-1") }, `it is of "bus-8-1"`},
		{"a key that others can read", func(t *testing.T, h home) { require.NoError(t, os.Chmod(file(h, "device-tls.key"), 0o640)) }, "uplink.key: "},
		{"no key", func(t *testing.T, h home) { require.NoError(t, os.Remove(file(h, "device-tls.key"))) }, "uplink.key: "},
		{"a key of another", func(t *testing.T, h home) {
			other := t.TempDir()
			writeCertificate(t, other, "x")
			raw, err := os.ReadFile(filepath.Join(other, "device-tls.key"))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file(h, "device-tls.key"), raw, 0o600))
		}, "uplink.certificate: "},
		{"no certificate", func(t *testing.T, h home) { require.NoError(t, os.Remove(file(h, "device.pem"))) }, "uplink.certificate: "},
		{"an authority that is none", func(t *testing.T, h home) {
			raw, err := os.ReadFile(h.config)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(h.config, []byte(strings.Replace(string(raw), "ca: device.pem", "ca: device.key", 1)), 0o644))
		}, "uplink.ca: "},
		{"a device key that is none", func(t *testing.T, h home) {
			raw, err := os.ReadFile(file(h, "device-tls.key"))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file(h, "device.key"), raw, 0o600))
		}, "want Ed25519"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := linked(t)
			c.change(t, h)
			_, err := terminal("check", "--config", h.config)
			if c.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.says)
		})
	}
}

// TestAPSAMThatPlugsIn runs the terminal with its PSAM in a virtual slot. The program waits for it.
func TestAPSAMThatPlugsIn(t *testing.T) {
	h := newHome(t)
	raw, err := os.ReadFile(h.config)
	require.NoError(t, err)
	slot := freeAddress(t)
	require.NoError(t, os.WriteFile(h.config, []byte(strings.Replace(string(raw), "{kind: simulated, file: psam.json}", "{kind: socket, listen: \""+slot+"\"}", 1)), 0o644))
	s := h.start(t)
	chip, err := psam.OpenFile(filepath.Join(h.dir, "psam.json"))
	require.NoError(t, err)
	defer chip.Close()
	defer plug(chip, slot)()
	unplug := plug(testCard(t, 1), h.bus)
	require.Equal(t, "granted", s.next().Outcome)
	unplug()
	require.NoError(t, s.stop())
}
