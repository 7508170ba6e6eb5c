package eccard

import (
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the scheme's certificates are defined with SHA-1
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"

	"github.com/emmansun/gmsm/sm2"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/money"
)

// Sizes in bits: the card's key is short enough for its signature to stand in the answer to GET PROCESSING OPTIONS.
const (
	caBits     = 1408
	issuerBits = 1152
	cardBits   = 1024
)

const (
	caIndex   = 0xF1
	smCAIndex = 0x57
	dki       = 0x01 // of the 3DES master keys
	smDKI     = 0x02 // and of those of SM4
)

var exponent = []byte{1, 0, 1} // what crypto/rsa makes

// Issuer issues simulated cards. Make one with [NewIssuer].
type Issuer struct {
	chance      io.Reader
	ca, signer  *rsa.PrivateKey
	iin         [4]byte
	certificate []byte // of the issuer's key
	masters     ec.Masters
	operator    struct{ initial, management keys.Key }

	smCA, smSigner *sm2.PrivateKey
	smCertificate  []byte
	smMasters      ec.Masters
}

// NewIssuer makes the keys of an authority and of an issuer whose cards begin with iin, 3 to 8 digits. chance is where keys and card randoms come from.
func NewIssuer(chance io.Reader, iin string) (*Issuer, error) {
	i := &Issuer{chance: chance}
	if len(iin) < 3 || len(iin) > 8 {
		return nil, fmt.Errorf("eccard: issuer identifier of %d digits, want 3 to 8", len(iin))
	}
	id, err := hex.DecodeString(iin + strings.Repeat("F", 8-len(iin)))
	if err != nil {
		return nil, fmt.Errorf("eccard: issuer identifier: want decimal digits")
	}
	i.iin = [4]byte(id)
	if i.ca, err = rsa.GenerateKey(chance, caBits); err != nil {
		return nil, fmt.Errorf("eccard: authority's key: %w", err)
	}
	if i.signer, err = rsa.GenerateKey(chance, issuerBits); err != nil {
		return nil, fmt.Errorf("eccard: issuer's key: %w", err)
	}
	for _, k := range []*keys.Key{&i.masters.AC, &i.masters.MAC, &i.masters.ENC, &i.operator.initial, &i.operator.management, &i.smMasters.AC, &i.smMasters.MAC, &i.smMasters.ENC} {
		if _, err := io.ReadFull(chance, k[:]); err != nil {
			return nil, fmt.Errorf("eccard: master keys: %w", err)
		}
	}
	i.certify()
	return i, i.smKeys()
}

// certify signs the issuer's key.
func (i *Issuer) certify() {
	n := i.signer.N.Bytes()
	head := slices.Concat([]byte{0x02}, i.iin[:], []byte{0x12, 0x40, 0x00, 0x01, 0x01, 1, 1, byte(len(n)), byte(len(exponent))})
	i.certificate = sign(i.ca, head, n[:min(len(n), caBits/8-36)], n[min(len(n), caBits/8-36):], exponent)
}

// smKeys makes the issuer's SM2 side: an authority, a key and its certificate.
func (i *Issuer) smKeys() (err error) {
	i.smMasters.Algorithm = ec.AlgorithmSM4
	for _, k := range []**sm2.PrivateKey{&i.smCA, &i.smSigner} {
		if *k, err = sm2.GenerateKey(i.chance); err != nil {
			return fmt.Errorf("eccard: SM2 key: %w", err)
		}
	}
	i.smCertificate, err = smSign(i.chance, i.smCA, slices.Concat([]byte{0x12}, i.iin[:], smCertificate(1, i.smSigner)), nil)
	return err
}

// SMAuthority is the SM2 public key that a terminal must hold for cards with SM2.
func (i *Issuer) SMAuthority() ec.CAKey {
	return ec.CAKey{RID: ec.UnionPay, Index: smCAIndex, Point: smPoint(i.smCA), Expiry: 20401231}
}

// Format prints no key: fmt would reach those in the fields.
func (i *Issuer) Format(f fmt.State, _ rune) { io.WriteString(f, "[simulated EC issuer]") }

// Authority is the public key that a terminal must hold.
func (i *Issuer) Authority() ec.CAKey {
	return ec.CAKey{RID: ec.UnionPay, Index: caIndex, Modulus: i.ca.N.Bytes(), Exponent: exponent, Expiry: 20401231}
}

// Door is the issuing host's door to the master keys.
func (i *Issuer) Door() ec.Issuer {
	return ec.NewSoft(map[byte]ec.Masters{dki: i.masters, smDKI: i.smMasters})
}

// sign makes 6A, head, held filled with BB, SHA-1 over these (but the 6A) and what is behind, BC; and signs it.
func sign(k *rsa.PrivateKey, head, held []byte, behind ...[]byte) []byte {
	n := k.Size()
	body := slices.Concat(head, held)
	for len(body) < n-22 {
		body = append(body, 0xBB)
	}
	sum := sha1.Sum(slices.Concat(append([][]byte{body}, behind...)...))
	plain := slices.Concat([]byte{0x6A}, body, sum[:], []byte{0xBC})
	return private(k, new(big.Int).SetBytes(plain)).FillBytes(make([]byte, n))
}

// private is x^d mod n, by the primes: four times as fast, and torn taps sign a lot.
func private(k *rsa.PrivateKey, x *big.Int) *big.Int {
	p, q := k.Primes[0], k.Primes[1]
	m1 := new(big.Int).Exp(x, k.Precomputed.Dp, p)
	m2 := new(big.Int).Exp(x, k.Precomputed.Dq, q)
	h := m1.Sub(m1, m2)
	h.Mul(h, k.Precomputed.Qinv).Mod(h, p)
	return h.Mul(h, q).Add(h, m2)
}

// Profile is what a card is personalised with.
type Profile struct {
	PAN     ec.PAN
	PSN     byte
	Balance money.Amount
	Limit   money.Amount // 9F77; zero: 1000.00
	Single  money.Amount // 9F78, for one tap; zero: 500.00
	Reset   money.Amount // 9F6D, below which a reader that can go online does; zero: 10.00
	PIN     ec.PIN       // zero: none
	// Risk is what the card's risk management does and its limits. Nil: [DefaultRisk].
	Risk *Risk
	// Transit gives the card the transit extension: the operator's files, by number, with their room in bytes. Nil: none.
	Transit map[byte]int
	Deposit money.Amount // DF62, what segmented fares may take beyond the balance
	SM      bool         // the card also has SM2 and SM4, and uses them where DF69 is 01
}

// Risk are the settings of card risk management (EC facts 7). Amounts of zero and a count of zero are limits that are not there.
type Risk struct {
	Processes       [4]byte      // 9F68
	HolderLimit     money.Amount // 9F6B: above it the card holder is verified
	Cumulative      money.Amount // 9F54, offline since the card was online last
	CumulativeUpper money.Amount // 9F5C; goes before 9F54
	Mismatches      byte         // 9F53: taps in another currency
}

// DefaultRisk checks the balance, tells what can be spent, and keeps a log.
var DefaultRisk = Risk{Processes: [4]byte{0x81, 0x10}}

// Operator is a transit operator's door to the keys of its records, for terminals.
func (i *Issuer) Operator() ec.Operator {
	return ec.NewSoftOperator(i.operator.initial, i.operator.management)
}

// Card personalises a card with the limits of [Profile].
func (i *Issuer) Card(pan ec.PAN, psn byte, balance money.Amount) (*Card, error) {
	return i.Personalise(Profile{PAN: pan, PSN: psn, Balance: balance})
}

// Personalise makes a card: certificates, records, card keys, balance and limits.
func (i *Issuer) Personalise(p Profile) (*Card, error) {
	k, err := rsa.GenerateKey(i.chance, cardBits)
	if err != nil {
		return nil, fmt.Errorf("eccard: card's key: %w", err)
	}
	pan, psn := p.PAN, p.PSN
	c := &Card{
		chance: i.chance, key: x509.MarshalPKCS1PrivateKey(k), pan: pan, psn: psn, pin: p.PIN, pdol: pdol, files: map[byte]*transitFile{},
		data: map[tlv.Tag][]byte{ec.TagApplicationMoney: currency, 0x9F4F: logDOL, ec.TagLoadLogFormat: loadDOL, ec.TagLastOnlineATC: {0, 0}},
	}
	for t, a := range map[tlv.Tag][2]money.Amount{
		ec.TagBalance: {p.Balance}, ec.TagBalanceLimit: {p.Limit, money.Minor(100_000)}, ec.TagSingleLimit: {p.Single, money.Minor(50_000)},
		ec.TagResetThreshold: {p.Reset, money.Minor(1_000)},
	} {
		value := a[0]
		if value.IsZero() {
			value = a[1]
		}
		if c.data[t], err = packed(value); err != nil {
			return nil, err
		}
	}
	risk := &DefaultRisk
	if p.Risk != nil {
		risk = p.Risk
	}
	c.data[ec.TagProcesses] = slices.Clone(risk.Processes[:])
	for t, a := range map[tlv.Tag]money.Amount{ec.TagCVMLimit: risk.HolderLimit, tagCumulativeLimit: risk.Cumulative, tagCumulativeUpper: risk.CumulativeUpper} {
		if a.IsZero() {
			continue
		}
		if c.data[t], err = packed(a); err != nil {
			return nil, err
		}
	}
	if risk.Mismatches > 0 {
		c.data[tagMismatches] = []byte{risk.Mismatches}
	}
	if p.Transit != nil {
		c.pdol = slices.Concat(c.pdol, []byte{0xDF, 0x60, 1})
		c.data[ec.TagTransitSupport] = []byte{0x83} // segmented fares, pre-authorisation, MAC on READ CAPP DATA
		c.data[ec.TagDepositUsed] = n12(money.Amount{})
		if c.data[ec.TagDepositLimit], err = packed(p.Deposit); err != nil {
			return nil, err
		}
		for sfi, room := range p.Transit {
			c.files[sfi] = &transitFile{initial: ec.CardKey(i.operator.initial, pan, psn), room: room}
		}
	}
	if !p.PIN.IsZero() {
		c.data[0x9F17] = []byte{pinTries}
	}
	digits := pan.Reveal()
	number, err := hex.DecodeString(digits + strings.Repeat("F", len(digits)%2))
	if err != nil {
		return nil, fmt.Errorf("eccard: %w", err)
	}
	data := func(t tlv.Tag, v ...byte) tlv.Object { return tlv.Object{Tag: t, Value: v} }
	signed := []tlv.Object{
		data(ec.TagPAN, number...), data(ec.TagPSN, psn), data(ec.TagExpiry, 0x40, 0x12, 0x31), data(ec.TagEffective, 0x25, 0x01, 0x01), data(ec.TagStaticTags, 0x82),
	}
	body, err := tlv.Encode(signed)
	if err != nil {
		return nil, err
	}
	n := k.N.Bytes()
	room := issuerBits/8 - 42
	head := slices.Concat([]byte{0x04}, pan[:], []byte{0x12, 0x40, 0x00, 0x02, 0x01, 1, 1, byte(len(n)), byte(len(exponent))})
	certificate := sign(i.signer, head, n[:min(len(n), room)], n[min(len(n), room):], exponent, body, aip[:])
	issuer := []tlv.Object{data(ec.TagCAIndex, caIndex), data(ec.TagIssuerExponent, exponent...), data(ec.TagIssuerCertificate, i.certificate...)}
	if rest := i.signer.N.Bytes(); len(rest) > caBits/8-36 {
		issuer = append(issuer, data(ec.TagIssuerRemainder, rest[caBits/8-36:]...))
	}
	own := []tlv.Object{data(ec.TagICCExponent, exponent...), data(ec.TagICCCertificate, certificate...)}
	if len(n) > room {
		own = append(own, data(ec.TagICCRemainder, n[room:]...))
	}
	version, last := []tlv.Object{data(ec.TagCardVersion, 0x00, 0x30)}, []tlv.Object{data(ec.TagProduct, make([]byte, 16)...)}
	if c.plain, err = newVariant(i.masters, dki, p, afl, [][]tlv.Object{version, signed, issuer, own, last}); err != nil {
		return nil, err
	}
	c.plain.dynamic = signRSA(k)
	c.now = c.plain
	if p.SM && i.smSigner == nil {
		return nil, errors.New("eccard: this issuer has no SM2 keys: one from a file makes no cards with them")
	}
	if p.SM {
		c.pdol = slices.Concat(c.pdol, []byte{0xDF, 0x69, 1})
		if err := i.addSM(c, p, version, signed, last, body); err != nil {
			return nil, err
		}
	}
	c.online = ec.Record{Place: ec.Place{SFI: 3, Number: 1}, Raw: code(tlv.Object{Tag: 0x70, Children: []tlv.Object{
		object(ec.TagTrack2, c.track2()), object(ec.TagCDOL1, cdol1), object(ec.TagCDOL2, cdol2),
	}})}
	return c, nil
}

// addSM gives a card a key, a certificate and records of SM2. Version and static record are those of RSA.
func (i *Issuer) addSM(c *Card, p Profile, version, signed, last []tlv.Object, body []byte) error {
	k, err := sm2.GenerateKey(i.chance)
	if err != nil {
		return fmt.Errorf("eccard: card's SM2 key: %w", err)
	}
	certificate, err := smSign(i.chance, i.smSigner, slices.Concat([]byte{0x14}, p.PAN[:], smCertificate(2, k)), slices.Concat(body, aip[:]))
	if err != nil {
		return err
	}
	issuer := []tlv.Object{object(ec.TagCAIndex, []byte{smCAIndex}), object(ec.TagIssuerCertificate, i.smCertificate)}
	if c.sm, err = newVariant(i.smMasters, smDKI, p, smAFL, [][]tlv.Object{version, signed, issuer, {object(ec.TagICCCertificate, certificate)}, last}); err != nil {
		return err
	}
	c.sm.dynamic = signSM2(i.chance, k)
	return nil
}

func packed(a money.Amount) ([]byte, error) {
	raw, err := ec.Amount12(a)
	return raw[:], err
}
