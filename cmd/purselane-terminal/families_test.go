package main

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse/desfiredriver"
	"github.com/purselane/purselane/card/purse/ecdriver"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	simdesfire "github.com/purselane/purselane/simulator/desfire"
	"github.com/purselane/purselane/simulator/eccard"
	"github.com/purselane/purselane/simulator/image"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/uplink/wire"
)

// powered is a simulated electronic cash card in a virtual reader.
type powered struct{ *eccard.Card }

func (p powered) Power(bool) { p.Insert() }
func (p powered) Reset()     { p.Insert() }

var desfireKey = keys.Key{0xD0, 1, 2, 3}

// mixedHome is a terminal of a scheme with cards of all families and two PSAMs.
func mixedHome(t *testing.T, issuer *eccard.Issuer, seal *ecdh.PublicKey) home {
	h := newHome(t)
	key, sum := issuer.Authority(), issuer.Authority().Checksum()
	profile := append(firmwareconfig.SampleYAML(), fmt.Appendf(nil, `
desfire: {aid: "3F0001", key_number: 1, mac_key: 1, value_file: 1, record_file: 2, mac_file: 3, value_mode: mac, mac_mode: mac, readback: balance}
ec:
  aids: ["A000000333"]
  ttq: "28000080"
  country: "156"
  currency: "156"
  ca_keys:
    - {rid: "%X", index: "%02X", modulus: "%X", exponent: "%X", checksum: "%X", expiry: "2040-12-31"}
  seal_to: "%X"
  readback: balance
  transit: {file: 20, id: "2807"}
`, key.RID[:], key.Index, key.Modulus, key.Exponent, sum, seal.Bytes())...)
	text := string(profile)
	text = strings.Replace(text, "card:\n", "card:\n  variant: {psam_application: \"1001\"}\n", 1)
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "profile.signed"), firmwareconfig.Sign(exampleKey(), []byte(text)), 0o644))
	for n := byte(1); n <= 2; n++ {
		img, err := personalise.PSAM(testMasters(), personalise.PSAMSpec{Terminal: ep.TerminalNumber{0x11, 0, 0, 0, 0, n}, Issuer: testIssuer, NextSerial: 1, Application: []byte{0x10, 0x01}})
		require.NoError(t, err)
		chip, err := psam.CreateFile(filepath.Join(h.dir, fmt.Sprintf("psam-%d.json", n)), img)
		require.NoError(t, err)
		require.NoError(t, chip.Close())
	}
	h.write(t, "token.key", strings.Repeat("30", 16)+"\n")
	operator := issuer.Image()
	h.write(t, "operator.key", fmt.Sprintf("%x\n%x\n", operator.Initial.Key[:], operator.Management.Key[:]))
	h.write(t, "desfire.key", hex.EncodeToString(desfireKey[:])+"\n")
	h.change(t, "psam: {kind: simulated, file: psam.json}", `psams: [{kind: simulated, file: psam-1.json}, {kind: simulated, file: psam-2.json}]
ec: {token_key: token.key, operator: {kind: simulated, file: operator.key}, device: {9F1E: "4741544530303031"}}
desfire: {sam: {kind: simulated, file: desfire.key}, number: "000000000D01"}`)
	public := exampleKey().Public()
	raw, err := os.ReadFile(h.config)
	require.NoError(t, err)
	lines := strings.Split(string(raw), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "profile:") {
			lines[i] = fmt.Sprintf("profile: {file: profile.signed, public_key: %x}", public)
		}
	}
	require.NoError(t, os.WriteFile(h.config, []byte(strings.Join(lines, "\n")), 0o644))
	return h
}

func (h home) write(t *testing.T, name, text string) {
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600))
}

func (h home) change(t *testing.T, from, to string) {
	raw, err := os.ReadFile(h.config)
	require.NoError(t, err)
	require.Contains(t, string(raw), from)
	require.NoError(t, os.WriteFile(h.config, []byte(strings.Replace(string(raw), from, to, 1)), 0o644))
}

func desfireCard(t *testing.T) *simdesfire.Card {
	m := simdesfire.Image{
		UID: "\x04UID123", TMV: "01234567", Upper: money.Minor(100_00), Value: money.Minor(10_00), TMCLimit: 0xFFFFFFFF, Key: image.Key{Key: desfireKey},
		Settings: desfire.Settings{AID: [3]byte{0x3F, 0, 1}, KeyNumber: 1, TMVersion: 1, ValueFile: 1, ValueMode: desfire.MAC, RecordFile: 2, RecordMode: desfire.MAC, RecordSize: 32, MACFile: 3, MACMode: desfire.MAC},
	}
	m.Records[0] = image.Bytes(desfiredriver.FirstRecord())
	c, err := simdesfire.New(m, rand.Reader)
	require.NoError(t, err)
	return c
}

// TestCardsOfAllFamilies ride on one bus with two PSAMs: what the configuration and the profile say is enough.
func TestCardsOfAllFamilies(t *testing.T) {
	issuer, err := eccard.NewIssuer(rand.Reader, "621094")
	require.NoError(t, err)
	pan, err := ec.NewPAN("6210947315926483")
	require.NoError(t, err)
	cash, err := issuer.Personalise(eccard.Profile{PAN: pan, PSN: 1, Balance: money.Minor(10_00), Transit: map[byte]int{20: 100}})
	require.NoError(t, err)
	cash.Insert()
	c, err := ec.Select(t.Context(), cash, []ec.Accepted{{AID: ec.AIDDebit}})
	require.NoError(t, err)
	id := [2]byte{0x28, 0x07}
	require.NoError(t, c.AppendTransit(t.Context(), issuer.Operator(), ec.RecordName{PAN: pan, PSN: 1, SFI: 20, ID: id}, append(id[:], make([]byte, ecdriver.TransitRecordSize-2)...)))
	backend, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	h := mixedHome(t, issuer, backend.PublicKey())
	out, err := terminal("check", "--config", h.config)
	require.NoError(t, err)
	require.Contains(t, out, "cards: EP, electronic cash, DESFire; 2 PSAMs")
	require.Contains(t, out, "SIMULATED SAM for DESFire cards")

	s := h.start(t)
	token := ecdriver.Token([]byte("0000000000000000"), pan, 1)
	desfire := desfireCard(t)
	for _, ride := range []struct {
		hand  func() (unplug func())
		ends  string
		after string
	}{
		{hand: func() func() { return plug(testCard(t, 1), h.bus) }, ends: "7701", after: "48.00"},
		{hand: func() func() { return plug(powered{cash}, h.bus) }, ends: token.Reveal()[16:], after: "8.00"},
		{hand: func() func() { return plug(desfire, h.bus) }, after: "8.00"},
		{hand: func() func() { return plug(testCard(t, 2), h.bus) }, ends: "7702", after: "48.00"},
	} {
		unplug := ride.hand()
		l := s.next()
		require.True(t, l.Pass, "%s: %s", l.Outcome, l.Reason)
		require.Equal(t, []string{"2.00", ride.after}, []string{l.Amount, l.Balance})
		require.True(t, strings.HasSuffix(l.Card, ride.ends), "%s ends in %s", l.Card, ride.ends)
		unplug()
	}
	require.NoError(t, s.stop())
	require.Equal(t, money.Minor(8_00), cash.Balance())
	require.Equal(t, money.Minor(8_00), desfire.Image().Value)

	j, err := journal.Open(filepath.Join(h.dir, "journal.db"), journal.Options{Terminal: ids.TerminalID("bus-7-1")})
	require.NoError(t, err)
	defer j.Close()
	raw, err := j.Read(1, 100, 1<<20)
	require.NoError(t, err)
	var families, psams []string
	for _, b := range raw {
		r := &wire.Record{}
		require.NoError(t, proto.Unmarshal(b, r))
		families, psams = append(families, r.GetFamily()), append(psams, fmt.Sprintf("%X", r.GetPsamTerminal()))
		if r.GetFamily() == "ec" {
			require.Contains(t, string(r.GetEvidenceData()), "GATE0001")
			got, _, err := ecdriver.Open(backend, token, r.GetSealedCard())
			require.NoError(t, err)
			require.Equal(t, pan, got)
		}
	}
	require.Equal(t, []string{"ep", "ec", "desfire", "ep"}, families)
	require.Equal(t, []string{"110000000001", "110000000001", "000000000D01", "110000000002"}, psams, "the PSAM that rested longest serves")
}

// TestWhatCheckFindsOfFamilies: keys that others can read, that are none, that are not there; and cards that are not taken.
func TestWhatCheckFindsOfFamilies(t *testing.T) {
	issuer, err := eccard.NewIssuer(rand.Reader, "621094")
	require.NoError(t, err)
	seal, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	h := mixedHome(t, issuer, seal.PublicKey())
	require.NoError(t, os.Chmod(filepath.Join(h.dir, "token.key"), 0o644))
	h.write(t, "operator.key", "0123456789ABCDEF0123456789ABCDEF\n")
	require.NoError(t, os.Remove(filepath.Join(h.dir, "desfire.key")))
	_, err = terminal("check", "--config", h.config)
	for _, says := range []string{"ec.token_key: ", "chmod 600", "operator.key: 1 keys: want 2", "desfire.sam.file: "} {
		require.ErrorContains(t, err, says)
	}
	require.NotContains(t, err.Error(), "0123456789ABCDEF")

	h = mixedHome(t, issuer, seal.PublicKey())
	h.change(t, ", operator: {kind: simulated, file: operator.key}", "")
	_, err = terminal("check", "--config", h.config)
	require.ErrorContains(t, err, "operator's keys")
	h.change(t, "desfire: {sam: {kind: simulated, file: desfire.key}, number: \"000000000D01\"}", "")
	h.change(t, "ec: {token_key: token.key, device: {9F1E: \"4741544530303031\"}}", "")
	out, err := terminal("check", "--config", h.config)
	require.NoError(t, err)
	require.Contains(t, out, "cards: EP; 2 PSAMs")
	require.Contains(t, out, "this terminal has no ec section")
	require.Contains(t, out, "this terminal has no desfire section")

	h = newHome(t)
	h.write(t, "token.key", strings.Repeat("30", 16)+"\n")
	h.change(t, "psam:", "ec: {token_key: token.key}\npsam:")
	out, err = terminal("check", "--config", h.config)
	require.NoError(t, err)
	require.Contains(t, out, "the profile has no ec section: such cards are not taken")
}
