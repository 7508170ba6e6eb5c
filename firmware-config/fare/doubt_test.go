package fare_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/money"
)

var doubtful = fare.Tables{Metro: fare.Metro{
	Pairs: []fare.Pair{{From: fare.Code{1}, To: fare.Code{2}, Fare: money.Minor(3_00)}}, OverTime: money.Minor(6_00), MaxStay: 4 * time.Hour,
}}

func TestADoubtfulStayIsTheShortest(t *testing.T) {
	for _, c := range []struct {
		stayed time.Duration
		doubt  fare.Doubt
		amount int64
		rule   string
	}{
		{4 * time.Hour, fare.Doubt{}, 3_00, "metro-pair"},
		{4*time.Hour + 1, fare.Doubt{}, 9_00, "metro-pair+over-time"},
		{4*time.Hour + 1, fare.Doubt{By: 1}, 3_00, "metro-pair+time-unsure"},
		{4*time.Hour + 2, fare.Doubt{By: 1}, 9_00, "metro-pair+over-time"},
		{4000 * time.Hour, fare.Doubt{Any: true}, 3_00, "metro-pair+time-unsure"},
		{time.Hour, fare.Doubt{Any: true}, 3_00, "metro-pair"},
		{-time.Hour, fare.Doubt{By: time.Minute}, 3_00, "metro-pair"},
	} {
		q, err := doubtful.MetroExitWithin(fare.Code{1}, fare.Code{2}, c.stayed, c.doubt)
		require.NoError(t, err)
		require.Equal(t, fare.Quote{Amount: money.Minor(c.amount), Rule: c.rule}, q, "%v %+v", c.stayed, c.doubt)
	}
	_, err := doubtful.MetroExitWithin(fare.Code{1}, fare.Code{9}, 0, fare.Doubt{})
	require.ErrorIs(t, err, fare.ErrNoPair)
}

// TestDoubtNeverCostsTheRider: whatever the true stay was, as long as it is one that the clocks leave open.
func TestDoubtNeverCostsTheRider(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		truth := time.Duration(rapid.Int64Range(0, int64(10*time.Hour)).Draw(t, "true"))
		off := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "off"))
		shown := truth + time.Duration(rapid.Int64Range(-int64(off), int64(off)).Draw(t, "wrong"))
		doubt := fare.Doubt{By: off}
		if rapid.Bool().Draw(t, "any") {
			shown, doubt = time.Duration(rapid.Int64().Draw(t, "shown")), fare.Doubt{Any: true}
		}
		fair, err := doubtful.MetroExit(fare.Code{1}, fare.Code{2}, truth)
		require.NoError(t, err)
		q, err := doubtful.MetroExitWithin(fare.Code{1}, fare.Code{2}, shown, doubt)
		require.NoError(t, err)
		require.LessOrEqual(t, q.Amount.Cmp(fair.Amount), 0, "%v for %v", q, fair)
	})
}
