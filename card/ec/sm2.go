package ec

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/emmansun/gmsm/sm2"
)

// ErrSignature says that an SM2 signature does not verify. Unlike an RSA certificate's, it does not tell a wrong key from changed data.
var ErrSignature = errors.New("SM2 signature does not verify")

// smUser is the signers' identity in SM2 signatures: the customary one, which no source of the scheme confirms (EC facts 13).
var smUser = []byte("1234567812345678")

// pointLength is that of an SM2 public key, X and Y; a signature, r and s, is as long.
const pointLength = 64

// sm2 reports that the key is one of SM2.
func (k PublicKey) sm2() bool { return len(k.Point) > 0 }

// SM2Key makes a public key of a point, X and Y. One that is not on the curve is malformed.
func SM2Key(point []byte) (PublicKey, error) {
	if len(point) != pointLength {
		return PublicKey{}, fmt.Errorf("%w: SM2 key of %d bytes, want %d", ErrMalformed, len(point), pointLength)
	}
	k := PublicKey{Point: bytes.Clone(point)}
	if pub := k.ecdsa(); !sm2.P256().IsOnCurve(pub.X, pub.Y) {
		return PublicKey{}, fmt.Errorf("%w: SM2 key is no point of the curve", ErrMalformed)
	}
	return k, nil
}

func (k PublicKey) ecdsa() *ecdsa.PublicKey {
	return &ecdsa.PublicKey{Curve: sm2.P256(), X: new(big.Int).SetBytes(k.Point[:pointLength/2]), Y: new(big.Int).SetBytes(k.Point[pointLength/2:])}
}

// verified takes an SM2 object apart: plain text of a length that begins with a format byte, and the signature over it and what is behind.
func (k PublicKey) verified(object []byte, plain int, format byte, behind []byte) ([]byte, error) {
	if len(object) != plain+pointLength {
		return nil, fmt.Errorf("%w: %d bytes, want %d", ErrLength, len(object), plain+pointLength)
	}
	if object[0] != format {
		return nil, ErrRecovered
	}
	if _, err := SM2Key(k.Point); err != nil {
		return nil, err
	}
	r, s := new(big.Int).SetBytes(object[plain:plain+32]), new(big.Int).SetBytes(object[plain+32:])
	if !sm2.VerifyWithSM2(k.ecdsa(), smUser, slices.Concat(object[:plain], behind), r, s) {
		return nil, ErrSignature
	}
	return object[:plain], nil
}

// Lengths of what certificates sign.
const (
	smIssuerPlain = 78 // 12, issuer identifier 4, MMYY, serial 3, three algorithm bytes, length, X and Y
	smCardPlain   = 84 // 14, card number 10, and on as above
)

// smIssuer verifies an issuer certificate of an SM2 authority.
func (a *Authorities) smIssuer(k CAKey, certificate []byte, pan PAN, today Date) (Certificate, error) {
	x, err := PublicKey{Point: k.Point}.verified(certificate, smIssuerPlain, 0x12, nil)
	if err != nil {
		return Certificate{}, err
	}
	return a.issued(k, [4]byte(x[1:5]), pan, today, func() (Certificate, error) { return smCertified(x[5:], today) })
}

// smCard verifies a card certificate under an SM2 issuer key.
func (k PublicKey) smCard(certificate, static []byte, pan PAN, today Date) (Certificate, error) {
	x, err := k.verified(certificate, smCardPlain, 0x14, static)
	if err != nil {
		return Certificate{}, err
	}
	held, err := ParsePAN(x[1:11])
	if err != nil {
		return Certificate{}, err
	}
	if held != pan {
		return Certificate{}, ErrOtherPAN
	}
	return smCertified(x[11:], today)
}

// smCertified reads what both certificates share: MMYY, serial 3, algorithms of signature and key and the curve (which sources do not settle, so any is taken; they are
// signed), key length, key.
func smCertified(x []byte, today Date) (Certificate, error) {
	until, err := parseMonth(x[:2])
	if err != nil {
		return Certificate{}, err
	}
	if today > until {
		return Certificate{}, fmt.Errorf("%w: on %v", ErrCertificateOld, until)
	}
	if x[8] != pointLength {
		return Certificate{}, fmt.Errorf("%w: SM2 key of %d bytes", ErrLength, x[8])
	}
	key, err := SM2Key(x[9:])
	return Certificate{Key: key, Serial: [3]byte(x[2:5]), Expiry: until}, err
}

// smDynamic verifies signed dynamic application data: 15, a length, the card's data, the signature over these and the terminal's data.
func (k PublicKey) smDynamic(signature, terminalData []byte) ([]byte, error) {
	if len(signature) < 2 {
		return nil, fmt.Errorf("%w: %d bytes", ErrLength, len(signature))
	}
	x, err := k.verified(signature, 2+int(signature[1]), 0x15, terminalData)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(x[2:]), nil
}

// kinds tells which kinds of key an index has: RSA's certificates come with exponents, those of SM2 without.
func (a *Authorities) kinds(rid RID, index byte) (rsa, sm2 bool) {
	for _, k := range a.keys {
		if k.RID == rid && k.Index == index {
			rsa, sm2 = rsa || len(k.Point) == 0, sm2 || len(k.Point) > 0
		}
	}
	return rsa, sm2
}
