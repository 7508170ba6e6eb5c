package families

import (
	"crypto/ecdh"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/purse/ecdriver"
	"github.com/purselane/purselane/card/tlv"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
)

// ECTerminal is what a driver of electronic cash has from its terminal: anybody may read a profile.
type ECTerminal struct {
	TokenKey []byte             // of the tokens that stand for card numbers: 16 bytes or more, a secret
	Device   map[tlv.Tag][]byte // the terminal's own objects in field 55: 9F33, 9F34, 9F35, 9F1E, 9F09, 9F41

	// Where the profile has cards that make trips.
	Operator ec.Operator // the SAM with the keys of transit records
	Number   [6]byte     // the terminal's, as it stands in the records
}

// EC makes the driver of the profile's electronic cash cards. It is an error that the profile has none.
func EC(p *firmwareconfig.Profile, t ECTerminal, rand io.Reader) (*ecdriver.Driver, error) {
	e := p.EC
	if e == nil {
		return nil, errors.New("profile: no ec section: the scheme takes no electronic cash")
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	authorities, err := ecAuthorities(e)
	if err != nil {
		return nil, err
	}
	sealTo, err := ecdh.X25519().NewPublicKey(e.SealTo)
	if err != nil {
		return nil, fmt.Errorf("profile: ec.seal_to: %w", err)
	}
	s := ecdriver.Settings{
		TTQ:     ec.TTQ(e.TTQ),
		Limits:  ec.Limits{Transaction: e.Limits.Transaction, Offline: e.Limits.Offline, CVM: e.Limits.Holder},
		Country: numeric(e.Country), Currency: numeric(e.Currency), Authorities: authorities,
		TokenKey: t.TokenKey, SealTo: sealTo, Device: t.Device, Merchant: e.Merchant, Location: p.Location(), ReadBack: e.Readback == "balance",
		EarlyDebit: e.EarlyDebit, SM: slices.ContainsFunc(e.CAKeys, func(k firmwareconfig.CAKey) bool { return len(k.Point) > 0 }),
	}
	if e.Transit != nil {
		s.Transit = &ecdriver.Transit{File: byte(e.Transit.File), ID: [2]byte(e.Transit.ID), Operator: t.Operator, Terminal: t.Number}
	}
	for _, aid := range e.AIDs {
		s.Accepted = append(s.Accepted, ec.Accepted{AID: aid})
	}
	return ecdriver.New(s, rand)
}

func ecAuthorities(e *firmwareconfig.EC) (*ec.Authorities, error) {
	var keys []ec.CAKey
	for _, k := range e.CAKeys {
		keys = append(keys, ec.CAKey{RID: ec.RID(k.RID), Index: k.Index[0], Modulus: k.Modulus, Exponent: k.Exponent, Point: k.Point, Expiry: ec.Date(k.Day())})
	}
	var revoked []ec.Revoked
	for _, r := range e.Revoked {
		revoked = append(revoked, ec.Revoked{RID: ec.RID(r.RID), Index: r.Index[0], Serial: [3]byte(r.Serial)})
	}
	return ec.NewAuthorities(keys, revoked)
}

// numeric is a code of three digits as cards have it, 0156. The profile's check has seen the digits.
func numeric(code string) (out [2]byte) {
	raw, err := hex.DecodeString("0" + code)
	if err == nil {
		copy(out[:], raw)
	}
	return out
}
