package ec_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/tlv"
)

const tapDay ec.Date = 20260105

func TestPublishedCAKeys(t *testing.T) {
	var f caFile
	readJSON(t, "ca-keys.json", &f)
	require.Len(t, f.Keys, 15)
	var all []ec.CAKey
	for _, e := range f.Keys {
		t.Run(e.ID, func(t *testing.T) {
			sum := e.key().Checksum()
			require.Equal(t, []byte(e.Checksum), sum[:], e.Source)
			down := func(expiry []byte, sum []byte) []byte {
				raw, err := tlv.Encode([]tlv.Object{
					{Tag: 0x9F06, Value: e.RID}, {Tag: 0x9F22, Value: e.Index}, {Tag: 0xDF05, Value: expiry}, {Tag: 0xDF06, Value: []byte{1}}, {Tag: 0xDF07, Value: []byte{1}},
					{Tag: 0xDF02, Value: e.Modulus}, {Tag: 0xDF04, Value: e.Exponent}, {Tag: 0xDF03, Value: sum},
				})
				require.NoError(t, err)
				return raw
			}
			want := e.key()
			want.Expiry = 20301231
			for _, expiry := range [][]byte{[]byte("20301231"), {0x20, 0x30, 0x12, 0x31}} {
				got, err := ec.ParseCAKey(down(expiry, e.Checksum))
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
			_, err := ec.ParseCAKey(down([]byte("20301231"), make([]byte, 20)))
			require.ErrorIs(t, err, ec.ErrChecksum)
		})
		all = append(all, e.key())
	}
	// Index 80 and 85 stand for two keys each, and are loaded beside each other.
	_, err := ec.NewAuthorities(all, nil)
	require.NoError(t, err)
}

func TestPublishedCertificates(t *testing.T) {
	for _, c := range chains(t) {
		t.Run(c.ID, func(t *testing.T) {
			// A second key of the same index stands before the right one: the certificate finds its own.
			var f caFile
			readJSON(t, "ca-keys.json", &f)
			other := f.Keys[5].key()
			other.RID, other.Index = ec.RID(c.RID), c.Index[0]
			a, err := ec.NewAuthorities([]ec.CAKey{other, c.ca()}, nil)
			require.NoError(t, err)

			issuer, err := a.Issuer(ec.RID(c.RID), c.Index[0], c.IssuerCertificate, c.IssuerRemainder, c.IssuerExponent, c.pan(t), tapDay)
			require.NoError(t, err)
			require.Equal(t, []byte(c.IssuerModulus), issuer.Key.Modulus)
			require.Equal(t, []byte(c.IssuerSerial), issuer.Serial[:])

			card, err := issuer.Key.Card(c.CardCertificate, c.CardRemainder, c.CardExponent, c.Static, c.pan(t), tapDay)
			if len(c.Static) > 0 {
				require.NoError(t, err)
				require.Equal(t, []byte(c.CardModulus), card.Key.Modulus)
			} else {
				require.ErrorIs(t, err, ec.ErrHash, "its static data is not published")
			}
			if len(c.Code) > 0 {
				code, err := issuer.Key.Static(c.SSAD, c.Static)
				require.NoError(t, err)
				require.Equal(t, []byte(c.Code), code[:])
			}
			key := ec.PublicKey{Modulus: c.CardModulus, Exponent: c.CardExponent}
			dynamic, err := key.Dynamic(c.SDAD, c.TerminalData)
			require.NoError(t, err)
			require.Equal(t, []byte(c.Dynamic), dynamic)

			if len(c.BadIssuer) > 0 {
				_, err = a.Issuer(ec.RID(c.RID), c.Index[0], c.BadIssuer, c.IssuerRemainder, c.IssuerExponent, c.pan(t), tapDay)
				require.ErrorIs(t, err, ec.ErrRecovered)
				_, err = key.Dynamic(c.BadSDAD, c.TerminalData)
				require.ErrorIs(t, err, ec.ErrRecovered)
				_, err = a.Issuer(ec.RID(c.RID), c.Index[0], c.IssuerCertificate, c.IssuerRemainder, c.IssuerExponent, c.pan(t), c.BadDay)
				require.ErrorIs(t, err, ec.ErrCertificateOld)
				_, err = issuer.Key.Card(c.CardCertificate, c.BadRemainder, c.CardExponent, c.Static, c.pan(t), tapDay)
				require.ErrorIs(t, err, ec.ErrHash)
			}
		})
	}
}

func TestIssuerCertificateIsRefused(t *testing.T) {
	c := chains(t)[0]
	verify := func(k ec.CAKey, index byte, certificate, remainder []byte, pan string, today ec.Date, revoked ...ec.Revoked) error {
		a, err := ec.NewAuthorities([]ec.CAKey{k}, revoked)
		require.NoError(t, err)
		p, err := ec.NewPAN(pan)
		require.NoError(t, err)
		_, err = a.Issuer(ec.UnionPay, index, certificate, remainder, c.IssuerExponent, p, today)
		return err
	}
	old := c.ca()
	old.Expiry = 20260104
	require.NoError(t, verify(c.ca(), 9, c.IssuerCertificate, c.IssuerRemainder, c.PAN, tapDay))
	require.NoError(t, verify(c.ca(), 9, c.IssuerCertificate, c.IssuerRemainder, c.PAN, 20301231), "valid to the last day of the month")
	require.ErrorIs(t, verify(c.ca(), 9, c.IssuerCertificate, c.IssuerRemainder, c.PAN, 20310101), ec.ErrCertificateOld)
	require.ErrorIs(t, verify(c.ca(), 8, c.IssuerCertificate, c.IssuerRemainder, c.PAN, tapDay), ec.ErrUnknownCA)
	require.ErrorIs(t, verify(old, 9, c.IssuerCertificate, c.IssuerRemainder, c.PAN, tapDay), ec.ErrCAExpired)
	require.ErrorIs(t, verify(c.ca(), 9, c.IssuerCertificate[1:], c.IssuerRemainder, c.PAN, tapDay), ec.ErrLength)
	require.ErrorIs(t, verify(c.ca(), 9, nil, c.IssuerRemainder, c.PAN, tapDay), ec.ErrLength)
	require.ErrorIs(t, verify(c.ca(), 9, c.IssuerCertificate, nil, c.PAN, tapDay), ec.ErrHash)
	require.ErrorIs(t, verify(c.ca(), 9, c.IssuerCertificate, c.IssuerRemainder, "6210958000000011", tapDay), ec.ErrIssuerIdentifier)
	require.ErrorIs(t, verify(c.ca(), 9, c.IssuerCertificate, c.IssuerRemainder, c.PAN, tapDay, ec.Revoked{RID: ec.UnionPay, Index: 9, Serial: [3]byte{0, 0x11, 0x56}}), ec.ErrRevoked)
	require.NoError(t, verify(c.ca(), 9, c.IssuerCertificate, c.IssuerRemainder, c.PAN, tapDay, ec.Revoked{RID: ec.UnionPay, Index: 8, Serial: [3]byte{0, 0x11, 0x56}}))
	key := ec.PublicKey{Modulus: c.IssuerModulus, Exponent: c.IssuerExponent}
	p, err := ec.NewPAN("6210948000000012")
	require.NoError(t, err)
	_, err = key.Card(c.CardCertificate, c.CardRemainder, c.CardExponent, c.Static, p, tapDay)
	require.ErrorIs(t, err, ec.ErrOtherPAN)
	_, err = ec.StaticData(nil, ec.AIP{}, []byte{0x82, 0x84})
	require.ErrorIs(t, err, ec.ErrStaticTags)
}

// answers reads a computed tap's answers as a terminal does.
func answers(t *testing.T, p tap) (o ec.Objects, records []ec.Record, aip ec.AIP, pan ec.PAN) {
	o = ec.Objects{}
	require.NoError(t, o.Add(p.Steps[2][1][:len(p.Steps[2][1])-2]))
	afl, err := ec.ParseAFL(o[ec.TagAFL])
	require.NoError(t, err)
	for i, place := range afl.Places() {
		raw := p.Steps[3+i][1]
		r := ec.Record{Place: place, Raw: raw[:len(raw)-2]}
		require.NoError(t, o.Add(r.Raw))
		records = append(records, r)
	}
	pan, err = ec.ParsePAN(o[ec.TagPAN])
	require.NoError(t, err)
	return o, records, ec.AIP(o[ec.TagAIP]), pan
}

func signed(t *testing.T, p tap, o ec.Objects) ec.Signed {
	return ec.Signed{
		TTQ: ec.TTQ(p.Terminal["9F66"]), UN: [4]byte(p.Terminal["9F37"]), Amount: [6]byte(p.Terminal["9F02"]),
		Currency: [2]byte(p.Terminal["5F2A"]), ATC: binary.BigEndian.Uint16(o[ec.TagATC]),
	}
}

func TestComputedTapsAreAuthentic(t *testing.T) {
	c := vectors(t)
	sum := c.ca().Checksum()
	require.Equal(t, []byte(c.CA.Checksum), sum[:])
	for _, p := range c.Taps {
		if p.Type != "TC" {
			continue
		}
		t.Run(p.ID, func(t *testing.T) {
			o, records, aip, pan := answers(t, p)
			if p.ID != "T6" {
				static, err := ec.StaticData(records, aip, o[ec.TagStaticTags])
				require.NoError(t, err)
				require.Equal(t, []byte(c.Static), static)
			}
			require.Equal(t, []byte(p.Auth), append([]byte{}, o[ec.TagAuthenticationData]...))
			key, err := c.authorities(t).Chain(ec.UnionPay, o, records, aip, pan, tapDay)
			require.NoError(t, err)
			require.NoError(t, ec.CheckSignature(key, o, signed(t, p, o)))
		})
	}
}

// TestComputedNegatives runs each case of the computed vectors through authentication; what the issuer's keys say of the same case is in issuer_test.go.
func TestComputedNegatives(t *testing.T) {
	c := vectors(t)
	want := map[string]error{
		"amount in terminal record changed after the tap": ec.ErrHash,
		"unpredictable number replayed from another tap":  ec.ErrHash,
		"9F69 card random changed by one bit":             ec.ErrHash,
		"ATC changed in 9F36 only":                        ec.ErrATC,
		"balance in 9F10 changed":                         nil, // nothing that the terminal can see
		"fDDA00 offered where both sides claim fDDA01":    ec.ErrDowngrade,
		"issuer certificate serial 000101 on CRL":         ec.ErrRevoked,
		"CA index F1 unknown to the terminal":             ec.ErrUnknownCA,
		"static data changed: 5F24 311231":                ec.ErrHash,
	}
	require.Len(t, c.Negatives, len(want))
	for _, n := range c.Negatives {
		t.Run(n.Case, func(t *testing.T) {
			expected, known := want[n.Case]
			require.True(t, known)
			p := c.tap(t, n.Base)
			authorities := c.authorities(t)
			o, records, aip, pan := answers(t, p)
			s := signed(t, p, o)
			for tag, v := range n.Change {
				switch tag {
				case "9F02":
					s.Amount = [6]byte(*v)
				case "9F37":
					s.UN = [4]byte(*v)
				case "9F36":
					s.ATC = binary.BigEndian.Uint16(*v)
				case "9F69":
					delete(o, ec.TagAuthenticationData)
					if v != nil {
						o[ec.TagAuthenticationData] = *v
					}
				case "9F10":
					o[ec.TagIAD] = *v
				default:
					require.FailNow(t, tag)
				}
			}
			switch n.Case {
			case "issuer certificate serial 000101 on CRL":
				authorities = c.authorities(t, ec.Revoked{RID: ec.UnionPay, Index: 0xF1, Serial: [3]byte{0, 1, 1}})
			case "CA index F1 unknown to the terminal":
				var err error
				authorities, err = ec.NewAuthorities(nil, nil)
				require.NoError(t, err)
			case "static data changed: 5F24 311231":
				records[1].Raw = bytes.Replace(records[1].Raw, unhex(t, "5F2403301231"), unhex(t, "5F2403311231"), 1)
			}
			key, err := authorities.Chain(ec.UnionPay, o, records, aip, pan, tapDay)
			if err == nil {
				err = ec.CheckSignature(key, o, s)
			}
			require.ErrorIs(t, err, expected)
		})
	}
}

func TestAuthenticationNeedsItsData(t *testing.T) {
	c := vectors(t)
	p := c.tap(t, "T1")
	o, records, aip, pan := answers(t, p)
	_, err := c.authorities(t).Chain(ec.UnionPay, o, records, ec.AIP{0x5C, 0}, pan, tapDay)
	require.ErrorIs(t, err, ec.ErrNoDDA)
	key, err := c.authorities(t).Chain(ec.UnionPay, o, records, aip, pan, tapDay)
	require.NoError(t, err)
	o[ec.TagCTQ] = []byte{0x80, 0}
	require.ErrorIs(t, ec.CheckSignature(key, o, signed(t, p, o)), ec.ErrCTQ)
	delete(o, ec.TagSDAD)
	require.ErrorIs(t, ec.CheckSignature(key, o, signed(t, p, o)), ec.ErrMissing)
	delete(o, ec.TagCAIndex)
	_, err = c.authorities(t).Chain(ec.UnionPay, o, records, aip, pan, tapDay)
	require.ErrorIs(t, err, ec.ErrMissing)
}

// TestPublishedContactCard reads the published contact card's records as they came over the wire: certificates and static data are put together from them.
func TestPublishedContactCard(t *testing.T) {
	c := chains(t)[0]
	answers := map[string][]byte{}
	for _, x := range c.APDUs {
		answers[string(x[0])] = x[1]
	}
	options := answers[string(unhex(t, "80A8000002830000"))]
	aip := ec.AIP(options[2:4])
	afl, err := ec.ParseAFL(options[4 : len(options)-2])
	require.NoError(t, err)
	o, records := ec.Objects{}, []ec.Record(nil)
	for _, p := range afl.Places() {
		raw := answers[string([]byte{0x00, 0xB2, p.Number, p.SFI<<3 | 4, 0x00})]
		require.NotEmpty(t, raw)
		r := ec.Record{Place: p, Raw: raw[:len(raw)-2]}
		require.NoError(t, o.Add(r.Raw))
		records = append(records, r)
	}
	static, err := ec.StaticData(records, aip, o[ec.TagStaticTags])
	require.NoError(t, err)
	require.Equal(t, []byte(c.Static), static)
	a, err := ec.NewAuthorities([]ec.CAKey{c.ca()}, nil)
	require.NoError(t, err)
	key, err := a.Chain(ec.UnionPay, o, records, aip, c.pan(t), tapDay)
	require.NoError(t, err)
	require.Equal(t, []byte(c.CardModulus), key.Modulus)
}

func TestWhatIsNoCAKey(t *testing.T) {
	good := chains(t)[0].ca()
	for name, spoil := range map[string]func(*ec.CAKey){
		"short":           func(k *ec.CAKey) { k.Modulus = k.Modulus[:63] },
		"none":            func(k *ec.CAKey) { k.Modulus = nil },
		"leading zero":    func(k *ec.CAKey) { k.Modulus = append([]byte{0}, k.Modulus[1:]...) },
		"even":            func(k *ec.CAKey) { k.Modulus = append(bytes.Clone(k.Modulus[:len(k.Modulus)-1]), 2) },
		"exponent of one": func(k *ec.CAKey) { k.Exponent = []byte{1} },
	} {
		k := good
		spoil(&k)
		_, err := ec.NewAuthorities([]ec.CAKey{k}, nil)
		require.ErrorIs(t, err, ec.ErrMalformed, name)
	}
	_, err := ec.ParseCAKey(unhex(t, "9F0605A000000333 9F220109 DF0601 07"))
	require.ErrorIs(t, err, ec.ErrMalformed)
}
