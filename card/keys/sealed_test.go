package keys_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/keys"
)

// source is a random source that gives the same bytes for the same seed.
func source(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

func ring(t require.TestingT, seed byte) *keys.Ring {
	r, err := keys.NewRing(source(seed))
	require.NoError(t, err)
	return r
}

// cheap seals to a passphrase with next to no work, so that the tests are fast.
func cheap(t require.TestingT, passphrase string) age.Recipient {
	to, err := keys.PassphraseRecipient(passphrase, keys.WorkFactor(1))
	require.NoError(t, err)
	return to
}

func identity(t require.TestingT, passphrase string) age.Identity {
	i, err := keys.PassphraseIdentity(passphrase)
	require.NoError(t, err)
	return i
}

func sealed(t require.TestingT, r *keys.Ring, to age.Recipient) []byte {
	var out bytes.Buffer
	require.NoError(t, r.Seal(&out, to))
	return out.Bytes()
}

// sealText seals any text, as a newer program or a forger would.
func sealText(t require.TestingT, text []byte, to age.Recipient) []byte {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	require.NoError(t, err)
	_, err = w.Write(text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func TestANewRingHasWhatASchemeNeeds(t *testing.T) {
	r := ring(t, 1)
	require.Len(t, r.Masters, 13)
	different := map[string]bool{}
	for _, p := range []keys.Purpose{keys.Purchase, keys.Load, keys.TAC, keys.Maintenance, keys.Unload, keys.Limit, keys.Reload, keys.Unblock, keys.ECCryptogram, keys.ECMAC, keys.ECEncipher, keys.DESFireTMAC, keys.DESFireApp} {
		k, ok := r.Masters[keys.ID{Purpose: p, Version: 1}]
		require.True(t, ok, p)
		different[string(k[:])] = true
	}
	require.Len(t, different, 13)
	token, err := r.Secret(keys.SecretToken, 32)
	require.NoError(t, err)
	require.Len(t, token, 32)
	receipt, err := r.SigningKey(keys.SecretReceipt)
	require.NoError(t, err)
	profile, err := r.SigningKey(keys.SecretProfile)
	require.NoError(t, err)
	require.NotEqual(t, receipt, profile)
	require.Equal(t, ed25519.NewKeyFromSeed(r.Secrets[keys.SecretReceipt]), receipt)

	require.Equal(t, r, ring(t, 1), "the same bytes, the same ring")
	require.NotEqual(t, r.Secrets, ring(t, 2).Secrets)

	_, err = r.Secret("other", 32)
	require.ErrorIs(t, err, keys.ErrNoSecret)
	_, err = r.Secret(keys.SecretToken, 16)
	require.ErrorIs(t, err, keys.ErrNoSecret)
	_, err = r.SigningKey("other")
	require.ErrorIs(t, err, keys.ErrNoSecret)
	token[0] ^= 1
	require.NotEqual(t, token, []byte(r.Secrets[keys.SecretToken]), "a caller gets a copy")
}

func TestABadRandomSourceDrawsNoRing(t *testing.T) {
	full := errors.New("no more")
	cases := []struct {
		name string
		from io.Reader
		says string
	}{
		{"constant", zeros{}, "repeats itself"},
		{"short", bytes.NewReader(bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, 2)), "drawing keys"},
		{"failing", iotest.ErrReader(full), full.Error()},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := keys.NewRing(c.from)
			require.ErrorContains(t, err, c.says)
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestWhatIsSealedOpens(t *testing.T) {
	x, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	cases := []struct {
		name string
		to   age.Recipient
		with age.Identity
	}{
		{"passphrase", cheap(t, "open sesame"), identity(t, "open sesame")},
		{"identity", x.Recipient(), x},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := ring(t, 1)
			raw := sealed(t, r, c.to)
			got, err := keys.OpenRing(bytes.NewReader(raw), c.with)
			require.NoError(t, err)
			require.Equal(t, r, got)
			for id, k := range r.Masters {
				require.NotContains(t, string(raw), string(k[:]), id)
			}
			require.NotContains(t, string(raw), string(r.Secrets[keys.SecretToken]))
		})
	}
}

// TestWhatDoesNotOpen wants a typed error for each thing that can be wrong, and no byte of a key in it.
func TestWhatDoesNotOpen(t *testing.T) {
	x, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	other, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	r := ring(t, 1)
	byPass, byIdentity := sealed(t, r, cheap(t, "right")), sealed(t, r, x.Recipient())
	text, err := r.Text()
	require.NoError(t, err)
	flip := func(raw []byte, at int) []byte {
		raw = bytes.Clone(raw)
		raw[(at+len(raw))%len(raw)] ^= 1
		return raw
	}
	asText := func(s string) []byte { return sealText(t, []byte(s), x.Recipient()) }
	cases := []struct {
		name string
		raw  []byte
		with age.Identity
		is   error
	}{
		{"another passphrase", byPass, identity(t, "wrong"), keys.ErrWrongPassphrase},
		{"another identity", byIdentity, other, keys.ErrWrongPassphrase},
		{"an identity for a passphrase's file", byPass, x, keys.ErrWrongPassphrase},
		{"a passphrase for an identity's file", byIdentity, identity(t, "right"), keys.ErrWrongPassphrase},
		{"an empty file", nil, x, keys.ErrDamaged},
		{"something else", []byte("{\"masters\":{}}"), x, keys.ErrDamaged},
		{"a byte of the head", flip(byIdentity, 3), x, keys.ErrDamaged},
		{"a byte of the head's MAC", flip(byIdentity, bytes.Index(byIdentity, []byte("\n--- "))+8), x, keys.ErrDamaged},
		{"a byte of the body", flip(byIdentity, -40), x, keys.ErrDamaged},
		{"the last byte", flip(byIdentity, -1), x, keys.ErrDamaged},
		{"the end is cut", byIdentity[:len(byIdentity)-1], x, keys.ErrDamaged},
		{"the body is cut", byIdentity[:bytes.Index(byIdentity, []byte("\n--- "))+50], x, keys.ErrDamaged},
		{"something behind it", append(bytes.Clone(byIdentity), 0), x, keys.ErrDamaged},
		{"too large", append(bytes.Clone(byIdentity), make([]byte, 1<<20)...), x, keys.ErrDamaged},
		{"work without end", bytes.Replace(byPass, []byte(" 1\n"), []byte(" 40\n"), 1), identity(t, "right"), keys.ErrDamaged},
		{"a newer version", asText("purselane keys 3\nwhatever"), x, keys.ErrNewer},
		{"no keys of ours", asText("root:x:0:0\n"), x, keys.ErrDamaged},
		{"an empty text", asText(""), x, keys.ErrDamaged},
		{"version 0", asText("purselane keys 0\n"), x, keys.ErrDamaged},
		{"version 01", asText("purselane keys 01\n"), x, keys.ErrDamaged},
		{"the inner text is cut", asText(string(text[:len(text)-1])), x, keys.ErrDamaged},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := keys.OpenRing(bytes.NewReader(c.raw), c.with)
			require.ErrorIs(t, err, c.is)
			require.Nil(t, got)
			for _, k := range r.Masters {
				require.NotContains(t, err.Error(), strings.ToUpper(hexOf(k[:])))
			}
		})
	}
	broken := errors.New("bad disk")
	_, err = keys.OpenRing(iotest.ErrReader(broken), x)
	require.ErrorIs(t, err, broken)
	require.NotErrorIs(t, err, keys.ErrDamaged, "a disk's fault is not the file's")
}

// TestEveryFlippedBitIsFound tries each byte of a sealed file.
func TestEveryFlippedBitIsFound(t *testing.T) {
	x, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	raw := sealed(t, ring(t, 1), x.Recipient())
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 1 << (i % 8)
		_, err := keys.OpenRing(bytes.NewReader(bad), x)
		require.Error(t, err, "byte %d", i)
	}
}

func TestTheInnerFormHasOneForm(t *testing.T) {
	const key = "000102030405060708090A0B0C0D0E0F"
	const good = "purselane keys 1\nmaster load 01 00 " + key + "\nmaster tac 01 00 " + key + "\nsecret token 01FF\n"
	r, err := keys.ParseRing([]byte(good))
	require.NoError(t, err)
	require.Equal(t, keys.Secret{0x01, 0xFF}, r.Secrets["token"])
	cases := []struct{ name, text string }{
		{"out of order", "purselane keys 1\nmaster tac 01 00 " + key + "\nmaster load 01 00 " + key + "\n"},
		{"secrets first", "purselane keys 1\nsecret token 01FF\nmaster tac 01 00 " + key + "\n"},
		{"the same key twice", "purselane keys 1\nmaster tac 01 00 " + key + "\nmaster tac 01 00 " + key + "\n"},
		{"small digits", strings.ToLower(good)},
		{"two spaces", strings.Replace(good, "tac 01", "tac  01", 1)},
		{"an empty line", good + "\n"},
		{"no newline at the end", strings.TrimSuffix(good, "\n")},
		{"carriage returns", strings.ReplaceAll(good, "\n", "\r\n")},
		{"a short key", strings.Replace(good, key, key[2:], 1)},
		{"a long key", strings.Replace(good, key, key+"00", 1)},
		{"a version of one digit", strings.Replace(good, "tac 01", "tac 1", 1)},
		{"digits in the wrong word", strings.Replace(good, "tac 01 00 "+key, "tac 0100 "+key[:2]+" "+key[2:], 1)},
		{"no digits", strings.Replace(good, "01FF", "01FG", 1)},
		{"an empty secret", strings.Replace(good, " 01FF", " ", 1)},
		{"a purpose in capitals", strings.Replace(good, "tac", "TAC", 1)},
		{"a word too long", strings.Replace(good, "token", strings.Repeat("t", 33), 1)},
		{"another kind of line", good + "remark hello\n"},
		{"a secret too long", strings.Replace(good, "01FF", strings.Repeat("AA", 1025), 1)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := keys.ParseRing([]byte(c.text))
			require.ErrorIs(t, err, keys.ErrDamaged)
			require.NotContains(t, err.Error(), key)
		})
	}
}

// TestTheSampleOfVersion1 holds the inner form of version 1 for ever: a file in the field must always open.
func TestTheSampleOfVersion1(t *testing.T) {
	text, err := os.ReadFile("testdata/ring-v1.txt")
	require.NoError(t, err)
	r, err := keys.ParseRing(text)
	require.NoError(t, err)
	want := ring(t, 7)
	for _, later := range []keys.Purpose{keys.Unload, keys.Limit, keys.Reload, keys.Unblock, keys.ECCryptogram, keys.ECMAC, keys.ECEncipher, keys.DESFireTMAC, keys.DESFireApp} { // rings have these since
		delete(want.Masters, keys.ID{Purpose: later, Version: 1})
	}
	require.Equal(t, want, r)

	raw, err := os.ReadFile("testdata/ring-v1.age")
	require.NoError(t, err)
	x, err := keys.OpenIdentityFile("testdata/ring-v1.identity")
	require.NoError(t, err)
	r, err = keys.OpenRing(bytes.NewReader(raw), x)
	require.NoError(t, err)
	require.Equal(t, want, r)
}

func TestARingThatCannotBeReadBackIsNotSealed(t *testing.T) {
	cases := []struct {
		name   string
		change func(*keys.Ring)
	}{
		{"a purpose with a space", func(r *keys.Ring) { r.Masters[keys.ID{Purpose: "a b"}] = keys.Key{} }},
		{"no purpose", func(r *keys.Ring) { r.Masters[keys.ID{}] = keys.Key{} }},
		{"a name with a newline", func(r *keys.Ring) { r.Secrets["a\nb"] = keys.Secret{1} }},
		{"an empty secret", func(r *keys.Ring) { r.Secrets["a"] = nil }},
		{"a long secret", func(r *keys.Ring) { r.Secrets["a"] = make(keys.Secret, 1025) }},
		{"too many", func(r *keys.Ring) {
			for i := range 1 << 13 {
				r.Masters[keys.ID{Purpose: "many", Version: byte(i), Algorithm: byte(i >> 8)}] = keys.Key{}
			}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := ring(t, 1)
			c.change(r)
			var out bytes.Buffer
			require.Error(t, r.Seal(&out, cheap(t, "p")))
			require.Zero(t, out.Len())
		})
	}
}

func TestARingSurvivesItsTextWhateverIsInIt(t *testing.T) {
	word := rapid.StringMatching(`[a-z0-9-]{1,32}`)
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Custom(func(t *rapid.T) keys.ID {
			return keys.ID{Purpose: keys.Purpose(word.Draw(t, "purpose")), Version: rapid.Byte().Draw(t, "version"), Algorithm: rapid.Byte().Draw(t, "algorithm")}
		})
		key := rapid.Custom(func(t *rapid.T) (k keys.Key) {
			copy(k[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key"))
			return k
		})
		secret := rapid.Map(rapid.SliceOfN(rapid.Byte(), 1, 64), func(b []byte) keys.Secret { return b })
		r := &keys.Ring{Masters: rapid.MapOfN(id, key, 0, 5).Draw(t, "masters"), Secrets: rapid.MapOfN(word, secret, 0, 5).Draw(t, "secrets")}
		text, err := r.Text()
		require.NoError(t, err)
		got, err := keys.ParseRing(text)
		require.NoError(t, err)
		require.Equal(t, r, got)
	})
}

// FuzzRing reads what stands inside a sealed file: nothing panics, and what is read is written back to the same bytes.
func FuzzRing(f *testing.F) {
	text, err := ring(f, 1).Text()
	require.NoError(f, err)
	f.Add(text)
	f.Add([]byte("purselane keys 1\n"))
	f.Add([]byte("purselane keys 3\nx"))
	f.Add([]byte(v2))
	f.Add([]byte("purselane keys 1\nsecret a 00\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := keys.ParseRing(text)
		if err != nil {
			require.Nil(t, r)
			require.True(t, errors.Is(err, keys.ErrDamaged) || errors.Is(err, keys.ErrNewer))
			return
		}
		again, err := r.Text()
		require.NoError(t, err)
		require.Equal(t, string(text), string(again))
	})
}

func TestAKeyFileIsNeverWrittenOver(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys.age")
	to, with := cheap(t, "p"), identity(t, "p")
	first := ring(t, 1)
	require.NoError(t, keys.CreateFile(path, first, to))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	require.ErrorIs(t, keys.CreateFile(path, ring(t, 2), to), os.ErrExist)
	got, err := keys.OpenFile(path, with)
	require.NoError(t, err)
	require.Equal(t, first, got)

	// Nothing else is left in the folder, and a failed write leaves nothing at all.
	bad := ring(t, 3)
	bad.Secrets[""] = keys.Secret{1}
	require.Error(t, keys.CreateFile(filepath.Join(dir, "bad.age"), bad, to))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)

	_, err = keys.OpenFile(filepath.Join(dir, "none.age"), with)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorIs(t, keys.CreateFile(filepath.Join(dir, "no", "folder.age"), first, to), os.ErrNotExist)
}

// TestPowerCutsLeaveTheWholeFileOrNone fails each step of a new file in turn, with hard links and without.
func TestPowerCutsLeaveTheWholeFileOrNone(t *testing.T) {
	cut := errors.New("power cut")
	noLinks := func(string, string) error { return errors.ErrUnsupported }
	for name, link := range map[string]func(string, string) error{"links": os.Link, "no links": noLinks} {
		for _, at := range []string{"sync", "name", "sync directory", "never"} {
			t.Run(name+", "+at, func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, "keys.age")
				var steps []string
				step := func(s string) error {
					steps = append(steps, s)
					if s == at {
						return cut
					}
					return nil
				}
				err := keys.WriteNew(path, "text",
					func(f *os.File) error {
						_, err := os.Stat(path)
						require.ErrorIs(t, err, os.ErrNotExist, "no name before the bytes are durable")
						return step("sync")
					},
					func(from, name string) error {
						if err := step("name"); err != nil {
							return fmt.Errorf("%w: %w", os.ErrExist, err) // no way around it by a rename
						}
						return link(from, name)
					},
					func(d string) error { require.Equal(t, dir, d); return step("sync directory") })

				order := []string{"sync", "name", "sync directory"}
				require.Equal(t, order[:len(steps)], steps)
				left, readErr := os.ReadDir(dir)
				require.NoError(t, readErr)
				switch at {
				case "never":
					require.NoError(t, err)
				default:
					require.ErrorIs(t, err, cut)
				}
				if at == "sync" || at == "name" {
					require.Empty(t, left, "no file, no litter")
					return
				}
				require.Len(t, left, 1)
				text, readErr := os.ReadFile(path)
				require.NoError(t, readErr)
				require.Equal(t, "text", string(text))
			})
		}
	}
}

// TestANameIsNeverTakenTwice takes the way of a file system without hard links, too.
func TestANameIsNeverTakenTwice(t *testing.T) {
	noLinks := func(string, string) error { return errors.ErrUnsupported }
	for name, link := range map[string]func(string, string) error{"links": os.Link, "no links": noLinks} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys.age")
			put := func(path, text string) error {
				return keys.WriteNew(path, text, (*os.File).Sync, link, func(string) error { return nil })
			}
			require.NoError(t, put(path, "first"))
			require.ErrorIs(t, put(path, "second"), os.ErrExist)
			require.ErrorIs(t, put(filepath.Join(path, "x"), "third"), syscall.ENOTDIR)
			got, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, "first", string(got))
		})
	}
}

func TestIdentityFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "identity")
	x, err := keys.CreateIdentityFile(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	again, err := keys.OpenIdentityFile(path)
	require.NoError(t, err)
	require.Equal(t, x.String(), again.String())
	_, err = keys.CreateIdentityFile(path)
	require.ErrorIs(t, err, os.ErrExist)

	secret := x.String()
	cases := []struct{ name, text string }{
		{"empty", ""},
		{"only a comment", "# public key: age1\n"},
		{"a cut identity", secret[:40]},
		{"a recipient", x.Recipient().String()},
		{"two identities", secret + "\n" + secret + "\n"},
		{"a post-quantum identity", hybrid(t)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := keys.ParseIdentity([]byte(c.text))
			require.Error(t, err)
			if len(c.text) > 20 {
				require.NotContains(t, err.Error(), c.text[:20])
			}
		})
	}
}

func hybrid(t *testing.T) string {
	h, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	return h.String()
}

func TestAPassphraseIsNotEmpty(t *testing.T) {
	_, err := keys.PassphraseRecipient("")
	require.Error(t, err)
	_, err = keys.PassphraseIdentity("")
	require.Error(t, err)
}

// TestSealingCostsWorkUnlessToldOtherwise reads the work factor out of the age header.
func TestSealingCostsWorkUnlessToldOtherwise(t *testing.T) {
	to, err := keys.PassphraseRecipient("p")
	require.NoError(t, err)
	head, _, _ := strings.Cut(string(sealed(t, ring(t, 1), to)), "\n---")
	require.Regexp(t, `-> scrypt \S+ 18\n`, head)
	head, _, _ = strings.Cut(string(sealed(t, ring(t, 1), cheap(t, "p"))), "\n---")
	require.Regexp(t, `-> scrypt \S+ 1\n`, head)
}
