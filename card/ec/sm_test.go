package ec_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
)

// smVector is S1: tap T1 on a card of SM2, SM3 and SM4.
type smVector struct {
	ID, Source string
	UserID     hexBytes `json:"user_id"`
	CA         struct{ Index, Private, Public hexBytes }
	Issuer     struct {
		Private, Public hexBytes
		Certificate     hexBytes `json:"cert_90"`
	}
	ICC struct {
		Private, Public hexBytes
		Certificate     hexBytes `json:"cert_9F46"`
		Static          hexBytes `json:"static_data"`
	}
	SDAD struct {
		Terminal hexBytes `json:"terminal_dynamic_data"`
		Message  hexBytes `json:"signed_message"`
		SDAD     hexBytes `json:"tag_9F4B"`
	}
	Keys struct {
		MasterAC   hexBytes `json:"mdk_ac"`
		CardAC     hexBytes `json:"udk_ac"`
		SessionAC  hexBytes `json:"sk_ac"`
		MasterMAC  hexBytes `json:"mdk_mac"`
		CardMAC    hexBytes `json:"udk_mac"`
		SessionMAC hexBytes `json:"sk_mac"`
	}
	TC   struct{ Input, AC hexBytes }
	ARQC hexBytes
	ARPC struct{ ARC, Value hexBytes }
	IAD  hexBytes

	Script struct {
		Input hexBytes `json:"mac_input_unpadded"`
		MAC   hexBytes
		Put   hexBytes `json:"put_data"`
	}
	Assumed []string
}

func smVectors(t require.TestingT) (v smVector) {
	readJSON(t, "sm.json", &v)
	return v
}

func smIssuer(v smVector) *ec.Soft {
	return ec.NewSoft(map[byte]ec.Masters{1: {AC: keys.Key(v.Keys.MasterAC), MAC: keys.Key(v.Keys.MasterMAC), Algorithm: ec.AlgorithmSM4}})
}

func TestSMCryptograms(t *testing.T) {
	c, v := vectors(t), smVectors(t)
	card, door, s := testCard(t, c), smIssuer(v), ec.SuiteSM4
	const atc = 1
	for _, k := range []struct{ master, own, session hexBytes }{
		{v.Keys.MasterAC, v.Keys.CardAC, v.Keys.SessionAC}, {v.Keys.MasterMAC, v.Keys.CardMAC, v.Keys.SessionMAC},
	} {
		own := s.CardKey(keys.Key(k.master), card.PAN, card.PSN)
		require.Equal(t, []byte(k.own), own[:])
		session := s.SessionKey(own, atc)
		require.Equal(t, []byte(k.session), session[:])
	}
	iad, err := ec.ParseIAD(v.IAD)
	require.NoError(t, err)
	require.Equal(t, ec.AlgorithmSM4, iad.Algorithm)
	sent := c.tap(t, "T1").terminal(t)
	input, n, err := ec.CryptogramInput(sent, ec.AIP{0x7C}, atc, iad)
	require.NoError(t, err)
	require.Equal(t, []byte(v.TC.Input), input[:n])
	require.Zero(t, len(input)%16)
	require.NoError(t, ec.VerifyCryptogram(t.Context(), door, card, sent, ec.AIP{0x7C}, atc, iad, [8]byte(v.TC.AC)))
	require.NoError(t, ec.VerifyBalance(t.Context(), door, card, atc, iad, false))

	card.Algorithm = ec.AlgorithmSM4
	auth, err := ec.IssuerAuthentication(t.Context(), door, card, atc, [8]byte(v.ARQC), [2]byte(v.ARPC.ARC))
	require.NoError(t, err)
	require.Equal(t, append(append([]byte{}, v.ARPC.Value...), v.ARPC.ARC...), auth[:])
	put, err := ec.PutBalance(t.Context(), door, card, atc, [8]byte(v.ARQC), money.Minor(15_000))
	require.NoError(t, err)
	raw, err := put.Bytes()
	require.NoError(t, err)
	require.Equal(t, []byte(v.Script.Put), raw)
	require.Equal(t, []byte(v.Script.MAC), raw[len(raw)-4:])
	plain, err := ec.PutAmount(ec.TagBalance, money.Minor(15_000))
	require.NoError(t, err)
	require.Equal(t, []byte(v.Script.Input), ec.ScriptMessage(plain, atc, [8]byte(v.ARQC)))

	// A key serves one cipher.
	card.Algorithm = 0
	_, err = ec.PutBalance(t.Context(), door, card, atc, [8]byte(v.ARQC), money.Minor(1))
	require.ErrorIs(t, err, keys.ErrUnknownKey)
	iad.MAC[0] ^= 1
	require.ErrorIs(t, ec.VerifyBalance(t.Context(), door, card, atc, iad, false), ec.ErrBalanceMAC)
	require.ErrorIs(t, ec.VerifyCryptogram(t.Context(), door, card, sent, ec.AIP{0x7C}, 2, iad, [8]byte(v.TC.AC)), ec.ErrCryptogram)
	_, err = s.MAC(keys.Key{}, make([]byte, 8))
	require.Error(t, err)
	_, err = ec.SuiteOf(0)
	require.ErrorIs(t, err, ec.ErrUnknownCVN)
	require.Equal(t, "SM4", s.String())

	// PIN CHANGE is of one block.
	next, err := ec.NewPIN("1234")
	require.NoError(t, err)
	card.Algorithm = ec.AlgorithmSM4
	change, err := ec.ChangePIN(t.Context(), door, card, atc, ec.PIN{}, next)
	require.NoError(t, err)
	require.Equal(t, apdu.Command{CLA: 0x84, INS: 0x24, P2: 2, Data: change.Data}, change)
	own := s.CardKey(keys.Key{}, card.PAN, card.PSN)
	delta, err := s.Cipher().Decipher(s.SessionKey(own, atc), change.Data)
	require.NoError(t, err)
	got, err := ec.NextPIN(own, ec.PIN{}, [8]byte(delta))
	require.NoError(t, err)
	require.Equal(t, next, got)
}
