package tcc_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/balance"
	stripeadapter "github.com/purselane/purselane/backend/gateway/channel/stripe"
	wechatadapter "github.com/purselane/purselane/backend/gateway/channel/wechat"
	"github.com/purselane/purselane/backend/gateway/tcc"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/internal/pgtest"
	"github.com/purselane/purselane/shadowaccount/books"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/channeltest"
	"github.com/purselane/purselane/simulator/channel/stripe"
	"github.com/purselane/purselane/simulator/channel/wechat"
)

// combined is the channel of combined payments as the gateway has it: notifications come to the channel outside, and what is of a leg is offered to the whole.
type combined struct {
	*tcc.Channel
	coordinator *tcc.Coordinator
	outside     channel.Channel
}

// Query comes after a sweep, which serve makes once a second.
func (c combined) Query(ctx context.Context, r channel.Ref) (channel.Result, error) {
	if err := c.coordinator.Sweep(ctx, 100); err != nil {
		return channel.Result{}, err
	}
	return c.Channel.Query(ctx, r)
}

func (c combined) Notified(ctx context.Context, n channel.Notification) ([]channel.Event, error) {
	events, err := c.outside.Notified(ctx, n)
	if err != nil {
		return nil, err
	}
	var out []channel.Event
	for _, e := range events {
		whole, known, err := c.Part(ctx, e)
		switch {
		case err != nil:
			return nil, err
		case !known:
			return nil, errors.New("the channel tells of a number that is no leg's: " + e.Result.Number)
		case whole.About != 0:
			out = append(out, whole)
		}
	}
	return out, nil
}

func (c combined) Answer(err error) channel.Reply { return c.outside.Answer(err) }

// outside is the channel of one leg with its simulator.
type outside struct {
	first    bool // of the legs, else the last
	channel  channel.Channel
	currency string
	product  channel.Product
	weather  *sim.Weather
	notifier *sim.Notifier
	account  func(channeltest.Will) string // of its leg
	act      func(leg string, will channeltest.Will) error
	booked   func(leg string) (charges int, paid, back int64)
	codes    []channeltest.Code
}

const tenPoints = 10 // are worth the smallest unit of money

// suiteBench pays a quarter from the balance, a quarter by points, and the rest at the channel.
func suiteBench(t *testing.T, at *clock.Manual, out outside, rule tcc.Rule) *channeltest.Bench {
	db, err := store.Open(t.Context(), pgtest.Store(t, filepath.Join(t.TempDir(), "x.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	require.NoError(t, db.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(balance.TopUp(t.Context(), tx, "1", "ann", "2026-03-02", "gift", books.Funding, money.Minor(1_000_000)),
			tx.MovePoints(t.Context(), "gift", "", "ann", "PTS", money.Minor(10_000_000), "gift", at.Now()))
	}))
	told := map[string]channel.PayRequest{}
	coordinator, err := tcc.New(tcc.Settings{Store: db, Clock: at, Log: slog.New(slog.DiscardHandler), Participants: map[string]tcc.Participant{
		tcc.WithBalance: tcc.Balance{Store: db, Clock: at, Location: time.UTC},
		tcc.WithPoints:  tcc.Points{Store: db, Clock: at},
		"outside": tcc.Remote{Store: db, Channel: listens{out.channel, told}, ID: "outside", Clock: at, Location: time.UTC, OnTheWay: 30 * time.Second,
			Request: func(_ context.Context, l tcc.Leg) (channel.PayRequest, error) {
				return channel.PayRequest{Product: out.product, NotifyURL: "https://gateway.example/notify", Payer: channel.Payer{Token: l.Account}}, nil
			}},
	}})
	require.NoError(t, err)
	whole, err := tcc.NewChannel(tcc.ChannelSettings{Coordinator: coordinator, ID: "combined", Currency: out.currency, Rule: rule, Points: map[string]tcc.Rate{"PTS": {Units: tenPoints, Worth: 1}}})
	require.NoError(t, err)

	wills := map[string]channeltest.Will{}
	leg := func(number string) string {
		if out.first {
			return number + "01P"
		}
		return number + "03P"
	}
	t.Cleanup(func() { // whatever has happened
		for number, r := range told {
			require.Equal(t, []string{"ride", "https://app.example/paid", "203.0.113.9"}, []string{r.Subject, r.ReturnURL, r.ClientIP}, "what leg %s tells its channel", number)
		}
	})
	return &channeltest.Bench{
		Channel: combined{whole, coordinator, out.channel}, Clock: at, Weather: out.weather, Notifier: out.notifier, Codes: out.codes, Remembers: true, GivesBack: true,
		Request: func(number string, minor int64, will channeltest.Will) channel.PayRequest {
			wills[number] = will
			in := func(minor int64, currency string) channel.Money {
				return channel.Money{Amount: money.Minor(minor), Currency: currency}
			}
			quarter := minor / 4
			parts := []channel.Part{
				{With: tcc.WithBalance, Account: "ann", Money: in(quarter, out.currency)},
				{With: tcc.WithPoints, Account: "ann", Money: in(quarter*tenPoints, "PTS")},
				{With: "outside", Account: out.account(will), Money: in(minor-2*quarter, out.currency)},
			}
			if out.first {
				parts[0], parts[1], parts[2] = parts[2], parts[0], parts[1]
			}
			return channel.PayRequest{Number: number, Context: "10010203040500000001", Product: channel.Combined, Money: in(minor, out.currency), Subject: "ride",
				ReturnURL: "https://app.example/paid", ClientIP: "203.0.113.9",
				Payer: channel.Payer{Parts: parts}}
		},
		Act: func(number string) error {
			if charges, _, _ := out.booked(leg(number)); charges > 0 {
				return nil
			}
			return out.act(leg(number), wills[number])
		},
		Truth: func(number string) (truth channeltest.Truth) {
			truth.Charges, truth.Paid, truth.Refunded = out.booked(leg(number))
			require.NoError(t, db.View(t.Context(), func(tx *store.Tx) error {
				lines, err := tx.AccountLines(t.Context(), books.HolderBalance("ann"), "2099-12-31")
				if err != nil {
					return err
				}
				count := func(id, ref string, minor int64) {
					switch {
					case strings.HasPrefix(id, "tcc:"+number) && strings.HasSuffix(id, "P"):
						truth.Paid += minor
					case strings.HasPrefix(ref, number+" "):
						truth.Refunded -= minor
					}
				}
				for _, l := range lines {
					count(l.Entry, l.Ref, l.Amount.Minor())
				}
				points, err := tx.PointsEntries(t.Context(), "ann")
				for _, p := range points {
					count(p.ID, p.Ref, -p.Amount.Minor()/tenPoints)
				}
				return err
			}))
			return truth
		},
	}
}

// listens keeps what the channel outside is asked for.
type listens struct {
	channel.Channel
	told map[string]channel.PayRequest
}

func (l listens) Pay(ctx context.Context, r channel.PayRequest) (channel.Result, error) {
	l.told[r.Number] = r
	return l.Channel.Pay(ctx, r)
}

func (l listens) Authorise(ctx context.Context, r channel.PayRequest) (channel.Result, error) {
	l.told[r.Number] = r
	return l.Channel.(channel.Authoriser).Authorise(ctx, r)
}

func (l listens) Increment(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	return l.Channel.(channel.Authoriser).Increment(ctx, r)
}

func (l listens) Capture(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	return l.Channel.(channel.Authoriser).Capture(ctx, r)
}

func (l listens) Release(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	return l.Channel.(channel.Authoriser).Release(ctx, r)
}

var suiteStart = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)

// TestSuiteWithAQRCode: the last part waits for its payer, and is charged before anybody knows whether the rest is taken.
func TestSuiteWithAQRCode(t *testing.T) {
	channeltest.Run(t, func(t *testing.T) *channeltest.Bench {
		at := clock.NewManual(suiteStart)
		s := wechat.New(wechat.Options{Clock: at, Seed: 1})
		c, err := wechatadapter.New(s.Settings())
		require.NoError(t, err)
		return suiteBench(t, at, outside{channel: c, currency: "CNY", product: channel.QR, weather: s.Weather, notifier: s.Notices,
			account: func(channeltest.Will) string { return "" },
			act: func(leg string, will channeltest.Will) error {
				if will == channeltest.Declines {
					return errors.New("the payer does not want to")
				}
				return s.Pay(leg, wechat.Payer{})
			},
			booked: s.Booked,
			codes: []channeltest.Code{{Code: "PARAM_ERROR", Outcome: channel.Failed, Class: channel.BySetting}, {Code: "RULE_LIMIT", Outcome: channel.Failed, Class: channel.ByRisk},
				{Code: "SYSTEM_ERROR"}, {Code: "A_CODE_OF_TOMORROW"}},
		}, tcc.ProRata)
	})
}

// TestSuiteWithACard: the first part reserves, and is captured when all have. Refunds go there first.
func TestSuiteWithACard(t *testing.T) {
	channeltest.Run(t, func(t *testing.T) *channeltest.Bench {
		const key, secret = "sk_test_simulated0001", "whsec_simulated0001"
		at, w := clock.NewManual(suiteStart), sim.NewWeather(1)
		s := stripe.New(stripe.Settings{Key: key, Version: stripeadapter.Version, Endpoint: "https://gateway.example/stripe", Secret: secret, RefundDelay: 2 * time.Minute, Currency: "usd"}, at, w)
		c, err := stripeadapter.New(stripeadapter.Settings{Key: key, WebhookSecrets: []string{secret}, Currencies: []string{"USD"}, Clock: at, HTTP: sim.Client(s, w), URL: "https://api.stripe.example"})
		require.NoError(t, err)
		cards := map[channeltest.Will]string{channeltest.Pays: "pm_card_visa", channeltest.Declines: "pm_card_visa_chargeDeclined", channeltest.Waits: "pm_card_authenticationRequired"}
		return suiteBench(t, at, outside{first: true, channel: c, currency: "USD", product: channel.Card, weather: w, notifier: s.Notifier,
			account: func(will channeltest.Will) string { return cards[will] },
			act:     func(leg string, _ channeltest.Will) error { return s.Act(leg) },
			booked:  s.Count,
			codes: []channeltest.Code{{Code: "insufficient_funds", Outcome: channel.Failed, Class: channel.ByPayer}, {Code: "stolen_card", Outcome: channel.Failed, Class: channel.ByRisk},
				{Code: "card_not_supported", Outcome: channel.Failed, Class: channel.NotSupported}, {Code: "api_error"}},
		}, tcc.ByOrder)
	})
}
