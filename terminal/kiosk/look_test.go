package kiosk_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/terminal/kiosk"
)

func (s *scheme) look(card apdu.Transmitter) (kiosk.Seen, error) {
	h, _ := s.host(s.bus, fault{})
	return kiosk.Look(s.t.Context(), card, h, kiosk.Request{Terminal: terminal})
}

// TestALookAtACard: who it is without its number, what it holds, and what became of an open load; nothing is sold.
func TestALookAtACard(t *testing.T) {
	for name, f := range map[string]struct {
		card  func(*scheme) apdu.Transmitter
		torn  func(s *scheme, credited bool) apdu.Transmitter
		token string
		shown string
	}{
		"EP purse": {func(s *scheme) apdu.Transmitter { return s.present() },
			func(s *scheme, credited bool) apdu.Transmitter {
				return epcard.Present(s.card, epcard.Tear{At: 5, After: credited})
			}, "0123456789abcdef", "****7788"},
		"electronic cash": {func(s *scheme) apdu.Transmitter { return s.insert(pull{}) },
			func(s *scheme, credited bool) apdu.Transmitter { return s.insert(pull{at: 14, after: credited}) }, "fedcba9876543210", "****6483"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			seen, err := s.look(f.card(s))
			require.NoError(t, err)
			require.Equal(t, kiosk.Seen{Token: f.token, Card: f.shown}, seen)

			for _, credited := range []bool{true, false} {
				r := s.request("sale")
				if !credited {
					r.IdempotencyKey = "another"
				}
				torn, err := s.load(s.metro, f.torn(s, credited), r)
				require.NoError(t, err)
				require.Equal(t, kiosk.PresentAgain, torn.Outcome)
				seen, err = s.look(f.card(s))
				require.NoError(t, err)
				want := kiosk.Paid
				if credited {
					want = kiosk.Loaded
				}
				require.Equal(t, []kiosk.Settled{{Order: torn.Order, State: want}}, seen.Settled)
				require.Equal(t, fifty, seen.Balance)
			}
			require.Empty(t, s.findings())
		})
	}
}

func TestALookAtACardThatIsNotServed(t *testing.T) {
	s := start(t)
	_, err := s.look(epcard.Present(newCard(t, stranger), epcard.Tear{}))
	require.ErrorIs(t, err, kiosk.ErrUnknownCard)
	_, err = s.look(epcard.Present(s.card, epcard.Tear{At: 2}))
	require.True(t, kiosk.Left(err), "%v", err)

	require.NoError(t, s.card.SetBlock(epcard.Permanent))
	seen, err := s.look(s.present())
	require.NoError(t, err)
	require.NotEmpty(t, seen.Refusal)
	require.NoError(t, s.card.SetBlock(epcard.Unblocked))

	require.NoError(t, s.store.Update(t.Context(), func(tx *store.Tx) error { return tx.BlockCard(t.Context(), number, noon) }))
	seen, err = s.look(s.present())
	require.NoError(t, err)
	require.True(t, seen.Blocked)

	orders, err := s.topup.Orders(t.Context(), "", topup.State(""), 10)
	require.NoError(t, err)
	require.Empty(t, orders, "a look sells nothing")
	h, _ := s.host(s.bus, fault{from: 1, to: 100})
	_, err = kiosk.Look(t.Context(), s.present(), h, kiosk.Request{Terminal: terminal})
	require.ErrorIs(t, err, kiosk.ErrUnavailable)
}
