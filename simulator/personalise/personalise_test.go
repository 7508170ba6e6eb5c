package personalise_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
)

func ascending(first byte) (k keys.Key) {
	for i := range k {
		k[i] = first + byte(i)
	}
	return k
}

var (
	masters = personalise.Masters{
		{Purpose: keys.Purchase, Version: 1}: ascending(0x40),
		{Purpose: keys.Load, Version: 1}:     ascending(0x50),
		{Purpose: keys.TAC, Version: 1}:      ascending(0x60),
	}
	number = ids.CardNumber{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	issuer = ep.Factor{1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF}
)

// The derived keys are those of purse facts 8.2.
func TestDerivedKeys(t *testing.T) {
	cases := []struct {
		name          string
		spec          personalise.CardSpec
		dpk, dlk, dtk string
		log           epcard.LogCounter
	}{
		{"T-Union derives twice and logs the counter after", personalise.CardSpec{},
			"49756F18FAB8D3E392C97501D1F00EB2", "E2E21031EAFFBBAAD3006478C3E07C5A", "2BF78A7F6B60277AF1ECBA098A1C604E", epcard.LogAfter},
		{"PBOC derives once and logs the counter before", personalise.CardSpec{Family: personalise.PBOC},
			"D1A358A113900248FAE0BE09CBE75FB6", "530DC6B96D3A4024E3711DB51C6444E9", "32F6DEB5E25ECA86D22DF9C836FCFD90", epcard.LogBefore},
		{"levels can be chosen", personalise.CardSpec{Keys: personalise.Keys{Levels: 1}},
			"D1A358A113900248FAE0BE09CBE75FB6", "530DC6B96D3A4024E3711DB51C6444E9", "32F6DEB5E25ECA86D22DF9C836FCFD90", epcard.LogAfter},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.spec.Number, c.spec.Issuer = number, issuer
			img, err := personalise.Card(masters, c.spec)
			require.NoError(t, err)
			text := func(k keys.Key) string { return strings.ToUpper(hex.EncodeToString(k[:])) }
			require.Equal(t, c.dpk, text(img.PurchaseKey.Key.Key))
			require.Equal(t, c.dlk, text(img.LoadKey.Key.Key))
			require.Equal(t, c.dtk, text(img.TACKey.Key))
			require.Equal(t, c.log, img.LogCounter)
			require.Equal(t, number, img.Number())
			require.NotContains(t, img.String(), number.Reveal())
		})
	}
}

func TestWhatCannotBeMade(t *testing.T) {
	good := personalise.CardSpec{Number: number, Issuer: issuer}
	cases := []struct {
		name string
		edit func(*personalise.CardSpec)
	}{
		{"no number", func(s *personalise.CardSpec) { s.Number = ids.CardNumber{} }},
		{"no issuer", func(s *personalise.CardSpec) { s.Issuer = ep.Factor{} }},
		{"three levels", func(s *personalise.CardSpec) { s.Keys.Levels = 3 }},
		{"another family", func(s *personalise.CardSpec) { s.Family = "calypso" }},
		{"a key version nobody has", func(s *personalise.CardSpec) { s.Keys.Version = 9 }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			spec := good
			c.edit(&spec)
			_, err := personalise.Card(masters, spec)
			require.Error(t, err)
		})
	}
	_, err := personalise.Card(personalise.Masters{}, good)
	require.ErrorIs(t, err, keys.ErrUnknownKey)
	for _, p := range []string{"purchase/01/00", "load/01/00", "tac/01/00"} {
		require.ErrorContains(t, err, p, "every missing key is named")
	}
	_, err = personalise.PSAM(personalise.Masters{}, personalise.PSAMSpec{Terminal: ep.TerminalNumber{1}, Issuer: issuer})
	require.ErrorIs(t, err, keys.ErrUnknownKey)
	_, err = personalise.PSAM(masters, personalise.PSAMSpec{Issuer: issuer})
	require.Error(t, err)
}

func TestAPSAMGetsPurchaseKeysAndNoOther(t *testing.T) {
	more := personalise.Masters{
		{Purpose: keys.Purchase, Version: 2}: ascending(0x70),
		{Purpose: keys.Purchase, Version: 1}: ascending(0x40),
		{Purpose: keys.Load, Version: 1}:     ascending(0x50),
	}
	img, err := personalise.PSAM(more, personalise.PSAMSpec{Terminal: ep.TerminalNumber{1}, Issuer: issuer})
	require.NoError(t, err)
	require.Len(t, img.Keys, 2)
	require.Equal(t, byte(1), img.Keys[0].Version)
	require.Equal(t, ascending(0x70), img.Keys[1].Key.Key)
}
