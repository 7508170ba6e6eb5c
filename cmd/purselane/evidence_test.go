package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/evidence"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
)

// runEvidence runs `purselane evidence …` and returns what it printed.
func runEvidence(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var cli struct {
		Init     InitCmd     `cmd:""`
		Evidence EvidenceCmd `cmd:""`
	}
	var out bytes.Buffer
	parser, err := kong.New(&cli, kong.Writers(&out, &out), kong.BindTo(t.Context(), (*context.Context)(nil)))
	require.NoError(t, err)
	k, err := parser.Parse(args)
	if err != nil {
		return "", err
	}
	err = k.Run()
	return out.String(), err
}

func TestEvidenceExportAndVerify(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "scheme")
	_, err := runEvidence(t, "init", "--dir", dir)
	require.NoError(t, err)
	path := node.DatabasePath(filepath.Join(dir, folderData))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	s, err := store.Open(t.Context(), path, store.Options{NoSync: true})
	require.NoError(t, err)
	require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error {
		require.NoError(t, tx.PutAcquirer(t.Context(), store.Acquirer{ID: "bus"}))
		require.NoError(t, tx.PutMerchant(t.Context(), store.Merchant{ID: "m1", Acquirer: "bus"}))
		return tx.PutTerminal(t.Context(), store.Terminal{ID: "bus-1", Merchant: "m1", PublicKey: bytes.Repeat([]byte{0xab}, 32), Active: true})
	}))
	require.NoError(t, s.Close())

	file := filepath.Join(t.TempDir(), "day.tar")
	out, err := runEvidence(t, "evidence", "export", "--dir", dir, "--day", "2026-11-24", "--out", file)
	require.NoError(t, err)
	require.Contains(t, out, "2026-11-24 (open): 0 batches, 0 records")
	key := regexp.MustCompile(`the key ([0-9a-f]{64})`).FindStringSubmatch(out)[1]
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "card numbers are in it")

	out, err = runEvidence(t, "evidence", "verify", file, "--key", key)
	require.NoError(t, err)
	require.Contains(t, out, "it is whole")
	devices := filepath.Join(t.TempDir(), "devices")
	out, err = runEvidence(t, "evidence", "devices", "--dir", dir)
	require.NoError(t, err)
	require.Regexp(t, `^bus-1 (ab){32}\n$`, out)
	require.NoError(t, os.WriteFile(devices, []byte(out), 0o600))
	out, err = runEvidence(t, "evidence", "verify", file, "--key", key, "--devices", devices)
	require.NoError(t, err)
	require.Contains(t, out, "0 batches signed by their terminals")
	_, err = runEvidence(t, "evidence", "verify", file, "--key", key, "--devices", file)
	require.ErrorContains(t, err, "--devices")
	_, err = runEvidence(t, "evidence", "verify", file, "--key", key[2:])
	require.ErrorContains(t, err, "--key")
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	raw[600] ^= 1
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	_, err = runEvidence(t, "evidence", "verify", file, "--key", key)
	require.ErrorIs(t, err, evidence.ErrSignature)

	_, err = runEvidence(t, "evidence", "export", "--dir", dir, "--day", "2026-11-24", "--out", file)
	require.ErrorContains(t, err, "exists")
	none := filepath.Join(t.TempDir(), "none.tar")
	_, err = runEvidence(t, "evidence", "export", "--dir", dir, "--day", "soon", "--out", none)
	require.Error(t, err)
	require.NoFileExists(t, none)
}
