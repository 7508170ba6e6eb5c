package panel_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/keeper"
	"github.com/purselane/purselane/backend/gateway/panel"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
)

func TestAPanelShowsSharesAndSuccessOverTime(t *testing.T) {
	c := clock.NewManual(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	st, err := store.Open(t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	defer st.Close()
	k := keeper.New(st, keeper.Config{Settings: func(health.Cell) health.Settings { return health.Defaults() }, Clock: c})
	pay, bank := health.Cell{Channel: "wechat"}, health.Cell{Channel: "unionpay", Bank: "icbc"}
	calls := func(n int, cell health.Cell, failed bool) {
		for range n {
			number := k.Began(cell)
			c.Advance(20 * time.Millisecond)
			k.Ended(number, failed, true)
		}
		c.Advance(10 * time.Second)
		k.Step(t.Context())
	}
	calls(40, pay, false)
	calls(3, bank, false)
	calls(20, pay, true) // it goes out
	c.Advance(20 * time.Second)
	read := func() (p panel.Panel) {
		require.NoError(t, st.View(t.Context(), func(tx *store.Tx) (err error) {
			p, err = panel.Read(t.Context(), tx, []string{"alipay", "wechat"}, c.Now(), time.Minute, 6)
			return err
		}))
		return p
	}
	p := read()
	var names []string
	for _, x := range p.Channels {
		names = append(names, x.Cell.String())
	}
	require.Equal(t, []string{"alipay", "unionpay", "unionpay/icbc", "wechat"}, names)
	require.Zero(t, p.Channels[0].Payments)
	require.Equal(t, []float64{0, 1}, []float64{p.Channels[0].Lo, p.Channels[0].Hi}, "nothing is known")
	require.Equal(t, 3, p.Channels[1].Payments, "a bank's count for the channel")
	require.Equal(t, 3, p.Channels[2].Payments)
	x := p.Channels[3]
	require.Equal(t, health.Unavailable, x.State)
	require.Equal(t, []int{60, 20}, []int{x.Payments, x.Failed})
	require.InDelta(t, 2.0/3, x.Success, 1e-9)
	require.Less(t, x.Lo, x.Success)
	require.Greater(t, x.Hi, x.Success)
	require.Equal(t, 20*time.Millisecond, x.Took)
	require.NotNil(t, x.Incident)
	require.Len(t, p.Incidents, 1)
	require.Equal(t, 1.0, x.Points[0].Share)
	require.Zero(t, x.Points[5].Share)
	payments := 0
	for i, at := range x.Points {
		payments += at.Payments
		if i > 0 {
			require.LessOrEqual(t, at.Share, x.Points[i-1].Share)
		}
	}
	require.Equal(t, 60, payments)

	c.Advance(2 * time.Minute)
	x = read().Channels[1]
	require.Zero(t, x.Payments, "what is older is not shown")
	require.Zero(t, x.Points[0].Share, "and what moved before still holds")
}
