package ecdriver

import (
	"crypto/ecdh"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/tlv"
)

// Settings are a scheme's and a terminal's.
type Settings struct {
	Accepted    []ec.Accepted
	TTQ         ec.TTQ // qPBOC and offline only, with or without fDDA01: see [ec.GateTTQ]
	Limits      ec.Limits
	Country     [2]byte         // of the terminal, 0156
	Currency    [2]byte         // of the amounts, 0156
	Authorities *ec.Authorities // CA keys and revoked issuer certificates
	SM          bool            // offer SM2, SM3 and SM4 (DF69), which wants a CA key with a point: a card that has both takes them

	TokenKey []byte          // of the tokens that stand for card numbers: 16 bytes or more
	SealTo   *ecdh.PublicKey // X25519, the backend's: who may read card numbers

	Device   map[tlv.Tag][]byte // the terminal's own objects in field 55: 9F33, 9F34, 9F35, 9F1E, 9F09, 9F41
	Merchant string             // as cards that log it show it; empty: the order's
	Location *time.Location     // of the times that go to cards
	ReadBack bool               // read the balance after a debit: one command more
	// EarlyDebit: some of the scheme's cards may debit at GET PROCESSING OPTIONS. Every card is asked for more then: see early.go.
	EarlyDebit bool
	Transit    *Transit // nil: cards make no trips here
}

// minTokenKey is the shortest token key, in bytes.
const minTokenKey = 16

// Format prints no key.
func (s Settings) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[EC settings, %d AIDs, %v]", len(s.Accepted), s.TTQ)
}

// check returns every fault at once.
func (s *Settings) check() error {
	var all []error
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf("EC settings: "+format, args...)) }
	if len(s.Accepted) == 0 {
		bad("no accepted AID: want one at least")
	}
	for _, a := range s.Accepted {
		if len(a.AID) < 5 || len(a.AID) > 16 {
			bad("accepted AID %X: want 5 to 16 bytes", a.AID)
		}
	}
	// A purse is asked offline, and nobody at a gate enters a PIN or signs.
	if q := s.TTQ; q != (ec.TTQ{0x28}) && q != ec.GateTTQ {
		bad("TTQ %X: want 28000080, or 28000000 for cards that sign without the amount", q[:])
	}
	if s.Currency == [2]byte{} || s.Country == [2]byte{} {
		bad("country %X, currency %X: want their numeric codes, such as 0156", s.Country, s.Currency)
	}
	if s.Authorities == nil {
		bad("no CA keys: no card could be authenticated")
	}
	if len(s.TokenKey) < minTokenKey {
		bad("token key of %d bytes: want %d or more", len(s.TokenKey), minTokenKey)
	}
	if s.SealTo == nil || s.SealTo.Curve() != ecdh.X25519() {
		bad("no X25519 public key to seal card numbers to")
	}
	if s.Location == nil {
		bad("no time zone")
	}
	if t := s.Transit; t != nil {
		if t.File == 0 || t.File > 30 {
			bad("transit file %d: want 1 to 30", t.File)
		}
		if t.Operator == nil {
			bad("no door to the transit operator's keys")
		}
		if t.Terminal == [6]byte{} {
			bad("no terminal number for transit records")
		}
		if s.EarlyDebit {
			bad("early debits and transit records: a card that debits before its records are written has no trips")
		}
	}
	return errors.Join(all...)
}

var _ fmt.Formatter = Settings{}

// draw fills b with random bytes.
func draw(rand io.Reader, b []byte) error {
	if _, err := io.ReadFull(rand, b); err != nil {
		return fmt.Errorf("random number: %w", err)
	}
	return nil
}
