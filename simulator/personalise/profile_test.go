package personalise_test

import (
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
)

// TestACardOfAProfile changes one field of a profile at a time and wants that one thing of the card changed.
func TestACardOfAProfile(t *testing.T) {
	usual := personalise.CardSpec{Family: personalise.TUnion, Number: number, Issuer: issuer, Log: epcard.LogAfter, Keys: personalise.Keys{Levels: 2, Index: 1}}
	cases := []struct {
		name   string
		change func(*firmwareconfig.Card)
		want   func(*personalise.CardSpec)
	}{
		{"sample", func(*firmwareconfig.Card) {}, func(*personalise.CardSpec) {}},
		{"PBOC", func(c *firmwareconfig.Card) { c.AIDs[0] = ep.AIDPBOC }, func(s *personalise.CardSpec) { s.Family = personalise.PBOC }},
		{"levels", func(c *firmwareconfig.Card) { c.KeyLevels = 1 }, func(s *personalise.CardSpec) { s.Keys.Levels = 1 }},
		{"index", func(c *firmwareconfig.Card) { c.KeyIndex = 7 }, func(s *personalise.CardSpec) { s.Keys.Index = 7 }},
		{"C1", func(c *firmwareconfig.Card) { c.LogCounter = "before" }, func(s *personalise.CardSpec) { s.Log = epcard.LogBefore }},
		{"C2", func(c *firmwareconfig.Card) { c.Variant.LimitTAC = "whole" }, func(s *personalise.CardSpec) { s.Settings.LimitTACWhole = true }},
		{"C3", func(c *firmwareconfig.Card) { c.Variant.ZeroDebit = "silent" }, func(s *personalise.CardSpec) { s.Settings.ZeroDebitSilent = true }},
		{"C7", func(c *firmwareconfig.Card) { c.Variant.UnloadPurse = "both" }, func(s *personalise.CardSpec) { s.Settings.UnloadEP = true }},
		{"C8", func(c *firmwareconfig.Card) { c.Variant.UnloadCounter = "offline" }, func(s *personalise.CardSpec) { s.Settings.UnloadOffline = true }},
		{"C10", func(c *firmwareconfig.Card) { c.Variant.Insufficient[1]++; c.Variant.Insufficient[0]-- }, func(s *personalise.CardSpec) { s.Settings.Insufficient = 0x9302 }},
		{"C11", func(c *firmwareconfig.Card) { c.Variant.BlockedSelect = firmwareconfig.Hex{0x62, 0x83} }, func(s *personalise.CardSpec) { s.Settings.BlockedSelect = 0x6283 }},
		{"C13", func(c *firmwareconfig.Card) { c.Variant.MAC1Code = "city" }, func(s *personalise.CardSpec) { s.Settings.CityCode = "\x85\x06\x07\x08\x09\x06\x07\x08\x09" }},
		{"C19", func(c *firmwareconfig.Card) { c.Variant.Counters = 1 }, func(s *personalise.CardSpec) { s.Settings.SharedCounter = true }},
		{"C20", func(c *firmwareconfig.Card) { c.Variant.Algorithm[0] = 1 }, func(s *personalise.CardSpec) { s.Keys.Algorithm = 1 }},
		{"SM4", func(c *firmwareconfig.Card) { c.Variant.SM4Algorithm[0] = 5 }, func(s *personalise.CardSpec) { s.Settings.SM4Algorithm = 5 }},
		{"C21", func(c *firmwareconfig.Card) { c.Variant.NoProof = firmwareconfig.Hex{0x69, 0x85} }, func(s *personalise.CardSpec) { s.Settings.NoProof = 0x6985 }},
		{"PIN", func(c *firmwareconfig.Card) { c.Variant.LoadPIN = true }, func(s *personalise.CardSpec) { s.Settings.LoadPIN = true }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			card := firmwareconfig.Sample().Card
			c.change(&card)
			got, err := personalise.CardSpec{Number: number, Issuer: issuer}.For(card)
			require.NoError(t, err)
			want := usual
			c.want(&want)
			require.Equal(t, want, got)
		})
	}
}

func TestProfilesThatNoSimulatedCardFits(t *testing.T) {
	card := firmwareconfig.Sample().Card
	card.AIDs[0] = firmwareconfig.Hex{1, 2, 3, 4, 5}
	_, err := personalise.CardSpec{Number: number, Issuer: issuer}.For(card)
	require.ErrorContains(t, err, "card.aids")
	card = firmwareconfig.Sample().Card
	_, err = personalise.CardSpec{Number: number, Issuer: issuer, Holder: ep.Holder{IDNumber: make([]byte, 16)}}.For(card)
	require.ErrorContains(t, err, "holder_size 55: want an identity number of 32 bytes, not 16")
}

// TestACityUnionCardIsPaidWithItsCode: the terminal's part is GET MESSAGE of the card and CityCode of the request (conflict C13).
func TestACityUnionCardIsPaidWithItsCode(t *testing.T) {
	profile := firmwareconfig.Sample()
	profile.Card.Variant.MAC1Code = "city"
	profile.Card.Variant.Application = firmwareconfig.Hex{0x10, 0x01}
	spec, err := personalise.CardSpec{Number: number, Issuer: issuer, Balance: money.Minor(1000)}.For(profile.Card)
	require.NoError(t, err)
	img, err := personalise.Card(masters, spec)
	require.NoError(t, err)
	chip, err := epcard.New(img, rand.Reader)
	require.NoError(t, err)
	samImage, err := personalise.PSAM(masters, personalise.PSAMSpec{Terminal: ep.TerminalNumber{1}, Issuer: issuer, NextSerial: 1, Application: profile.Card.Variant.Application})
	require.NoError(t, err)
	samChip, err := psam.New(samImage)
	require.NoError(t, err)
	sam, err := ep.OpenPSAM(t.Context(), samChip, profile.Card.Variant.Application)
	require.NoError(t, err)

	ctx, at := t.Context(), ep.DateTime{0x20, 0x26, 0x11, 0x25, 0x08, 0x30, 0x00}
	debit := func(withCode bool) error {
		card, _, err := ep.Select(ctx, chip, ep.AIDTUnion)
		require.NoError(t, err)
		public, err := card.ReadPublic(ctx)
		require.NoError(t, err)
		code, err := card.CityCode(ctx)
		require.NoError(t, err)
		init, err := card.InitPurchase(ctx, ep.TypePurchase, 1, money.Minor(200), sam.TerminalNumber())
		require.NoError(t, err)
		r := keys.PurchaseRequest{Random: init.Random, Counter: init.Counter, Amount: money.Minor(200), Type: byte(ep.TypePurchase), DateTime: at,
			Version: init.Version, Algorithm: init.Algorithm, Factors: public.Factors(2)}
		if withCode {
			r.CityCode = code[:]
		}
		serial, mac1, err := sam.InitPurchase(ctx, r)
		require.NoError(t, err)
		reply, err := card.Debit(ctx, serial, at, mac1)
		if err != nil {
			return err
		}
		return sam.CheckMAC2(ctx, reply.MAC2)
	}
	require.ErrorIs(t, debit(false), ep.ErrMAC)
	require.Equal(t, money.Minor(1000), chip.Balance())
	require.NoError(t, debit(true))
	require.Equal(t, money.Minor(800), chip.Balance())
}
