package gateway_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/order"
)

// TestRiskHearsWhatTheAppSays: device, card and attempt reach risk; and what an app says of them makes no other attempt of one that comes again.
func TestRiskHearsWhatTheAppSays(t *testing.T) {
	var heard []gateway.Assessed
	d := start(t, func(c *gateway.Config) {
		c.Risk = risk(func(a gateway.Assessed) gateway.Verdict {
			heard = append(heard, a)
			return gateway.Challenge
		})
	})
	o := d.order("k", 1000)
	d.pay(o.ID, "first")
	n := qr("second")
	n.Device, n.Unproven, n.Tolerant = "phone-7", true, true
	p, err := d.Pay(t.Context(), app, o.ID, n)
	require.NoError(t, err)
	require.Equal(t, order.Challenged, p.State)
	n.Device, n.Unproven, n.Tolerant = "phone-8", false, false
	again, err := d.Pay(t.Context(), app, o.ID, n)
	require.NoError(t, err)
	require.Equal(t, p.Number, again.Number)

	require.Len(t, heard, 3)
	require.Equal(t, []int{1, 2, 2}, []int{heard[0].N, heard[1].N, heard[2].N})
	require.Equal(t, []string{"", "phone-7", "phone-8"}, []string{heard[0].Device, heard[1].Device, heard[2].Device})
	require.Equal(t, []bool{false, true, false}, []bool{heard[0].Unproven, heard[1].Unproven, heard[2].Unproven})

	n.Device = strings.Repeat("x", 129)
	_, err = d.Pay(t.Context(), app, o.ID, n)
	require.ErrorIs(t, err, gateway.ErrRequest)
}
