package unionpay_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/unionpay"
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

// FuzzReturns: a row of error items is read as what it says or refused, and a packed file that is none is refused.
func FuzzReturns(f *testing.F) {
	day := time.Date(2026, 11, 25, 0, 0, 0, 0, adapter.Zone)
	columns := []string{"E84", "48020000", "00049992", "000001", "1126120000", "621626*********0018", "000000000800", "5311", "08", "01", "000001", "1125100000"}
	var row strings.Builder
	for i, w := range adapter.Flawed {
		text := ""
		if i < len(columns) {
			text = columns[i]
		}
		row.WriteString(text + strings.Repeat(" ", w-len(text)+1))
	}
	f.Add([]byte(row.String()))
	f.Add([]byte("E84"))
	f.Add([]byte("\x78\x9c\x03\x00\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := adapter.ReadReturn(b, day); err == nil {
			require.GreaterOrEqual(t, r.Money.Amount.Sign(), 0)
			require.False(t, r.Paid.IsZero() || r.At.IsZero())
			require.GreaterOrEqual(t, len(r.ChannelID), 14)
			require.Less(t, r.At.Sub(day).Abs(), 367*24*time.Hour)
		}
		rows := 0
		if err := adapter.ReadReturns(b, day, func(channel.Return) error { rows++; return nil }); err != nil {
			require.Zero(t, rows, "rows of a file that is none")
		}
	})
}
