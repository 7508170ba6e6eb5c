package shadowaccount_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// TestWhatACardMustHaveToBeFound: a finder that is off, or that one place alone cannot set off, asks for nothing.
func TestWhatACardMustHaveToBeFound(t *testing.T) {
	require.Empty(t, shadowaccount.Limits{}.Crowds())
	require.Empty(t, shadowaccount.Limits{Taps: 3, Speed: 100, Places: map[string]shadowaccount.Place{"a": {}}}.Crowds())
	require.Equal(t, []shadowaccount.Crowd{{Taps: 3, WithinMS: 60_000}, {Taps: 1, WithinMS: 20_040 * 3_600_000}},
		shadowaccount.Limits{Taps: 3, Window: time.Minute, Speed: 1, Places: map[string]shadowaccount.Place{"a": {}, "b": {}}}.Crowds(), "half the way round the earth on foot")

	_, ok := shadowaccount.Limits{Amount: map[string]money.Amount{"ep": {}}}.Least()
	require.False(t, ok, "zero is no limit")
	least, ok := shadowaccount.Limits{Amount: map[string]money.Amount{"": money.Minor(50), "ep": money.Minor(20), "ec": {}}}.Least()
	require.True(t, ok)
	require.Equal(t, money.Minor(20), least)
}
