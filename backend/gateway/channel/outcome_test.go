package channel_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
)

func TestNothingSaidIsUnknown(t *testing.T) {
	var r channel.Result
	require.Equal(t, channel.Unknown, r.Outcome)
	require.False(t, r.Outcome.Final())
}

func TestOnlyTheChannelsLastWordIsFinal(t *testing.T) {
	for o, final := range map[channel.Outcome]bool{
		channel.Unknown: false, channel.Pending: false, channel.Missing: false,
		channel.Succeeded: true, channel.Failed: true, channel.Closed: true,
	} {
		require.Equal(t, final, o.Final(), o)
	}
	require.Equal(t, "outcome 9", channel.Outcome(9).String())
	require.Equal(t, "missing", channel.Missing.String())
}

func TestWhatThePayerOrRiskRefusedIsNotTriedElsewhere(t *testing.T) {
	for c, another := range map[channel.Class]bool{
		channel.NoClass: false, channel.ByPayer: false, channel.ByRisk: false,
		channel.ByIssuer: true, channel.ByChannel: true, channel.BySetting: true, channel.NotSupported: true,
	} {
		require.Equal(t, another, c.TryAnother(), c)
	}
	require.Equal(t, "class 7", channel.Class(7).String())
}

func TestAnAnswerHasAnEnd(t *testing.T) {
	body, err := channel.ReadAnswer(strings.NewReader("ok"))
	require.NoError(t, err)
	require.Equal(t, "ok", string(body))
	_, err = channel.ReadAnswer(strings.NewReader(strings.Repeat("x", channel.MaxAnswer+1)))
	require.Error(t, err)
}
