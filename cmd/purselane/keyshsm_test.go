//go:build pkcs11

package main

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/keys/softhsm"
)

// TestHSMTakesTheKeysOfAFile stores a key file's keys in a SoftHSM and opens a backend's door to them.
func TestHSMTakesTheKeysOfAFile(t *testing.T) {
	token, err := softhsm.New(t.TempDir(), func(name, value string) { t.Setenv(name, value) })
	require.NoError(t, err)
	v := newVault(t)
	for _, p := range []string{"load", "tac", "purchase"} {
		_, err := v.run("add", "--purpose", p)
		require.NoError(t, err)
	}
	pin := v.write("pin", token.PIN+"\n")
	where := []string{"--module", token.Module, "--token", token.Label, "--pin-file", pin}
	backend := filepath.Join(v.dir, "backend.age")
	put := append([]string{"hsm", "put", "--backend", backend, "--file", v.file, "--identity-file", v.identity, "--purpose", "load,tac"}, where...)
	out, err := runKeys(t, put...)
	require.NoError(t, err)
	shown, err := runKeys(t, "show", "--file", v.file, "--identity-file", v.identity)
	require.NoError(t, err)
	require.Equal(t, lines(shown, "  master")[0], lines(out, "  master")[0], "the same check values")
	require.Len(t, lines(out, "  master"), 2)
	left, err := sealedFile{File: backend, IdentityFile: v.identity}.open()
	require.NoError(t, err)
	require.Empty(t, left.Masters)
	require.Equal(t, v.ring().Secrets, left.Secrets)
	_, err = runKeys(t, put...)
	require.ErrorContains(t, err, "exists", "the file is not written over")
	put[3] = backend + ".2"
	_, err = runKeys(t, put...)
	require.ErrorIs(t, err, keys.ErrKeyExists)
	require.NoFileExists(t, put[3])
	again, err := runKeys(t, append([]string{"hsm", "show"}, where...)...)
	require.NoError(t, err)
	require.Equal(t, lines(out, "  master"), lines(again, "  master"))
	lines := v.audited()
	require.Equal(t, "hsm-put", lines[len(lines)-1].Do)
	require.Len(t, lines[len(lines)-1].Keys, 2)

	f := schemeFolder{Dir: v.dir}
	s := &node.Scheme{HSM: node.HSM{Module: token.Module, Token: token.Label, PINFile: filepath.Base(pin)}}
	door, err := f.hsm(t.Context(), s, v.ring(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	card := keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1}, Factors: [][8]byte{{1}}}
	got, err := door.TAC(context.Background(), card, []byte("message"))
	require.NoError(t, err)
	want, err := v.ring().HSM().TAC(context.Background(), card, []byte("message"))
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.NoError(t, door.(keys.Device).Close())
	require.ErrorContains(t, needs(maps.Keys(map[keys.ID]keys.Key{{Purpose: keys.TAC}: {}})), "no load key")

	require.NoError(t, os.WriteFile(pin, []byte("0000\n"), 0o600))
	_, err = f.hsm(t.Context(), s, v.ring(), slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, keys.ErrPINWrong)
	require.NoError(t, os.Remove(pin))
	_, err = f.hsm(t.Context(), s, v.ring(), slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "hsm.pin_file")
}

// TestHSMEndsAVersion retires and destroys a version whose key is in the HSM, by the backend's key file, which has none.
func TestHSMEndsAVersion(t *testing.T) {
	token, err := softhsm.New(t.TempDir(), func(name, value string) { t.Setenv(name, value) })
	require.NoError(t, err)
	v := newVault(t)
	at(t, "2026-11-25")
	for _, p := range []string{"load", "tac", "tac"} {
		_, err := v.run("add", "--purpose", p)
		require.NoError(t, err)
	}
	pin := v.write("pin", token.PIN+"\n")
	where := []string{"--module", token.Module, "--token", token.Label, "--pin-file", pin}
	backend := filepath.Join(v.dir, "backend.age")
	_, err = runKeys(t, append([]string{"hsm", "put", "--backend", backend, "--file", v.file, "--identity-file", v.identity}, where...)...)
	require.NoError(t, err)
	full := v.ring()
	v.file = backend
	retire := []string{"retire", "--purpose", "tac", "--version", "01", "--cards-expire", "2027-06-30", "--yes", "tac/01/00"}
	_, err = v.run(retire...)
	require.ErrorIs(t, err, keys.ErrUnknownKey, "the file alone knows no such key")
	_, err = v.run(append(retire, "--token", token.Label)...)
	require.ErrorContains(t, err, "go together")
	_, err = v.run(append(retire, where...)...)
	require.NoError(t, err)

	f := schemeFolder{Dir: v.dir}
	s := &node.Scheme{HSM: node.HSM{Module: token.Module, Token: token.Label, PINFile: filepath.Base(pin)}}
	door, err := f.hsm(t.Context(), s, v.ring(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	card := keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1}, Factors: [][8]byte{{1}}}
	got, err := door.TAC(t.Context(), card, nil)
	require.NoError(t, err)
	want, err := full.HSM().TAC(t.Context(), card, nil)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.NoError(t, door.(keys.Device).Close())

	at(t, "2027-08-10")
	out, err := v.run(append([]string{"destroy", "--purpose", "tac", "--version", "01", "--settled", "2027-08-09", "--yes", "tac/01/00"}, where...)...)
	require.NoError(t, err)
	require.Contains(t, out, "destroyed tac/01/00")
	shown, err := runKeys(t, append([]string{"hsm", "show"}, where...)...)
	require.NoError(t, err)
	require.Len(t, lines(shown, "  master"), 2)
	require.NotContains(t, shown, "tac          version 01")
}

// TestHSMSealsTheBackendsKeyFile: a file that needs neither passphrase nor identity, and opens where the HSM is.
func TestHSMSealsTheBackendsKeyFile(t *testing.T) {
	token, err := softhsm.New(t.TempDir(), func(name, value string) { t.Setenv(name, value) })
	require.NoError(t, err)
	v := newVault(t)
	for _, p := range []string{"load", "tac"} {
		_, err := v.run("add", "--purpose", p)
		require.NoError(t, err)
	}
	pin := v.write("pin", token.PIN+"\n")
	where := []string{"--module", token.Module, "--token", token.Label, "--pin-file", pin}
	lock := []string{"--lock-module", token.Module, "--lock-token", token.Label, "--lock-pin-file", pin}
	backend := filepath.Join(v.dir, fileKeys)
	put := append([]string{"hsm", "put", "--file", v.file, "--identity-file", v.identity, "--purpose", "tac,load", "--backend", backend, "--data-key"}, where...)
	_, err = runKeys(t, put...)
	require.ErrorIs(t, err, keys.ErrUnknownKey, "no data key yet")
	require.NoFileExists(t, backend)
	out, err := runKeys(t, append([]string{"hsm", "draw", "--audit", filepath.Join(v.dir, fileAudit)}, where...)...)
	require.NoError(t, err)
	require.Contains(t, out, "data")
	_, err = runKeys(t, put...)
	require.NoError(t, err)

	shown, err := runKeys(t, append([]string{"show", "--file", backend}, lock...)...)
	require.NoError(t, err)
	require.Len(t, lines(shown, "  secret"), 3)
	require.Empty(t, lines(shown, "  master"))
	_, err = runKeys(t, "show", "--file", backend, "--identity-file", v.identity)
	require.ErrorContains(t, err, "a data key in an HSM")
	_, err = runKeys(t, append([]string{"show", "--file", backend, "--identity-file", v.identity}, lock...)...)
	require.ErrorContains(t, err, "one lock")

	// A scheme's folder opens it by the HSM that the scheme names, and the HSM again for its keys.
	v.write(fileScheme, "name: test\ntime_zone: Asia/Shanghai\nmax_load: \"500.00\"\nmax_balance: \"1000.00\"\nhsm: {module: "+token.Module+", token: "+token.Label+", pin_file: pin}\n")
	f := schemeFolder{Dir: v.dir}
	ring, err := f.ring()
	require.NoError(t, err)
	require.Equal(t, v.ring().Secrets, ring.Secrets)
	s, err := f.scheme()
	require.NoError(t, err)
	door, err := f.hsm(t.Context(), s, ring, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, door.(keys.Device).Close())
	v.write(fileScheme, "name: test\ntime_zone: Asia/Shanghai\nmax_load: \"500.00\"\nmax_balance: \"1000.00\"\n")
	_, err = f.ring()
	require.ErrorContains(t, err, "the scheme names none")

	// The same HSM seals the file and has the keys of a version that is retired by it.
	_, err = runKeys(t, append(append([]string{"retire", "--purpose", "tac", "--version", "01", "--cards-expire", "2027-06-30", "--yes", "tac/01/00", "--file", backend, "--out", backend + ".2"}, where...), lock...)...)
	require.ErrorIs(t, err, keys.ErrStrands, "the only version")
}
