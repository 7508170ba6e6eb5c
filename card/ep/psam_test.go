package ep_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
)

// TestFactorsOnTheWire: the card's serial stands first and the issuer last, although derivation starts from the issuer
// (conflict C17).
func TestFactorsOnTheWire(t *testing.T) {
	issuer, region, serial := [8]byte{0x11}, [8]byte{0x22}, [8]byte{0x33}
	const head = "A1B2C3D4 0007 000000C8 06 20240115083000 0102"
	const s, r, i = "3300000000000000", "2200000000000000", "1100000000000000"
	cases := []struct {
		factors [][8]byte
		want    string
	}{
		{[][8]byte{serial}, "807000001C" + head + s + "08"},
		{[][8]byte{issuer, serial}, "8070000024" + head + s + i + "08"},
		{[][8]byte{issuer, region, serial}, "807000002C" + head + s + r + i + "08"},
	}
	for _, c := range cases {
		card := &answers{t: t, give: []string{"00000123 9726DC2C 9000"}}
		serial, mac1, err := sam(t.Context(), card).InitPurchase(t.Context(), keys.PurchaseRequest{
			Random: [4]byte{0xA1, 0xB2, 0xC3, 0xD4}, Counter: 7, Amount: money.Minor(200), Type: byte(ep.TypePurchase),
			DateTime: at, Version: 1, Algorithm: 2, Factors: c.factors,
		})
		require.NoError(t, err)
		require.Equal(t, uint32(0x123), serial)
		require.Equal(t, [4]byte{0x97, 0x26, 0xDC, 0x2C}, mac1)
		require.Equal(t, []string{strings.ReplaceAll(c.want, " ", "")}, card.asked)
	}
}

// TestACityCodeGoesToThePSAMFirst: GET MESSAGE with the card's code, and then the purchase whose MAC1 covers it (conflict C13).
func TestACityCodeGoesToThePSAMFirst(t *testing.T) {
	r := keys.PurchaseRequest{Amount: one, Version: 1, Factors: make([][8]byte, 1), CityCode: unhex(t, "85 88D32B76 88D32B76")}
	card := &answers{t: t, give: []string{"9000", "00000123 9726DC2C 9000"}}
	_, _, err := sam(t.Context(), card).InitPurchase(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "80CA0000098588D32B7688D32B76", card.asked[0])
	require.Equal(t, "80700000", card.asked[1][:8])

	card = &answers{t: t, give: []string{"6D00"}}
	_, _, err = sam(t.Context(), card).InitPurchase(t.Context(), r)
	require.Error(t, err, "a PSAM that knows no code must not make a MAC1 without it")
	require.Len(t, card.asked, 1)
}

func TestWhatIsNotSentToAPSAM(t *testing.T) {
	cases := map[string]keys.PurchaseRequest{
		"0 diversification factors": {Amount: one},
		"4 diversification factors": {Amount: one, Factors: make([][8]byte, 4)},
		"does not fit four bytes":   {Amount: money.Minor(-1), Factors: make([][8]byte, 1)},
		"a code of 8 bytes":         {Amount: one, Factors: make([][8]byte, 1), CityCode: make([]byte, 8)},
	}
	for says, r := range cases {
		card := &answers{t: t}
		_, _, err := sam(t.Context(), card).InitPurchase(t.Context(), r)
		require.ErrorContains(t, err, says)
		require.Empty(t, card.asked)
	}
}

func TestPSAMErrorsThatTheTerminalKnows(t *testing.T) {
	request := keys.PurchaseRequest{Amount: one, Version: 2, Algorithm: 4, Factors: make([][8]byte, 2)}
	init := func(sw string) error {
		_, _, err := sam(t.Context(), &answers{t: t, give: []string{sw}}).InitPurchase(t.Context(), request)
		return err
	}
	check := func(sw string) error {
		return sam(t.Context(), &answers{t: t, give: []string{sw}}).CheckMAC2(t.Context(), [4]byte{})
	}
	require.ErrorIs(t, init("9403"), keys.ErrUnknownKey)
	require.ErrorIs(t, init("9403"), ep.ErrKeyIndex)
	require.ErrorContains(t, init("9403"), "version 02, algorithm 04", "which key is missing")
	require.ErrorIs(t, init("6A88"), keys.ErrUnknownKey)
	require.NotErrorIs(t, init("6985"), keys.ErrUnknownKey)
	require.NoError(t, check("9000"))
	require.ErrorIs(t, check("9302"), keys.ErrBadMAC)
	require.ErrorIs(t, check("9302"), ep.ErrMAC)
	require.ErrorIs(t, check("6901"), ep.ErrOrder)
	require.ErrorIs(t, check("6983"), ep.ErrBlocked, "locked after too many wrong MAC2")
	for _, sw := range []string{"6901", "6983", "6F00"} {
		require.NotErrorIs(t, check(sw), keys.ErrBadMAC, "%s says nothing about MAC2", sw)
	}
}

func TestOpenPSAM(t *testing.T) {
	const selectMF, readTerm, readInfo = "00A40000023F0000", "00B0960006", "00B0970019"
	const info = "05 01011000FFFFFFFF 01011000FFFFFFFF 20240101 20341231 9000"
	applications := []struct {
		name        string
		application []byte
		command     string
	}{
		{"by name", ep.PSAMTUnion, "00A4040010A0000006324D4F542E435053414D303100"},
		{"by FID", ep.PSAMFID, "00A4000002100100"},
		{"by another FID", []byte{0xDF, 0x01}, "00A4000002DF0100"},
	}
	for _, c := range applications {
		t.Run(c.name, func(t *testing.T) {
			card := &answers{t: t, give: []string{"9000", "112233445566 9000", "6F00 9000", info}}
			p, err := ep.OpenPSAM(t.Context(), card, c.application)
			require.NoError(t, err)
			require.Equal(t, []string{selectMF, readTerm, c.command, readInfo}, card.asked)
			require.Equal(t, [6]byte{0x11, 0x22, 0x33, 0x44, 0x55, 0x66}, p.TerminalNumber())
			require.Equal(t, byte(5), p.KeyIndex())
		})
	}
	cases := []struct {
		name string
		give []string
		is   error
		says string
	}{
		{"no master file", []string{"6A82"}, ep.ErrNoPurse, "PSAM master file"},
		{"no terminal number", []string{"9000", "6A82"}, ep.ErrNotFound, "PSAM terminal number"},
		{"a short terminal number", []string{"9000", "1122334455 9000"}, ep.ErrMalformed, "5 bytes, want 6"},
		{"a long terminal number", []string{"9000", "11223344556677 9000"}, ep.ErrMalformed, "7 bytes, want 6"},
		{"no application", []string{"9000", "112233445566 9000", "6A82"}, ep.ErrNoPurse, "PSAM application"},
		{"a locked application", []string{"9000", "112233445566 9000", "6283"}, ep.ErrBlocked, "PSAM application"},
		{"no key information", []string{"9000", "112233445566 9000", "9000", "6A82"}, ep.ErrNotFound, "PSAM key index"},
		{"empty key information", []string{"9000", "112233445566 9000", "9000", "9000"}, ep.ErrMalformed, "empty file"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := ep.OpenPSAM(t.Context(), &answers{t: t, give: c.give}, ep.PSAMTUnion)
			require.ErrorIs(t, err, c.is)
			require.ErrorContains(t, err, c.says)
		})
	}
	for n := range 4 {
		card := transmitFunc(func() func(context.Context, []byte) ([]byte, error) {
			sent := 0
			return func(context.Context, []byte) ([]byte, error) {
				sent++
				if sent > n {
					return nil, fmt.Errorf("%w: gone", apdu.ErrNoAnswer)
				}
				return [][]byte{{0x90, 0x00}, {1, 2, 3, 4, 5, 6, 0x90, 0x00}, {0x90, 0x00}}[sent-1], nil
			}
		}())
		_, err := ep.OpenPSAM(t.Context(), card, ep.PSAMTUnion)
		require.True(t, errors.Is(err, apdu.ErrNoAnswer), "lost after %d answers: %v", n, err)
	}
}
