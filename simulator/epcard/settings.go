package epcard

import (
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/simulator/image"
)

// Settings are the card's choices where sources differ (purse facts chapter 12; the C numbers are its conflicts). The zero value holds
// the recommended ones, so that an image without settings is such a card. C1 is Image.LogCounter.
type Settings struct {
	LimitTACWhole   bool        `json:"limit_tac_whole,omitempty"`   // C2: the TAC of a limit under the whole TAC key instead of its halves XORed
	ZeroDebitSilent bool        `json:"zero_debit_silent,omitempty"` // C3: a composite purchase of 0.00 moves no counter and leaves no proof
	UnloadEP        bool        `json:"unload_ep,omitempty"`         // C7: EP can be unloaded too
	UnloadOffline   bool        `json:"unload_offline,omitempty"`    // C8: an unload moves the offline counter
	Insufficient    uint16      `json:"insufficient,omitempty"`      // C10: status word for too little money; 0 is 9401
	BlockedSelect   uint16      `json:"blocked_select,omitempty"`    // C11: status word of SELECT when blocked, without FCI; 0 is the FCI and 6A81
	CityCode        image.Bytes `json:"city_code,omitempty"`         // C13: 9 bytes that MAC1 covers, as GET MESSAGE gives them; none on T-Union and PBOC cards
	SharedCounter   bool        `json:"shared_counter,omitempty"`    // C19: one counter for debits and loads
	NoProof         uint16      `json:"no_proof,omitempty"`          // C21: status word of PROVE that finds nothing; 0 is 9406
	SM4Algorithm    byte        `json:"sm4_algorithm,omitempty"`     // C20: algorithm byte that means SM4; 0 is keys.AlgorithmSM4
	LoadPIN         bool        `json:"load_pin,omitempty"`          // loading EP wants the PIN too, as one issuer's cards do (purse facts 3.6)
}

func (s Settings) word(w uint16, usual apdu.SW) apdu.SW {
	if w == 0 {
		return usual
	}
	return apdu.SW(w)
}

func (s Settings) check() error {
	var all []error
	if n := len(s.CityCode); n != 0 && n != 9 {
		all = append(all, fmt.Errorf("settings.city_code has %d bytes, want 9 or none", n))
	}
	for name, w := range map[string]uint16{"insufficient": s.Insufficient, "blocked_select": s.BlockedSelect, "no_proof": s.NoProof} {
		if w == uint16(apdu.OK) || w != 0 && (w>>8 < 0x62 || w>>8 > 0x94) {
			all = append(all, fmt.Errorf("settings.%s is %04X, want a status word that refuses", name, w))
		}
	}
	return errors.Join(all...)
}

// cipherOf is what a key of that algorithm byte works with on this card.
func (c *Card) cipherOf(algorithm byte) keys.Cipher {
	return keys.CipherOf(algorithm, c.img.Settings.SM4Algorithm)
}

// mac1Input is what MAC1 of the pending purchase is over.
func (c *Card) mac1Input(p *pending, at ep.DateTime) []byte {
	if c.img.Settings.CityCode == "" {
		return ep.PurchaseMAC1(p.amount, p.kind, p.terminal, at)
	}
	return ep.CityMAC1(p.amount, p.kind, p.terminal, at, ep.CityCode([]byte(c.img.Settings.CityCode)))
}

// getMessage is GET MESSAGE of city-union cards.
func (c *Card) getMessage(cmd apdu.Command) apdu.Response {
	code := c.img.Settings.CityCode
	switch {
	case code == "":
		return sw(swINS)
	case !c.selected:
		return sw(swNoFile)
	case cmd.P1 != 0 || cmd.P2 != 0:
		return sw(swP1P2)
	case len(cmd.Data) > 0:
		return sw(swLength)
	}
	if r, fits := leFits(cmd, len(code)); !fits {
		return r
	}
	return ok([]byte(code))
}
