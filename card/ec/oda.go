package ec

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the scheme's certificates are defined with SHA-1
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// Reasons why offline data authentication fails (EC facts 12). Each says that the card is not proven, and none that money moved.
var (
	ErrUnknownCA        = errors.New("no CA public key of that index")
	ErrCAExpired        = errors.New("CA public key has expired")
	ErrLength           = errors.New("signature is not as long as its key")
	ErrRecovered        = errors.New("signature does not recover to the right form")
	ErrHash             = errors.New("hash of the signed data does not agree")
	ErrIssuerIdentifier = errors.New("issuer identifier does not begin the card number")
	ErrOtherPAN         = errors.New("certificate is for another card number")
	ErrCertificateOld   = errors.New("certificate has expired")
	ErrRevoked          = errors.New("issuer certificate is revoked")
	ErrMissing          = errors.New("data object for authentication is missing")
	ErrNoDDA            = errors.New("card does not sign: no DDA in the AIP")
	ErrDowngrade        = errors.New("card signs version 00 although terminal and card know version 01")
	ErrATC              = errors.New("ATC in the signature differs from the answer's")
	ErrCTQ              = errors.New("CTQ in the signed data differs from the answer's")
	ErrStaticTags       = errors.New("static tag list names more than the AIP")
)

// PublicKey is a public key out of a certificate: of RSA, or of SM2.
type PublicKey struct {
	Modulus  []byte
	Exponent []byte // 03 or 010001
	Point    []byte // of SM2: X and Y; the others are empty then
}

// Certificate is what an issuer's or card's certificate says, its hash checked.
type Certificate struct {
	Key    PublicKey
	Serial [3]byte
	Expiry Date
}

// recover computes signature^e mod n, as long as the modulus, and checks header, trailer and hash: SHA-1 over all between them but the hash,
// and the data behind it that the signature does not hold.
func (k PublicKey) recover(signature []byte, format byte, behind ...[]byte) ([]byte, error) {
	n := len(k.Modulus)
	if len(signature) != n {
		return nil, fmt.Errorf("%w: %d bytes, key of %d", ErrLength, len(signature), n)
	}
	if n < 64 || k.Modulus[0] == 0 || k.Modulus[n-1]&1 == 0 || !goodExponent(k.Exponent) {
		return nil, fmt.Errorf("%w: key of %d bytes, exponent %X", ErrRecovered, n, k.Exponent)
	}
	m := new(big.Int).SetBytes(k.Modulus)
	x := new(big.Int).Exp(new(big.Int).SetBytes(signature), new(big.Int).SetBytes(k.Exponent), m).FillBytes(make([]byte, n))
	if x[0] != 0x6A || x[1] != format || x[n-1] != 0xBC {
		return nil, ErrRecovered
	}
	sum := sha1.Sum(slices.Concat(append([][]byte{x[1 : n-21]}, behind...)...))
	if !bytes.Equal(sum[:], x[n-21:n-1]) {
		return nil, ErrHash
	}
	return x, nil
}

// Issuer verifies an issuer certificate (90) of the authority's key index, with the key's remainder (92, may be empty) and exponent (9F32), for a card and a day.
func (a *Authorities) Issuer(rid RID, index byte, certificate, remainder, exponent []byte, pan PAN, today Date) (Certificate, error) {
	err := fmt.Errorf("%w: %v index %02X", ErrUnknownCA, rid, index)
	for _, k := range a.keys {
		if k.RID != rid || k.Index != index {
			continue
		}
		var c Certificate
		if len(k.Point) > 0 {
			c, err = a.smIssuer(k, certificate, pan, today)
		} else {
			c, err = a.issuer(k, certificate, remainder, exponent, pan, today)
		}
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, ErrLength) && !errors.Is(err, ErrRecovered) && !errors.Is(err, ErrSignature) {
			return Certificate{}, err // this key signed it, so no other one did
		}
	}
	return Certificate{}, fmt.Errorf("issuer certificate: %w", err)
}

func (a *Authorities) issuer(k CAKey, certificate, remainder, exponent []byte, pan PAN, today Date) (Certificate, error) {
	x, err := PublicKey{Modulus: k.Modulus, Exponent: k.Exponent}.recover(certificate, 0x02, remainder, exponent)
	if err != nil {
		return Certificate{}, err
	}
	return a.issued(k, [4]byte(x[2:6]), pan, today, func() (Certificate, error) {
		return certified(x[6:], 15-6, len(x)-21-6, remainder, exponent, today)
	})
}

// issued holds what an authority's signature covers against the authority's own expiry, the card number and the revocation list.
func (a *Authorities) issued(k CAKey, identifier [4]byte, pan PAN, today Date, read func() (Certificate, error)) (Certificate, error) {
	if k.Expiry != 0 && today > k.Expiry {
		return Certificate{}, fmt.Errorf("%w: index %02X on %v", ErrCAExpired, k.Index, k.Expiry)
	}
	if !pan.issuedBy(identifier) {
		return Certificate{}, ErrIssuerIdentifier
	}
	c, err := read()
	if err != nil {
		return Certificate{}, err
	}
	if a.revoked[Revoked{k.RID, k.Index, c.Serial}] {
		return Certificate{}, fmt.Errorf("%w: serial %X", ErrRevoked, c.Serial)
	}
	return c, nil
}

// Card verifies a card's certificate (9F46) under the issuer's key, with the key's remainder (9F48) and exponent (9F47) and the static data.
func (k PublicKey) Card(certificate, remainder, exponent, static []byte, pan PAN, today Date) (Certificate, error) {
	if k.sm2() {
		c, err := k.smCard(certificate, static, pan, today)
		if err != nil {
			return Certificate{}, fmt.Errorf("card certificate: %w", err)
		}
		return c, nil
	}
	x, err := k.recover(certificate, 0x04, remainder, exponent, static)
	if err != nil {
		return Certificate{}, fmt.Errorf("card certificate: %w", err)
	}
	held, err := ParsePAN(x[2:12])
	if err != nil {
		return Certificate{}, fmt.Errorf("card certificate: %w", err)
	}
	if held != pan {
		return Certificate{}, fmt.Errorf("card certificate: %w", ErrOtherPAN)
	}
	c, err := certified(x[12:], 21-12, len(x)-21-12, remainder, exponent, today)
	if err != nil {
		return Certificate{}, fmt.Errorf("card certificate: %w", err)
	}
	return c, nil
}

// certified reads what both certificates share, from the expiry on: MMYY, serial 3, hash algorithm, key algorithm, key length, exponent length, and
// the key's left part from keyAt to end.
func certified(x []byte, keyAt, end int, remainder, exponent []byte, today Date) (Certificate, error) {
	until, err := parseMonth(x[:2])
	if err != nil {
		return Certificate{}, err
	}
	if today > until {
		return Certificate{}, fmt.Errorf("%w: on %v", ErrCertificateOld, until)
	}
	if x[5] != 1 || x[6] != 1 {
		return Certificate{}, fmt.Errorf("%w: %02X and %02X", ErrAlgorithm, x[5], x[6])
	}
	length, part := int(x[7]), x[keyAt:end]
	if int(x[8]) != len(exponent) || !goodExponent(exponent) {
		return Certificate{}, fmt.Errorf("%w: exponent %X", ErrRecovered, exponent)
	}
	modulus := slices.Concat(part, remainder)
	if length <= len(part) {
		if len(remainder) > 0 {
			return Certificate{}, fmt.Errorf("%w: key remainder of a key that needs none", ErrLength)
		}
		modulus = bytes.Clone(part[:length])
	}
	if len(modulus) != length {
		return Certificate{}, fmt.Errorf("%w: key of %d bytes, certificate and remainder hold %d", ErrMissing, length, len(modulus))
	}
	return Certificate{Key: PublicKey{Modulus: modulus, Exponent: bytes.Clone(exponent)}, Serial: [3]byte(x[2:5]), Expiry: until}, nil
}

// Static verifies signed static application data (93) under the issuer's key and returns the data authentication code. qPBOC does not use it, and
// how SM2 has it is not known: ErrAlgorithm.
func (k PublicKey) Static(signature, static []byte) (code [2]byte, err error) {
	if k.sm2() {
		return code, fmt.Errorf("signed static data: %w", ErrAlgorithm)
	}
	x, err := k.recover(signature, 0x03, static)
	if err != nil {
		return code, fmt.Errorf("signed static data: %w", err)
	}
	return [2]byte(x[3:5]), nil
}

// Dynamic verifies signed dynamic application data (9F4B) under the card's key, over the terminal's data, and returns the card's dynamic data: in qPBOC
// 02 and the ATC. Contact cards have more of it (EC facts 12).
func (k PublicKey) Dynamic(signature, terminalData []byte) ([]byte, error) {
	if k.sm2() {
		dynamic, err := k.smDynamic(signature, terminalData)
		if err != nil {
			return nil, fmt.Errorf("signed dynamic data: %w", err)
		}
		return dynamic, nil
	}
	x, err := k.recover(signature, 0x05, terminalData)
	if err != nil {
		return nil, fmt.Errorf("signed dynamic data: %w", err)
	}
	length := int(x[3])
	if x[2] != 1 || 4+length > len(x)-21 {
		return nil, fmt.Errorf("signed dynamic data: %w", ErrRecovered)
	}
	return bytes.Clone(x[4 : 4+length]), nil
}

// StaticData builds the static data to be authenticated: the marked records in order, then the AIP if the static tag list (9F4A) is exactly 82. Any other list
// is refused; none means no AIP (EC facts 12 and 20.4).
func StaticData(records []Record, aip AIP, tags []byte) ([]byte, error) {
	var out []byte
	for _, r := range records {
		if r.Signed {
			body, err := r.body()
			if err != nil {
				return nil, err
			}
			out = append(out, body...)
		}
	}
	if len(tags) == 0 {
		return out, nil
	}
	if !bytes.Equal(tags, []byte{0x82}) {
		return nil, fmt.Errorf("%w: %X", ErrStaticTags, tags)
	}
	return append(out, aip[:]...), nil
}
