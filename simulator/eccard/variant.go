package eccard

import (
	"crypto/rsa"
	"io"
	"math/big"
	"slices"

	"github.com/emmansun/gmsm/sm2"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/tlv"
)

// variant is one way of a card to sign and to compute: RSA and 3DES, or SM2 and SM4.
type variant struct {
	suite        ec.Suite
	dki          byte
	ac, mac, enc keys.Key
	afl          ec.AFL
	records      []ec.Record
	// dynamic signs the ATC and the terminal's data.
	dynamic func(atc, terminal []byte) ([]byte, error)
}

// find returns a record's index in the reading order, or -1.
func (v *variant) find(sfi, number byte) int {
	return slices.IndexFunc(v.records, func(r ec.Record) bool { return r.SFI == sfi && r.Number == number })
}

// variants are those that the card has: what DF69 chooses from.
func (c *Card) variants() []*variant {
	if c.sm == nil {
		return []*variant{c.plain}
	}
	return []*variant{c.plain, c.sm}
}

// newVariant derives a card's keys, and takes its files in reading order.
func newVariant(m ec.Masters, dki byte, p Profile, afl ec.AFL, files [][]tlv.Object) (*variant, error) {
	s := ec.Suite3DES
	if m.Algorithm == ec.AlgorithmSM4 {
		s = ec.SuiteSM4
	}
	v := &variant{suite: s, dki: dki, afl: afl, ac: s.CardKey(m.AC, p.PAN, p.PSN), mac: s.CardKey(m.MAC, p.PAN, p.PSN), enc: s.CardKey(m.ENC, p.PAN, p.PSN)}
	for n, at := range afl.Places() {
		raw, err := tlv.Encode([]tlv.Object{{Tag: 0x70, Children: files[n]}})
		if err != nil {
			return nil, err
		}
		v.records = append(v.records, ec.Record{Place: at, Raw: raw})
	}
	return v, nil
}

// signRSA is fDDA by RSA.
func signRSA(k *rsa.PrivateKey) func(atc, terminal []byte) ([]byte, error) {
	return func(atc, terminal []byte) ([]byte, error) {
		return sign(k, slices.Concat([]byte{0x05, 0x01, 0x03, 0x02}, atc), nil, terminal), nil
	}
}

// signSM2 is fDDA by SM2.
func signSM2(chance io.Reader, k *sm2.PrivateKey) func(atc, terminal []byte) ([]byte, error) {
	return func(atc, terminal []byte) ([]byte, error) {
		return smSign(chance, k, slices.Concat([]byte{0x15, 0x03, 0x02}, atc), terminal)
	}
}

// smSign puts the signature over plain and what is behind it after plain.
func smSign(chance io.Reader, k *sm2.PrivateKey, plain, behind []byte) ([]byte, error) {
	r, s, err := sm2.SignWithSM2(chance, &k.PrivateKey, []byte("1234567812345678"), slices.Concat(plain, behind))
	if err != nil {
		return nil, err
	}
	return slices.Concat(plain, r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))), nil
}

// smPoint is X and Y of a public key.
func smPoint(k *sm2.PrivateKey) []byte {
	fill := func(n *big.Int) []byte { return n.FillBytes(make([]byte, 32)) }
	return slices.Concat(fill(k.X), fill(k.Y))
}

// smCertificate makes what an SM2 certificate holds from its expiry on.
func smCertificate(serial byte, k *sm2.PrivateKey) []byte {
	return slices.Concat([]byte{0x12, 0x40, 0x00, serial, 0x01, 0x04, 0x00, 0x11, 0x40}, smPoint(k))
}
