package ec_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
)

// evenParity is a key without its parity bits, which some sources correct and no card minds.
func evenParity(k []byte) []byte {
	out := make([]byte, len(k))
	for i := range k {
		out[i] = k[i] &^ 1
	}
	return out
}

// padded is padding method 2, written once more: the package's own is under test.
func padded(message []byte) []byte {
	out := append(append([]byte{}, message...), 0x80)
	for len(out)%8 != 0 {
		out = append(out, 0)
	}
	return out
}

func TestPublishedMACs(t *testing.T) {
	var f struct {
		Source  string
		Vectors []struct {
			ID, Source, Kind, PAN string
			MDK, PSN, Key         hexBytes
			Data, AC, ARC         hexBytes
			Expected              hexBytes
		}
	}
	readJSON(t, "published-macs.json", &f)
	require.Len(t, f.Vectors, 8)
	for _, v := range f.Vectors {
		t.Run(v.ID, func(t *testing.T) {
			switch v.Kind {
			case "udk_option_a":
				pan, err := ec.NewPAN(v.PAN)
				require.NoError(t, err)
				k := ec.CardKey(keys.Key(v.MDK), pan, v.PSN[0])
				require.Equal(t, evenParity(v.Expected), evenParity(k[:]))
			case "mac_alg3_pad2":
				mac, err := ec.RetailMAC(keys.Key(v.Key), padded(v.Data))
				require.NoError(t, err)
				require.Equal(t, []byte(v.Expected), mac[:])
			case "arpc1":
				arpc := ec.ResponseCryptogram(keys.Key(v.Key), [8]byte(v.AC), [2]byte(v.ARC))
				require.Equal(t, []byte(v.Expected), arpc[:])
			default:
				require.FailNow(t, v.Kind)
			}
		})
	}
}

func testIssuer(c computed) *ec.Soft {
	return ec.NewSoft(map[byte]ec.Masters{1: {AC: keys.Key(c.Masters.AC), MAC: keys.Key(c.Masters.MAC), ENC: keys.Key(c.Masters.Enc)}})
}

func testCard(t require.TestingT, c computed) ec.CardKeys {
	pan, err := ec.NewPAN(c.PAN)
	require.NoError(t, err)
	return ec.CardKeys{DKI: 1, PAN: pan, PSN: c.PSN[0]}
}

func TestComputedKeys(t *testing.T) {
	c := vectors(t)
	for _, v := range c.OptionA {
		pan, err := ec.NewPAN(v.PAN)
		require.NoError(t, err)
		y := ec.Diversification(pan, v.PSN[0])
		require.Equal(t, []byte(v.Diversification), y[:])
		k := ec.CardKey(keys.Key(v.MDK), pan, v.PSN[0])
		require.Equal(t, []byte(v.UDK), k[:])
	}
	for _, v := range c.SessionKeys {
		k := ec.SessionKey(keys.Key(v.UDK), binary.BigEndian.Uint16(v.ATC))
		require.Equal(t, []byte(v.SessionKey), k[:])
	}
	card := testCard(t, c)
	for master, own := range map[*hexBytes]hexBytes{&c.Masters.AC: c.Cards.AC, &c.Masters.MAC: c.Cards.MAC, &c.Masters.Enc: c.Cards.Enc} {
		k := ec.CardKey(keys.Key(*master), card.PAN, card.PSN)
		require.Equal(t, []byte(own), k[:])
	}
}

func TestComputedCryptograms(t *testing.T) {
	ctx := context.Background()
	c := vectors(t)
	door, card := testIssuer(c), testCard(t, c)
	for _, p := range c.Taps {
		t.Run(p.ID, func(t *testing.T) {
			atc := binary.BigEndian.Uint16(p.ATC)
			iad, err := ec.ParseIAD(p.IAD)
			require.NoError(t, err)
			require.Equal(t, p.CVN[0], iad.CVN)
			kind, err := iad.CVR.Cryptogram()
			require.NoError(t, err)
			require.Equal(t, p.Type, kind.String())
			session := ec.SessionKey(keys.Key(c.Cards.AC), atc)
			require.Equal(t, []byte(p.SessionAC), session[:])
			session = ec.SessionKey(keys.Key(c.Cards.MAC), atc)
			require.Equal(t, []byte(p.SessionMAC), session[:])

			input, n, err := ec.CryptogramInput(p.terminal(t), ec.AIP{0x7C}, atc, iad)
			require.NoError(t, err)
			require.Equal(t, []byte(p.ACInput), input[:n])
			require.NoError(t, ec.VerifyCryptogram(ctx, door, card, p.terminal(t), ec.AIP{0x7C}, atc, iad, [8]byte(p.AC)))
			require.NoError(t, ec.VerifyBalance(ctx, door, card, atc, iad, false))
			balance, ok := iad.Balance()
			require.True(t, ok)
			require.Equal(t, money.Minor(p.BalanceAfter), balance)
		})
	}
}

// TestComputedNegativesAtTheHost is what the issuer sees of the computed vectors' negatives: which changes its two MACs catch.
func TestComputedNegativesAtTheHost(t *testing.T) {
	ctx := context.Background()
	c := vectors(t)
	door, card := testIssuer(c), testCard(t, c)
	wantAC := map[string]error{"9F02": ec.ErrCryptogram, "9F37": ec.ErrCryptogram, "9F36": ec.ErrCryptogram}
	wantBalance := map[string]error{"9F10": ec.ErrBalanceMAC, "9F36": ec.ErrBalanceMAC}
	for _, n := range c.Negatives {
		for tag, v := range n.Change {
			if v == nil {
				continue
			}
			t.Run(n.Case, func(t *testing.T) {
				p := c.tap(t, n.Base)
				sent, atc, raw := p.terminal(t), binary.BigEndian.Uint16(p.ATC), []byte(p.IAD)
				switch tag {
				case "9F36":
					atc = binary.BigEndian.Uint16(*v)
				case "9F10":
					raw = *v
				case "9F02":
					sent[ec.TagAmount] = *v
				case "9F37":
					sent[ec.TagUN] = *v
				}
				iad, err := ec.ParseIAD(raw)
				require.NoError(t, err)
				require.ErrorIs(t, ec.VerifyCryptogram(ctx, door, card, sent, ec.AIP{0x7C}, atc, iad, [8]byte(p.AC)), wantAC[tag])
				require.ErrorIs(t, ec.VerifyBalance(ctx, door, card, atc, iad, false), wantBalance[tag])
			})
		}
	}
}

func TestComputedLoad(t *testing.T) {
	ctx := context.Background()
	c := vectors(t)
	door, card := testIssuer(c), testCard(t, c)
	p := c.tap(t, "T5")
	atc, arqc := binary.BigEndian.Uint16(p.ATC), [8]byte(p.AC)
	auth, err := ec.IssuerAuthentication(ctx, door, card, atc, arqc, [2]byte(c.Load.ARC))
	require.NoError(t, err)
	require.Equal(t, []byte(c.Load.Auth), auth[:])
	require.Equal(t, []byte(c.Load.ARPC), auth[:8])
	require.Equal(t, []byte(c.Load.ARC), ec.Approved[:])
	external, err := apdu.Command{INS: 0x82, Data: auth[:]}.Bytes()
	require.NoError(t, err)
	require.Equal(t, []byte(c.Load.External), external)

	put, err := ec.PutBalance(ctx, door, card, atc, arqc, money.Minor(c.Load.NewBalance))
	require.NoError(t, err)
	raw, err := put.Bytes()
	require.NoError(t, err)
	require.Equal(t, []byte(c.Load.PutData), raw)
	require.Equal(t, []byte(c.Load.ScriptMAC), raw[len(raw)-4:])
	plain := put
	plain.Data = put.Data[:6]
	require.Equal(t, padded(c.Load.ScriptInput), ec.ScriptInput(plain, atc, arqc))
	script, err := ec.Script([4]byte{0, 0, 0, 1}, put)
	require.NoError(t, err)
	require.Equal(t, []byte(c.Load.Template72), script)

	r, err := ec.ParseLoadRecord(c.LoadLog)
	require.NoError(t, err)
	require.Equal(t, ec.LoadRecord{Tag: ec.TagBalance, Before: money.Minor(9350), After: money.Minor(15000), Date: [3]byte{0x26, 1, 5}, Time: [3]byte{0x12}, ATC: 5}, r)

	_, err = ec.PutBalance(ctx, door, card, atc, arqc, money.Minor(-1))
	require.Error(t, err)
	card.DKI = 2
	_, err = ec.PutBalance(ctx, door, card, atc, arqc, money.Minor(1))
	require.ErrorIs(t, err, keys.ErrUnknownKey)
}

func TestPublishedScriptReads(t *testing.T) {
	var f transcripts
	readJSON(t, "transcripts.json", &f)
	c, err := apdu.ParseCommand(f.Script.Tag72[2:])
	require.NoError(t, err)
	require.Equal(t, apdu.Command{CLA: 0x04, INS: 0xDA, P1: 0x9F, P2: 0x79, Data: append(append([]byte{}, f.Script.Balance...), f.Script.MAC...)}, c)
	require.Equal(t, ec.Approved[:], []byte(f.Script.Tag91[8:]))
}

func TestComputedTransitMAC(t *testing.T) {
	v := vectors(t).Transit
	c, err := apdu.ParseCommand(v.APDU)
	require.NoError(t, err)
	c.Data = c.Data[:len(c.Data)-4]
	plain := padded(v.Input)
	for i := range v.IV {
		plain[i] ^= v.IV[i]
	}
	input := ec.TransitInput(c, binary.BigEndian.Uint16(v.ATC))
	require.Equal(t, plain, input)
	mac, err := ec.RetailMAC(keys.Key(v.Key), input)
	require.NoError(t, err)
	require.Equal(t, []byte(v.MAC), mac[:4])
}

func TestWhatTheIssuerDoesNotKnow(t *testing.T) {
	ctx := context.Background()
	c := vectors(t)
	door, card, p := testIssuer(c), testCard(t, c), c.tap(t, "T1")
	iad, err := ec.ParseIAD(p.IAD)
	require.NoError(t, err)
	other := iad
	other.CVN = 2
	require.ErrorIs(t, ec.VerifyCryptogram(ctx, door, card, p.terminal(t), ec.AIP{0x7C}, 1, other, [8]byte(p.AC)), ec.ErrUnknownCVN)
	other = iad
	other.Algorithm = ec.AlgorithmSM4
	require.ErrorIs(t, ec.VerifyCryptogram(ctx, door, card, p.terminal(t), ec.AIP{0x7C}, 1, other, [8]byte(p.AC)), keys.ErrUnknownKey, "a key serves one cipher")
	other.Algorithm = 0x07
	require.ErrorIs(t, ec.VerifyCryptogram(ctx, door, card, p.terminal(t), ec.AIP{0x7C}, 1, other, [8]byte(p.AC)), ec.ErrUnknownCVN)
	require.ErrorIs(t, ec.VerifyBalance(ctx, door, card, 1, other, false), ec.ErrUnknownCVN)
	sent := p.terminal(t)
	delete(sent, ec.TagTVR)
	require.ErrorIs(t, ec.VerifyCryptogram(ctx, door, card, sent, ec.AIP{0x7C}, 1, iad, [8]byte(p.AC)), ec.ErrMalformed)
	require.ErrorIs(t, ec.VerifyBalance(ctx, door, card, 1, ec.IAD{Algorithm: ec.Algorithm3DES}, false), ec.ErrMalformed)

	// The two ways of the 10-byte options differ by one block.
	ten := ec.IAD{Algorithm: ec.Algorithm3DES, Option: 3, Values: make([]byte, 10)}
	long, err := ec.BalanceInput(1, ten, false)
	require.NoError(t, err)
	short, err := ec.BalanceInput(1, ten, true)
	require.NoError(t, err)
	require.Equal(t, append(short, 0x80, 0, 0, 0, 0, 0, 0, 0), long)
}

func TestNoKeyPrints(t *testing.T) {
	c := vectors(t)
	door, card := testIssuer(c), testCard(t, c)
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d", "%s"} {
		require.Equal(t, "[software EC issuer of 1 key indices]", fmt.Sprintf(verb, door))
		require.Equal(t, "[master keys]", fmt.Sprintf(verb, ec.Masters{}))
		require.Equal(t, "card ****0011, key 01", fmt.Sprintf(verb, card))
	}
	ac, mac, err := door.Check(1)
	require.NoError(t, err)
	require.Equal(t, "08D7B4", fmt.Sprintf("%X", ac))
	require.NotEqual(t, ac, mac)
	_, _, err = door.Check(2)
	require.ErrorIs(t, err, keys.ErrUnknownKey)
}
