package edge_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/reader/inproc"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

func (w *world) sell(c *epcard.Card, tear epcard.Tear, amount int64, request string) tap.Result {
	w.t.Helper()
	r, err := w.Sell(context.Background(), till, epcard.Present(c, tear), money.Minor(amount), request)
	require.NoError(w.t, err)
	return r
}

func (w *world) sale(request string) edge.Sale {
	w.t.Helper()
	s, found, err := w.Sale(request)
	require.NoError(w.t, err)
	require.True(w.t, found)
	return s
}

// saleDebit is the number of the DEBIT command in a sale.
func saleDebit(t *testing.T) int {
	w := newWorld(t, nil)
	spy := &counter{Field: epcard.Present(newCard(t, 1, 10_00, nil), epcard.Tear{}), ins: 0x54}
	_, err := w.Sell(context.Background(), till, spy, money.Minor(1), "measure")
	require.NoError(t, err)
	return spy.at
}

func TestARequestIsServedOnce(t *testing.T) {
	w := newWorld(t, nil)
	card, other := newCard(t, 1, 50_00, nil), newCard(t, 2, 50_00, nil)
	_, found, err := w.Sale("r-1")
	require.NoError(t, err)
	require.False(t, found)

	first := w.sell(card, epcard.Tear{}, 12_50, "r-1")
	require.Equal(t, tap.Granted, first.Outcome)
	for _, restart := range []bool{false, true} {
		if restart {
			w.kill()
		}
		for _, c := range []*epcard.Card{card, other} {
			again := w.sell(c, epcard.Tear{}, 12_50, "r-1")
			require.Equal(t, tap.AlreadyPaid, again.Outcome)
			require.Equal(t, first.Tap, again.Tap)
			require.Equal(t, money.Minor(12_50), again.Amount)
			require.Equal(t, money.Minor(37_50), again.Balance)
		}
	}
	require.Equal(t, money.Minor(37_50), card.Balance())
	require.Equal(t, money.Minor(50_00), other.Balance())
	require.Equal(t, wire.State_STATE_COMPLETED, w.sale("r-1").State)

	_, err = w.Sell(t.Context(), till, epcard.Present(card, epcard.Tear{}), money.Minor(12_51), "r-1")
	require.ErrorIs(t, err, edge.ErrRequestReused)
	require.Equal(t, tap.Granted, w.sell(card, epcard.Tear{}, 12_50, "r-2").Outcome, "a request of its own")
	require.Equal(t, money.Minor(25_00), card.Balance())
}

// TestATornSale pulls the card at DEBIT. Until it comes back nobody else is debited for the request, before a restart of
// the terminal and after it.
func TestATornSale(t *testing.T) {
	debit := saleDebit(t)
	for _, debited := range []bool{false, true} {
		for _, restart := range []bool{false, true} {
			w := newWorld(t, nil)
			card, other := newCard(t, 1, 50_00, nil), newCard(t, 2, 50_00, nil)
			torn := w.sell(card, epcard.Tear{At: debit, After: debited}, 12_50, "r-1")
			require.Equal(t, tap.PresentAgain, torn.Outcome)
			require.Equal(t, wire.State_STATE_UNKNOWN, w.sale("r-1").State)
			if restart {
				w.kill()
			}
			r := w.sell(other, epcard.Tear{}, 12_50, "r-1")
			require.Equal(t, tap.PresentAgain, r.Outcome)
			require.Contains(t, r.Reason, "another card")
			require.Equal(t, torn.Tap, r.Tap)
			require.Equal(t, money.Minor(50_00), other.Balance())

			r = w.sell(card, epcard.Tear{}, 12_50, "r-1")
			want, states := tap.Granted, []wire.State{wire.State_STATE_UNKNOWN, wire.State_STATE_VOIDED, wire.State_STATE_COMPLETED}
			if debited {
				want, states = tap.RecoveredGranted, []wire.State{wire.State_STATE_UNKNOWN, wire.State_STATE_COMPLETED}
			}
			require.Equal(t, want, r.Outcome, r.Reason)
			require.Equal(t, money.Minor(37_50), card.Balance())
			require.Equal(t, states, w.states())
			require.Equal(t, tap.AlreadyPaid, w.sell(other, epcard.Tear{}, 12_50, "r-1").Outcome)
			require.NoError(t, w.Failure())
		}
	}
}

// TestASaleAndAFailingDisk fails each commit of a sale in turn. The till asks again, with and without a restart, and is served
// once.
func TestASaleAndAFailingDisk(t *testing.T) {
	cases := map[string]tap.Outcome{"begin:before": tap.Granted, "begin:after": tap.Granted, "finish:before": tap.RecoveredGranted, "finish:after": tap.AlreadyPaid}
	for point, want := range cases {
		for _, restart := range []bool{false, true} {
			t.Run(point, func(t *testing.T) {
				failing := true
				w := newWorld(t, func(cfg *edge.Config) {
					cfg.Journal.Fault = func(at string) error {
						if failing && at == point {
							return errPower
						}
						return nil
					}
				})
				card := newCard(t, 1, 50_00, nil)
				_, err := w.Sell(t.Context(), till, epcard.Present(card, epcard.Tear{}), money.Minor(12_50), "r-1")
				require.ErrorIs(t, err, errPower)
				failing = false
				if restart {
					w.kill()
				}
				require.Equal(t, want, w.sell(card, epcard.Tear{}, 12_50, "r-1").Outcome)
				require.Equal(t, tap.AlreadyPaid, w.sell(card, epcard.Tear{}, 12_50, "r-1").Outcome)
				require.Equal(t, money.Minor(37_50), card.Balance())
				require.NoError(t, w.Journal().Verify())
			})
		}
	}
}

// TestASaleThatNobodyCanTellOf tears a sale, and the card makes more debits elsewhere than its log holds before it comes back.
func TestASaleThatNobodyCanTellOf(t *testing.T) {
	w := newWorld(t, nil)
	card := newCard(t, 1, 90_00, nil)
	require.Equal(t, tap.PresentAgain, w.sell(card, epcard.Tear{At: saleDebit(t), After: true}, 12_50, "r-1").Outcome)
	elsewhere := newWorld(t, nil)
	for range 12 {
		elsewhere.clock.Advance(time.Hour)
		require.Equal(t, tap.Granted, elsewhere.tapOn(bus, card).Outcome)
	}
	before := card.Balance()
	r := w.sell(card, epcard.Tear{}, 12_50, "r-1")
	require.Equal(t, tap.RefusedFaulty, r.Outcome, r.Reason)
	require.NotNil(t, r.Recovered)
	require.True(t, r.Recovered.Aged)
	require.Equal(t, wire.State_STATE_AGED, w.sale("r-1").State)
	require.Equal(t, tap.RefusedFaulty, w.sell(newCard(t, 2, 50_00, nil), epcard.Tear{}, 12_50, "r-1").Outcome)
	require.Equal(t, before, card.Balance(), "debiting again might be debiting twice")
	require.Equal(t, tap.Granted, w.sell(card, epcard.Tear{}, 12_50, "r-2").Outcome)
	require.NoError(t, w.Failure())
}

func TestOneRequestAtTwoTills(t *testing.T) {
	w := newWorld(t, func(cfg *edge.Config) { cfg.Lanes = append(cfg.Lanes, edge.Lane{Mode: tap.Sale}) })
	cards := []*epcard.Card{newCard(t, 1, 50_00, nil), newCard(t, 2, 50_00, nil)}
	var all sync.WaitGroup
	for i, lane := range []int{till, till + 1} {
		all.Go(func() {
			r, err := w.Sell(context.Background(), lane, epcard.Present(cards[i], epcard.Tear{}), money.Minor(10_00), "r-1")
			if err == nil && !r.Outcome.Pass() {
				t.Errorf("lane %d: %v %s", lane, r.Outcome, r.Reason)
			}
		})
	}
	all.Wait()
	left, err := money.Sum(cards[0].Balance(), cards[1].Balance())
	require.NoError(t, err)
	require.Equal(t, money.Minor(90_00), left)
}

func TestWhatATillMayNotAsk(t *testing.T) {
	w := newWorld(t, nil)
	card := newCard(t, 1, 50_00, nil)
	for _, c := range []struct {
		lane    int
		request string
		want    error
	}{{till, "", edge.ErrRequestID}, {till, "with space", edge.ErrRequestID}, {till, string(make([]byte, 65)), edge.ErrRequestID}, {bus, "r-1", edge.ErrNotATill}} {
		r, err := w.Sell(t.Context(), c.lane, epcard.Present(card, epcard.Tear{}), money.Minor(1_00), c.request)
		require.ErrorIs(t, err, c.want)
		require.False(t, r.Outcome.Pass())
	}
	_, err := w.Present(t.Context(), till, epcard.Present(card, epcard.Tear{}))
	require.ErrorIs(t, err, edge.ErrNoAmount)
	_, err = w.Present(t.Context(), 99, epcard.Present(card, epcard.Tear{}))
	require.ErrorContains(t, err, "lane 99")
	for _, amount := range []int64{0, -5_00} {
		require.Equal(t, tap.RefusedTrip, w.sell(card, epcard.Tear{}, amount, "r-3").Outcome)
	}
	require.Equal(t, money.Minor(50_00), card.Balance())
}

// TestChargeAtTheReader asks the till's lane for amounts while Run serves it.
func TestChargeAtTheReader(t *testing.T) {
	pad := inproc.New("pad")
	w := newWorld(t, func(cfg *edge.Config) { cfg.Lanes[till].Reader = pad })
	stop := w.run()
	card := newCard(t, 1, 50_00, nil)

	type answer struct {
		r   tap.Result
		err error
	}
	charge := func(ctx context.Context, amount int64, request string) chan answer {
		out := make(chan answer, 1)
		go func() {
			r, err := w.Charge(ctx, till, money.Minor(amount), request)
			out <- answer{r, err}
		}()
		return out
	}
	paid := charge(t.Context(), 12_50, "r-1")
	pad.Present(epcard.Present(card, epcard.Tear{At: saleDebit(t), After: true}))
	require.Equal(t, tap.PresentAgain, w.next().Result.Outcome)
	pad.Present(epcard.Present(card, epcard.Tear{}))
	require.Equal(t, tap.RecoveredGranted, w.next().Result.Outcome)
	got := <-paid
	require.NoError(t, got.err)
	require.Equal(t, tap.RecoveredGranted, got.r.Outcome)
	require.Equal(t, money.Minor(37_50), card.Balance())
	pad.Withdraw()

	got = <-charge(t.Context(), 12_50, "r-1")
	require.Equal(t, tap.AlreadyPaid, got.r.Outcome, "answered without a card")

	ctx, cancel := context.WithCancel(t.Context())
	waiting := charge(ctx, 1_00, "r-2")
	cancel()
	got = <-waiting
	require.ErrorIs(t, got.err, context.Canceled)
	require.Equal(t, tap.PresentAgain, got.r.Outcome)

	waiting = charge(t.Context(), 1_00, "r-3")
	pad.Present(epcard.Present(card, epcard.Tear{}))
	require.Equal(t, tap.Granted, (<-waiting).r.Outcome)
	pad.Withdraw()
	require.NoError(t, stop())
}
