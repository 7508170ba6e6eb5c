package kiosk_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/eccard"
	"github.com/purselane/purselane/terminal/kiosk"
)

// Instructions of a load of electronic cash.
const (
	insGenerate     = 0xAE
	insAuthenticate = 0x82
	insPut          = 0xDA
	insRecord       = 0xB2
)

// pull is how a card leaves: at the n-th command since it was presented, counted from 1. 0: it stays.
type pull struct {
	at    int
	after bool // it has done its work, and the answer is lost
}

// insert presents the electronic cash card.
func (s *scheme) insert(p pull) *eccard.Card {
	s.cash.Insert()
	s.cash.TearAt = func(n int) eccard.Tear {
		switch {
		case n+1 != p.at:
			return eccard.NoTear
		case p.after:
			return eccard.LoseAnswer
		}
		return eccard.LoseBefore
	}
	return s.cash
}

// requireCashOnce asserts that the bus's load is on the card exactly once, and that order, shadow and books say so.
func (s *scheme) requireCashOnce(order string) {
	s.t.Helper()
	require.Equal(s.t, fifty, s.cash.Balance())
	require.Equal(s.t, topup.Loaded, s.state(order))
	require.Equal(s.t, fifty, s.shadowOf(cashNumber()))
	require.Equal(s.t, "acquirer:bus:sold-loads 50.00, float -50.00", s.accounts())
	require.Empty(s.t, s.findings())
	for _, text := range s.steps {
		require.NotContains(s.t, text, bank().pan.Reveal()[4:12])
	}
}

// cashCommands is how many commands a load takes: SELECT of an EP purse, SELECT PPSE and of the application, GET PROCESSING OPTIONS, six records,
// GENERATE AC, EXTERNAL AUTHENTICATE, GENERATE AC, the script's, GET DATA. One that settles first reads the load log too.
const cashCommands = 15

// cashAsks is the first of them at which two presentations differ.
const cashAsks = 11

func TestCash(t *testing.T) {
	s := start(t)
	n := 0
	counted := &tamper{Transmitter: s.insert(pull{}), change: func(_ byte, answer []byte) []byte { n++; return answer }}
	r, err := s.load(s.bus, counted, s.request("sale-1"))
	require.NoError(t, err)
	require.Equal(t, kiosk.Result{Outcome: kiosk.LoadDone, Order: r.Order, Amount: fifty, Balance: fifty}, r)
	require.Equal(t, cashCommands, n)
	s.requireCashOnce(r.Order)

	again, err := s.load(s.bus, s.insert(pull{}), s.request("sale-1"))
	require.NoError(t, err)
	require.Equal(t, kiosk.AlreadyDone, again.Outcome)
	s.requireCashOnce(r.Order)

	more := s.request("sale-2")
	more.Amount = money.Minor(20_00)
	r, err = s.load(s.metro, s.insert(pull{}), more)
	require.NoError(t, err)
	require.Equal(t, kiosk.LoadDone, r.Outcome)
	require.Equal(t, "70.00", r.Balance.String())
	require.Equal(t, "70.00", s.cash.Balance().String())
	require.Equal(t, "acquirer:bus:sold-loads 50.00, acquirer:metro:sold-loads 20.00, float -70.00", s.accounts())
}

// TestTheLoadLogHasTheKiosksTime: what the kiosk says of itself reaches the card.
func TestTheLoadLogHasTheKiosksTime(t *testing.T) {
	s := start(t)
	r := s.request("sale-1")
	r.Now = func() time.Time { return time.Date(2026, 11, 24, 23, 59, 7, 0, time.UTC) }
	_, err := s.load(s.bus, s.insert(pull{}), r)
	require.NoError(t, err)
	c, err := ec.Select(t.Context(), s.insert(pull{}), []ec.Accepted{{AID: ec.AIDDebit}})
	require.NoError(t, err)
	_, err = c.BeginOnline(t.Context(), ec.Terminal{TTQ: ec.FullPBOC})
	require.NoError(t, err)
	raw, err := c.LoadLog(t.Context())
	require.NoError(t, err)
	log, err := ec.ParseLoadLog(raw)
	require.NoError(t, err)
	require.Len(t, log.Records, 1)
	require.Equal(t, [3]byte{0x26, 0x11, 0x24}, log.Records[0].Date)
	require.Equal(t, [3]byte{0x23, 0x59, 0x07}, log.Records[0].Time)
	require.Equal(t, fifty, log.Records[0].After)
}

func pulls(from, to int) []pull {
	out := []pull{{}}
	for at := from; at <= to; at++ {
		out = append(out, pull{at: at}, pull{at: at, after: true})
	}
	return out
}

// TestCashTornTwice takes the card out at every command of the first presentation, and at every command of the second from where they differ; the third is
// quiet. The rider paid once and has the value once.
func TestCashTornTwice(t *testing.T) {
	for _, first := range pulls(1, cashCommands) {
		for _, second := range pulls(cashAsks, cashCommands+1) {
			if first.at > 0 && first.at < cashAsks && second.at > 0 {
				continue // nothing has happened before the second
			}
			t.Run(fmt.Sprintf("%+v %+v", first, second), func(t *testing.T) {
				s := start(t)
				var r kiosk.Result
				for i, p := range []pull{first, second, {}} {
					var err error
					r, err = s.load(s.bus, s.insert(p), s.request("sale-1"))
					require.NoError(t, err, "presentation %d", i+1)
					require.Contains(t, []kiosk.Outcome{kiosk.LoadDone, kiosk.AlreadyDone, kiosk.PresentAgain}, r.Outcome)
					if r.Outcome != kiosk.PresentAgain {
						s.requireCashOnce(r.Order)
					}
				}
				require.NotEqual(t, kiosk.PresentAgain, r.Outcome)
				s.requireCashOnce(r.Order)
			})
		}
	}
}

// TestCashOneLostCall loses each call of a load once, on its way or on its way back: it is made again, and nobody notices.
func TestCashOneLostCall(t *testing.T) {
	for _, after := range []bool{false, true} {
		for call := 1; call <= 4; call++ {
			t.Run(fmt.Sprint(call, after), func(t *testing.T) {
				s := start(t)
				h, n := s.host(s.bus, fault{from: call, to: call, after: after})
				r, err := kiosk.Load(t.Context(), s.insert(pull{}), h, s.request("sale-1"))
				require.NoError(t, err)
				require.Equal(t, kiosk.LoadDone, r.Outcome)
				require.Equal(t, 5, n.calls, "four, and one again")
				s.requireCashOnce(r.Order)
			})
		}
	}
}

// TestCashOutage loses all calls from one on, and takes the card out at every command too. Then the network is there again, and the card is
// presented again.
func TestCashOutage(t *testing.T) {
	for _, after := range []bool{false, true} {
		for call := 1; call <= 5; call++ {
			for _, p := range pulls(cashAsks, cashCommands) {
				t.Run(fmt.Sprintf("call %d after %v, %+v", call, after, p), func(t *testing.T) {
					s := start(t)
					h, n := s.host(s.bus, fault{from: call, to: 1000, after: after})
					r, err := kiosk.Load(t.Context(), s.insert(p), h, s.request("sale-1"))
					if err != nil {
						require.ErrorIs(t, err, kiosk.ErrUnavailable)
						require.False(t, kiosk.Decided(err))
					} else if r.Outcome == kiosk.DoneUnconfirmed {
						require.Equal(t, fifty, s.cash.Balance())
						require.NotNil(t, r.Script)
						n.fault = fault{}
						o, err := kiosk.Confirm(t.Context(), h, r)
						require.NoError(t, err)
						require.Equal(t, kiosk.Loaded, o.State)
						s.requireCashOnce(r.Order)
					}
					r, err = s.load(s.bus, s.insert(pull{}), s.request("sale-1"))
					require.NoError(t, err)
					require.Contains(t, []kiosk.Outcome{kiosk.LoadDone, kiosk.AlreadyDone}, r.Outcome)
					s.requireCashOnce(r.Order)
				})
			}
		}
	}
}

// TestAnotherKioskSettlesCash: the card with an open load is presented at another agent's kiosk, with a sale of its own.
func TestAnotherKioskSettlesCash(t *testing.T) {
	for _, credited := range []bool{false, true} {
		t.Run(fmt.Sprint(credited), func(t *testing.T) {
			s := start(t)
			torn, err := s.load(s.bus, s.insert(pull{at: 14, after: credited}), s.request("sale-1"))
			require.NoError(t, err)
			require.Equal(t, kiosk.PresentAgain, torn.Outcome)
			require.Equal(t, topup.Uncertain, s.state(torn.Order))

			small := s.request("sale-1") // of another agent: another order
			small.Amount = money.Minor(20_00)
			r, err := s.load(s.metro, s.insert(pull{}), small)
			require.NoError(t, err)
			require.Equal(t, kiosk.LoadDone, r.Outcome)
			want, balance, books := kiosk.Paid, "20.00", "acquirer:bus:sold-loads 50.00, acquirer:metro:sold-loads 20.00, float -20.00, funding -50.00"
			if credited {
				want, balance, books = kiosk.Loaded, "70.00", "acquirer:bus:sold-loads 50.00, acquirer:metro:sold-loads 20.00, float -70.00"
			}
			require.Equal(t, []kiosk.Settled{{Order: torn.Order, State: want}}, r.Settled)
			require.Equal(t, balance, r.Balance.String())
			require.Equal(t, s.cash.Balance(), s.shadowOf(cashNumber()))
			require.Equal(t, books, s.accounts())

			// The first sale goes on where it was.
			back, err := s.load(s.bus, s.insert(pull{}), s.request("sale-1"))
			require.NoError(t, err)
			require.Equal(t, "70.00", s.cash.Balance().String())
			require.Equal(t, topup.Loaded, s.state(back.Order))
			require.Empty(t, s.findings())
		})
	}
}

// TestAnOrderGoesToOneCard: an order on its way to one card is not sent to one of the other family.
func TestAnOrderGoesToOneCard(t *testing.T) {
	s := start(t)
	torn, err := s.load(s.bus, s.insert(pull{at: 14, after: true}), s.request("sale-1"))
	require.NoError(t, err)
	_, err = s.load(s.bus, s.present(), s.request("sale-1"))
	require.ErrorIs(t, err, kiosk.ErrOtherCard)
	r, err := s.load(s.bus, s.insert(pull{}), s.request("sale-1"))
	require.NoError(t, err)
	require.Equal(t, torn.Order, r.Order)
	s.requireCashOnce(r.Order)
	require.Zero(t, s.card.Balance().Minor())

	s = start(t)
	torn, err = s.load(s.bus, s.presentTorn(), s.request("sale-1"))
	require.NoError(t, err)
	_, err = s.load(s.bus, s.insert(pull{}), s.request("sale-1"))
	require.ErrorIs(t, err, kiosk.ErrOtherCard)
	r, err = s.load(s.bus, s.present(), s.request("sale-1"))
	require.NoError(t, err)
	require.Equal(t, torn.Order, r.Order)
	s.requireOnce(r.Order)
	require.Zero(t, s.cash.Balance().Minor())
}

// TestTheCashCardAnswersBadly changes what the card says from the issuer's answer on. What it did is found out, or not known, but never guessed.
func TestTheCashCardAnswersBadly(t *testing.T) {
	memory, refuse := []byte{0x65, 0x81}, []byte{0x69, 0x85}
	type change func(ins byte, nth int, said []byte) []byte
	// hear changes what is heard of the nth command of an instruction; done says that the card has carried it out.
	hear := func(which byte, nth int, answer []byte) change {
		return func(ins byte, n int, said []byte) []byte {
			if ins == which && (nth == 0 || n == nth) {
				return answer
			}
			return said
		}
	}
	all := func(changes ...change) change {
		return func(ins byte, n int, said []byte) []byte {
			for _, c := range changes {
				said = c(ins, n, said)
			}
			return said
		}
	}
	garbled := func(ins byte, _ int, said []byte) []byte {
		if ins == insRecord && len(said) > 20 && said[0] != 0x70 {
			said[len(said)-3] ^= 1 // the load log's MAC
		}
		return said
	}
	cases := []struct {
		name    string
		change  change
		instead byte // answered in the card's place with a refusal
		outcome kiosk.Outcome
		state   topup.State
	}{
		{"a memory failure after the script ran", hear(insPut, 1, memory), 0, kiosk.LoadDone, topup.Loaded},
		{"and no load log", all(hear(insPut, 1, memory), func(ins byte, _ int, said []byte) []byte {
			if ins == insRecord && said[0] != 0x70 {
				return refuse
			}
			return said
		}), 0, kiosk.LoadDone, topup.Loaded},
		{"and a garbled load log", all(hear(insPut, 1, memory), garbled), 0, kiosk.LoadDone, topup.Loaded},
		{"and no session more", all(hear(insPut, 1, memory), hear(insGenerate, 3, refuse)), 0, kiosk.PresentAgain, topup.Uncertain},
		{"a garbled second cryptogram", hear(insGenerate, 2, []byte{0x80, 0x01, 0x00, 0x90, 0x00}), 0, kiosk.Refused, topup.Paid},
		{"a refused second cryptogram", hear(insGenerate, 2, refuse), 0, kiosk.Refused, topup.Paid},
		{"an issuer that is not believed", hear(insAuthenticate, 1, []byte{0x63, 0x00}), 0, kiosk.Refused, topup.Paid},
		{"a script that is refused", nil, insPut, kiosk.Refused, topup.Paid},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := start(t)
			count := map[byte]int{}
			card := &tamper{Transmitter: s.insert(pull{}), change: func(ins byte, said []byte) []byte {
				count[ins]++
				if c.change == nil {
					return said
				}
				return c.change(ins, count[ins], said)
			}, before: func(ins byte) ([]byte, bool) { return refuse, c.instead != 0 && ins == c.instead }}
			r, err := s.load(s.bus, card, s.request("sale-1"))
			require.NoError(t, err)
			require.Equal(t, c.outcome, r.Outcome, r.Reason)
			require.Equal(t, c.state, s.state(r.Order))
			s.accounts()
			r, err = s.load(s.bus, s.insert(pull{}), s.request("sale-1"))
			require.NoError(t, err)
			require.Contains(t, []kiosk.Outcome{kiosk.LoadDone, kiosk.AlreadyDone}, r.Outcome)
			s.requireCashOnce(r.Order)
		})
	}
}

// TestCashThatIsNotLoaded: cards and hosts that do not go together, and what is known then.
func TestCashThatIsNotLoaded(t *testing.T) {
	s := start(t)
	stranger, err := bank().issuer.Card(must(ec.NewPAN("6210940000000017")), 1, money.Amount{})
	require.NoError(t, err)
	stranger.Insert()
	_, err = s.load(s.bus, stranger, s.request("sale-1"))
	require.ErrorIs(t, err, kiosk.ErrUnknownCard)

	h, _ := s.host(s.bus, fault{})
	r, err := kiosk.Load(t.Context(), s.insert(pull{}), struct{ kiosk.Host }{h}, s.request("sale-1"))
	require.NoError(t, err)
	require.Equal(t, kiosk.Refused, r.Outcome, "a backend without electronic cash")
	_, err = kiosk.Confirm(t.Context(), struct{ kiosk.Host }{h}, kiosk.Result{Script: &ec.ScriptResult{}})
	require.Error(t, err)

	// A card that declines offline: another cryptogram than an ARQC.
	declines := &tamper{Transmitter: s.insert(pull{}), change: func(ins byte, said []byte) []byte {
		if ins == insGenerate {
			said[2] = 0
		}
		return said
	}}
	r, err = s.load(s.bus, declines, s.request("sale-1"))
	require.NoError(t, err)
	require.Equal(t, kiosk.Refused, r.Outcome)
	require.Equal(t, topup.Paid, s.state(r.Order))

	// The same from a card that may hold the load is no answer.
	torn, err := s.load(s.bus, s.insert(pull{at: 14, after: true}), s.request("sale-1"))
	require.NoError(t, err)
	declines.Transmitter = s.insert(pull{})
	r, err = s.load(s.bus, declines, s.request("sale-1"))
	require.NoError(t, err)
	require.Equal(t, kiosk.PresentAgain, r.Outcome, "unknown is not refused")
	require.Equal(t, topup.Uncertain, s.state(torn.Order))

	// A blocked card is not loaded, and its open load is settled all the same.
	require.NoError(t, s.store.Update(t.Context(), func(tx *store.Tx) error { return tx.BlockCard(t.Context(), cashNumber(), noon) }))
	r, err = s.load(s.bus, s.insert(pull{}), s.request("sale-1"))
	require.NoError(t, err)
	require.Equal(t, kiosk.LoadDone, r.Outcome)
	s.requireCashOnce(torn.Order)
	_, err = s.load(s.bus, s.insert(pull{}), s.request("sale-2"))
	require.ErrorIs(t, err, kiosk.ErrCardBlocked)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestCashURLsHoldNoCardNumber looks at every address of a load with an open one to settle.
func TestCashURLsHoldNoCardNumber(t *testing.T) {
	s := start(t)
	_, err := s.load(s.bus, s.insert(pull{at: 14}), s.request("sale-1"))
	require.NoError(t, err)
	h, n := s.host(s.bus, fault{})
	_, err = kiosk.Load(t.Context(), s.insert(pull{}), h, s.request("sale-1"))
	require.NoError(t, err)
	require.Len(t, n.urls, 5, "order, look-up, resolve, authorise, report")
	for _, u := range n.urls {
		require.NotContains(t, u, bank().pan.Reveal()[4:12])
	}
}

// TestCashHistories presents the card again and again at two agents' kiosks, each time torn and cut somewhere. At the end each order is on the card once.
func TestCashHistories(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := start(t)
		tokens := []string{s.bus, s.metro}
		sales := rapid.IntRange(1, 3).Draw(rt, "sales")
		visit := func(sale int, p pull, f fault) (kiosk.Result, error) {
			r := s.request(fmt.Sprint("sale-", sale))
			r.Amount = money.Minor(int64(sale+1) * 10_00)
			h, _ := s.host(tokens[sale%2], f)
			return kiosk.Load(context.Background(), apdu.Transmitter(s.insert(p)), h, r)
		}
		for range rapid.IntRange(0, 8).Draw(rt, "visits") {
			p := pull{rapid.IntRange(0, cashCommands+1).Draw(rt, "pulled"), rapid.Bool().Draw(rt, "after")}
			f := fault{from: rapid.IntRange(0, 8).Draw(rt, "cut"), to: 1000, after: rapid.Bool().Draw(rt, "answer lost")}
			_, _ = visit(rapid.IntRange(0, sales-1).Draw(rt, "sale"), p, f) // what came of it the card knows
			s.accounts()
		}
		want := int64(0)
		for sale := range sales {
			r, err := visit(sale, pull{}, fault{})
			require.NoError(rt, err)
			require.Contains(rt, []kiosk.Outcome{kiosk.LoadDone, kiosk.AlreadyDone}, r.Outcome)
			require.Equal(rt, topup.Loaded, s.state(r.Order))
			want += int64(sale+1) * 10_00
		}
		require.Equal(rt, money.Minor(want), s.cash.Balance())
		require.Equal(rt, money.Minor(want), s.shadowOf(cashNumber()))
		require.Empty(rt, s.findings())
		s.accounts()
	})
}
