package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/node"
)

func TestABINTableIsSigned(t *testing.T) {
	dir := t.TempDir()
	write := func(name, body string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(body), mode))
		return path
	}
	_, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	key, out := write("key.pem", text, 0o600), filepath.Join(dir, "signed.txt")
	table := write("bins.txt", "purselane-bin,1,20261125\n622609,cmb,debit,unionpay,16,luhn\nend,1\n", 0o644)
	for _, bad := range []struct{ table, key, says string }{
		{write("cut.txt", "purselane-bin,1,20261125\n622609,cmb,debit,unionpay,16,luhn\n", 0o644), key, "cut.txt"},
		{table, write("open.pem", text, 0o644), "others may read"},
		{table, write("other.pem", "none", 0o600), "no Ed25519 private key"},
	} {
		_, err := run(t, "channels", "sign-bins", bad.table, "--key", bad.key, "--out", out)
		require.ErrorContains(t, err, bad.says)
		require.NoFileExists(t, out)
	}
	said, err := run(t, "channels", "sign-bins", table, "--key", key, "--out", out)
	require.NoError(t, err)
	_, public, found := strings.Cut(strings.TrimSpace(said), "bins_key is ")
	require.True(t, found, said)
	signed, err := os.ReadFile(out)
	require.NoError(t, err)
	read, err := (&node.GatewayCards{BinsKey: public}).ReadBins(signed)
	require.NoError(t, err)
	require.NotNil(t, read)
	_, err = (&node.GatewayCards{BinsKey: public}).ReadBins(append(signed, '\n'))
	require.Error(t, err)
}
