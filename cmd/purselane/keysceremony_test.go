package main

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/keys"
)

// vault is a folder with a key file that holds no master key.
type vault struct {
	t             *testing.T
	dir, identity string
	file          string
}

func newVault(t *testing.T) *vault {
	v := &vault{t: t, dir: t.TempDir()}
	v.identity, v.file = filepath.Join(v.dir, "identity"), filepath.Join(v.dir, "0.age")
	out, err := runKeys(t, "init", "--without-masters", "--file", v.file, "--identity-file", v.identity)
	require.NoError(t, err)
	require.Empty(t, lines(out, "  master"))
	require.Len(t, lines(out, "  secret"), 3)
	return v
}

// run runs a command that makes a new key file, and goes on with that.
func (v *vault) run(args ...string) (string, error) {
	next := filepath.Join(v.dir, "next-"+filepath.Base(v.file))
	out, err := runKeys(v.t, append(args, "--file", v.file, "--identity-file", v.identity, "--out", next)...)
	if err == nil {
		v.file = next
	} else {
		require.NoFileExists(v.t, next, "a refusal makes no file")
	}
	return out, err
}

func (v *vault) ring() *keys.Ring {
	r, err := sealedFile{File: v.file, IdentityFile: v.identity}.open()
	require.NoError(v.t, err)
	return r
}

func (v *vault) write(name, text string) string { return write(v.t, filepath.Join(v.dir, name), text) }

const (
	partA = "0123456789ABCDEFFEDCBA9876543210"
	partB = "1111111111111111 2222222222222222"
	partC = "00010203040506070809101112131415"
)

func TestACeremony(t *testing.T) {
	v := newVault(t)
	a, b, c := v.write("a", partA), v.write("b", partB+"\n"), v.write("c", partC)
	out, err := v.run("ceremony", "--purpose", "load", "--version", "0A", "--component", a, "--component", b, "--component", c)
	require.NoError(t, err)
	key := v.ring().Masters[keys.ID{Purpose: keys.Load, Version: 0x0A}]
	require.Equal(t, "103356759cbfdaf9d4f788ab46650427", hex.EncodeToString(key[:]))
	check := keys.CheckValue(key)
	require.Contains(t, out, "check value "+strings.ToUpper(hex.EncodeToString(check[:])))
	require.Contains(t, out, "component 1 of master key load/0A/00: check value 08D7B4, odd parity")
	for _, secret := range []string{partA[:8], "22222222", partC[:8], "103356", hex.EncodeToString(key[8:12])} {
		require.NotContains(t, strings.ToLower(out), strings.ToLower(secret))
	}

	// The same components make an AES key with a check value of its own.
	out, err = v.run("ceremony", "--purpose", "desfire-tmac", "--component", a, "--component", b)
	require.NoError(t, err)
	key = v.ring().Masters[keys.ID{Purpose: keys.DESFireTMAC, Version: 1}]
	check = keys.KindAES.CheckValue(key)
	require.Contains(t, out, "master key desfire-tmac/01/00: check value "+strings.ToUpper(hex.EncodeToString(check[:]))+" (AES)")
	require.Contains(t, lines(out, "  master")[0], " AES ")

	for name, c := range map[string]struct {
		args string
		says string
	}{
		"the same name again":    {"--purpose load --version 0A --component " + a + " --component " + b, "already"},
		"one component":          {"--purpose load --component " + a, "want 2 or 3"},
		"the same one twice":     {"--purpose load --component " + a + " --component " + a, "are the same"},
		"no component":           {"--purpose load --component " + a + " --component " + v.write("bad", "secret words"), "not a key component"},
		"a mistyped one":         {"--purpose load --component " + a + " --component " + v.write("slip", partB+" 000000"), "check value differs"},
		"a purpose of two words": {"--purpose Load --component " + a + " --component " + b, "small letters"},
		"a version of one digit": {"--purpose load --version 1 --component " + a + " --component " + b, "two hexadecimal digits"},
		"nobody to ask":          {"--purpose load", "nobody to ask"},
		"a component nobody has": {"--purpose load --component " + a + " --component " + a + ".not", "component 2"},
	} {
		t.Run(name, func(t *testing.T) {
			v := &vault{t: t, dir: v.dir, identity: v.identity, file: v.file}
			_, err := v.run(append([]string{"ceremony"}, strings.Fields(c.args)...)...)
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "secret words")
			require.NotContains(t, err.Error(), "22222222")
		})
	}
}

func TestComponentsAreAskedForAgain(t *testing.T) {
	answers := []string{"no digits", partA, partB + " 123456", partB}
	parts, err := askComponents(2, keys.Kind3DES, func(prompt string) (string, error) {
		require.Contains(t, prompt, "not shown")
		next := answers[0]
		answers = answers[1:]
		return next, nil
	})
	require.NoError(t, err)
	require.Len(t, parts, 2)
	require.Empty(t, answers)
	_, err = askComponents(2, keys.Kind3DES, func(string) (string, error) { return "", errors.New("hung up") })
	require.ErrorContains(t, err, "hung up")
	for _, n := range []int{1, 4} {
		_, err = components{Parts: n}.ask(keys.Kind3DES)
		require.ErrorContains(t, err, "want 2 or 3")
	}
}

func TestTheNextVersionOfAKey(t *testing.T) {
	v := newVault(t)
	for range 2 {
		_, err := v.run("add", "--purpose", "tac")
		require.NoError(t, err)
	}
	masters := v.ring().Masters
	require.Len(t, masters, 2)
	one, two := masters[keys.ID{Purpose: keys.TAC, Version: 1}], masters[keys.ID{Purpose: keys.TAC, Version: 2}]
	require.NotEqual(t, keys.Key{}, one)
	require.NotEqual(t, keys.Key{}, two)
	require.False(t, one == two)
	require.FileExists(t, filepath.Join(v.dir, "0.age"), "the old files stay")
	_, err := runKeys(t, "add", "--purpose", "tac", "--file", v.file, "--identity-file", v.identity, "--out", v.file)
	require.ErrorContains(t, err, "exists")
}

func TestAKeyTravels(t *testing.T) {
	from, to := newVault(t), newVault(t)
	_, err := from.run("add", "--purpose", "purchase")
	require.NoError(t, err)
	a, b := from.write("a", partA), from.write("b", partB)
	block := filepath.Join(from.dir, "block")
	export := []string{"export", "--file", from.file, "--identity-file", from.identity, "--purpose", "purchase", "--block", block, "--component", a, "--component", b}
	out, err := runKeys(t, export...)
	require.NoError(t, err)
	key := from.ring().Masters[keys.ID{Purpose: keys.Purchase, Version: 1}]
	raw, err := os.ReadFile(block)
	require.NoError(t, err)
	for _, text := range []string{out, string(raw)} {
		require.NotContains(t, strings.ToLower(text), hex.EncodeToString(key[:4]))
	}
	_, err = runKeys(t, export...)
	require.ErrorContains(t, err, "exists")

	_, err = to.run("import", "--block", block, "--component", a, "--component", from.write("other", partC))
	require.ErrorIs(t, err, keys.ErrTransportKey)
	_, err = to.run("import", "--block", from.write("bad", strings.Replace(string(raw), "purchase", "load", 1)), "--component", a, "--component", b)
	require.ErrorIs(t, err, keys.ErrTransport)
	_, err = to.run("import", "--block", block, "--component", b, "--component", a)
	require.NoError(t, err)
	require.True(t, key == to.ring().Masters[keys.ID{Purpose: keys.Purchase, Version: 1}])
	_, err = to.run("import", "--block", block, "--component", b, "--component", a)
	require.ErrorIs(t, err, keys.ErrHeld)
}
