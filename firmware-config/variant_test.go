package firmwareconfig_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	firmwareconfig "github.com/purselane/purselane/firmware-config"
)

// conflicts is the list of purse facts chapter 12: the setting of each, with what a profile means that leaves it out, or why there is none.
var conflicts = []struct{ no, setting, value, reason string }{
	{no: "C1", setting: "log_counter"}, // no default: T-Union and PBOC cards differ, and a scheme knows which it has
	{no: "C2", setting: "variant.limit_tac", value: "folded"},
	{no: "C3", setting: "variant.zero_debit", value: "counts"},
	{no: "C4", reason: "a bus record under the metro record's identifier would take the place of the metro trip"},
	{no: "C5", reason: "the codes in fares are the bytes as the city writes them"},
	{no: "C6", reason: "no card and no host looks at the order, and both are read"},
	{no: "C7", setting: "variant.unload_purse", value: "ed"},
	{no: "C8", setting: "variant.unload_counter", value: "online"},
	{no: "C9", setting: "variant.challenge", value: "4"},
	{no: "C10", setting: "variant.insufficient", value: "9401"},
	{no: "C11", setting: "variant.blocked_select", value: "6A81"},
	{no: "C12", setting: "variant.holder_size", value: "55"},
	{no: "C13", setting: "variant.mac1_code", value: "none"},
	{no: "C14", reason: "nothing here asks for it; a simulated card answers the limit"},
	{no: "C15", setting: "variant.psam_application", value: "A0000006324D4F542E435053414D3031"},
	{no: "C16", setting: "variant.psam_usage", value: "05"},
	{no: "C17", reason: "both are true: one is the wire, the other the derivation"},
	{no: "C18", reason: "every reader but one takes EF 17 byte 10"},
	{no: "C19", setting: "variant.counters", value: "2"},
	{no: "C20", setting: "variant.algorithm", value: "00"},
	{no: "C21", setting: "variant.no_proof", value: "9406"},
}

// TestEveryConflictIsASettingOrHasAReason holds settings, defaults and the page of docs against the list.
func TestEveryConflictIsASettingOrHasAReason(t *testing.T) {
	raw, err := os.ReadFile("../docs/profile.md")
	require.NoError(t, err)
	page := strings.Join(strings.Fields(string(raw)), " ")

	text, err := yaml.Marshal(firmwareconfig.Sample().Card)
	require.NoError(t, err)
	var card map[string]any
	require.NoError(t, yaml.Unmarshal(text, &card))
	variant := card["variant"].(map[string]any)

	named := map[string]bool{"sm4_algorithm": true, "load_pin": true} // where cards differ beside the chapter's list
	for i, c := range conflicts {
		require.Equal(t, fmt.Sprintf("C%d", i+1), c.no)
		if c.setting == "" {
			require.NotEmpty(t, c.reason, c.no)
			require.Contains(t, page, "| "+c.no+" | none: "+c.reason+" |")
			continue
		}
		name, inVariant := strings.CutPrefix(c.setting, "variant.")
		from := card
		if inVariant {
			from = variant
			require.NotContains(t, string(firmwareconfig.SampleYAML()), name+":", "the sample must leave it out: it shows the default")
			require.Contains(t, page, "| "+c.no+" | `card."+c.setting+"` | `"+c.value+"` |")
			named[name] = true
		}
		require.Contains(t, from, name, c.no)
		if c.value != "" {
			require.Equal(t, c.value, fmt.Sprint(from[name]), c.no)
		}
	}
	for name := range variant {
		require.True(t, named[name], "%s belongs to no conflict", name)
	}
	require.Equal(t, firmwareconfig.RecommendedVariant(), firmwareconfig.Sample().Card.Variant)
}

func TestFaultsOfAVariant(t *testing.T) {
	for field, wrong := range map[string]string{
		"limit_tac": "half", "zero_debit": "maybe", "unload_purse": "ep", "unload_counter": "none", "challenge": "5", "insufficient": `"9000"`,
		"blocked_select": `"6A"`, "holder_size": "40", "mac1_code": "always", "psam_application": `"A0"`, "psam_usage": `"20"`, "counters": "3",
		"algorithm": `"0000"`, "sm4_algorithm": `"00"`, "no_proof": `"0001"`,
	} {
		t.Run(field, func(t *testing.T) {
			text := strings.Replace(string(firmwareconfig.SampleYAML()), "card:\n", "card:\n  variant: {"+field+": "+wrong+"}\n", 1)
			_, err := firmwareconfig.ParseProfile([]byte(text))
			require.ErrorContains(t, err, "card.variant."+field)
		})
	}
}

func TestAVariantOfOneDifference(t *testing.T) {
	text := strings.Replace(string(firmwareconfig.SampleYAML()), "card:\n", "card:\n  variant: {mac1_code: city, insufficient: 9301}\n", 1)
	p, err := firmwareconfig.ParseProfile([]byte(text))
	require.NoError(t, err)
	want := firmwareconfig.RecommendedVariant()
	want.MAC1Code, want.Insufficient = "city", firmwareconfig.Hex{0x93, 0x01}
	require.Equal(t, want, p.Card.Variant, "what is left out is the recommended one")
}
