package api_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/api"
)

func TestATokenFile(t *testing.T) {
	ops, opsHash := api.NewToken(rand.Reader)
	bus, busHash := api.NewToken(rand.Reader)
	tokens, err := api.LoadTokens(fmt.Appendf(nil, `
version: 1
tokens:
  - name: ops
    role: operator
    sha256: %s
  - {name: kiosk-7, role: agent, acquirer: bus, sha256: %s} # as good as a block
`, opsHash, strings.ToUpper(busHash)))
	require.NoError(t, err)
	require.Equal(t, 2, tokens.Len())
	for token, want := range map[string]string{ops: "ops/operator//true", bus: "kiosk-7/agent/bus/true", bus + "x": "///false", "": "///false", busHash: "///false"} {
		name, role, acquirer, found := tokens.Whose(token)
		require.Equal(t, want, fmt.Sprintf("%s/%s/%s/%v", name, role, acquirer, found))
	}
	var none api.Tokens
	_, _, _, found := none.Whose("")
	require.False(t, found)
}

func TestNewToken(t *testing.T) {
	token, hash := api.NewToken(bytes.NewReader(make([]byte, 32)))
	require.Equal(t, "pl1_"+strings.Repeat("A", 43), token)
	sum := sha256.Sum256([]byte(token))
	require.Equal(t, hex.EncodeToString(sum[:]), hash)
	one, _ := api.NewToken(rand.Reader)
	other, _ := api.NewToken(rand.Reader)
	require.NotEqual(t, one, other)
	require.Panics(t, func() { api.NewToken(iotest.ErrReader(bytes.ErrTooLarge)) })
	require.Panics(t, func() { api.NewToken(bytes.NewReader(make([]byte, 31))) }, "half a token can be guessed")
}

func TestTokenFilesThatAreRefused(t *testing.T) {
	hash := func(n byte) string { return strings.Repeat(fmt.Sprintf("%02x", n), 32) }
	entry := func(s string) string { return "version: 1\ntokens:\n" + s }
	empty := sha256.Sum256(nil)
	cases := map[string]struct{ file, says string }{
		"nothing":                     {"", "form"},
		"no version":                  {"tokens: []", "version 0"},
		"another version":             {"version: 2", "version 2"},
		"not YAML":                    {"\x00", "form"},
		"two documents":               {"version: 1\n---\nversion: 1", "one document"},
		"a field nobody knows":        {entry("- {name: a, role: operator, token: in-clear, sha256: " + hash(1) + "}"), "form"},
		"no name":                     {entry("- {role: operator, sha256: " + hash(1) + "}"), "entry 1: name"},
		"a name that breaks log":      {entry("- {name: \"a b\", role: operator, sha256: " + hash(1) + "}"), "entry 1: name"},
		"no role":                     {entry("- {name: a, sha256: " + hash(1) + "}"), "role"},
		"a role nobody knows":         {entry("- {name: a, role: god, sha256: " + hash(1) + "}"), "role"},
		"an agent of nobody":          {entry("- {name: a, role: agent, sha256: " + hash(1) + "}"), "acquirer"},
		"an operator of someone":      {entry("- {name: a, role: operator, acquirer: bus, sha256: " + hash(1) + "}"), "acquirer"},
		"no hash":                     {entry("- {name: a, role: operator}"), "sha256"},
		"a short hash":                {entry("- {name: a, role: operator, sha256: " + hash(1)[2:] + "}"), "sha256"},
		"a token in place of a hash":  {entry("- {name: a, role: operator, sha256: pl1_secret}"), "sha256"},
		"the hash of an empty token":  {entry("- {name: a, role: operator, sha256: " + hex.EncodeToString(empty[:]) + "}"), "empty token"},
		"a name twice":                {entry("- {name: a, role: operator, sha256: " + hash(1) + "}\n- {name: a, role: operator, sha256: " + hash(2) + "}"), "entry 2: a: name used twice"},
		"a token twice":               {entry("- {name: a, role: operator, sha256: " + hash(1) + "}\n- {name: b, role: agent, acquirer: bus, sha256: " + hash(1) + "}"), "entry 2: b: same token as a"},
		"more than anyone can handle": {entry(strings.Repeat("- {}\n", 1001)), "at most 1000"},
		"too long":                    {strings.Repeat("#", 1<<20+1), "bytes"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			tokens, err := api.LoadTokens([]byte(c.file))
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "in-clear")
			require.NotContains(t, err.Error(), "secret", "what stands in the file is not for logs")
			require.Zero(t, tokens.Len())
		})
	}
}

// FuzzLoadTokens: any file is an error, or lets in only tokens whose hash it names.
func FuzzLoadTokens(f *testing.F) {
	_, hash := api.NewToken(bytes.NewReader(make([]byte, 32)))
	f.Add([]byte("version: 1\ntokens:\n- {name: a, role: operator, sha256: " + hash + "}\n"))
	f.Add([]byte(`{"version":1,"tokens":[{"name":"a","role":"agent","acquirer":"bus","sha256":"` + hash + `"}]}`))
	f.Add([]byte("version: 1\ntokens: &a [*a]"))
	f.Add([]byte("- ? : {"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		tokens, err := api.LoadTokens(raw)
		if err != nil {
			require.Zero(t, tokens.Len())
			return
		}
		_, _, _, found := tokens.Whose("")
		require.False(t, found)
		name, role, acquirer, found := tokens.Whose("pl1_" + strings.Repeat("A", 43))
		if found {
			require.NotEmpty(t, name)
			require.Equal(t, role == "agent", acquirer != "")
		}
	})
}
