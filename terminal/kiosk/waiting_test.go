package kiosk_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/terminal/kiosk"
)

// paidFor pays a load online for one card.
func (s *scheme) paidFor(key, token string, amount money.Amount) string {
	ctx := s.t.Context()
	require.NoError(s.t, s.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutGatewayOrderCard(ctx, key, token); err != nil {
			return err
		}
		return s.topup.PaidOnline(ctx, tx, key, amount)
	}))
	return topup.OnlineOrder("online", key)
}

// TestWhatWasPaidForACardIsOnItAfterALook: at any agent's kiosk, once, whatever the card does in the middle; and on no other card.
func TestWhatWasPaidForACardIsOnItAfterALook(t *testing.T) {
	for name, f := range map[string]struct {
		card  func(*scheme) apdu.Transmitter
		torn  func(s *scheme, credited bool) apdu.Transmitter
		token string
		other string
	}{
		"EP purse": {func(s *scheme) apdu.Transmitter { return s.present() },
			func(s *scheme, credited bool) apdu.Transmitter {
				return epcard.Present(s.card, epcard.Tear{At: 6, After: credited})
			}, "0123456789abcdef", "fedcba9876543210"},
		"electronic cash": {func(s *scheme) apdu.Transmitter { return s.insert(pull{}) },
			func(s *scheme, credited bool) apdu.Transmitter { return s.insert(pull{at: 14, after: credited}) }, "fedcba9876543210", "0123456789abcdef"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			want := money.Amount{}
			for i, torn := range []func() apdu.Transmitter{
				func() apdu.Transmitter { return f.card(s) }, func() apdu.Transmitter { return f.torn(s, false) }, func() apdu.Transmitter { return f.torn(s, true) }} {
				id := s.paidFor(name+string(rune('0'+i)), f.token, fifty)
				var err error
				want, err = want.Add(fifty)
				require.NoError(t, err)
				first, err := s.look(torn())
				if i == 0 {
					require.NoError(t, err)
					require.Equal(t, &kiosk.WaitingLoad{Order: id, Amount: fifty}, first.Loaded)
					require.Equal(t, want, first.Balance)
				} else {
					require.True(t, kiosk.Left(err), "%v", err)
				}
				var seen kiosk.Seen
				for range 2 { // one that was not credited is settled, and waits for the next
					seen, err = s.look(f.card(s))
					require.NoError(t, err)
				}
				require.Equal(t, want, seen.Balance, "once")
				require.Nil(t, seen.Waiting)
				o, err := s.topup.Order(t.Context(), "", id)
				require.NoError(t, err)
				require.Equal(t, topup.Loaded, o.State)
			}
			require.Empty(t, s.findings())

			id := s.paidFor("other", f.other, fifty)
			seen, err := s.look(f.card(s))
			require.NoError(t, err)
			require.Nil(t, seen.Loaded)
			r := s.request("")
			r.IdempotencyKey, r.OrderID, r.Amount = "", id, money.Amount{}
			_, err = s.load(s.bus, f.card(s), r)
			require.ErrorIs(t, err, kiosk.ErrOtherCard)
		})
	}
}

// TestAWaitingLoadThatACardMayNotHaveWaitsOn, and the look says why.
func TestAWaitingLoadThatACardMayNotHaveWaitsOn(t *testing.T) {
	s := start(t)
	id := s.paidFor("much", "0123456789abcdef", money.Minor(9_999_999))
	seen, err := s.look(s.present())
	require.NoError(t, err)
	require.Equal(t, id, seen.Waiting.Order)
	require.NotEmpty(t, seen.Why)
	require.Nil(t, seen.Loaded)

	require.NoError(t, s.store.Update(t.Context(), func(tx *store.Tx) error { return tx.BlockCard(t.Context(), number, noon) }))
	seen, err = s.look(s.present())
	require.NoError(t, err)
	require.True(t, seen.Blocked)
	require.Empty(t, seen.Why, "a blocked card is not asked")
}
