package bitslice_test

import (
	"bufio"
	"crypto/des" //nolint:gosec // what this package is compared with
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/keys/bitslice"
)

// TestLanesSayWhatTheStandardLibrarySays: other key, other data in each lane, both ways, single and triple.
func TestLanesSayWhatTheStandardLibrarySays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys, data := doubles(t, "keys"), blocks(t, "data")
		var k bitslice.Key
		k.SetKeys(&keys)
		single, triple, back, back3 := of(data), of(data), of(data), of(data)
		single.Encrypt(&k.Left)
		triple.Encrypt3(&k)
		back.Decrypt(&k.Left)
		back3.Decrypt3(&k)
		singles, triples, backs, backs3 := single.Get(), triple.Get(), back.Get(), back3.Get()
		for j := range data {
			one, err := des.NewCipher(keys[j][:8])
			require.NoError(t, err)
			three, err := des.NewTripleDESCipher(append(keys[j][:], keys[j][:8]...))
			require.NoError(t, err)
			var want [8]byte
			one.Encrypt(want[:], data[j][:])
			require.Equal(t, want, singles[j], "lane %d", j)
			one.Decrypt(want[:], data[j][:])
			require.Equal(t, want, backs[j], "lane %d back", j)
			three.Encrypt(want[:], data[j][:])
			require.Equal(t, want, triples[j], "lane %d triple", j)
			three.Decrypt(want[:], data[j][:])
			require.Equal(t, want, backs3[j], "lane %d triple, back", j)
		}
		single.Decrypt(&k.Left)
		triple.Decrypt3(&k)
		require.Equal(t, data, single.Get())
		require.Equal(t, data, triple.Get())
	})
}

// TestKnownAnswers runs the published vectors, as many at a time as there are lanes.
func TestKnownAnswers(t *testing.T) {
	f, err := os.Open("testdata/nist-sp800-20.txt")
	require.NoError(t, err)
	defer f.Close()
	var keys, plain, cipher [][8]byte
	tables := map[string]int{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if words[0] == "#" {
			continue
		}
		require.Len(t, words, 4)
		tables[words[0]]++
		for i, into := range []*[][8]byte{&keys, &plain, &cipher} {
			raw, err := hex.DecodeString(words[i+1])
			require.NoError(t, err)
			*into = append(*into, [8]byte(raw))
		}
	}
	require.NoError(t, lines.Err())
	require.Equal(t, map[string]int{"A.1": 64, "A.2": 56, "A.3": 32, "A.4": 19}, tables)
	for from := 0; from < len(keys); from += bitslice.Lanes {
		var k, p, c [bitslice.Lanes][8]byte
		n := copy(k[:], keys[from:])
		copy(p[:], plain[from:])
		copy(c[:], cipher[from:])
		key, forth, back := of(k), of(p), of(c)
		forth.Encrypt(&key)
		back.Decrypt(&key)
		gotC, gotP := forth.Get(), back.Get()
		require.Equal(t, c[:n], gotC[:n])
		require.Equal(t, p[:n], gotP[:n])
	}
}

// TestParityIsNotRead: DES leaves the last bit of each key byte alone.
func TestParityIsNotRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, data := blocks(t, "keys"), blocks(t, "data")
		key, a, b := of(k), of(data), of(data)
		a.Encrypt(&key)
		for i := 7; i < 64; i += 8 {
			key[i] = ^key[i]
		}
		b.Encrypt(&key)
		require.Equal(t, a, b)
	})
}
