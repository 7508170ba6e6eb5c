package firmwareconfig

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the scheme's checksum of CA keys is defined with SHA-1
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/purselane/purselane/internal/money"
)

// EC says which electronic cash cards terminals take, and what they believe them by (docs/card-ec.md, docs/card-evidence.md). It holds no secret.
type EC struct {
	AIDs     []Hex     `yaml:"aids"`     // a card's application matches by its beginning
	TTQ      Hex       `yaml:"ttq"`      // 9F66 as terminals send it, 4 bytes
	Country  string    `yaml:"country"`  // ISO 3166 numeric
	Currency string    `yaml:"currency"` // ISO 4217 numeric
	Limits   ECLimits  `yaml:"limits"`
	CAKeys   []CAKey   `yaml:"ca_keys"`
	Revoked  []Revoked `yaml:"revoked"`
	SealTo   Hex       `yaml:"seal_to"`  // the backend's X25519 public key: who may read card numbers
	Merchant string    `yaml:"merchant"` // as cards that log it show it; empty: the terminal's merchant
	Readback string    `yaml:"readback"` // after a debit: "balance" or "none"
	// EarlyDebit: some of the scheme's cards may debit before their last record is read, as those of before PBOC 3.0 are said to do.
	EarlyDebit bool `yaml:"early_debit"`
	// Transit: left out, these cards make no trips.
	Transit *ECTransit `yaml:"transit"`
}

// ECLimits are the limits of one tap. Left out: none.
type ECLimits struct {
	Transaction *money.Amount `yaml:"transaction"` // from here on no tap
	Offline     *money.Amount `yaml:"offline"`     // above it a card would have to go online, so no tap
	Holder      *money.Amount `yaml:"holder"`      // from here on the card holder would have to be verified
}

// ECTransit is where the operator's record stands on cards with the transit extension.
type ECTransit struct {
	File int `yaml:"file"` // its number, 1 to 30
	ID   Hex `yaml:"id"`   // of the record, 2 bytes
}

// CAKey is a certification authority's public key.
type CAKey struct {
	RID      Hex    `yaml:"rid"`      // 5 bytes
	Index    Hex    `yaml:"index"`    // 1 byte
	Modulus  Hex    `yaml:"modulus"`  // 64 to 248 bytes
	Exponent Hex    `yaml:"exponent"` // 03 or 010001
	Point    Hex    `yaml:"point"`    // of an SM2 key, in the place of modulus and exponent: X and Y, 64 bytes
	Checksum Hex    `yaml:"checksum"` // SHA-1 over those above that there are
	Expiry   string `yaml:"expiry"`   // last day, as 2030-12-31; empty: none was given
}

// Revoked names an issuer certificate that is good no more.
type Revoked struct {
	RID    Hex `yaml:"rid"`    // 5 bytes
	Index  Hex `yaml:"index"`  // 1 byte: of the CA key
	Serial Hex `yaml:"serial"` // 3 bytes
}

// Day is the key's last day as YYYYMMDD, 0 for none.
func (k CAKey) Day() int {
	at, err := time.Parse(time.DateOnly, k.Expiry)
	if err != nil {
		return 0 // Check has refused anything but a day and nothing
	}
	y, m, d := at.Date()
	return y*10000 + int(m)*100 + d
}

// faults returns what is wrong with the section, each with its field.
func (e *EC) faults() (all []error) {
	if e == nil {
		return nil // the scheme takes no such cards
	}
	bad := func(field, format string, args ...any) {
		all = append(all, fmt.Errorf("profile: ec.%s: %s", field, fmt.Sprintf(format, args...)))
	}
	size := func(field string, h Hex, n int) {
		if len(h) != n {
			bad(field, "%d bytes: want %d", len(h), n)
		}
	}
	if len(e.AIDs) == 0 {
		bad("aids", "want at least one application identifier")
	}
	for i, a := range e.AIDs {
		if len(a) < 5 || len(a) > 16 {
			bad(fmt.Sprintf("aids[%d]", i), "%d bytes: want 5 to 16", len(a))
		}
	}
	// A terminal asks cards offline, and nobody at a gate enters a PIN or signs.
	if t := []byte(e.TTQ); !bytes.Equal(t, []byte{0x28, 0, 0, 0x80}) && !bytes.Equal(t, []byte{0x28, 0, 0, 0}) {
		bad("ttq", "%X: want 28000080, or 28000000 for cards that sign without the amount", t)
	}
	code := func(field, s string) {
		if len(s) != 3 || strings.Trim(s, "0123456789") != "" || s == "000" {
			bad(field, "%q: want a numeric code of three digits such as \"156\"", s)
		}
	}
	code("country", e.Country)
	code("currency", e.Currency)
	limit := func(field string, a *money.Amount) {
		if a != nil && a.Sign() <= 0 {
			bad("limits."+field, "%v: want more than 0.00, or leave it out", *a)
		}
	}
	limit("transaction", e.Limits.Transaction)
	limit("offline", e.Limits.Offline)
	limit("holder", e.Limits.Holder)
	if len(e.CAKeys) == 0 {
		bad("ca_keys", "want at least one: no card could be authenticated")
	}
	for i, k := range e.CAKeys {
		at := fmt.Sprintf("ca_keys[%d].", i)
		for _, f := range k.faults() {
			bad(at+f.field, "%s", f.says)
		}
		if slices.ContainsFunc(e.CAKeys[:i], func(o CAKey) bool { return bytes.Equal(o.Checksum, k.Checksum) && len(k.Checksum) > 0 }) {
			bad(at+"checksum", "%X: the key stands there twice", []byte(k.Checksum))
		}
	}
	for i, r := range e.Revoked {
		at := fmt.Sprintf("revoked[%d].", i)
		size(at+"rid", r.RID, 5)
		size(at+"index", r.Index, 1)
		size(at+"serial", r.Serial, 3)
	}
	size("seal_to", e.SealTo, 32)
	if len(e.Merchant) > 20 {
		bad("merchant", "%d bytes: want 20 at most", len(e.Merchant))
	}
	if e.Readback != "balance" && e.Readback != "none" {
		bad("readback", "%q: want balance or none", e.Readback)
	}
	if t := e.Transit; t != nil {
		if t.File < 1 || t.File > 30 {
			bad("transit.file", "%d: want 1 to 30", t.File)
		}
		size("transit.id", t.ID, 2)
		if e.EarlyDebit {
			bad("transit", "not with early_debit: a card that debits before its records are written makes no trips")
		}
	}
	return all
}

// keyFault is what is wrong with one field of a key.
type keyFault struct{ field, says string }

// faults returns what is wrong with a key. The checksum is looked at only when all that it covers is right.
func (k CAKey) faults() (all []keyFault) {
	bad := func(field, format string, args ...any) {
		all = append(all, keyFault{field, fmt.Sprintf(format, args...)})
	}
	if len(k.RID) != 5 {
		bad("rid", "%d bytes: want 5", len(k.RID))
	}
	if len(k.Index) != 1 {
		bad("index", "%d bytes: want 1", len(k.Index))
	}
	if len(k.Point) > 0 {
		if len(k.Point) != 64 {
			bad("point", "%d bytes: want 64, X and Y", len(k.Point))
		}
		if len(k.Modulus)+len(k.Exponent) > 0 {
			bad("point", "an SM2 key has neither modulus nor exponent: take them out")
		}
	} else if n := len(k.Modulus); n < 64 || n > 248 || k.Modulus[0] == 0 || k.Modulus[n-1]&1 == 0 {
		bad("modulus", "%d bytes: want 64 to 248, odd, that do not begin with 00", n)
	}
	if e := []byte(k.Exponent); len(k.Point) == 0 && !bytes.Equal(e, []byte{3}) && !bytes.Equal(e, []byte{1, 0, 1}) {
		bad("exponent", "%X: want 03 or 010001", e)
	}
	if sum := sha1.Sum(slices.Concat(k.RID, k.Index, k.Modulus, k.Exponent, k.Point)); len(all) == 0 && !bytes.Equal(sum[:], k.Checksum) {
		bad("checksum", "%X: the key's is %X: ask who gave it for the right one", []byte(k.Checksum), sum)
	}
	if k.Expiry != "" && k.Day() == 0 {
		bad("expiry", "%q: want a day such as 2030-12-31, or nothing", k.Expiry)
	}
	return all
}
