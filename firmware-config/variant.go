package firmwareconfig

import (
	"fmt"
	"slices"
	"strings"
)

// Variant says which kind of card a scheme has where sources differ (purse facts chapter 12, whose numbers stand behind the fields; C1 is
// Card.LogCounter). A profile that leaves a field out means the one of [RecommendedVariant].
type Variant struct {
	LimitTAC      string `yaml:"limit_tac"`        // C2: TAC of a limit under the TAC key "folded" or "whole"
	ZeroDebit     string `yaml:"zero_debit"`       // C3: a composite purchase of 0.00 "counts" or is "silent"
	UnloadPurse   string `yaml:"unload_purse"`     // C7: "ed", or "both"
	UnloadCounter string `yaml:"unload_counter"`   // C8: "online" or "offline"
	Challenge     int    `yaml:"challenge"`        // C9: bytes asked of GET CHALLENGE: 4, 8, or 16 on SM4 cards
	Insufficient  Hex    `yaml:"insufficient"`     // C10: status word of too little money
	BlockedSelect Hex    `yaml:"blocked_select"`   // C11: status word of SELECT of a blocked application; 6A81 comes with the FCI, others alone
	HolderSize    int    `yaml:"holder_size"`      // C12: bytes of EF 16, 55 or 39
	MAC1Code      string `yaml:"mac1_code"`        // C13: MAC1 covers the 9 bytes of GET MESSAGE on "city" union cards; "none"
	Application   Hex    `yaml:"psam_application"` // C15: the PSAM's application, by name, or by FID in 2 bytes
	Usage         Hex    `yaml:"psam_usage"`       // C16: usage of DELIVERY KEY for maintenance keys, 1 byte
	Counters      int    `yaml:"counters"`         // C19: 2, debits and loads apart, or 1
	Algorithm     Hex    `yaml:"algorithm"`        // C20: algorithm byte of new cards' keys
	SM4Algorithm  Hex    `yaml:"sm4_algorithm"`    // C20: algorithm byte that means SM4
	NoProof       Hex    `yaml:"no_proof"`         // C21: status word of PROVE that finds nothing
	LoadPIN       bool   `yaml:"load_pin"`         // loading EP wants the PIN (purse facts 3.6)
}

// RecommendedVariant is what most cards are, as far as is known.
func RecommendedVariant() Variant {
	return Variant{
		LimitTAC: "folded", ZeroDebit: "counts", UnloadPurse: "ed", UnloadCounter: "online", Challenge: 4,
		Insufficient: Hex{0x94, 0x01}, BlockedSelect: Hex{0x6A, 0x81}, HolderSize: 55, MAC1Code: "none",
		Application: Hex("\xA0\x00\x00\x06\x32MOT.CPSAM01"), Usage: Hex{0x05}, Counters: 2,
		Algorithm: Hex{0x00}, SM4Algorithm: Hex{0x04}, NoProof: Hex{0x94, 0x06},
	}
}

// faults returns what is wrong with the variant, each with its field.
func (v Variant) faults() (all []error) {
	bad := func(field, format string, args ...any) {
		all = append(all, fmt.Errorf("profile: card.variant.%s: %s", field, fmt.Sprintf(format, args...)))
	}
	word := func(field, got string, want ...string) {
		if !slices.Contains(want, got) {
			bad(field, "%q: want one of %s", got, strings.Join(want, ", "))
		}
	}
	word("limit_tac", v.LimitTAC, "folded", "whole")
	word("zero_debit", v.ZeroDebit, "counts", "silent")
	word("unload_purse", v.UnloadPurse, "ed", "both")
	word("unload_counter", v.UnloadCounter, "online", "offline")
	word("mac1_code", v.MAC1Code, "none", "city")
	number := func(field string, got int, want ...int) {
		if !slices.Contains(want, got) {
			bad(field, "%d: want one of %v", got, want)
		}
	}
	number("challenge", v.Challenge, 4, 8, 16)
	number("holder_size", v.HolderSize, 39, 55)
	number("counters", v.Counters, 1, 2)
	for field, h := range map[string]Hex{"psam_usage": v.Usage, "algorithm": v.Algorithm, "sm4_algorithm": v.SM4Algorithm} {
		if len(h) != 1 {
			bad(field, "%d bytes: want 1", len(h))
		}
	}
	for field, h := range map[string]Hex{"insufficient": v.Insufficient, "blocked_select": v.BlockedSelect, "no_proof": v.NoProof} {
		if len(h) != 2 || h[0] < 0x62 || h[0] > 0x94 || h[0] == 0x90 {
			bad(field, "%X: want a status word that refuses, such as 6985", []byte(h))
		}
	}
	if len(v.Usage) == 1 && v.Usage[0] > 0x1F {
		bad("psam_usage", "%X: want 00 to 1F", []byte(v.Usage))
	}
	if len(v.SM4Algorithm) == 1 && v.SM4Algorithm[0] == 0 {
		bad("sm4_algorithm", "00 is 3DES: want another")
	}
	if n := len(v.Application); n != 2 && (n < 5 || n > 16) {
		bad("psam_application", "%d bytes: want an FID of 2, or a name of 5 to 16", n)
	}
	slices.SortFunc(all, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) }) // the maps above have no order
	return all
}
