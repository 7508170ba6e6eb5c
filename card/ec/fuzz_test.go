package ec_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ec"
)

// FuzzData reads bytes as each data object: nothing panics, and what is read is coded back to the same bytes.
func FuzzData(f *testing.F) {
	for _, s := range []string{"07010103900000010A0100000098005EBE1E9E", "0801010010010401", "6210948000000011D30122200123456789", "9F66049F02069F03069F1A02",
		"6210948000000011FFFF", "000000010000", "301231", "700A5A086210948000000011", "9F790000000093500000000150002601051200000005"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if i, err := ec.ParseIAD(raw); err == nil {
			require.Equal(t, raw, i.Bytes())
			i.Balance()
		}
		if a, err := ec.ParseAFL(raw); err == nil {
			require.Equal(t, raw, a.Bytes())
			require.LessOrEqual(t, len(a.Places()), 32)
		}
		if k, err := ec.ParseTrack2(raw); err == nil {
			again, err := ec.ParseTrack2(k.Bytes())
			require.NoError(t, err)
			require.Equal(t, k, again)
		}
		if d, err := ec.ParseDOL(raw); err == nil {
			require.Len(t, d.Fill(nil), d.Length())
		}
		if p, err := ec.ParsePAN(raw); err == nil {
			again, err := ec.NewPAN(p.Reveal())
			require.NoError(t, err)
			require.Equal(t, p, again)
		}
		if a, err := ec.ParseAmount(raw); err == nil && len(raw) == 6 {
			again, err := ec.Amount12(a)
			require.NoError(t, err)
			require.Equal(t, raw, again[:])
		}
		if d, err := ec.ParseDate(raw); err == nil {
			again := d.BCD()
			require.Equal(t, raw, again[:])
		}
		if r, err := ec.ParseLoadRecord(raw); err == nil {
			require.False(t, r.Before.Sign() < 0 || r.After.Sign() < 0)
		}
		_ = ec.Objects{}.Add(raw)
	})
}

// FuzzCertificates reads bytes as a signature of a true key, and as a CA key's download.
func FuzzCertificates(f *testing.F) {
	c := chains(f)[0]
	f.Add([]byte(c.IssuerCertificate), []byte(c.IssuerRemainder))
	f.Add([]byte(c.CardCertificate), []byte(c.CardRemainder))
	f.Add([]byte(c.SDAD), []byte(c.TerminalData))
	authorities, err := ec.NewAuthorities([]ec.CAKey{c.ca()}, nil)
	require.NoError(f, err)
	pan := c.pan(f)
	key := ec.PublicKey{Modulus: c.IssuerModulus, Exponent: c.IssuerExponent}
	f.Fuzz(func(t *testing.T, signature, rest []byte) {
		_, _ = authorities.Issuer(ec.UnionPay, 9, signature, rest, c.IssuerExponent, pan, tapDay)
		_, _ = key.Card(signature, rest, c.CardExponent, c.Static, pan, tapDay)
		_, _ = key.Dynamic(signature, rest)
		_, _ = key.Static(signature, rest)
		_, _ = ec.PublicKey{Modulus: rest, Exponent: []byte{3}}.Dynamic(signature, nil)
		if k, err := ec.ParseCAKey(rest); err == nil {
			require.NotEmpty(t, k.Modulus)
		}
	})
}
