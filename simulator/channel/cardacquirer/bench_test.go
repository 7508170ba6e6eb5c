package cardacquirer_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/cardacquirer"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/cardacquirer"
	"github.com/purselane/purselane/simulator/channel/channeltest"
)

const (
	rich = "4761739001010119"
	poor = "4761739001010127"
)

var (
	zone = time.FixedZone("UTC+8", 8*60*60)
	noon = time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC) // 10:00 at the acquirer
)

// vault opens tokens of tests.
type vault map[string]adapter.Card

func (v vault) Card(_ context.Context, token string) (adapter.Card, error) {
	if c, ok := v[token]; ok {
		return c, nil
	}
	return adapter.Card{}, errors.New("no such token")
}

// journal is a journal in memory that outlives adapters.
type journal struct {
	mu   sync.Mutex
	all  map[string][]byte
	full bool // refuses everything
}

var errFull = errors.New("the disk is full")

func (j *journal) fill(yes bool) { j.mu.Lock(); defer j.mu.Unlock(); j.full = yes }

func (j *journal) Put(_ context.Context, key string, value []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.full {
		return errFull
	}
	j.all[key] = slices.Clone(value)
	return nil
}

func (j *journal) Delete(_ context.Context, key string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.full {
		return errFull
	}
	delete(j.all, key)
	return nil
}

func (j *journal) Each(_ context.Context, f func(string, []byte) error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(j.all)) {
		if err := f(key, j.all[key]); err != nil {
			return err
		}
	}
	return nil
}

func (j *journal) text() (out string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, v := range j.all {
		out += string(v)
	}
	return out
}

type stand struct {
	sim     *cardacquirer.Sim
	a       *adapter.Adapter
	clock   *clock.Manual
	weather *sim.Weather
	journal *journal
	set     adapter.Settings
}

func macKey(t testing.TB, last byte) adapter.MAC {
	t.Helper()
	k, err := adapter.NewSoftMAC([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, last})
	require.NoError(t, err)
	return k
}

func open(t testing.TB, enquiry bool, framing adapter.Framing) *stand {
	t.Helper()
	c, w := clock.NewManual(noon), sim.NewWeather(1)
	s := cardacquirer.New(cardacquirer.Config{Terminal: "PURSE001", Merchant: "898340183980105", Currency: "CNY", Number: "156", Zone: zone, MAC: macKey(t, 16),
		Framing: framing, Clock: c, Weather: w})
	s.AddCard(cardacquirer.Card{Number: rich, Expires: "3012", Bank: "0308", Balance: 100_000_00})
	s.AddCard(cardacquirer.Card{Number: poor, Expires: "3012", Bank: "0102"})
	out := &stand{sim: s, clock: c, weather: w, journal: &journal{all: map[string][]byte{}}}
	out.set = adapter.Settings{Terminal: "PURSE001", Merchant: "898340183980105", Currency: "CNY", Number: "156", Zone: zone, Ends: []adapter.Dialer{s.Dial},
		Framing: framing, MAC: macKey(t, 16), Journal: out.journal, Files: s, Clock: c, Enquiry: enquiry,
		Vault: vault{"tok-rich": {Number: rich, Expires: "3012"}, "tok-poor": {Number: poor, Expires: "3012"}}}
	out.a = out.adapter(t, func(*adapter.Settings) {})
	return out
}

func (s *stand) adapter(t testing.TB, change func(*adapter.Settings)) *adapter.Adapter {
	t.Helper()
	set := s.set
	change(&set)
	a, err := adapter.New(set)
	require.NoError(t, err)
	t.Cleanup(func() {
		s.sim.LetGo()
		_ = a.SignOff(context.Background())
	})
	return a
}

func cny(minor int64) channel.Money {
	return channel.Money{Amount: money.Minor(minor), Currency: "CNY"}
}

func (s *stand) pay(number string, minor int64, will channeltest.Will) channel.PayRequest {
	token := "tok-rich"
	if will == channeltest.Declines {
		token = "tok-poor"
	}
	return channel.PayRequest{Number: number, Context: "10000000000000000007", Product: channel.Card, Money: cny(minor), Sent: s.clock.Now(), Payer: channel.Payer{Token: token}}
}

func (s *stand) truth(number string) channeltest.Truth {
	times, sum, back := s.sim.Count(number)
	return channeltest.Truth{Charges: times, Paid: sum, Refunded: back}
}
