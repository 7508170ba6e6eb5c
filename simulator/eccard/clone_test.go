package eccard_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/internal/money"
)

// TestAClone debits one of two cards and finds the other as it was.
func TestAClone(t *testing.T) {
	_, card, authorities := setUp(t, 10_000)
	other := card.Clone()
	g := &gate{ttq: ec.GateTTQ, authorities: authorities}
	card.Insert()
	paid, err := g.tap(t, card, 250)
	require.NoError(t, err)
	require.True(t, paid)
	require.Equal(t, money.Minor(9_750), card.Balance())
	require.Equal(t, money.Minor(10_000), other.Balance())
	require.Zero(t, other.ATC())

	other.Insert()
	paid, err = g.tap(t, other, 100)
	require.NoError(t, err)
	require.True(t, paid, "its keys are the same")
	require.Equal(t, money.Minor(9_900), other.Balance())
	require.Equal(t, money.Minor(9_750), card.Balance())
}
