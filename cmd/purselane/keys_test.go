package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/keys"
)

// runKeys runs `purselane keys …` and returns what it printed.
func runKeys(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var cli struct {
		Keys KeysCmd `cmd:""`
	}
	var out bytes.Buffer
	parser, err := kong.New(&cli, kong.Writers(&out, &out), kong.BindTo(t.Context(), (*context.Context)(nil)))
	require.NoError(t, err)
	k, err := parser.Parse(append([]string{"keys"}, args...))
	if err != nil {
		return "", err
	}
	err = k.Run()
	return out.String(), err
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestKeysInitAndShow(t *testing.T) {
	dir := t.TempDir()
	cases := []struct {
		name string
		lock []string
	}{
		{"passphrase", []string{"--passphrase-file", write(t, filepath.Join(dir, "passphrase"), "open sesame\r\nsecond line\n")}},
		{"a new identity", []string{"--identity-file", filepath.Join(dir, "identity")}},
		{"the same identity", []string{"--identity-file", filepath.Join(dir, "identity")}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(dir, c.name+".age")
			args := append([]string{"--file", file}, c.lock...)
			made, err := runKeys(t, append([]string{"init"}, args...)...)
			require.NoError(t, err)
			require.Contains(t, made, "FOR DEVELOPMENT ONLY")
			require.Contains(t, made, "needs an HSM")
			shown, err := runKeys(t, append([]string{"show"}, args...)...)
			require.NoError(t, err)
			require.Contains(t, shown, "FOR DEVELOPMENT ONLY")
			require.Equal(t, lines(made, "  "), lines(shown, "  "), "init shows what it reads back")

			ring, err := sealedFileFor(file, c.lock).open()
			require.NoError(t, err)
			require.Len(t, lines(shown, "  master"), len(ring.Masters))
			require.Len(t, lines(shown, "  secret"), len(ring.Secrets))
			for id, k := range ring.Masters {
				check := keys.KindOf(id, 0).CheckValue(k)
				require.Contains(t, shown, strings.ToUpper(hex.EncodeToString(check[:])), id)
				require.NotContains(t, strings.ToLower(shown), hex.EncodeToString(k[:8]), id)
			}
			for name, s := range ring.Secrets {
				require.NotContains(t, strings.ToLower(shown), hex.EncodeToString(s[:8]), name)
			}
			key, err := ring.SigningKey(keys.SecretReceipt)
			require.NoError(t, err)
			require.Contains(t, shown, hex.EncodeToString(key[32:]), "the public key of the receipts")

			before, err := os.ReadFile(file)
			require.NoError(t, err)
			_, err = runKeys(t, append([]string{"init"}, args...)...)
			require.ErrorContains(t, err, "exists")
			after, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, before, after)
		})
	}
}

func sealedFileFor(file string, lock []string) sealedFile {
	if lock[0] == "--identity-file" {
		return sealedFile{File: file, IdentityFile: lock[1]}
	}
	return sealedFile{File: file, PassphraseFile: lock[1]}
}

// lines returns the lines of out that start with prefix.
func lines(out, prefix string) []string {
	var found []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, prefix) {
			found = append(found, line)
		}
	}
	return found
}

func TestWhatKeysRefuses(t *testing.T) {
	dir := t.TempDir()
	x, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	identity := write(t, filepath.Join(dir, "identity"), x.String())
	file, missing := filepath.Join(dir, "keys.age"), filepath.Join(dir, "missing.age")
	_, err = runKeys(t, "init", "--file", file, "--identity-file", identity)
	require.NoError(t, err)
	other := filepath.Join(dir, "other")
	_, err = keys.CreateIdentityFile(other)
	require.NoError(t, err)
	passphrase := write(t, filepath.Join(dir, "passphrase"), "open sesame")
	cases := []struct{ name, args, says string }{
		{"no file", "show --identity-file " + identity, "--file"},
		{"two locks", "show --file " + file + " --identity-file " + identity + " --passphrase-file " + passphrase, "can't be used together"},
		{"a file that was never made", "show --file " + missing + " --identity-file " + identity, "keys init"},
		{"another identity", "show --file " + file + " --identity-file " + other, "check that both belong together"},
		{"a passphrase for an identity", "show --file " + file + " --passphrase-file " + passphrase, "sealed to an identity"},
		{"no identity", "show --file " + file + " --identity-file " + missing, "no such file"},
		{"a file that is no key file", "show --file " + passphrase + " --identity-file " + identity, "no key file"},
		{"no passphrase file", "init --file " + missing + " --passphrase-file " + missing, "--passphrase-file"},
		{"an empty passphrase", "init --file " + missing + " --passphrase-file " + write(t, filepath.Join(dir, "empty"), "\n"), "first line is empty"},
		{"no identity to seal to", "init --file " + missing + " --identity-file " + passphrase, "no identity file"},
		{"nobody to ask", "init --file " + missing, "nobody to ask"},
	}
	// go test gives its tests no terminal; say so even where someone runs the binary by hand.
	stdin, err := os.Open(os.DevNull)
	require.NoError(t, err)
	old := os.Stdin
	os.Stdin = stdin
	defer func() { os.Stdin = old; stdin.Close() }()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := runKeys(t, strings.Fields(c.args)...)
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "sesame")
			_, err = os.Stat(missing)
			require.ErrorIs(t, err, os.ErrNotExist, "a refusal makes no file")
		})
	}
}

func TestANewPassphraseIsAskedTwice(t *testing.T) {
	answers := func(all ...string) func(string) (string, error) {
		return func(string) (string, error) {
			if len(all) == 0 {
				return "", errors.New("asked too often")
			}
			a := all[0]
			all = all[1:]
			return a, nil
		}
	}
	got, err := askPassphrase(true, answers("one", "one"))
	require.NoError(t, err)
	require.Equal(t, "one", got)
	_, err = askPassphrase(true, answers("one", "two"))
	require.ErrorContains(t, err, "differ")
	_, err = askPassphrase(true, answers("one"))
	require.Error(t, err)
	got, err = askPassphrase(false, answers("one"))
	require.NoError(t, err)
	require.Equal(t, "one", got)
}
