package unionpay_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/unionpay"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/channeltest"
	"github.com/purselane/purselane/simulator/channel/unionpay"
)

const (
	merchant = "777290058110048"
	tokenID  = "62000000001"
	notifyTo = "https://pay.example/notify/unionpay"

	rich  = "6226090000000048"
	poor  = "6226090000000055"
	slow  = "6226090000000063"
	payee = "6216261000000000018"
)

var noon = time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC) // 10:00 at UnionPay

// pki is shared: RSA keys are slow to make.
var pki = sync.OnceValue(func() *unionpay.PKI {
	p, err := unionpay.NewPKI(noon)
	if err != nil {
		panic(err)
	}
	return p
})

// stranger is another scheme with keys of its own.
var stranger = sync.OnceValue(func() *unionpay.PKI {
	p, err := unionpay.NewPKI(noon)
	if err != nil {
		panic(err)
	}
	return p
})

// otherMerchant is another customer of the same UnionPay.
func otherMerchant() adapter.Key { return pki().OtherMerchant }

func pemOf(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

// vault opens references of tests.
type vault map[string]string

func (v vault) Account(_ context.Context, ref string) (string, error) {
	if n, ok := v[ref]; ok {
		return n, nil
	}
	return "", errors.New("no such reference")
}

// stand is an adapter before its simulator.
type stand struct {
	sim     *unionpay.Sim
	a       *adapter.Adapter
	clock   *clock.Manual
	weather *sim.Weather
	tokens  map[channeltest.Will]string
	sent    map[string]time.Time
}

func settings(s *unionpay.Sim, c clock.Clock, w *sim.Weather) adapter.Settings {
	return adapter.Settings{
		Merchant: merchant, Gateway: "https://gateway.unionpay.example/gateway/api", Files: "https://files.unionpay.example/", TokenID: tokenID,
		Key: pki().Merchant, Encrypt: pki().Encrypt, Roots: pki().Roots(), HTTP: sim.Doer(s, w), Clock: c,
		Vault: vault{"ref-rich": rich, "ref-payee": payee},
	}
}

func open(t testing.TB) *stand {
	t.Helper()
	c, w := clock.NewManual(noon), sim.NewWeather(1)
	s := unionpay.New(unionpay.Config{PKI: pki(), Merchant: merchant, TokenID: tokenID, Clock: c, Weather: w})
	for _, card := range []unionpay.Card{
		{Number: rich, Bank: "0308", Phone: "13800000001", Balance: 100_000_00},
		{Number: poor, Bank: "0102", Phone: "13800000002", CVN2: "248", Expires: "3012"},
		{Number: slow, Bank: "0105", Phone: "13800000003", Balance: 100_000_00, Holds: true},
		{Number: payee, Bank: "0100", Phone: "13800000004"},
	} {
		s.AddCard(card)
	}
	a, err := adapter.New(settings(s, c, w))
	require.NoError(t, err)
	out := &stand{sim: s, a: a, clock: c, weather: w, tokens: map[channeltest.Will]string{}, sent: map[string]time.Time{}}
	for will, data := range map[channeltest.Will]adapter.CardData{
		channeltest.Pays:     {Number: rich, Phone: "13800000001"},
		channeltest.Declines: {Number: poor, Phone: "13800000002", CVN2: "248", Expires: "3012"},
		channeltest.Waits:    {Number: slow, Phone: "13800000003"},
	} {
		got, err := a.Open(t.Context(), channel.SignRequest{Number: "open" + data.Number}, data)
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, got.Outcome, got.Message)
		out.tokens[will] = got.Agreement
	}
	return out
}

// first is when a number was first asked for: that second belongs to it.
func (s *stand) first(number string) time.Time {
	if s.sent[number].IsZero() {
		s.sent[number] = s.clock.Now()
	}
	return s.sent[number]
}

func cny(minor int64) channel.Money {
	return channel.Money{Amount: money.Minor(minor), Currency: "CNY"}
}

func (s *stand) quick(number string, minor int64, will channeltest.Will) channel.PayRequest {
	return channel.PayRequest{Number: number, Context: "10000000000000000007", Product: channel.Quick, Money: cny(minor), Sent: s.first(number), Subject: "充值 Top-up",
		NotifyURL: notifyTo, Payer: channel.Payer{Token: s.tokens[will]}}
}

func (s *stand) truth(number string) channeltest.Truth {
	times, sum, back := s.sim.Count(number)
	return channeltest.Truth{Charges: times, Paid: sum, Refunded: back}
}
