package epcard_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/image"
)

// TestWrongBorrow is the arithmetic of a known faulty card: 1000h − 10h = 0F10h, with every MAC valid.
func TestWrongBorrow(t *testing.T) {
	for _, c := range []struct{ before, amount, after uint32 }{
		{0x1000, 0x10, 0x0F10}, {0x1770, 0x70, 0x1700}, {0x1770, 0, 0x1770}, {0x1770, 0x1770, 0},
	} {
		img := image82(t, 2)
		img.Balance = money.Minor(int64(c.before))
		honest := newCard(t, img, seeded(1))
		liar := newCard(t, img, seeded(1))
		s := session{kind: ep.TypePurchase, amount: c.amount, serial: 5}
		want, err := s.run(honest, img)
		require.NoError(t, err)
		got, err := s.run(epcard.Present(epcard.NewHostile(liar, epcard.WrongBorrow), epcard.Tear{}), img)
		require.NoError(t, err)
		require.Equal(t, want, got, "TAC and MAC2 know nothing of it")
		require.Equal(t, money.Minor(int64(c.after)), liar.Balance())
	}
}

// TestLies: each lie does what it says, where it says.
func TestLies(t *testing.T) {
	balance := unhex("805C000204")
	cases := map[epcard.Lie]string{
		epcard.Empty: "9000", epcard.Padded: "00 00001770 9000", epcard.TooRich: "FFFFFFFF 9000", epcard.Endless61: "6110", epcard.Endless6C: "6C10", epcard.SilentZeroBytes: "",
		epcard.ConstantMAC2: "00001770 9000", epcard.ProofWithout: "00001770 9000", epcard.Replay: "00001770 9000", epcard.Swapped: "00001770 9000",
	}
	for lie, want := range cases {
		h := epcard.NewHostile(newCard(t, image82(t, 1), seeded(1)), lie)
		h.From = 2
		exchange(t, h, select82, fci82+"9000")
		got, err := h.Transmit(context.Background(), balance)
		require.NoError(t, err)
		require.Equal(t, string(unhex(want)), string(got), lie)
	}
	h := epcard.NewHostile(newCard(t, image82(t, 1), seeded(1)), epcard.TooLong)
	got, err := h.Transmit(context.Background(), balance)
	require.NoError(t, err)
	require.Greater(t, len(got), apdu.MaxResponse)

	other := image82(t, 1)
	other.Balance = money.Minor(7)
	h = epcard.NewHostile(newCard(t, image82(t, 1), seeded(1)), epcard.Swapped)
	h.From, h.Other = 2, newCard(t, other, seeded(2))
	exchange(t, h, select82, fci82+"9000")
	exchange(t, h, select82, fci82+"9000")
	exchange(t, h, "805C000204", "00000007 9000")

	pboc := other
	pboc.AID = image.Bytes(ep.AIDPBOC)
	h = epcard.NewHostile(newCard(t, image82(t, 1), seeded(1)), epcard.TwoPurses)
	h.Other = newCard(t, pboc, seeded(2))
	for _, hidden := range []bool{false, true} {
		h.Hidden = hidden
		h.Power(true)
		_, _, err := ep.Select(t.Context(), h, ep.AIDTUnion)
		if hidden {
			require.ErrorIs(t, err, ep.ErrNoPurse)
		} else {
			require.NoError(t, err)
			exchange(t, h, "805C000204", "00001770 9000")
		}
		_, _, err = ep.Select(t.Context(), h, ep.AIDPBOC)
		require.NoError(t, err)
		exchange(t, h, "805C000204", "00000007 9000")
	}
}
