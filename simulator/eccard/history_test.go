package eccard_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/eccard"
)

// tester is what the terminals of these tests need of a test, rapid's too.
type tester interface {
	require.TestingT
	Context() context.Context
}

// TestAnyHistory lets a card pay at a gate, travel by metro and be loaded in any order, torn at any command. Nobody's books hold what the card did not do: each load that was paid for is
// on the card or went back, each fare that was sold left it, and what left it unsold belongs to a tap that its gate gave up as unknown.
func TestAnyHistory(t *testing.T) {
	issuer, fresh, authorities := smCard(t, 5_000)
	number, err := ec.NewPAN("6210948000000037")
	require.NoError(t, err)
	name := metroName(number)
	name.PSN = 2
	fresh.Insert()
	c, err := ec.Select(t.Context(), fresh, accepted)
	require.NoError(t, err)
	require.NoError(t, c.AppendTransit(t.Context(), issuer.Operator(), name, append(metroID[:], 0, 0)))

	rapid.Check(t, func(t *rapid.T) {
		card := fresh.Clone()
		shop := &gate{ttq: ec.GateTTQ, authorities: authorities, sm: true, un: 1 << 16}
		metro := &barrier{operator: issuer.Operator(), authorities: authorities, ttq: ec.GateTTQ, fare: 30, sm: true}
		if rapid.Bool().Draw(t, "version 00") {
			shop.ttq, metro.ttq = ec.TTQ{0x28}, ec.TTQ{0x28}
		}
		b := &bank{door: issuer.Door(), sm: true, books: card.Balance}
		loaded, left := int64(0), int64(0) // what the card has done
		// do lets the card meet one of them, and looks what happened to it.
		do := func(meet func() error) {
			before := card.Balance().Minor()
			err := meet()
			moved := card.Balance().Minor() - before
			if moved > 0 {
				loaded += moved
			} else {
				left -= moved
			}
			known := err == nil || errors.Is(err, apdu.ErrNoAnswer) || errors.Is(err, apdu.ErrNotSent) || errors.Is(err, ec.ErrCardDeclined)
			require.True(t, known, "%v", err)
		}
		meet := map[string]func() error{
			"shop":  func() error { _, err := shop.tap(t, card, 70); return err },
			"metro": func() error { _, err := metro.pass(t, card); return err },
			"kiosk": func() error { return b.visit(t, card, 500) },
		}
		for range rapid.IntRange(1, 12).Draw(t, "meetings") {
			who := rapid.SampledFrom([]string{"shop", "metro", "kiosk"}).Draw(t, "who")
			at, how := rapid.IntRange(0, 24).Draw(t, "torn at"), rapid.SampledFrom([]eccard.Tear{eccard.LoseBefore, eccard.LoseAnswer}).Draw(t, "how")
			card.Insert()
			card.TearAt = func(n int) eccard.Tear {
				if n == at {
					return how
				}
				return eccard.NoTear
			}
			do(meet[who])
		}
		card.TearAt = nil
		for _, who := range []string{"shop", "metro", "kiosk"} {
			card.Insert()
			do(meet[who])
		}
		require.Nil(t, b.open)
		require.Equal(t, loaded, b.source, "loads that were paid for are the loads on the card")
		require.Equal(t, money.Minor(5_000+loaded-left), card.Balance())
		unsold := left - shop.sold - metro.sold
		require.GreaterOrEqual(t, unsold, int64(0), "nothing is sold that was not paid")
		require.LessOrEqual(t, unsold, int64(70*shop.unknown+30*metro.unknown), "what was paid and not sold is known as unknown")
	})
}
