package balance_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/balance"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/channeltest"
)

type stand struct {
	t     testing.TB
	store *store.Store
	clock *clock.Manual
	ch    *balance.Channel
}

func newStand(t testing.TB) *stand {
	s := &stand{t: t, clock: clock.NewManual(time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC))}
	var err error
	s.store, err = store.Open(context.Background(), emptystore.At(t, filepath.Join(t.TempDir(), "x.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { s.store.Close() })
	s.ch, err = balance.New(balance.Settings{Store: s.store, ID: "balance", Currency: "CNY", Clock: s.clock})
	require.NoError(t, err)
	return s
}

func (s *stand) topUp(id, holder string, minor int64) {
	s.t.Helper()
	require.NoError(s.t, s.store.Update(context.Background(), func(tx *store.Tx) error {
		return balance.TopUp(context.Background(), tx, id, holder, "2026-03-02", "order "+id, books.Funding, money.Minor(minor))
	}))
}

func (s *stand) balance(a books.Account) (minor int64) {
	s.t.Helper()
	require.NoError(s.t, s.store.View(context.Background(), func(tx *store.Tx) error {
		got, err := tx.Balance(context.Background(), a)
		minor = got.Minor()
		return err
	}))
	return minor
}

func (s *stand) has(holder string) (available, held int64) {
	s.t.Helper()
	require.NoError(s.t, s.store.View(context.Background(), func(tx *store.Tx) error {
		a, h, err := balance.Has(context.Background(), tx, holder)
		available, held = a.Minor(), h.Minor()
		return err
	}))
	return available, held
}

func pay(number, holder string, minor int64) channel.PayRequest {
	return channel.PayRequest{Number: number, Product: channel.Balance, Money: channel.Money{Amount: money.Minor(minor), Currency: "CNY"}, Payer: channel.Payer{Account: holder}}
}

func back(number, of string, minor int64) channel.RefundRequest {
	return channel.RefundRequest{Number: number, Of: channel.Ref{Number: of}, Money: channel.Money{Amount: money.Minor(minor), Currency: "CNY"}}
}

// far puts weather between the gateway and the channel, which has no wire of its own.
type far struct {
	*balance.Channel
	weather *sim.Weather
}

func over[Q any](ctx context.Context, f far, op sim.Op, q Q, do func(context.Context, Q) (channel.Result, error)) (channel.Result, error) {
	if !f.weather.Reachable() {
		return channel.Result{}, channel.ErrNotSent
	}
	fate := f.weather.Draw(op, "")
	if fate.Cut == sim.CutBefore {
		return channel.Result{}, sim.ErrBroken
	}
	res, err := do(ctx, q)
	if fate.Cut == sim.CutAfter {
		return channel.Result{}, sim.ErrBroken
	}
	return res, err
}

func (f far) Pay(ctx context.Context, r channel.PayRequest) (channel.Result, error) {
	return over(ctx, f, sim.Pay, r, f.Channel.Pay)
}
func (f far) Query(ctx context.Context, r channel.Ref) (channel.Result, error) {
	return over(ctx, f, sim.Query, r, f.Channel.Query)
}
func (f far) Refund(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	return over(ctx, f, sim.Refund, r, f.Channel.Refund)
}
func (f far) Capture(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	return over(ctx, f, sim.Capture, r, f.Channel.Capture)
}

func TestSuite(t *testing.T) {
	channeltest.Run(t, func(t *testing.T) *channeltest.Bench {
		s := newStand(t)
		w := sim.NewWeather(1)
		s.topUp("1", "rich", 10_000_00)
		return &channeltest.Bench{
			Channel: far{s.ch, w}, Clock: s.clock, Weather: w,
			Act: func(string) error { return nil },
			Request: func(number string, minor int64, will channeltest.Will) channel.PayRequest {
				if will == channeltest.Declines {
					return pay(number, "poor", minor)
				}
				return pay(number, "rich", minor)
			},
			Truth: func(number string) (truth channeltest.Truth) {
				require.NoError(t, s.store.View(t.Context(), func(tx *store.Tx) error {
					lines, err := tx.AccountLines(t.Context(), books.HolderBalance("rich"), "2099-12-31")
					for _, l := range lines {
						switch {
						case l.Kind == balance.KindPaid && (l.Entry == "balance:"+number || about(l.Ref) == number):
							truth.Charges++
							truth.Paid += l.Amount.Minor()
						case l.Kind == balance.KindRefunded && about(l.Ref) == number:
							truth.Refunded -= l.Amount.Minor()
						}
					}
					return err
				}))
				return truth
			},
		}
	})
}

// about is the payment in the reference of an entry that is a step's.
func about(ref string) string {
	_, payment, _ := strings.Cut(ref, " ")
	return payment
}
