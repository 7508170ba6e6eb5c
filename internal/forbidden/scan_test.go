package forbidden_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/forbidden"
)

// Numbers that card schemes publish for tests.
var cards = []string{"4111111111111111", "4222222222222", "5555555555554444", "2223003122003222", "378282246310005", "3530111333300000", "6216261000000000018", "6011111111111117", "30569309025904"}

func scan(t *testing.T, s *forbidden.Scanner, b []byte) []forbidden.Found {
	t.Helper()
	var all []forbidden.Found
	require.NoError(t, s.Scan(bytes.NewReader(b), func(f forbidden.Found) { all = append(all, f) }))
	return all
}

func scanner(t *testing.T, secrets ...forbidden.Secret) *forbidden.Scanner {
	t.Helper()
	s, err := forbidden.New(secrets...)
	require.NoError(t, err)
	return s
}

func packed(digits string) []byte {
	if len(digits)%2 == 1 {
		digits += "f"
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		panic(err)
	}
	return b
}

// TestACardThatNobodyNamedIsFound: planted in each form that the page promises, among noise.
func TestACardThatNobodyNamedIsFound(t *testing.T) {
	for _, c := range cards {
		grouped := c
		if len(c) == 16 {
			grouped = c[:4] + " " + c[4:8] + " " + c[8:12] + " " + c[12:]
		}
		wide := new(bytes.Buffer)
		for _, u := range utf16.Encode([]rune(c)) {
			wide.Write([]byte{byte(u), byte(u >> 8)})
		}
		for name, planted := range map[string][]byte{
			"text": []byte(`"pan":"` + c + `"`), "beside letters": []byte("O01" + "X" + c + "paid"), "in groups": []byte("card " + grouped + ", please"), "after a date": []byte("2026-11-25 " + c),
			"dashes": []byte(strings.ReplaceAll(grouped, " ", "-")), "hexadecimal": []byte(" " + hex.EncodeToString([]byte(c)) + " "), "UTF-16": append([]byte{9}, wide.Bytes()...),
			"base64": []byte(base64.StdEncoding.EncodeToString([]byte(`{"n":"` + c + `"}`))), "base64 in a word": []byte("tok" + base64.RawURLEncoding.EncodeToString([]byte("pan "+c+" x"))),
		} {
			all := scan(t, scanner(t), append(append([]byte("noise 1764000000000 "), planted...), " more"...))
			require.NotEmpty(t, all, "%s as %s", c, name)
			require.Equal(t, forbidden.Card, all[0].Kind)
			require.NotContains(t, all[0].String(), c)
			require.Contains(t, all[0].String(), c[len(c)-4:])
		}
	}
}

func TestTracksAndVerificationValues(t *testing.T) {
	for _, c := range []struct {
		planted string
		kind    forbidden.Kind
	}{
		{";4111111111111111=29121011234?", forbidden.Track},
		{string(packed("4111111111111111D29121011234")), forbidden.Track},
		{"\x01" + string(packed("0378282246310005D29121011234")) + "\x02", forbidden.Track},
		{base64.StdEncoding.EncodeToString(packed("6216261000000000018D29121011234")), forbidden.Track},
		{`{"cvv2": "123"}`, forbidden.CVV}, {"cvc=1234&x", forbidden.CVV}, {`CVN2:"000"`, forbidden.CVV}, {"security_code: 321", forbidden.CVV},
	} {
		all := scan(t, scanner(t), []byte("some "+c.planted+" more text"))
		kinds := map[forbidden.Kind]bool{}
		for _, f := range all {
			kinds[f.Kind] = true
		}
		require.True(t, kinds[c.kind], "%q: %v", c.planted, all)
	}
}

func TestAKnownSecretIsFoundInEveryForm(t *testing.T) {
	key := []byte{0x00, 0xF1, 0x2E, 0xD3, 0x4C, 0xB5, 0x6A, 0x97, 0x88, 0x79, 0x6A, 0x5B, 0x4C, 0x3D, 0x2E, 0x1F}
	pan := []byte("6222020200112233445")
	s := scanner(t, forbidden.Secret{Name: "a key", Value: key}, forbidden.Secret{Name: "a card", Value: pan})
	for _, secret := range [][]byte{key, pan} {
		for lead := range 5 {
			around := func(b []byte) []byte { return append(append(bytes.Repeat([]byte{0xEE}, lead), b...), 0xEE, 0xEE) }
			for _, planted := range [][]byte{around(secret), []byte(hex.EncodeToString(around(secret))), []byte(strings.ToUpper(hex.EncodeToString(around(secret)))),
				[]byte(base64.StdEncoding.EncodeToString(around(secret))), []byte(base64.RawURLEncoding.EncodeToString(around(secret)))} {
				require.NotEmpty(t, scan(t, s, planted), "%x", planted)
			}
		}
	}
	for _, digits := range []string{string(pan) + "f", "1" + string(pan), "19" + string(pan) + "f", "0c" + string(pan) + "0"} {
		raw, err := hex.DecodeString(digits)
		require.NoError(t, err)
		require.NotEmpty(t, scan(t, s, raw), digits)
		require.NotEmpty(t, scan(t, s, []byte(base64.StdEncoding.EncodeToString(raw))), digits)
	}
	_, err := forbidden.New(forbidden.Secret{Name: "short", Value: []byte("1234567")})
	require.Error(t, err)
}

// TestWhatIsNoCardIsNotFound: what our own files are full of.
func TestWhatIsNoCardIsNotFound(t *testing.T) {
	s := scanner(t)
	random := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for i := range 5_000 {
		fmt.Fprintf(&b, "%d 2026-11-25T14:%02d:%02d.%09dZ 0001010301001000%04d sha256:%x masked 411111******1111 RRN %012d %06x\n", 1_764_000_000_000+i*77, i/60%60, i%60, i*7919%1_000_000_000, i%10000,
			random.Uint64(), random.Uint64N(1e12), random.Uint32())
	}
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	b.Write(noise)
	require.Empty(t, scan(t, s, b.Bytes()))
}

// TestWhatLiesAcrossChunksIsFoundOnce plants at every place around the ends of the pieces that are read.
func TestWhatLiesAcrossChunksIsFoundOnce(t *testing.T) {
	key := []byte("K7-this-is-a-key")
	s := scanner(t, forbidden.Secret{Name: "a key", Value: key})
	const size = 3 << 20
	for _, at := range []int{0, 1<<20 - 8, 1<<20 + 4<<10 - 8, 1<<20 + 2<<10 - 8, 1<<20 + 2<<10, 2<<20 - 8, 2<<20 + 2<<10 - 4, size - 16} {
		b := bytes.Repeat([]byte{'.'}, size)
		copy(b[at:], key)
		all := scan(t, s, b)
		require.Len(t, all, 1, "at %d", at)
		require.Equal(t, int64(at), all[0].At)
		b = bytes.Repeat([]byte{'.'}, size)
		copy(b[at:], "4111111111111111")
		all = scan(t, s, b)
		require.Len(t, all, 1, "at %d", at)
		require.Equal(t, int64(at), all[0].At)
	}
}

func TestATreeWithPackedFiles(t *testing.T) {
	var gz, z bytes.Buffer
	w := gzip.NewWriter(&gz)
	_, err := w.Write([]byte("pan 5555555555554444"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	zw := zip.NewWriter(&z)
	f, err := zw.Create("bill.csv")
	require.NoError(t, err)
	_, err = f.Write([]byte("pan,5555555555554444\n"))
	require.NoError(t, err)
	require.NoError(t, zw.Close())
	var where []string
	total, err := scanner(t).Tree(fstest.MapFS{"logs/a.log.gz": {Data: gz.Bytes()}, "bill.zip": {Data: z.Bytes()}, "plain.txt": {Data: []byte("4111111111111111")}, "clean.txt": {Data: []byte("nothing")},
		"broken.gz": {Data: []byte("none")}}, func(path string, _ forbidden.Found) { where = append(where, path) })
	require.ErrorContains(t, err, "broken.gz")
	require.ElementsMatch(t, []string{"logs/a.log.gz (unpacked)", "bill.zip/bill.csv", "plain.txt"}, where)
	require.Equal(t, 5, total.Files)
	require.Equal(t, 3, total.Found)
}

func FuzzScan(f *testing.F) {
	f.Add([]byte("x4111111111111111x"), 3)
	f.Add([]byte(";4111111111111111=2912101?"), 0)
	f.Add([]byte(strings.Repeat("9", 40)), 1)
	s, err := forbidden.New()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte, _ int) {
		for _, x := range append([][]byte{b}, append(bytes.Clone(b), ".4111111111111111."...)) {
			n := 0
			if err := s.Scan(bytes.NewReader(x), func(found forbidden.Found) {
				n++
				if found.At < 0 || found.At > int64(len(x)) {
					t.Fatalf("at %d of %d", found.At, len(x))
				}
			}); err != nil {
				t.Fatal(err)
			}
			if len(x) != len(b) && n == 0 {
				t.Fatal("a card that stands alone is not found")
			}
		}
	})
}
