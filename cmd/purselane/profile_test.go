package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// profile runs `purselane profile …`.
func profile(args ...string) (string, error) {
	var cli struct {
		Init    InitCmd    `cmd:""`
		Profile ProfileCmd `cmd:""`
	}
	var out bytes.Buffer
	parser, err := kong.New(&cli, kong.Writers(&out, &out))
	if err != nil {
		return "", err
	}
	k, err := parser.Parse(args)
	if err != nil {
		return "", err
	}
	err = k.Run()
	return out.String(), err
}

func TestProfilesAreCheckedShownAndSigned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "scheme")
	_, err := profile("init", "--dir", dir)
	require.NoError(t, err)
	plain, signed := filepath.Join(dir, "profile.yaml"), filepath.Join(dir, "profile.signed")

	sample, err := profile("profile", "sample")
	require.NoError(t, err)
	out, err := profile("profile", "check", plain)
	require.NoError(t, err)
	require.Contains(t, out, "is sound: profile 1")
	require.Contains(t, out, "not signed")
	out, err = profile("profile", "show", signed)
	require.NoError(t, err)
	require.Contains(t, out, "NOT checked")
	require.Regexp(t, `bus 0007\s+2\.00`, out)
	require.Regexp(t, `Harbour 0101\s+3\.00\s+3\.00\s+3\.00\s+4\.00\s+6\.00\s+6\.00`, out)
	require.Contains(t, out, "missing entry 6.00, over time 6.00 after 4h0m0s")

	// Signing the same again changes nothing; another text needs a higher version.
	before, err := os.ReadFile(signed)
	require.NoError(t, err)
	out, err = profile("profile", "sign", "--dir", dir)
	require.NoError(t, err)
	key := regexp.MustCompile(`public key ([0-9a-f]{64})`).FindStringSubmatch(out)
	require.Len(t, key, 2)
	dearer := strings.Replace(sample, `fare: "2.00"`, `fare: "2.20"`, 1)
	require.NoError(t, os.WriteFile(plain, []byte(dearer), 0o644))
	_, err = profile("profile", "sign", "--dir", dir)
	require.ErrorContains(t, err, "version 1 is not above 1")
	after, err := os.ReadFile(signed)
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.NoError(t, os.WriteFile(plain, []byte(strings.Replace(dearer, "version: 1", "version: 2", 1)), 0o644))
	_, err = profile("profile", "sign", "--dir", dir)
	require.NoError(t, err)

	out, err = profile("profile", "check", signed, "--public-key", key[1])
	require.NoError(t, err)
	require.Contains(t, out, "profile 2")
	require.Contains(t, out, "signed by that key")
	_, err = profile("profile", "check", plain, "--public-key", key[1])
	require.ErrorContains(t, err, "no signature line")
	_, err = profile("profile", "check", signed, "--public-key", strings.Repeat("00", 32))
	require.ErrorContains(t, err, "signed by another key")
	_, err = profile("profile", "check", signed, "--public-key", "00")
	require.ErrorContains(t, err, "--public-key")
	_, err = profile("profile", "sign", "--dir", dir, "--file", signed)
	require.ErrorContains(t, err, "signed already")

	require.NoError(t, os.WriteFile(plain, []byte(strings.Replace(sample, "currency: CNY", "currency: yuan", 1)), 0o644))
	_, err = profile("profile", "check", plain)
	require.ErrorContains(t, err, "currency")
	_, err = profile("profile", "sign", "--dir", dir)
	require.ErrorContains(t, err, "currency", "what is not sound is not signed")
}
