package kiosk_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/cardlife"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/terminal/kiosk"
)

func (s *scheme) end(token string, card apdu.Transmitter, f fault) (kiosk.Ended, error) {
	h, _ := s.host(token, f)
	return kiosk.EndCard(s.t.Context(), card, h, kiosk.Request{Terminal: terminal})
}

func (s *scheme) payOut(token, receipt string, f fault) (kiosk.Paying, error) {
	h, _ := s.host(token, f)
	return kiosk.PayOut(s.t.Context(), h, receipt)
}

func (s *scheme) blocked(n ids.CardNumber) bool {
	var c store.Card
	s.view(func(tx *store.Tx) (err error) {
		c, err = tx.CardByNumber(s.t.Context(), n)
		return err
	})
	return c.Status != store.CardActive
}

// ends counts the orders on cards that end.
func (s *scheme) ends() int {
	all, err := s.life().Orders(s.t.Context(), "", 100)
	require.NoError(s.t, err)
	return len(all)
}

func (s *scheme) life() *cardlife.Service {
	life, err := cardlife.New(s.store, s.clock, cardlife.Config{})
	require.NoError(s.t, err)
	return life
}

// release approves an order, lets its time come, and moves its value.
func (s *scheme) release(receipt string) {
	life := s.life()
	_, err := life.Approve(s.t.Context(), receipt, "ann")
	require.NoError(s.t, err)
	s.clock.Advance(8 * 24 * time.Hour)
	_, err = life.Sweep(s.t.Context())
	require.NoError(s.t, err)
}

// TestACardIsGivenBack: both families, from a card with 50.00 on it to 50.00 in the holder's hand, once.
func TestACardIsGivenBack(t *testing.T) {
	for name, f := range map[string]struct {
		card   func(*scheme) apdu.Transmitter
		number func() ids.CardNumber
	}{
		"EP purse":        {func(s *scheme) apdu.Transmitter { return s.present() }, func() ids.CardNumber { return number }},
		"electronic cash": {func(s *scheme) apdu.Transmitter { return s.insert(pull{}) }, cashNumber},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			res, err := s.load(s.bus, f.card(s), s.request("sale"))
			require.NoError(t, err)
			require.Equal(t, kiosk.LoadDone, res.Outcome)
			got, err := s.end(s.bus, f.card(s), fault{})
			require.NoError(t, err)
			require.Empty(t, got.Why)
			require.Equal(t, fifty, got.Balance)
			require.Equal(t, kiosk.EndRequested, got.End.State)
			require.True(t, got.End.Due.Equal(noon.Add(7*24*time.Hour)))
			require.True(t, s.blocked(f.number()))
			receipt := got.End.Order

			again, err := s.end(s.bus, f.card(s), fault{})
			require.NoError(t, err)
			require.Equal(t, receipt, again.End.Order, "the same once more")
			other, err := s.end(s.metro, f.card(s), fault{})
			require.NoError(t, err)
			require.Nil(t, other.End)
			require.NotEmpty(t, other.Why, "it is another desk's")
			_, err = s.payOut(s.metro, receipt, fault{})
			require.ErrorIs(t, err, kiosk.ErrUnknownOrder)

			early, err := s.payOut(s.bus, receipt, fault{})
			require.NoError(t, err)
			require.Equal(t, kiosk.EndRequested, early.End.State)
			require.False(t, early.Now || early.Then)
			require.Equal(t, "acquirer:bus:sold-loads 50.00, float -50.00", s.accounts(), "no money has moved")

			s.release(receipt)
			require.Equal(t, "acquirer:bus:sold-loads 50.00, funding -50.00", s.accounts())
			paid, err := s.payOut(s.bus, receipt, fault{from: 3, to: 3, after: true})
			require.NoError(t, err)
			require.True(t, paid.Now, "the lost answer was asked for again")
			require.Equal(t, fifty, paid.End.Amount)
			twice, err := s.payOut(s.bus, receipt, fault{})
			require.NoError(t, err)
			require.False(t, twice.Now)
			require.True(t, twice.Then)
			require.Empty(t, s.accounts(), "taken, and handed back")
			late, err := s.end(s.bus, f.card(s), fault{})
			require.NoError(t, err)
			require.Nil(t, late.End, "it is over: nothing is ordered a second time")
			require.Equal(t, 1, s.ends())
			require.Empty(t, s.findings())
		})
	}
}

// TestATornEnd tears the card at every command of its end, and loses every call; presented again it is ended, by one order.
func TestATornEnd(t *testing.T) {
	for at := 1; ; at++ {
		whole := false
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("command %d, done %v", at, after), func(t *testing.T) {
				s := start(t)
				_, err := s.load(s.bus, s.present(), s.request("sale"))
				require.NoError(t, err)
				got, err := s.end(s.bus, epcard.Present(s.card, epcard.Tear{At: at, After: after}), fault{})
				if err == nil && got.End != nil {
					whole = true
				} else {
					require.True(t, kiosk.Left(err), "%v", err)
					require.False(t, s.blocked(number), "the card left before it was ended")
				}
				got, err = s.end(s.bus, s.present(), fault{})
				require.NoError(t, err)
				require.NotNil(t, got.End)
				require.Equal(t, fifty, s.card.Balance(), "nothing on the card is changed")
				require.Equal(t, 1, s.ends())
			})
		}
		if whole {
			require.Greater(t, at, 5)
			break
		}
	}
	for call := 1; call <= 3; call++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("call %d, had %v", call, after), func(t *testing.T) {
				s := start(t)
				_, err := s.load(s.bus, s.present(), s.request("sale"))
				require.NoError(t, err)
				_, err = s.end(s.bus, s.present(), fault{from: call, to: 100, after: after})
				require.ErrorIs(t, err, kiosk.ErrUnavailable)
				got, err := s.end(s.bus, s.present(), fault{})
				require.NoError(t, err)
				require.NotNil(t, got.End)
				require.Equal(t, 1, s.ends())
			})
		}
	}
}

// TestAnOpenLoadIsSettledBeforeTheEnd: what the card has is paid out, what it has not waits in its order as ever.
func TestAnOpenLoadIsSettledBeforeTheEnd(t *testing.T) {
	for _, credited := range []bool{true, false} {
		t.Run(fmt.Sprint("credited ", credited), func(t *testing.T) {
			s := start(t)
			torn, err := s.load(s.metro, epcard.Present(s.card, epcard.Tear{At: 5, After: credited}), s.request("sale"))
			require.NoError(t, err)
			require.Equal(t, kiosk.PresentAgain, torn.Outcome)
			got, err := s.end(s.bus, s.present(), fault{})
			require.NoError(t, err)
			require.NotNil(t, got.End)
			s.release(got.End.Order)
			paid, err := s.payOut(s.bus, got.End.Order, fault{})
			require.NoError(t, err)
			if !credited {
				require.Equal(t, kiosk.EndEmpty, paid.End.State)
				require.False(t, paid.Now)
				require.Equal(t, "acquirer:metro:sold-loads 50.00, funding -50.00", s.accounts())
				return
			}
			require.True(t, paid.Now)
			require.Equal(t, fifty, paid.End.Amount)
			require.Equal(t, "acquirer:bus:sold-loads -50.00, acquirer:metro:sold-loads 50.00", s.accounts(), "the desk that paid is owed it")
		})
	}
}

func TestEndsThatAreRefused(t *testing.T) {
	s := start(t)
	_, err := s.load(s.bus, s.present(), s.request("sale"))
	require.NoError(t, err)

	_, err = s.end(s.bus, epcard.Present(newCard(t, stranger), epcard.Tear{}), fault{})
	require.ErrorIs(t, err, kiosk.ErrUnknownCard)

	// A second card in the field takes the first one's place after the look.
	require.NoError(t, s.store.Update(t.Context(), func(tx *store.Tx) error {
		return tx.IssueCard(t.Context(), store.Card{Number: stranger, Token: "00000000000000aa", Issuer: issuer, Levels: 2})
	}))
	_, err = s.end(s.bus, &swap{first: s.present(), second: epcard.Present(newCard(t, stranger), epcard.Tear{})}, fault{})
	require.ErrorIs(t, err, kiosk.ErrOtherSeen)
	require.False(t, s.blocked(number) || s.blocked(stranger))

	// What was reported lost is nobody's to be paid who finds it.
	require.NoError(t, s.store.Update(t.Context(), func(tx *store.Tx) error { return tx.BlockCard(t.Context(), number, noon) }))
	got, err := s.end(s.bus, s.present(), fault{})
	require.NoError(t, err)
	require.Nil(t, got.End)
	require.Contains(t, got.Why, "card-blocked")
	require.True(t, got.Blocked)
	require.Zero(t, s.ends())
	require.Equal(t, money.Minor(50_00), s.shadow())
}

// swap is a field in which one card takes another's place when a card is selected for the second time.
type swap struct {
	first, second apdu.Transmitter
	selected      int
}

// Transmit implements apdu.Transmitter.
func (w *swap) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if command[1] == 0xA4 {
		w.selected++
	}
	if w.selected < 2 {
		return w.first.Transmit(ctx, command)
	}
	return w.second.Transmit(ctx, command)
}

// TestAWaitingLoadIsPutOnTheCardFirst: after the end nothing reaches the card, so what was paid for it is a part of what is paid out.
func TestAWaitingLoadIsPutOnTheCardFirst(t *testing.T) {
	s := start(t)
	id := s.paidFor("order-1", "0123456789abcdef", fifty)
	got, err := s.end(s.bus, s.present(), fault{})
	require.NoError(t, err)
	require.Equal(t, &kiosk.WaitingLoad{Order: id, Amount: fifty}, got.Loaded)
	require.Equal(t, fifty, got.Balance)
	require.NotNil(t, got.End)
	s.release(got.End.Order)
	paid, err := s.payOut(s.bus, got.End.Order, fault{})
	require.NoError(t, err)
	require.True(t, paid.Now)
	require.Equal(t, fifty, paid.End.Amount)
}

// TestAWaitingLoadThatTheCardWillNotHaveKeepsItFromItsEnd: its money would wait for a card that is no more.
func TestAWaitingLoadThatTheCardWillNotHaveKeepsItFromItsEnd(t *testing.T) {
	s := start(t)
	s.paidFor("order-1", "0123456789abcdef", money.Minor(901_00)) // more than a card may hold
	got, err := s.end(s.bus, s.present(), fault{})
	require.NoError(t, err)
	require.Nil(t, got.End)
	require.Contains(t, got.Why, "waits for this card")
	require.False(t, s.blocked(number))
}

// TestWhatIsForAnotherCardIsNotPaidOut: an operator's transfer at the same desk is no receipt.
func TestWhatIsForAnotherCardIsNotPaidOut(t *testing.T) {
	s := start(t)
	_, err := s.load(s.bus, s.present(), s.request("sale"))
	require.NoError(t, err)
	target := cashNumber()
	order, err := s.life().Request(t.Context(), cardlife.Request{Kind: cardlife.Transfer, Card: number, Target: &target, Agent: "bus", Reason: "lost", By: "bob"})
	require.NoError(t, err)
	s.release(order.ID)
	_, err = s.payOut(s.bus, order.ID, fault{})
	require.ErrorIs(t, err, kiosk.ErrNotCash)
	require.Equal(t, "acquirer:bus:sold-loads 50.00, funding -50.00", s.accounts())
}
