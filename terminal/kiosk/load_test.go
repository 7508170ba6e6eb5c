package kiosk_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/terminal/kiosk"
)

// TestLoad goes over a real connection once; the other tests hand requests to the handler.
func TestLoad(t *testing.T) {
	s := start(t)
	server := httptest.NewServer(s.handler)
	defer server.Close()
	h, err := kiosk.NewHTTPHost(server.URL, s.bus)
	require.NoError(t, err)
	r, err := kiosk.Load(t.Context(), s.present(), h, s.request("sale-1"))
	require.NoError(t, err)
	require.Equal(t, kiosk.Result{Outcome: kiosk.LoadDone, Order: r.Order, Amount: fifty, Balance: fifty}, r)
	s.requireOnce(r.Order)

	again, err := kiosk.Load(t.Context(), s.present(), h, s.request("sale-1"))
	require.NoError(t, err)
	require.Equal(t, kiosk.AlreadyDone, again.Outcome)
	byID := kiosk.Request{OrderID: r.Order, Terminal: terminal}
	again, err = kiosk.Load(t.Context(), s.present(), h, byID)
	require.NoError(t, err)
	require.Equal(t, kiosk.AlreadyDone, again.Outcome)
	s.requireOnce(r.Order)
}

// tears are every way a card can leave during a load of n commands, and the way it stays.
func tears(n int) []epcard.Tear {
	out := []epcard.Tear{{}}
	for at := 1; at <= n; at++ {
		out = append(out, epcard.Tear{At: at}, epcard.Tear{At: at, Noticed: true}, epcard.Tear{At: at, After: true})
	}
	return out
}

// commands is how many commands a load takes: SELECT, EF 15, two INITIALIZE, CREDIT, GET BALANCE. One that settles first takes two more.
const commands = 6

func TestALoadTakesSixCommands(t *testing.T) {
	s := start(t)
	n := 0
	_, err := s.load(s.bus, &tamper{Transmitter: s.present(), change: func(_ byte, answer []byte) []byte { n++; return answer }}, s.request("sale-1"))
	require.NoError(t, err)
	require.Equal(t, commands, n)
}

// TestTornTwice takes the card out at every command of the first presentation and at every command of the second; the third is
// quiet. The rider paid once and has the value once.
func TestTornTwice(t *testing.T) {
	for _, first := range tears(commands) {
		for _, second := range tears(commands + 2) {
			if second.Noticed {
				continue // how well a reader knows what it lost is tried in the first presentation
			}
			t.Run(fmt.Sprintf("%+v %+v", first, second), func(t *testing.T) {
				s := start(t)
				var r kiosk.Result
				for i, tear := range []epcard.Tear{first, second, {}} {
					var err error
					r, err = s.load(s.bus, epcard.Present(s.card, tear), s.request("sale-1"))
					require.NoError(t, err, "presentation %d", i+1)
					require.Contains(t, []kiosk.Outcome{kiosk.LoadDone, kiosk.AlreadyDone, kiosk.PresentAgain}, r.Outcome)
					if r.Outcome != kiosk.PresentAgain {
						s.requireOnce(r.Order)
					}
				}
				require.NotEqual(t, kiosk.PresentAgain, r.Outcome)
				s.requireOnce(r.Order)
			})
		}
	}
}

// TestOneLostCall loses each call of a load once, on its way or on its way back: it is made again, and nobody notices.
func TestOneLostCall(t *testing.T) {
	for _, after := range []bool{false, true} {
		for call := 1; call <= 4; call++ {
			t.Run(fmt.Sprint(call, after), func(t *testing.T) {
				s := start(t)
				h, n := s.host(s.bus, fault{from: call, to: call, after: after})
				r, err := kiosk.Load(t.Context(), s.present(), h, s.request("sale-1"))
				require.NoError(t, err)
				require.Equal(t, kiosk.LoadDone, r.Outcome)
				require.Equal(t, 5, n.calls, "four, and one again")
				s.requireOnce(r.Order)
			})
		}
	}
}

// TestOutage loses all calls from one on, and takes the card out at every command too. Then the network is there again, and the card is
// presented again.
func TestOutage(t *testing.T) {
	for _, after := range []bool{false, true} {
		for call := 1; call <= 6; call++ {
			for _, tear := range tears(commands) {
				t.Run(fmt.Sprintf("call %d after %v, %+v", call, after, tear), func(t *testing.T) {
					s := start(t)
					h, n := s.host(s.bus, fault{from: call, to: 1000, after: after})
					r, err := kiosk.Load(t.Context(), epcard.Present(s.card, tear), h, s.request("sale-1"))
					if err != nil {
						require.ErrorIs(t, err, kiosk.ErrUnavailable)
						require.False(t, kiosk.Decided(err))
					} else if r.Outcome == kiosk.DoneUnconfirmed {
						require.Equal(t, fifty, s.card.Balance())
						require.NotNil(t, r.TAC)
						n.fault = fault{}
						o, err := h.Confirm(t.Context(), r.Order, *r.TAC)
						require.NoError(t, err)
						require.Equal(t, kiosk.Loaded, o.State)
						s.requireOnce(r.Order)
					}
					r, err = s.load(s.bus, s.present(), s.request("sale-1"))
					require.NoError(t, err)
					require.Contains(t, []kiosk.Outcome{kiosk.LoadDone, kiosk.AlreadyDone}, r.Outcome)
					s.requireOnce(r.Order)
				})
			}
		}
	}
}

// TestAnotherKioskSettles: the card with an open load is presented at another agent's kiosk, with a sale of its own.
func TestAnotherKioskSettles(t *testing.T) {
	for _, credited := range []bool{false, true} {
		t.Run(fmt.Sprint(credited), func(t *testing.T) {
			s := start(t)
			torn, err := s.load(s.bus, epcard.Present(s.card, epcard.Tear{At: 5, After: credited}), s.request("sale-1"))
			require.NoError(t, err)
			require.Equal(t, kiosk.PresentAgain, torn.Outcome)
			require.Equal(t, topup.Uncertain, s.state(torn.Order))

			small := s.request("sale-1") // of another agent: another order
			small.Amount = money.Minor(20_00)
			r, err := s.load(s.metro, s.present(), small)
			require.NoError(t, err)
			require.Equal(t, kiosk.LoadDone, r.Outcome)
			want, balance, books := kiosk.Paid, "20.00", "acquirer:bus:sold-loads 50.00, acquirer:metro:sold-loads 20.00, float -20.00, funding -50.00"
			if credited {
				want, balance, books = kiosk.Loaded, "70.00", "acquirer:bus:sold-loads 50.00, acquirer:metro:sold-loads 20.00, float -70.00"
			}
			require.Equal(t, []kiosk.Settled{{Order: torn.Order, State: want}}, r.Settled)
			require.Equal(t, balance, r.Balance.String())
			require.Equal(t, s.card.Balance(), s.shadow())
			require.Equal(t, books, s.accounts())

			// The first sale goes on where it was.
			back, err := s.load(s.bus, s.present(), s.request("sale-1"))
			require.NoError(t, err)
			require.Equal(t, "70.00", s.card.Balance().String())
			require.Equal(t, topup.Loaded, s.state(back.Order))
		})
	}
}

// TestTheCardAnswersBadly changes what the card says to CREDIT and after. What it did is found out, or not known, but never guessed.
func TestTheCardAnswersBadly(t *testing.T) {
	memory := []byte{0x65, 0x81}
	refuse := []byte{0x69, 0x85}
	// after a committed CREDIT, answer says what is heard of it; more changes what comes later.
	after := func(answer []byte, more func(ins byte, answer []byte) []byte) func(*scheme) *tamper {
		return func(s *scheme) *tamper {
			credited := false
			return &tamper{Transmitter: s.present(), change: func(ins byte, said []byte) []byte {
				if ins == insCredit {
					credited = true
					return answer
				}
				if credited && more != nil {
					return more(ins, said)
				}
				return said
			}}
		}
	}
	only := func(which byte, answer []byte) func(byte, []byte) []byte {
		return func(ins byte, said []byte) []byte {
			if ins == which {
				return answer
			}
			return said
		}
	}
	cases := []struct {
		name    string
		card    func(*scheme) *tamper
		outcome kiosk.Outcome
		err     error
		state   topup.State
	}{
		{"a memory failure after the commit", after(memory, nil), kiosk.LoadDone, nil, topup.Loaded},
		{"an answer of the wrong length", after([]byte{1, 2, 0x90, 0x00}, nil), kiosk.LoadDone, nil, topup.Loaded},
		{"and no proof of it", after(memory, only(insProve, []byte{0x94, 0x06})), kiosk.LoadDone, nil, topup.Loaded},
		{"and a garbled proof", after(memory, only(insProve, []byte{0, 0, 0, 0, 1, 2, 3, 4, 0x90, 0x00})), kiosk.LoadDone, nil, topup.Loaded},
		{"and no word more", after(memory, only(insInitialize, refuse)), kiosk.PresentAgain, nil, topup.Uncertain},
		{"a garbled TAC", after([]byte{1, 2, 3, 4, 0x90, 0x00}, nil), 0, kiosk.ErrTAC, topup.Uncertain},
		{"a refusal without a commit", func(s *scheme) *tamper {
			return &tamper{Transmitter: s.present(), before: func(ins byte) ([]byte, bool) { return []byte{0x93, 0x02}, ins == insCredit }}
		}, kiosk.Refused, nil, topup.Paid},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := start(t)
			r, err := s.load(s.bus, c.card(s), s.request("sale-1"))
			if c.err != nil {
				require.ErrorIs(t, err, c.err)
			} else {
				require.NoError(t, err)
				require.Equal(t, c.outcome, r.Outcome, r.Reason)
			}
			require.Equal(t, c.state, s.state(r.Order))
			s.accounts()
			r, err = s.load(s.bus, s.present(), s.request("sale-1"))
			require.NoError(t, err)
			require.Contains(t, []kiosk.Outcome{kiosk.LoadDone, kiosk.AlreadyDone}, r.Outcome)
			s.requireOnce(r.Order)
		})
	}
}

// TestACardThatRefusesEarly: nothing of the order is on it, and that is known.
func TestACardThatRefusesEarly(t *testing.T) {
	s := start(t)
	require.NoError(t, s.card.SetBlock(epcard.Permanent))
	r, err := s.load(s.bus, s.present(), s.request("sale-1"))
	require.NoError(t, err)
	require.Equal(t, kiosk.Refused, r.Outcome)
	require.NotEmpty(t, r.Reason)
	require.Equal(t, topup.Paid, s.state(r.Order))
	require.NoError(t, s.card.SetBlock(epcard.Unblocked))

	// But a card that may hold the load has to say so.
	torn, err := s.load(s.bus, epcard.Present(s.card, epcard.Tear{At: 5, After: true}), s.request("sale-1"))
	require.NoError(t, err)
	require.NoError(t, s.card.SetBlock(epcard.Temporary))
	r, err = s.load(s.bus, s.present(), s.request("sale-1"))
	require.NoError(t, err)
	require.Equal(t, kiosk.PresentAgain, r.Outcome, "unknown is not refused")
	require.Equal(t, topup.Uncertain, s.state(torn.Order))
}

// TestABlockedCard is not loaded, and its open load is settled all the same.
func TestABlockedCard(t *testing.T) {
	for _, credited := range []bool{false, true} {
		t.Run(fmt.Sprint(credited), func(t *testing.T) {
			s := start(t)
			torn, err := s.load(s.bus, epcard.Present(s.card, epcard.Tear{At: 5, After: credited}), s.request("sale-1"))
			require.NoError(t, err)
			require.NoError(t, s.store.Update(t.Context(), func(tx *store.Tx) error { return tx.BlockCard(t.Context(), number, noon) }))
			r, err := s.load(s.bus, s.present(), s.request("sale-1"))
			if credited {
				require.NoError(t, err)
				require.Equal(t, kiosk.LoadDone, r.Outcome)
				s.requireOnce(torn.Order)
				return
			}
			require.ErrorIs(t, err, kiosk.ErrCardBlocked)
			require.Equal(t, []kiosk.Settled{{Order: torn.Order, State: kiosk.Paid}}, r.Settled)
			require.Equal(t, "acquirer:bus:sold-loads 50.00, funding -50.00", s.accounts())
		})
	}
}

func TestTheBackendRefuses(t *testing.T) {
	s := start(t)
	dear := s.request("dear")
	dear.Amount = money.Minor(500_01)
	_, err := s.load(s.bus, s.present(), dear)
	require.ErrorIs(t, err, kiosk.ErrAmount)
	require.True(t, kiosk.Decided(err))

	_, err = s.load(s.bus, epcard.Present(newCard(t, stranger), epcard.Tear{}), s.request("sale-1"))
	require.ErrorIs(t, err, kiosk.ErrUnknownCard)
	other := s.request("sale-1")
	other.Amount = money.Minor(49_00)
	_, err = s.load(s.bus, s.present(), other)
	require.ErrorIs(t, err, kiosk.ErrConflict)
	levels := s.request("sale-1")
	levels.Levels = 1
	_, err = s.load(s.bus, s.present(), levels)
	require.ErrorIs(t, err, kiosk.ErrCardData)
	_, err = s.load("another-token", s.present(), s.request("sale-1"))
	require.ErrorIs(t, err, kiosk.ErrAccess)
	_, err = s.load(s.bus, s.present(), kiosk.Request{OrderID: "nothing-of-the-kind", Terminal: terminal})
	require.ErrorIs(t, err, kiosk.ErrUnknownOrder)

	orders, err := s.topup.Orders(t.Context(), "bus", topup.Paid, 10)
	require.NoError(t, err)
	require.Len(t, orders, 1)
	_, err = s.topup.Refund(t.Context(), "bus", orders[0].ID)
	require.NoError(t, err)
	_, err = s.load(s.bus, s.present(), s.request("sale-1"))
	require.ErrorIs(t, err, kiosk.ErrState)
	require.Empty(t, s.accounts())

	full := s.request("a")
	full.Amount = money.Minor(500_00)
	_, err = s.load(s.bus, s.present(), full)
	require.NoError(t, err)
	full.IdempotencyKey = "b"
	_, err = s.load(s.bus, s.present(), full)
	require.ErrorIs(t, err, kiosk.ErrMaxBalance)
}

func TestRequestsThatAreNone(t *testing.T) {
	s := start(t)
	h, n := s.host(s.bus, fault{})
	for name, r := range map[string]kiosk.Request{
		"neither order nor key": {Amount: fifty},
		"both":                  {OrderID: "L1", IdempotencyKey: "k", Amount: fifty},
		"no amount":             {IdempotencyKey: "k"},
		"key levels":            {OrderID: "L1", Levels: 3},
		"a path for an order":   {OrderID: "../v1/loads"},
		"dots":                  {OrderID: ".."},
		"a long order":          {OrderID: strings.Repeat("L", 65)},
	} {
		_, err := kiosk.Load(t.Context(), s.present(), h, r)
		require.ErrorIs(t, err, kiosk.ErrRequestForm, name)
	}
	require.Zero(t, n.calls)
}

// TestURLsHoldNoCardNumber looks at every address of a load with an open one to settle.
func TestURLsHoldNoCardNumber(t *testing.T) {
	s := start(t)
	_, err := s.load(s.bus, epcard.Present(s.card, epcard.Tear{At: 5, After: true}), s.request("sale-1"))
	require.NoError(t, err)
	h, n := s.host(s.bus, fault{})
	_, err = kiosk.Load(t.Context(), s.present(), h, s.request("sale-1"))
	require.NoError(t, err)
	require.Len(t, n.urls, 3, "order, look-up, resolve")
	for _, u := range n.urls {
		require.NotContains(t, strings.ToUpper(u), number.Reveal()[4:16])
	}
}

// TestACancelledLoad ends without saying more than it knows.
func TestACancelledLoad(t *testing.T) {
	s := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	h, _ := s.host(s.bus, fault{})
	h.Client = &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		cancel()
		return nil, ctx.Err()
	})}
	_, err := kiosk.Load(ctx, s.present(), h, s.request("sale-1"))
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, kiosk.Decided(err))
}
