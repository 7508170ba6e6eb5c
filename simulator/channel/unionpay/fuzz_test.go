package unionpay_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/simulator/channel/channeltest"
)

// FuzzNotified: nothing but what UnionPay signed is believed, and what is refused is refused as forged.
func FuzzNotified(f *testing.F) {
	s := open(f)
	var genuine []byte
	s.sim.Notifier().Receive(func(_ context.Context, _ string, n channel.Notification) channel.Reply {
		genuine = n.Body
		return s.a.Answer(nil)
	})
	_, err := s.a.Pay(f.Context(), s.quick("20261125100000000001", 500, channeltest.Pays))
	require.NoError(f, err)
	s.clock.Advance(2e9)
	s.sim.Settle()
	s.sim.Notifier().Run(f.Context())
	require.NotEmpty(f, genuine)
	want, err := s.a.Notified(f.Context(), channel.Notification{Body: genuine})
	require.NoError(f, err)
	f.Add(genuine)
	f.Add([]byte("a=1&signature=&signPubKeyCert="))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := s.a.Notified(t.Context(), channel.Notification{Body: body})
		if err == nil {
			require.Equal(t, want, got)
			return
		}
		var forged *channel.ForgedError
		require.True(t, errors.As(err, &forged), err)
	})
}
