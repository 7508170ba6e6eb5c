package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/settlement/acquirerfile"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// closedScheme is a scheme's folder with one closed day.
func closedScheme(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "scheme")
	var out bytes.Buffer
	parser, err := kong.New(&InitCmd{}, kong.Writers(&out, &out))
	require.NoError(t, err)
	k, err := parser.Parse([]string{"--dir", dir})
	require.NoError(t, err)
	require.NoError(t, k.Run())
	path := node.DatabasePath(filepath.Join(dir, folderData))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	s, err := store.Open(t.Context(), path, store.Options{NoSync: true})
	require.NoError(t, err)
	require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.PutAcquirer(t.Context(), store.Acquirer{ID: "bus", Name: "Bus"}); err != nil {
			return err
		}
		// Loads of 50.00 more were given back than sold: the bus is owed that.
		lines, err := books.Move(books.Funding, books.AcquirerSoldLoads("bus"), money.Minor(5000))
		if err != nil {
			return err
		}
		return tx.Post(t.Context(), books.Entry{ID: "back", Kind: "load-back", Day: "2026-11-24", Lines: lines})
	}))
	_, err = settlement.Close(t.Context(), s, "2026-11-24", settlement.Options{Now: time.Date(2026, 11, 24, 20, 0, 0, 0, time.UTC)})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	return dir
}

func TestSettleFilesAndVerifyFile(t *testing.T) {
	dir := closedScheme(t)
	said, err := runSettle(t, "files", "--dir", dir, "--day", "2026-11-24")
	require.NoError(t, err)
	_, key, found := strings.Cut(strings.TrimSpace(said), "they verify with the key ")
	require.True(t, found)
	again, err := runSettle(t, "files", "--dir", dir, "--day", "2026-11-24")
	require.NoError(t, err)
	require.Equal(t, said, again)

	file := filepath.Join(dir, "settlement", "2026-11-24", "acquirers", "bus", "bus-2026-11-24-report.csv")
	said, err = runSettle(t, "verify-file", file, "--key", key)
	require.NoError(t, err)
	require.Equal(t, "good: report of 2026-11-24 for bus, 9 rows, sum 50.00 CNY\n", said)

	body, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, bytes.Replace(body, []byte(",net,"), []byte(",nat,"), 1), 0o644))
	_, err = runSettle(t, "verify-file", file, "--key", key)
	require.ErrorIs(t, err, acquirerfile.ErrHash)
	require.ErrorIs(t, err, acquirerfile.ErrSignature)
	_, err = runSettle(t, "files", "--dir", dir, "--day", "2026-11-24")
	require.ErrorContains(t, err, "exists with other content")
	_, err = runSettle(t, "files", "--dir", dir, "--day", "2026-11-25")
	require.ErrorIs(t, err, settlement.ErrNotClosed)
	_, err = runSettle(t, "verify-file", file, "--key", "00")
	require.ErrorContains(t, err, "--key")
}

func TestSettleDeliverSaysWhatIsMissing(t *testing.T) {
	dir := closedScheme(t)
	_, err := runSettle(t, "deliver", "--dir", dir, "--day", "2026-11-24")
	require.ErrorIs(t, err, os.ErrNotExist)
	write := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "delivery.yaml"), []byte(text), 0o644))
	}
	write("version: 1\nsftp: [{acquirer: bus, address: x, user: u, key_file: k, host_key: y}]\n")
	_, err = runSettle(t, "deliver", "--dir", dir, "--day", "2026-11-24")
	require.ErrorContains(t, err, "sftp[0]: address")
	write("version: 1\nsftp: [{acquirer: bus, address: 'x:22', user: u, key_file: k, host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f}]\n")
	_, err = runSettle(t, "deliver", "--dir", dir, "--day", "2026-11-24")
	require.ErrorContains(t, err, "key_file")
	_, err = runSettle(t, "deliver", "--dir", dir, "--day", "2026-11-24", "--acquirer", "metro")
	require.ErrorContains(t, err, "names no server")
}
