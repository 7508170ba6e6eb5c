package ec

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the scheme's checksum and certificates are defined with SHA-1
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/bcd"
)

// RID is the registered provider: the first 5 bytes of an AID.
type RID [5]byte

// UnionPay is the RID of PBOC and UnionPay cards.
var UnionPay = RID{0xA0, 0x00, 0x00, 0x03, 0x33}

// String prints ten hexadecimal digits.
func (r RID) String() string { return strings.ToUpper(hex.EncodeToString(r[:])) }

// CAKey is a certification authority's public key (EC facts 12).
type CAKey struct {
	RID      RID
	Index    byte
	Modulus  []byte
	Exponent []byte // 03 or 010001
	Point    []byte // of an SM2 key: X and Y; Modulus and Exponent are empty then
	Expiry   Date   // the last day it is good for; zero: no date was given, and it does not expire
}

// Checksum is SHA-1(RID || index || modulus || exponent). It names the key: some indices exist with two moduli. With SM2 it is over the point; no published
// key shows whether the scheme does the same.
func (k CAKey) Checksum() [20]byte {
	return sha1.Sum(slices.Concat(k.RID[:], []byte{k.Index}, k.Modulus, k.Exponent, k.Point))
}

// Errors of a CA key that is loaded.
var (
	ErrChecksum  = errors.New("CA key checksum is wrong")
	ErrAlgorithm = errors.New("algorithm is not supported: RSA with SHA-1, or SM2 with SM3")
)

// ParseCAKey reads a key as terminals download it: 9F06 RID, 9F22 index, DF05 expiry (YYYYMMDD as 4 BCD bytes or 8 ASCII digits), DF06 and DF07
// algorithms (01 and 01: RSA with SHA-1; 07 and 04: SM2 with SM3), DF02 modulus or point, DF04 exponent, DF03 checksum. The checksum must be there and right.
func ParseCAKey(raw []byte) (CAKey, error) {
	o := Objects{}
	if err := o.Add(raw); err != nil {
		return CAKey{}, fmt.Errorf("CA key: %w", err)
	}
	rid, err := o.want(0x9F06, 5)
	if err != nil {
		return CAKey{}, fmt.Errorf("CA key: %w", err)
	}
	index, err := o.want(0x9F22, 1)
	if err != nil {
		return CAKey{}, fmt.Errorf("CA key: %w", err)
	}
	sum, err := o.want(0xDF03, 20)
	if err != nil {
		return CAKey{}, fmt.Errorf("CA key: %w", err)
	}
	algorithms := [2]byte{1, 1}
	for n, t := range []tlv.Tag{0xDF06, 0xDF07} {
		if v, ok := o[t]; ok {
			algorithms[n] = 0
			if len(v) == 1 {
				algorithms[n] = v[0]
			}
		}
	}
	k := CAKey{RID: RID(rid), Index: index[0]}
	switch algorithms {
	case [2]byte{1, 1}:
		k.Modulus, k.Exponent = o[0xDF02], o[0xDF04]
	case [2]byte{7, 4}:
		k.Point = o[0xDF02]
	default:
		return CAKey{}, fmt.Errorf("CA key %X index %02X: %w: tags DF06 and DF07 are %X", rid, index[0], ErrAlgorithm, algorithms)
	}
	if v, ok := o[0xDF05]; ok {
		if len(v) == 8 {
			if v, err = hex.DecodeString(string(v)); err != nil {
				return CAKey{}, fmt.Errorf("CA key: %w: expiry is no date", ErrMalformed)
			}
		}
		n, err := bcd.Get(v)
		if err != nil || len(v) != 4 {
			return CAKey{}, fmt.Errorf("CA key: %w: expiry is no date", ErrMalformed)
		}
		if k.Expiry, err = day(int(n/10000), int(n/100%100), int(n%100)); err != nil {
			return CAKey{}, fmt.Errorf("CA key expiry: %w", err)
		}
	}
	if k.Checksum() != [20]byte(sum) {
		return CAKey{}, fmt.Errorf("CA key %X index %02X: %w", rid, index[0], ErrChecksum)
	}
	return k, k.check()
}

// check refuses a key that cannot verify anything: 512 to 1984 bits and an odd exponent, as the certificates' layouts allow.
func (k CAKey) check() error {
	if len(k.Point) > 0 {
		if _, err := SM2Key(k.Point); err != nil || len(k.Modulus) > 0 || len(k.Exponent) > 0 {
			return fmt.Errorf("CA key %v index %02X: %w: want a point of the SM2 curve and nothing of RSA", k.RID, k.Index, ErrMalformed)
		}
		return nil
	}
	if n := len(k.Modulus); n < 64 || n > 248 || k.Modulus[0] == 0 || k.Modulus[n-1]&1 == 0 {
		return fmt.Errorf("CA key %v index %02X: %w: modulus of %d bytes, want 64 to 248 and odd", k.RID, k.Index, ErrMalformed, n)
	}
	if !goodExponent(k.Exponent) {
		return fmt.Errorf("CA key %v index %02X: %w: exponent %X, want 03 or 010001", k.RID, k.Index, ErrMalformed, k.Exponent)
	}
	return nil
}

func goodExponent(e []byte) bool {
	return bytes.Equal(e, []byte{3}) || bytes.Equal(e, []byte{1, 0, 1})
}

// Revoked names an issuer certificate on the revocation list (EC facts 12).
type Revoked struct {
	RID    RID
	Index  byte // of the CA key
	Serial [3]byte
}

// Authorities are the CA keys and the revocation list of a terminal. Make one with [NewAuthorities]; it does not change, and is safe for concurrent use.
type Authorities struct {
	keys    []CAKey
	revoked map[Revoked]bool
}

// NewAuthorities takes the keys and the list. Two keys of one index may stand beside each other: a certificate is tried with both.
func NewAuthorities(keys []CAKey, revoked []Revoked) (*Authorities, error) {
	a := &Authorities{keys: slices.Clone(keys), revoked: map[Revoked]bool{}}
	for _, k := range keys {
		if err := k.check(); err != nil {
			return nil, err
		}
	}
	for _, r := range revoked {
		a.revoked[r] = true
	}
	return a, nil
}
