package main

import (
	"bytes"
	"crypto/ed25519"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
	"github.com/purselane/purselane/terminal/tap"
)

var docs = filepath.Join("..", "..", "docs")

var update = flag.Bool("update", false, "sign docs/examples/profile.yaml anew")

// exampleKey signs the example. Everyone knows it, so that the example can be signed again.
func exampleKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
}

// TestTheExamplesAreSound checks the examples as a reader would, beside the secrets that no example can hold.
func TestTheExamplesAreSound(t *testing.T) {
	examples := filepath.Join(docs, "examples")
	text, err := os.ReadFile(filepath.Join(examples, "profile.yaml"))
	require.NoError(t, err)
	signed := firmwareconfig.Sign(exampleKey(), text)
	if *update {
		require.NoError(t, os.WriteFile(filepath.Join(examples, "profile.signed"), signed, 0o644))
	}
	have, err := os.ReadFile(filepath.Join(examples, "profile.signed"))
	require.NoError(t, err)
	require.Equal(t, string(signed), string(have), "sign it again: go test ./cmd/purselane-terminal -run Examples -update")

	dir := t.TempDir()
	for _, name := range []string{"terminal.yaml", "profile.signed"} {
		raw, err := os.ReadFile(filepath.Join(examples, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), raw, 0o644))
	}
	_, err = terminal("device-key", "--file", filepath.Join(dir, "device.key"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "broker.password"), []byte("secret\n"), 0o600))
	img, err := personalise.PSAM(testMasters(), personalise.PSAMSpec{Terminal: ep.TerminalNumber{0x11}, Issuer: testIssuer, NextSerial: 1})
	require.NoError(t, err)
	chip, err := psam.CreateFile(filepath.Join(dir, "psam.json"), img)
	require.NoError(t, err)
	require.NoError(t, chip.Close())
	out, err := terminal("check", "--config", filepath.Join(dir, "terminal.yaml"))
	require.NoError(t, err)
	require.Contains(t, out, "profile 12 of sample-city, 3 lanes")
}

func page(t *testing.T, name string) string {
	raw, err := os.ReadFile(filepath.Join(docs, name))
	require.NoError(t, err)
	return string(raw)
}

// TestThePageHasEveryOutcome keeps the table of docs/terminal.md equal to the code.
func TestThePageHasEveryOutcome(t *testing.T) {
	text := page(t, "terminal.md")
	rows := regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (green|amber|red) \\| (\\d) \\| (yes|no) \\|").FindAllStringSubmatch(text, -1)
	var want, have []string
	for o := tap.Granted; o <= tap.OutOfService; o++ {
		pass := map[bool]string{true: "yes", false: "no"}[o.Pass()]
		want = append(want, fmt.Sprint(o, o.Pattern(firmwareconfig.Sample()).Light, o.Pattern(firmwareconfig.Sample()).Beeps(), pass))
	}
	require.Equal(t, "", (tap.OutOfService + 1).String(), "an outcome was added after OutOfService")
	for _, r := range rows {
		have = append(have, fmt.Sprint(r[1], r[2], r[3], r[4]))
	}
	require.Equal(t, len(want), len(have))
	for i := range want {
		require.Equal(t, strings.ReplaceAll(want[i], " ", ""), strings.ReplaceAll(have[i], " ", ""))
	}
}

// TestThePagesHaveEveryKey looks for each key of the two formats in its page.
func TestThePagesHaveEveryKey(t *testing.T) {
	for name, v := range map[string]reflect.Type{"terminal.md": reflect.TypeFor[config](), "profile.md": reflect.TypeFor[firmwareconfig.Profile]()} {
		text := page(t, name)
		keys := yamlKeys(v, "")
		require.Greater(t, len(keys), 20)
		for _, key := range keys {
			require.Contains(t, text, "`"+key+"`", name)
		}
	}
	text := page(t, "terminal.md")
	for i := range reflect.TypeFor[line]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[line]().Field(i).Tag.Get("json"), ",")
		require.Contains(t, text, "`"+name+"`", "a field of the JSON lines")
	}
}

// yamlKeys lists the keys of a format; those of a list's entries by the list's name.
func yamlKeys(v reflect.Type, prefix string) (keys []string) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct || !strings.Contains(v.PkgPath(), "purselane") || strings.HasSuffix(v.PkgPath(), "money") {
		return nil
	}
	for i := range v.NumField() {
		f := v.Field(i)
		name := f.Tag.Get("yaml")
		if name == "" {
			continue
		}
		keys = append(keys, prefix+name)
		keys = append(keys, yamlKeys(f.Type, prefix+name+".")...)
	}
	return keys
}
