package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
)

// runSettle runs `purselane settle …` and returns what it printed.
func runSettle(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var cli struct {
		Settle SettleCmd `cmd:""`
	}
	var out bytes.Buffer
	parser, err := kong.New(&cli, kong.Writers(&out, &out), kong.BindTo(t.Context(), (*context.Context)(nil)))
	require.NoError(t, err)
	k, err := parser.Parse(append([]string{"settle"}, args...))
	if err != nil {
		return "", err
	}
	err = k.Run()
	return out.String(), err
}

const busContract = `terms:
  - from: "2026-01-01"
    standards:
      - name: usual
        side: inside
        charges:
          - kind: service
            model: rate
            per: transaction
            ppm: 6000
            min: "0.08"
`

func TestSettleContract(t *testing.T) {
	dir := t.TempDir()
	path := node.DatabasePath(filepath.Join(dir, folderData))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	s, err := store.Open(t.Context(), path, store.Options{NoSync: true})
	require.NoError(t, err)
	require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error {
		return tx.PutAcquirer(t.Context(), store.Acquirer{ID: "bus", Name: "Bus"})
	}))
	require.NoError(t, s.Close())
	run := func(args ...string) (string, error) {
		return runSettle(t, append([]string{"contract", "--dir", dir, "--party", "acquirer:bus"}, args...)...)
	}

	_, err = run()
	require.ErrorContains(t, err, "the fees of scheme.yaml apply")
	out, err := run("--file", write(t, filepath.Join(dir, "bus.yaml"), busContract))
	require.NoError(t, err)
	require.Equal(t, busContract, out)
	out, err = run()
	require.NoError(t, err)
	require.Equal(t, busContract, out, "printed as it can be noted again")

	out, err = run("--on", "2026-11-24", "--gross", "2.00")
	require.NoError(t, err)
	require.Contains(t, out, "raised to the minimum of 0.08")
	require.Regexp(t, `the payee gets +1\.92`, out)
	_, err = run("--on", "2025-12-31")
	require.ErrorContains(t, err, "no fee term is in force")
	_, err = run("--gross", "2.00")
	require.ErrorContains(t, err, "--on")

	_, err = run("--file", write(t, filepath.Join(dir, "bad.yaml"), "terms: [{from: soon, standards: [{name: x, side: up}]}]"))
	require.ErrorContains(t, err, "bad.yaml")
	require.ErrorContains(t, err, "terms[0].from")
	require.ErrorContains(t, err, `side "up"`)
	_, err = runSettle(t, "contract", "--dir", dir, "--party", "acquirer:tram", "--file", filepath.Join(dir, "bus.yaml"))
	require.ErrorIs(t, err, settlement.ErrParty)
	_, err = runSettle(t, "contract", "--dir", dir, "--party", "bus")
	require.ErrorContains(t, err, "merchant:ID")
}
