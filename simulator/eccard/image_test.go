package eccard_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/eccard"
	"github.com/purselane/purselane/simulator/image"
)

// TestAnIssuerFromItsFile: cards of the issuer that was written down are cards of the one that is read.
func TestAnIssuerFromItsFile(t *testing.T) {
	made, err := eccard.NewIssuer(rand.Reader, "621094")
	require.NoError(t, err)
	raw, err := json.Marshal(made.Image())
	require.NoError(t, err)
	var img eccard.IssuerImage
	require.NoError(t, json.Unmarshal(raw, &img))
	masters := ec.Masters{AC: keys.Key{1}, MAC: keys.Key{2}, ENC: keys.Key{3}}
	read, err := eccard.OpenIssuer(img, masters, rand.Reader)
	require.NoError(t, err)
	require.Equal(t, made.Authority(), read.Authority())
	require.Equal(t, made.Image(), read.Image())

	authorities, err := ec.NewAuthorities([]ec.CAKey{made.Authority()}, nil)
	require.NoError(t, err)
	pan, err := ec.NewPAN("6210947315926483")
	require.NoError(t, err)
	card, err := read.Card(pan, 1, money.Minor(10_000))
	require.NoError(t, err)
	card.Insert()
	g := &gate{ttq: ec.GateTTQ, authorities: authorities}
	paid, err := g.tap(t, card, 250)
	require.NoError(t, err)
	require.True(t, paid, "certificates by the written keys")
	_, err = read.Personalise(eccard.Profile{PAN: pan, SM: true})
	require.ErrorContains(t, err, "no SM2 keys")

	for name, spoil := range map[string]func(*eccard.IssuerImage){
		"iin":       func(i *eccard.IssuerImage) { i.IIN = "1" },
		"no key":    func(i *eccard.IssuerImage) { i.CA = "" },
		"other key": func(i *eccard.IssuerImage) { i.CA = i.Signer },
	} {
		bad := img
		spoil(&bad)
		_, err := eccard.OpenIssuer(bad, masters, rand.Reader)
		require.Error(t, err, name)
	}
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", img, img, img), string(img.CA[:8]))
}

// TestACardInAFile pays, is put away and taken up again with what it had; a disk that fails leaves it as it was.
func TestACardInAFile(t *testing.T) {
	issuer, _, authorities := setUp(t, 1)
	pan, err := ec.NewPAN("6210947315926483")
	require.NoError(t, err)
	pin, err := ec.NewPIN("12345")
	require.NoError(t, err)
	card, err := issuer.Personalise(eccard.Profile{PAN: pan, PSN: 1, Balance: money.Minor(10_000), PIN: pin, Transit: map[byte]int{20: 100}})
	require.NoError(t, err)
	card.Insert()
	v, err := ec.Select(t.Context(), card, []ec.Accepted{{AID: ec.AIDDebit}})
	require.NoError(t, err)
	require.NoError(t, v.AppendTransit(t.Context(), issuer.Operator(), ec.RecordName{PAN: pan, PSN: 1, SFI: 20, ID: [2]byte{1, 2}}, append([]byte{1, 2}, make([]byte, 28)...)))

	path := filepath.Join(t.TempDir(), "card.json")
	chip, err := eccard.CreateFile(path, card)
	require.NoError(t, err)
	_, err = eccard.CreateFile(path, card)
	require.ErrorIs(t, err, image.ErrInUse)
	chip.Power(true)
	pay := func(amount int64) (bool, error) {
		return (&gate{ttq: ec.GateTTQ, authorities: authorities}).tap(t, chip, amount)
	}
	paid, err := pay(250)
	require.NoError(t, err)
	require.True(t, paid)
	before, err := card.Image()
	require.NoError(t, err)
	require.NoError(t, chip.Close())
	_, err = eccard.CreateFile(path, card)
	require.ErrorIs(t, err, os.ErrExist)

	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	chip, err = eccard.OpenFile(path, rand.Reader)
	require.NoError(t, err)
	require.Equal(t, money.Minor(9_750), chip.Balance())
	require.EqualValues(t, 1, chip.ATC())
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var on eccard.Image
	require.NoError(t, json.Unmarshal(raw, &on))
	require.Equal(t, before, on, "all of the card's memory is in the file")
	again, err := eccard.New(on, rand.Reader)
	require.NoError(t, err)
	back, err := again.Image()
	require.NoError(t, err)
	require.Equal(t, before, back)

	chip.Power(true)
	paid, err = pay(250)
	require.NoError(t, err)
	require.True(t, paid)

	full := errors.New("disk full")
	chip.Fault(func(string) error { return full })
	chip.Power(true)
	paid, err = pay(250)
	require.False(t, paid && err == nil)
	chip.Fault(nil)
	require.Equal(t, money.Minor(9_500), chip.Balance())
	require.EqualValues(t, 2, chip.ATC(), "as it was")
	chip.Power(true)
	paid, err = pay(250)
	require.NoError(t, err)
	require.True(t, paid)
	require.NoError(t, chip.Close())

	for name, spoil := range map[string]func(*eccard.Image){
		"number":  func(m *eccard.Image) { m.PAN = "12" },
		"key":     func(m *eccard.Image) { m.Key = "12" },
		"pin":     func(m *eccard.Image) { m.PIN = "\x2F" },
		"records": func(m *eccard.Image) { m.Records = m.Records[1:] },
		"place":   func(m *eccard.Image) { m.Records = append([]eccard.Record{{SFI: 9}}, m.Records[1:]...) },
		"tag":     func(m *eccard.Image) { m.Data = map[string]image.Bytes{"x": ""} },
		"balance": func(m *eccard.Image) { m.Data = map[string]image.Bytes{} },
		"file":    func(m *eccard.Image) { m.Files = map[string]eccard.TransitFile{"99": {}} },
	} {
		bad := before
		spoil(&bad)
		_, err := eccard.New(bad, rand.Reader)
		require.ErrorContains(t, err, "EC card image", name)
	}
	sm, err := issuer.Personalise(eccard.Profile{PAN: pan, SM: true})
	require.NoError(t, err)
	_, err = sm.Image()
	require.ErrorContains(t, err, "SM2")
}

// FuzzImage: whatever stands in a card's file, the card answers or there is none.
func FuzzImage(f *testing.F) {
	issuer, err := eccard.NewIssuer(rand.Reader, "621094")
	require.NoError(f, err)
	pan, err := ec.NewPAN("6210947315926483")
	require.NoError(f, err)
	card, err := issuer.Card(pan, 1, money.Minor(1))
	require.NoError(f, err)
	m, err := card.Image()
	require.NoError(f, err)
	raw, err := json.Marshal(m)
	require.NoError(f, err)
	f.Add(raw)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m eccard.Image
		if json.Unmarshal(raw, &m) != nil {
			return
		}
		c, err := eccard.New(m, rand.Reader)
		if err != nil {
			return
		}
		c.Insert()
		for _, command := range [][]byte{{0, 0xA4, 4, 0, 8, 0xA0, 0, 0, 3, 0x33, 1, 1, 1}, {0x80, 0xCA, 0x9F, 0x79, 0}, {0, 0xB2, 1, 0x0C, 0}} {
			answer, err := c.Transmit(t.Context(), command)
			require.NoError(t, err)
			require.GreaterOrEqual(t, len(answer), 2)
		}
	})
}
