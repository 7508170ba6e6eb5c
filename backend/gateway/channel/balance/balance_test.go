package balance_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/balance"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

const n1, n2, n3 = "20260302000000000001", "20260302000000000002", "20260302000000000003"

// TestAPaymentMovesNoBankMoney: with the gateway's half, value goes from the holder to the merchant, and nothing else moves.
func TestAPaymentMovesNoBankMoney(t *testing.T) {
	s := newStand(t)
	s.topUp("1", "ann", 100_00)
	_, err := s.ch.Pay(t.Context(), pay(n1, "ann", 30_00))
	require.NoError(t, err)
	merchant := books.MerchantPending("online.shop")
	lines, err := books.Move(books.Channel("balance"), merchant, money.Minor(30_00))
	require.NoError(t, err)
	require.NoError(t, s.store.Update(t.Context(), func(tx *store.Tx) error {
		return tx.Post(t.Context(), books.Entry{ID: "gateway", Kind: books.KindPaidOnline, Day: "2026-03-02", Ref: n1, Lines: lines})
	}))
	require.EqualValues(t, -70_00, s.balance(books.HolderBalance("ann")))
	require.EqualValues(t, -30_00, s.balance(merchant))
	require.Zero(t, s.balance(books.Channel("balance")))
	require.Zero(t, s.balance(books.Trust))
	require.EqualValues(t, 100_00, s.balance(books.Funding), "what was there before it went to the balance")
}

func TestWhatWasRefusedStaysRefused(t *testing.T) {
	s := newStand(t)
	s.topUp("1", "ann", 10_00)
	for range 2 {
		res, err := s.ch.Pay(t.Context(), pay(n1, "ann", 10_01))
		require.NoError(t, err)
		require.Equal(t, channel.Result{Outcome: channel.Failed, Number: n1, ChannelID: n1, Code: balance.NoFunds, Class: channel.ByPayer}, res)
		s.topUp("2", "ann", 100_00)
	}
	res, err := s.ch.Pay(t.Context(), pay(n2, "ann", 10_01))
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, res.Outcome)
}

func TestAClosedNumberIsNotPaid(t *testing.T) {
	s := newStand(t)
	s.topUp("1", "ann", 10_00)
	res, err := s.ch.Close(t.Context(), channel.Ref{Number: n1})
	require.NoError(t, err)
	require.Equal(t, channel.Closed, res.Outcome)
	res, err = s.ch.Pay(t.Context(), pay(n1, "ann", 1_00))
	require.NoError(t, err)
	require.Equal(t, channel.Closed, res.Outcome)

	late := pay(n2, "ann", 1_00)
	late.Expires = s.clock.Now().Add(-time.Second)
	res, err = s.ch.Pay(t.Context(), late)
	require.NoError(t, err)
	require.Equal(t, channel.Closed, res.Outcome)
	require.EqualValues(t, -10_00, s.balance(books.HolderBalance("ann")))
}

func TestAFrozenAccountPaysNothing(t *testing.T) {
	s := newStand(t)
	s.topUp("1", "ann", 10_00)
	require.NoError(t, s.store.Update(t.Context(), func(tx *store.Tx) error {
		return tx.SwitchAccount(t.Context(), books.HolderBalance("ann"), books.SwitchFrozen, 0, "bob", "case 1")
	}))
	for _, f := range []func() (channel.Result, error){
		func() (channel.Result, error) { return s.ch.Pay(t.Context(), pay(n1, "ann", 1_00)) },
		func() (channel.Result, error) { return s.ch.Authorise(t.Context(), pay(n2, "ann", 1_00)) },
	} {
		res, err := f()
		require.NoError(t, err)
		require.Equal(t, channel.Failed, res.Outcome)
		require.Equal(t, balance.Frozen, res.Code)
		require.Equal(t, channel.ByRisk, res.Class)
	}
}

func TestOneNumberIsOnePayment(t *testing.T) {
	s := newStand(t)
	s.topUp("1", "ann", 10_00)
	_, err := s.ch.Pay(t.Context(), pay(n1, "ann", 1_00))
	require.NoError(t, err)
	for _, other := range []channel.PayRequest{pay(n1, "ann", 2_00), pay(n1, "bob", 1_00)} {
		_, err = s.ch.Pay(t.Context(), other)
		require.ErrorIs(t, err, books.ErrConflict)
	}
	_, err = s.ch.Refund(t.Context(), back(n2, n1, 50))
	require.NoError(t, err)
	_, err = s.ch.Refund(t.Context(), back(n2, n1, 40))
	require.ErrorIs(t, err, books.ErrConflict)
	_, err = s.ch.Notified(t.Context(), channel.Notification{})
	var forged *channel.ForgedError
	require.ErrorAs(t, err, &forged)
	_, err = s.ch.Pay(t.Context(), pay(n3, "Ann:x", 1))
	require.ErrorContains(t, err, "holder's name")
	dollars := pay(n3, "ann", 1)
	dollars.Money.Currency = "USD"
	_, err = s.ch.Pay(t.Context(), dollars)
	require.ErrorIs(t, err, channel.ErrUnsupported)
}

func TestTwoAtOnceDoNotSpendOneBalanceTwice(t *testing.T) {
	s := newStand(t)
	s.topUp("1", "ann", 10_00)
	results := make([]channel.Result, 8)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() {
			r := pay(fmt.Sprintf("2026030200000000%04d", i), "ann", 6_00)
			var err error
			if i%2 == 0 {
				results[i], err = s.ch.Pay(t.Context(), r)
			} else {
				results[i], err = s.ch.Authorise(t.Context(), r)
			}
			if err != nil {
				panic(err)
			}
		})
	}
	all.Wait()
	paid := 0
	for _, r := range results {
		if r.Outcome == channel.Succeeded {
			paid++
		}
	}
	require.Equal(t, 1, paid)
	available, held := s.has("ann")
	require.Contains(t, [][2]int64{{4_00, 0}, {4_00, 6_00}}, [2]int64{available, held})
}

// TestBalancesAgainstAPlainModel tries any steps in any order against sums in memory.
func TestBalancesAgainstAPlainModel(t *testing.T) {
	type payment struct {
		state             string
		asked, paid, back int64
	}
	s := newStand(t)
	next := 0
	rapid.Check(t, func(r *rapid.T) {
		next++
		ann := fmt.Sprint("ann", next) // one store for all, a holder for each
		s.topUp(ann, ann, 100)
		before := s.balance(books.Channel("balance"))
		free, held := int64(100), int64(0)
		all := map[string]*payment{}
		var numbers []string
		number := func() string { next++; return fmt.Sprintf("2026030200000000%04d", next) }
		agree := func(res channel.Result, err error, ok bool) {
			require.NoError(r, err)
			require.Equal(r, ok, res.Outcome == channel.Succeeded, "%+v", res)
		}
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			amount := rapid.Int64Range(1, 60).Draw(r, "amount")
			what := rapid.SampledFrom([]string{"pay", "hold", "refund", "capture", "release"}).Draw(r, "what")
			if what == "pay" || what == "hold" || len(numbers) == 0 {
				n := number()
				p := &payment{state: "failed", asked: amount}
				all[n], numbers = p, append(numbers, n)
				ok := amount <= free
				if what == "hold" {
					res, err := s.ch.Authorise(t.Context(), pay(n, ann, amount))
					agree(res, err, ok)
					if ok {
						p.state, free, held = "held", free-amount, held+amount
					}
					continue
				}
				res, err := s.ch.Pay(t.Context(), pay(n, ann, amount))
				agree(res, err, ok)
				if ok {
					p.state, p.paid, free = "paid", amount, free-amount
				}
				continue
			}
			of := rapid.SampledFrom(numbers).Draw(r, "of")
			p := all[of]
			switch step := back(number(), of, amount); what {
			case "refund":
				ok := p.state == "paid" && amount <= p.paid-p.back
				res, err := s.ch.Refund(t.Context(), step)
				agree(res, err, ok)
				if ok {
					p.back, free = p.back+amount, free+amount
				}
			case "capture":
				ok := p.state == "held" && amount <= p.asked
				res, err := s.ch.Capture(t.Context(), step)
				agree(res, err, ok)
				if ok {
					p.state, p.paid, free, held = "paid", amount, free+p.asked-amount, held-p.asked
				}
			case "release":
				ok := p.state == "held"
				res, err := s.ch.Release(t.Context(), step)
				agree(res, err, ok)
				if ok {
					p.state, free, held = "released", free+p.asked, held-p.asked
				}
			}
			a, h := s.has(ann)
			require.Equal(r, [2]int64{free, held}, [2]int64{a, h})
		}
		taken := int64(0)
		for _, p := range all {
			taken += p.paid - p.back
		}
		require.Equal(r, before-taken, s.balance(books.Channel("balance")))
	})
}
