package assess_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/risk"
	"github.com/purselane/purselane/backend/risk/assess"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
)

var (
	noon    = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	errAway = errors.New("away")
)

type desk struct {
	*assess.Assessor
	clock *clock.Manual
	rules *risk.Engine
	hash  risk.Hasher
}

func start(t *testing.T, change func(*assess.Config), all ...risk.Rule) *desk {
	hash, err := risk.NewHasher(make([]byte, 32))
	require.NoError(t, err)
	windows, err := risk.NewVelocity(1000, noon.Add(-24*time.Hour))
	require.NoError(t, err)
	d := &desk{clock: clock.NewManual(noon), rules: risk.New(), hash: hash}
	for i := range all {
		all[i].Why = "because"
	}
	require.NoError(t, d.rules.Use(risk.Set{Form: 1, Version: 7, Rules: all}))
	c := assess.Config{Rules: d.rules, Windows: windows, Hash: hash, Clock: d.clock, Zone: time.UTC}
	if change != nil {
		change(&c)
	}
	d.Assessor, err = assess.New(c)
	require.NoError(t, err)
	return d
}

func attempt(n int) gateway.Assessed {
	return gateway.Assessed{
		Order:   gateway.Order{App: "app", Merchant: "shop"},
		Payment: gateway.Payment{Number: fmt.Sprint("P", n), Product: channel.Quick, Money: channel.Money{Amount: money.Minor(1000), Currency: "CNY"}, Created: noon},
		Payer:   channel.Payer{Token: "token-1", Bank: "icbc"},
	}
}

func (d *desk) ask(t *testing.T, in gateway.Assessed, want gateway.Verdict) string {
	t.Helper()
	said, err := d.Assess(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, want, said.Verdict)
	if said.Keep != nil {
		require.NoError(t, said.Keep(t.Context(), nil))
	}
	return said.Why
}

var _ gateway.Risk = (*assess.Assessor)(nil)

func TestFactsOfAnAttempt(t *testing.T) {
	var got risk.Facts
	d := start(t, func(c *assess.Config) {
		c.Record = func(_ context.Context, _ *store.Tx, r assess.Recorded) error {
			require.Equal(t, "P1", r.Event.Number)
			require.Equal(t, risk.Pass, r.Decision.Outcome)
			require.Equal(t, noon, r.At)
			got = r.Facts
			return nil
		}
	})
	require.Equal(t, "rules 7", d.ask(t, attempt(1), gateway.Pass))
	one := risk.Counts{Count10m: 1, Sum10m: 1000, Count1h: 1, Sum1h: 1000, Count24h: 1, Sum24h: 1000}
	require.Equal(t, risk.Facts{Product: "quick", Currency: "CNY", Amount: 1000, Bank: "icbc", App: "app", Hour: 12, ReconMinutes: -1, Complete: true, ByPayer: one, ByCard: one, ByMerchant: one}, got)
}

// TestWhatAnAppSaysOfAPayment: a device is the app's, so that two apps may give two devices one name.
func TestWhatAnAppSaysOfAPayment(t *testing.T) {
	var got risk.Facts
	d := start(t, func(c *assess.Config) {
		c.Record = func(_ context.Context, _ *store.Tx, r assess.Recorded) error { got = r.Facts; return nil }
	}, risk.Rule{Name: "storm", When: "device && by_device.count_10m > 2", Then: risk.Block}, risk.Rule{Name: "again", When: "attempts > 2", Then: risk.StepUp},
		risk.Rule{Name: "unproven", When: "unproven && card == 'credit'", Then: risk.Block})
	ask := func(n int, app, device string, want gateway.Verdict) {
		in := attempt(n)
		in.N, in.Card, in.Device, in.Order.App = 1, "debit", device, app
		d.ask(t, in, want)
	}
	ask(1, "app", "phone", gateway.Pass)
	require.True(t, got.Device)
	require.Equal(t, "debit", got.Card)
	require.Equal(t, 1, got.Attempts)
	ask(2, "other", "phone", gateway.Pass)
	ask(3, "other", "phone", gateway.Pass)
	ask(4, "app", "phone", gateway.Pass)
	require.Equal(t, 2, got.ByDevice.Count10m)
	ask(5, "app", "phone", gateway.Block)
	ask(6, "app", "", gateway.Pass)
	require.False(t, got.Device)

	in := attempt(7)
	in.N = 3
	d.ask(t, in, gateway.Challenge)
	in = attempt(8)
	in.Card, in.Unproven = "credit", true
	d.ask(t, in, gateway.Block)
}

func TestAnAttemptCountsOnceHoweverOftenItIsAsked(t *testing.T) {
	d := start(t, nil, risk.Rule{Name: "many", When: "by_card.count_1h > 2", Then: risk.Block})
	for range 5 {
		d.ask(t, attempt(1), gateway.Pass)
	}
	d.ask(t, attempt(2), gateway.Pass)
	require.Equal(t, "rules 7, many: because", d.ask(t, attempt(3), gateway.Block))
	d.ask(t, attempt(3), gateway.Block)
	other := attempt(4)
	other.Payer.Token = "token-2"
	d.ask(t, other, gateway.Pass)
}

func TestAProofIsBelievedWhenItProves(t *testing.T) {
	rule := risk.Rule{Name: "proof", When: "amount >= 1000", Then: risk.StepUp}
	proved := attempt(1)
	proved.Proof = "1234"

	d := start(t, nil, rule)
	d.ask(t, attempt(1), gateway.Challenge)
	d.ask(t, proved, gateway.Challenge)

	d = start(t, func(c *assess.Config) {
		c.Prove = func(_ context.Context, a gateway.Assessed) (bool, error) {
			if a.Proof == "" {
				return true, nil // never asked
			}
			return a.Proof == "1234", nil
		}
	}, rule)
	d.ask(t, attempt(1), gateway.Challenge)
	wrong := proved
	wrong.Proof = "4321"
	d.ask(t, wrong, gateway.Challenge)
	d.ask(t, proved, gateway.Pass)

	d = start(t, func(c *assess.Config) {
		c.Prove = func(context.Context, gateway.Assessed) (bool, error) { return true, errAway }
	}, rule)
	said, err := d.Assess(t.Context(), proved)
	require.ErrorIs(t, err, errAway)
	require.Equal(t, gateway.Block, said.Verdict)
}

func TestMoreFactsAndLists(t *testing.T) {
	var hash risk.Hasher
	d := start(t, func(c *assess.Config) {
		hash = c.Hash
		c.More = func(_ context.Context, in gateway.Assessed, e *risk.Event, f *risk.Facts) error {
			e.Device = hash.Of(risk.Device, in.IP)
			e.Number, e.At = "always-new"+in.IP, noon.Add(time.Hour) // is not its to say
			f.Identity = "mismatch"
			return nil
		}
	},
		risk.Rule{Name: "denied", When: "device_list == 'denied'", Then: risk.Block},
		risk.Rule{Name: "many", When: "device && by_device.count_24h > 1", Then: risk.Block},
		risk.Rule{Name: "who", When: "identity == 'mismatch'", Then: risk.StepUp})
	in := attempt(1)
	in.IP = "192.0.2.1"
	require.Contains(t, d.ask(t, in, gateway.Challenge), "who")
	require.Contains(t, d.ask(t, in, gateway.Challenge), "who")
	next := attempt(2)
	next.IP = "192.0.2.1"
	require.Contains(t, d.ask(t, next, gateway.Block), "many")
	l, err := risk.NewLists(risk.ListFile{Form: 1, Version: 2, Entries: []risk.Entry{{Kind: risk.Device, ID: hash.Of(risk.Device, "192.0.2.1"), Is: risk.Denied, Why: "w"}}})
	require.NoError(t, err)
	require.NoError(t, d.Use(l))
	require.Contains(t, d.ask(t, in, gateway.Block), "denied")
	old, err := risk.NewLists(risk.ListFile{Form: 1, Version: 1})
	require.NoError(t, err)
	require.ErrorIs(t, d.Use(old), assess.ErrLists)
}

func TestWithoutFactsOrRulesNothingIsDecided(t *testing.T) {
	for name, change := range map[string]func(*assess.Config){
		"rules": func(c *assess.Config) { c.Rules = risk.New() },
		"facts": func(c *assess.Config) {
			c.More = func(context.Context, gateway.Assessed, *risk.Event, *risk.Facts) error { return errAway }
		},
		"a code that cannot be sent": func(c *assess.Config) {
			require.NoError(t, c.Rules.Use(risk.Set{Form: 1, Version: 8, Rules: []risk.Rule{{Name: "all", When: "true", Then: risk.StepUp, Why: "because"}}}))
			c.Challenge = func(context.Context, gateway.Assessed) error { return errAway }
		},
	} {
		said, err := start(t, change).Assess(t.Context(), attempt(1))
		require.Error(t, err, name)
		require.Equal(t, gateway.Block, said.Verdict, name)
	}
	said, err := start(t, func(c *assess.Config) {
		c.Record = func(context.Context, *store.Tx, assess.Recorded) error { return errAway }
	}).Assess(t.Context(), attempt(1))
	require.NoError(t, err)
	require.ErrorIs(t, said.Keep(t.Context(), nil), errAway, "the gateway's transaction is undone")
	_, err = assess.New(assess.Config{})
	require.Error(t, err)
}
