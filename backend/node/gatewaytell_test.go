package node_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/node"
)

const withHealth = withGateway + `  health:
    mode: semi-automatic
    channels: {a: {mode: manual}}
    slow: 5s
    back_off: 3m
    first: 0.02
  tell:
    - {name: ops, kind: webhook, url: https://ops.example.org/hook, secret: ops.secret}
    - {name: bank, kind: mail, smtp: "mail.example.org:587", from: pay@example.org, to: [bank@example.com], user: pay, secret: mail.secret, channels: [w], faults: true}
`

func TestHealthAndWhoIsTold(t *testing.T) {
	s, err := node.ParseScheme([]byte(withHealth))
	require.NoError(t, err)
	w, a := s.Gateway.HealthOf(health.Cell{Channel: "w", Bank: "icbc"}), s.Gateway.HealthOf(health.Cell{Channel: "a"})
	require.Equal(t, health.SemiAutomatic, w.Mode)
	require.Equal(t, health.Manual, a.Mode)
	require.Equal(t, []time.Duration{5 * time.Second, 3 * time.Minute, 3 * time.Minute}, []time.Duration{w.Slow, w.BackOff, w.MaxOff})
	require.Equal(t, 0.02, w.First)
	require.Equal(t, health.Defaults().Growth, w.Growth)
	require.Equal(t, []string{node.LogSink, node.AppsSink, "ops", "bank"}, s.Gateway.Sinks())
	var none *node.Gateway
	require.Equal(t, health.Defaults(), none.HealthOf(health.Cell{}))
	require.Equal(t, []string{node.LogSink, node.AppsSink}, none.Sinks())

	for _, c := range []struct{ old, new, says string }{
		{"mode: semi-automatic", "mode: half", "gateway.health.mode"},
		{"{mode: manual}", "{mode: by-hand}", "gateway.health.channels.a.mode"},
		{"slow: 5s", "slow: -5s", "gateway.health: channel health: slow"},
		{"first: 0.02", "first: 2", "first is 2"},
		{"name: ops", "name: log", "stands twice, or is one of log and apps"},
		{"kind: webhook", "kind: pigeon", "gateway.tell[0].kind"},
		{"https://ops", "http://ops", "gateway.tell[0].url"},
		{", secret: ops.secret", "", "gateway.tell[0].secret"},
		{"user: pay, ", "", "want user and secret"},
		{"bank@example.com", "nobody", "gateway.tell[1]"},
	} {
		bad := strings.Replace(withHealth, c.old, c.new, 1)
		require.NotEqual(t, withHealth, bad, c.old)
		_, err := node.ParseScheme([]byte(bad))
		require.ErrorContains(t, err, c.says, c.old)
	}
}
