package keys_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/keys"
)

// hexBytes are hexadecimal digits in a vector file.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	*h = raw
	return err
}

func (h hexBytes) key() keys.Key { return keys.Key(h) }

type vector struct {
	ID, Source             string
	Key, IV, Data, Message hexBytes
	Factors                []hexBytes
	Want                   hexBytes
}

type vectors struct {
	About                                          string
	Diversify, Fold, Session, MAC8, MAC16, Encrypt []vector
}

func readVectors(t *testing.T) vectors {
	t.Helper()
	raw, err := os.ReadFile("testdata/primitives.json")
	require.NoError(t, err)
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	var v vectors
	require.NoError(t, d.Decode(&v))
	return v
}

// TestPrimitives runs every vector of the 3DES primitives.
func TestPrimitives(t *testing.T) {
	v := readVectors(t)
	groups := []struct {
		name string
		all  []vector
		f    func(vector) []byte
	}{
		{"diversify", v.Diversify, func(v vector) []byte {
			var factors [][8]byte
			for _, f := range v.Factors {
				factors = append(factors, [8]byte(f))
			}
			k := keys.Diversify(v.Key.key(), factors...)
			return k[:]
		}},
		{"fold", v.Fold, func(v vector) []byte { k := keys.FoldTAC(v.Key.key()); return k[:] }},
		{"session", v.Session, func(v vector) []byte { k := keys.SessionKey(v.Key.key(), [8]byte(v.Data)); return k[:] }},
		{"mac8", v.MAC8, func(v vector) []byte { m := keys.MAC8IV([8]byte(v.Key), [8]byte(v.IV), v.Message); return m[:] }},
		{"mac16", v.MAC16, func(v vector) []byte { m := keys.MAC16(v.Key.key(), [8]byte(v.IV), v.Message); return m[:] }},
		{"encrypt", v.Encrypt, func(v vector) []byte {
			var out []byte
			for block := range chunks8(v.Data) {
				c := keys.Encrypt3DES(v.Key.key(), block)
				out = append(out, c[:]...)
			}
			return out
		}},
	}
	for _, g := range groups {
		require.NotEmpty(t, g.all, g.name)
		for _, v := range g.all {
			t.Run(g.name+"/"+v.ID, func(t *testing.T) {
				require.Equal(t, hexOf(v.Want), hexOf(g.f(v)))
			})
		}
	}
}

func chunks8(b []byte) func(func([8]byte) bool) {
	return func(yield func([8]byte) bool) {
		for ; len(b) > 0; b = b[8:] {
			if !yield([8]byte(b)) {
				return
			}
		}
	}
}

// TestMACsPadAlways: 80 is appended even to whole blocks, so a message and its padded form differ.
func TestMACsPadAlways(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := [8]byte(rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "key"))
		whole := rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "block")
		if bytes.Equal(whole[1:], make([]byte, 7)) {
			return // may be a padding itself
		}
		require.NotEqual(t, keys.MAC8(k, whole[:7]), keys.MAC8(k, append(bytes.Clone(whole[:7]), 0x80)))
		require.Equal(t, keys.MAC8(k, whole), keys.MAC8IV(k, [8]byte{}, whole))
		// Both halves equal: the retail MAC is the plain one.
		require.Equal(t, keys.MAC8IV(k, [8]byte{1}, whole), keys.MAC16(keys.Key(append(k[:], k[:]...)), [8]byte{1}, whole))
	})
}

func TestAMACChangesNothingOfItsMessage(t *testing.T) {
	message := append(make([]byte, 0, 64), 1, 2, 3)
	keys.MAC8([8]byte{1}, message)
	keys.MAC16(keys.Key{1}, [8]byte{}, message)
	require.Equal(t, make([]byte, 61), message[3:64], "the padding is not written behind the caller's bytes")
}

func TestCheckValue(t *testing.T) {
	// 8CA64DE9C1B123A7 is DES of zeros under a key of zeros.
	require.Equal(t, [3]byte{0x8C, 0xA6, 0x4D}, keys.CheckValue(keys.Key{}))
	var k keys.Key
	_, err := hex.Decode(k[:], []byte("00112233445566778899AABBCCDDEEFF"))
	require.NoError(t, err)
	whole := keys.Encrypt3DES(k, [8]byte{})
	require.Equal(t, whole[:3], func() []byte { c := keys.CheckValue(k); return c[:] }())
}

func TestIDs(t *testing.T) {
	a := keys.ID{Purpose: keys.Load, Version: 1, Algorithm: 0x10}
	require.Equal(t, "load/01/10", a.String())
	require.Zero(t, a.Compare(a))
	for _, b := range []keys.ID{{Purpose: keys.Purchase}, {Purpose: keys.Load, Version: 2}, {Purpose: keys.Load, Version: 1, Algorithm: 0x11}} {
		require.Negative(t, a.Compare(b), b)
		require.Positive(t, b.Compare(a), b)
	}
}

// ascending are the master keys of purse facts 8.2.
func ascending(first byte) (k keys.Key) {
	for i := range k {
		k[i] = first + byte(i)
	}
	return k
}

func TestTheSoftwareHSM(t *testing.T) {
	id := func(p keys.Purpose) keys.ID { return keys.ID{Purpose: p, Version: 1} }
	masters := map[keys.ID]keys.Key{id(keys.Purchase): ascending(0x40), id(keys.Load): ascending(0x50), id(keys.TAC): ascending(0x60), id(keys.Maintenance): ascending(0x90)}
	hsm := keys.NewSoft(masters)
	cached, err := keys.NewCachedSoft(masters, keys.DefaultCache)
	require.NoError(t, err)
	clear(masters) // the HSM has its own copy
	theVectorsOfAnHSM(t, hsm)
	theVectorsOfAnHSM(t, cached)
	theVectorsOfAnHSM(t, cached) // from the cache now
	cached.Forget()
	theVectorsOfAnHSM(t, cached)
}

// theVectorsOfAnHSM are what any HSM answers that holds the master keys of purse facts 8.2.
func theVectorsOfAnHSM(t *testing.T, hsm keys.HSM) {
	id := func(p keys.Purpose) keys.ID { return keys.ID{Purpose: p, Version: 1} }
	serial, issuer := [8]byte{2, 3, 4, 5, 6, 7, 8, 9}, [8]byte{1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF}
	one, two := [][8]byte{serial}, [][8]byte{issuer, serial}
	unhex := func(s string) []byte {
		raw, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		require.NoError(t, err)
		return raw
	}
	ctx := t.Context()

	// The rows of purse facts 8.2 for one level and two.
	tac, err := hsm.TAC(ctx, keys.Card{ID: id(keys.TAC), Factors: one}, unhex("000000C8 06 112233445566 00000123 20240115083000"))
	require.NoError(t, err)
	require.Equal(t, "fc4773ea", hexOf(tac[:]))
	tac, err = hsm.TAC(ctx, keys.Card{ID: id(keys.TAC), Factors: two}, unhex("0000012C 09 112233445566 00000201 20240115083512"))
	require.NoError(t, err)
	require.Equal(t, "fd66fc1f", hexOf(tac[:]))
	mac, err := hsm.SessionMAC(ctx, keys.Card{ID: id(keys.Purchase), Factors: two}, [8]byte(unhex("F0E0D0C000110201")), unhex("0000012C"))
	require.NoError(t, err)
	require.Equal(t, "e2dd1004", hexOf(mac[:]))
	mac, err = hsm.SessionMAC(ctx, keys.Card{ID: id(keys.Load), Factors: one}, [8]byte(unhex("0A0B0C0D00038000")), unhex("00001388 02 112233445566 20240115083000"))
	require.NoError(t, err)
	require.Equal(t, "03d12982", hexOf(mac[:]))

	cases := []struct {
		name    string
		card    keys.Card
		session bool
		unknown bool // ErrUnknownKey
		says    string
	}{
		{"another version", keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 2}, Factors: one}, false, true, "tac/02/00"},
		{"another algorithm", keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1, Algorithm: 4}, Factors: one}, false, true, "tac/01/04"},
		{"a load key for a TAC", keys.Card{ID: id(keys.Load), Factors: one}, false, false, "asked to do"},
		{"a TAC key for a session", keys.Card{ID: id(keys.TAC), Factors: one}, true, false, "have no sessions"},
		{"a maintenance key for a session", keys.Card{ID: id(keys.Maintenance), Factors: one}, true, false, "have no sessions"},
		{"no factor", keys.Card{ID: id(keys.TAC)}, false, false, "0 diversification factors"},
		{"no factor for a session", keys.Card{ID: id(keys.Load)}, true, false, "0 diversification factors"},
		{"four factors", keys.Card{ID: id(keys.TAC), Factors: make([][8]byte, 4)}, false, false, "4 diversification factors"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got [4]byte
			var err error
			if c.session {
				got, err = hsm.SessionMAC(ctx, c.card, [8]byte{}, nil)
			} else {
				got, err = hsm.TAC(ctx, c.card, nil)
			}
			require.ErrorContains(t, err, c.says)
			require.Zero(t, got)
			if c.unknown {
				require.ErrorIs(t, err, keys.ErrUnknownKey)
			} else {
				require.NotErrorIs(t, err, keys.ErrUnknownKey)
			}
		})
	}
}
