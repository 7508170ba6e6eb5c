package ec_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"math/big"
	"testing"

	"github.com/emmansun/gmsm/sm2"
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
	require.Len(t, v.Assumed, 5, "what docs/card-ec.md lists as assumed")
	require.Equal(t, "1234567812345678", string(v.UserID))
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
	check, _, err := door.Check(1)
	require.NoError(t, err)
	enciphered, err := s.MAC(keys.Key(v.Keys.MasterAC), make([]byte, 16))
	require.NoError(t, err)
	require.Equal(t, enciphered[:3], check[:], "of its own cipher")

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

// smAnswer is what the card of S1 answers: its objects, the record that enters the static data, and what the terminal had sent.
func smAnswer(t require.TestingT, c computed, v smVector) (ec.Objects, []ec.Record, ec.Signed) {
	static := v.ICC.Static[:len(v.ICC.Static)-2] // without the AIP
	record := ec.Record{Place: ec.Place{SFI: 2, Number: 1, Signed: true}, Raw: append([]byte{0x70, byte(len(static))}, static...)}
	o := ec.Objects{}
	require.NoError(t, o.Add(record.Raw))
	p := tap{}
	for _, x := range c.Taps {
		if x.ID == "T1" {
			p = x
		}
	}
	o[ec.TagCAIndex], o[ec.TagIssuerCertificate], o[ec.TagICCCertificate] = v.CA.Index, v.Issuer.Certificate, v.ICC.Certificate
	o[ec.TagSDAD], o[ec.TagAuthenticationData], o[ec.TagCTQ] = v.SDAD.SDAD, p.Auth, []byte{0, 0}
	o[ec.TagCardVersion] = []byte{0x00, 0x30}
	return o, []ec.Record{record}, ec.Signed{
		TTQ: ec.GateTTQ, UN: [4]byte(p.Terminal["9F37"]), Amount: [6]byte(p.Terminal["9F02"]), Currency: [2]byte(p.Terminal["5F2A"]), ATC: 1,
	}
}

func smCA(v smVector) ec.CAKey {
	return ec.CAKey{RID: ec.UnionPay, Index: v.CA.Index[0], Point: v.CA.Public, Expiry: 20301231}
}

// TestSMAuthentication verifies the computed chain and signature, and that every change of them is found.
func TestSMAuthentication(t *testing.T) {
	c, v := vectors(t), smVectors(t)
	number, err := ec.NewPAN(c.PAN)
	require.NoError(t, err)
	other, err := ec.NewPAN("6210948000000029")
	require.NoError(t, err)
	stranger := smCA(v)
	stranger.Point = v.Issuer.Public
	type facts struct {
		keys    []ec.CAKey
		revoked []ec.Revoked
		o       ec.Objects
		records []ec.Record
		signed  ec.Signed
		aip     ec.AIP
		pan     ec.PAN
		day     ec.Date
	}
	flip := func(raw []byte, at int) []byte {
		out := append([]byte{}, raw...)
		out[at] ^= 1
		return out
	}
	for name, k := range map[string]struct {
		spoil func(*facts)
		why   error
	}{
		"good":                      {func(*facts) {}, nil},
		"two keys of one index":     {func(f *facts) { f.keys = []ec.CAKey{stranger, smCA(v)} }, nil},
		"beside an RSA key":         {func(f *facts) { k := c.ca(); k.Index = 0x57; f.keys = []ec.CAKey{k, smCA(v)} }, nil},
		"unknown index":             {func(f *facts) { f.keys = nil }, ec.ErrUnknownCA},
		"another authority":         {func(f *facts) { f.keys = []ec.CAKey{stranger} }, ec.ErrSignature},
		"an RSA authority":          {func(f *facts) { k := c.ca(); k.Index = 0x57; f.keys = []ec.CAKey{k} }, ec.ErrLength},
		"authority expired":         {func(f *facts) { f.keys[0].Expiry = 20251231 }, ec.ErrCAExpired},
		"certificate expired":       {func(f *facts) { f.keys[0].Expiry, f.day = 0, 20310101 }, ec.ErrCertificateOld},
		"revoked":                   {func(f *facts) { f.revoked = []ec.Revoked{{RID: ec.UnionPay, Index: 0x57, Serial: [3]byte{0, 1, 1}}} }, ec.ErrRevoked},
		"other issuer's number":     {func(f *facts) { f.pan[0] = 0x63 }, ec.ErrIssuerIdentifier},
		"other card's number":       {func(f *facts) { f.pan = other }, ec.ErrOtherPAN},
		"no DDA":                    {func(f *facts) { f.aip = ec.AIP{0x5C} }, ec.ErrNoDDA},
		"AIP changed":               {func(f *facts) { f.aip = ec.AIP{0x7D} }, ec.ErrSignature},
		"static data changed":       {func(f *facts) { f.records[0].Raw = flip(f.records[0].Raw, 20) }, ec.ErrSignature},
		"issuer certificate's key":  {func(f *facts) { f.o[ec.TagIssuerCertificate] = flip(v.Issuer.Certificate, 40) }, ec.ErrSignature},
		"issuer certificate's sign": {func(f *facts) { f.o[ec.TagIssuerCertificate] = flip(v.Issuer.Certificate, 141) }, ec.ErrSignature},
		"issuer certificate is cut": {func(f *facts) { f.o[ec.TagIssuerCertificate] = v.Issuer.Certificate[:141] }, ec.ErrLength},
		"issuer certificate's form": {func(f *facts) { f.o[ec.TagIssuerCertificate] = flip(v.Issuer.Certificate, 0) }, ec.ErrRecovered},
		"card certificate":          {func(f *facts) { f.o[ec.TagICCCertificate] = flip(v.ICC.Certificate, 100) }, ec.ErrSignature},
		"card certificate is cut":   {func(f *facts) { f.o[ec.TagICCCertificate] = nil }, ec.ErrLength},
		"amount changed":            {func(f *facts) { f.signed.Amount[5] = 1 }, ec.ErrSignature},
		"number replayed":           {func(f *facts) { f.signed.UN[0] ^= 1 }, ec.ErrSignature},
		"currency changed":          {func(f *facts) { f.signed.Currency[1] ^= 1 }, ec.ErrSignature},
		"card's random changed":     {func(f *facts) { f.o[ec.TagAuthenticationData] = flip(f.o[ec.TagAuthenticationData], 4) }, ec.ErrSignature},
		"ATC changed":               {func(f *facts) { f.signed.ATC = 2 }, ec.ErrATC},
		"ATC in the signature":      {func(f *facts) { f.o[ec.TagSDAD] = flip(v.SDAD.SDAD, 4) }, ec.ErrSignature},
		"signature of zeros":        {func(f *facts) { f.o[ec.TagSDAD] = append(append([]byte{}, v.SDAD.SDAD[:5]...), make([]byte, 64)...) }, ec.ErrSignature},
		"signature is cut":          {func(f *facts) { f.o[ec.TagSDAD] = v.SDAD.SDAD[:1] }, ec.ErrLength},
		"no signature":              {func(f *facts) { delete(f.o, ec.TagSDAD) }, ec.ErrMissing},
		"version 00 where 01":       {func(f *facts) { delete(f.o, ec.TagAuthenticationData) }, ec.ErrDowngrade},
	} {
		t.Run(name, func(t *testing.T) {
			o, records, signed := smAnswer(t, c, v)
			f := &facts{keys: []ec.CAKey{smCA(v)}, o: o, records: records, signed: signed, aip: ec.AIP{0x7C}, pan: number, day: tapDay}
			k.spoil(f)
			a, err := ec.NewAuthorities(f.keys, f.revoked)
			require.NoError(t, err)
			key, err := a.Chain(ec.UnionPay, f.o, f.records, f.aip, f.pan, f.day)
			if err == nil {
				require.Equal(t, []byte(v.ICC.Public), key.Point)
				err = ec.CheckSignature(key, f.o, f.signed)
			}
			require.ErrorIs(t, err, k.why)
		})
	}
	for _, k := range []struct{ private, public hexBytes }{{v.CA.Private, v.CA.Public}, {v.Issuer.Private, v.Issuer.Public}, {v.ICC.Private, v.ICC.Public}} {
		x, y := sm2.P256().ScalarBaseMult(k.private)
		require.Equal(t, []byte(k.public), append(x.FillBytes(make([]byte, 32)), y.FillBytes(make([]byte, 32))...))
	}
	message := append(append([]byte{}, v.SDAD.SDAD[:5]...), v.SDAD.Terminal...)
	require.Equal(t, []byte(v.SDAD.Message), message)
	_, err = ec.PublicKey{Point: v.ICC.Public}.Static(nil, nil)
	require.ErrorIs(t, err, ec.ErrAlgorithm)
}

// TestAnOddSMCertificate signs certificates that no authority should: of another key length, and of a key that is no point.
func TestAnOddSMCertificate(t *testing.T) {
	c, v := vectors(t), smVectors(t)
	number, err := ec.NewPAN(c.PAN)
	require.NoError(t, err)
	a, err := ec.NewAuthorities([]ec.CAKey{smCA(v)}, nil)
	require.NoError(t, err)
	private := &ecdsa.PrivateKey{D: new(big.Int).SetBytes(v.CA.Private)}
	private.Curve = sm2.P256()
	private.X, private.Y = private.Curve.ScalarBaseMult(v.CA.Private)
	for at, why := range map[int]error{77: ec.ErrMalformed, 13: ec.ErrLength, 6: ec.ErrCertificateOld, 5: ec.ErrMalformed, 2: ec.ErrIssuerIdentifier, 10: nil} {
		plain := append([]byte{}, v.Issuer.Certificate[:78]...)
		plain[at] ^= 0x20
		r, s, err := sm2.SignWithSM2(rand.Reader, private, v.UserID, plain)
		require.NoError(t, err)
		_, err = a.Issuer(ec.UnionPay, 0x57, append(append(plain, r.FillBytes(make([]byte, 32))...), s.FillBytes(make([]byte, 32))...), nil, nil, number, tapDay)
		require.ErrorIs(t, err, why, "byte %d", at)
	}
}

// TestSMAuthorities: a key that is no point of the curve is refused when it is loaded.
func TestSMAuthorities(t *testing.T) {
	v := smVectors(t)
	sum := smCA(v).Checksum()
	download := func(hash, algorithm string, point, sum []byte) []byte {
		return append(append(append(append(unhex(t, "9F0605A000000333 9F220157 DF050420301231 DF0601"+hash+"DF0701"+algorithm+"DF02"), byte(len(point))), point...), 0xDF, 0x03, 20), sum...)
	}
	k, err := ec.ParseCAKey(download("07", "04", v.CA.Public, sum[:]))
	require.NoError(t, err)
	require.Equal(t, smCA(v), k)
	off := append([]byte{}, v.CA.Public...)
	off[63] ^= 1
	bad := ec.CAKey{RID: ec.UnionPay, Index: 0x57, Point: off}
	offSum := bad.Checksum()
	for _, raw := range []struct {
		raw []byte
		why error
	}{
		{download("07", "04", off, offSum[:]), ec.ErrMalformed}, {download("07", "04", v.CA.Public, offSum[:]), ec.ErrChecksum},
		{download("01", "04", v.CA.Public, sum[:]), ec.ErrAlgorithm}, {download("07", "01", v.CA.Public, sum[:]), ec.ErrAlgorithm},
	} {
		_, err := ec.ParseCAKey(raw.raw)
		require.ErrorIs(t, err, raw.why)
	}
	for _, k := range []ec.CAKey{bad, {Point: v.CA.Public[:63]}, {Point: v.CA.Public, Exponent: []byte{3}}} {
		_, err := ec.NewAuthorities([]ec.CAKey{k}, nil)
		require.ErrorIs(t, err, ec.ErrMalformed)
	}
}

// FuzzSM reads bytes as certificates and signatures of a true SM2 key.
func FuzzSM(f *testing.F) {
	c, v := vectors(f), smVectors(f)
	f.Add([]byte(v.Issuer.Certificate), []byte{})
	f.Add([]byte(v.ICC.Certificate), []byte(v.ICC.Static))
	f.Add([]byte(v.SDAD.SDAD), []byte(v.SDAD.Terminal))
	number, err := ec.NewPAN(c.PAN)
	require.NoError(f, err)
	a, err := ec.NewAuthorities([]ec.CAKey{smCA(v)}, nil)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, object, rest []byte) {
		if got, err := a.Issuer(ec.UnionPay, 0x57, object, nil, nil, number, tapDay); err == nil {
			require.Equal(t, []byte(v.Issuer.Public), got.Key.Point, "nobody forges a certificate")
		}
		if got, err := (ec.PublicKey{Point: v.Issuer.Public}).Card(object, nil, nil, rest, number, tapDay); err == nil {
			require.Equal(t, []byte(v.ICC.Public), got.Key.Point)
		}
		if got, err := (ec.PublicKey{Point: v.ICC.Public}).Dynamic(object, rest); err == nil {
			require.Equal(t, []byte{2, 0, 1}, got)
		}
		_, _ = ec.PublicKey{Point: rest}.Dynamic(object, nil)
	})
}
