package webhook_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/webhook"
)

func TestOnlyPublicAddressesAreConnectedTo(t *testing.T) {
	for _, a := range []string{"127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
		"203.0.113.9", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1", "fec0::1"} {
		require.ErrorIs(t, webhook.CheckAddress(netip.MustParseAddr(a)), webhook.ErrAddress, a)
	}
	for _, a := range []string{"1.1.1.1", "93.184.216.34", "172.32.0.1", "::ffff:93.184.216.34", "2606:4700::1111"} {
		require.NoError(t, webhook.CheckAddress(netip.MustParseAddr(a)), a)
	}
	inside := netip.MustParsePrefix("10.1.0.0/16")
	require.NoError(t, webhook.CheckAddress(netip.MustParseAddr("10.1.2.3"), inside))
	require.NoError(t, webhook.CheckAddress(netip.MustParseAddr("::ffff:10.1.2.3"), inside))
	require.Error(t, webhook.CheckAddress(netip.MustParseAddr("10.2.2.3"), inside))
}

func TestWhichURLsAreTaken(t *testing.T) {
	for _, u := range []string{"", "host", "http://example.com/", "ftp://example.com/", "https://", "https:///path", "https://user:pass@example.com/", "https://example.com/#x", "https://example.com/#", "https://exa mple.com/",
		"https://example.com/\n", "https://example.com/" + strings.Repeat("x", 2048), "javascript:alert(1)", "file:///etc/passwd"} {
		err := webhook.CheckURL(u)
		require.ErrorIs(t, err, webhook.ErrURL, u)
		require.NotContains(t, err.Error(), "pass@")
	}
	for _, u := range []string{"https://127.0.0.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/x", "https://169.254.169.254/latest/meta-data"} {
		require.ErrorIs(t, webhook.CheckURL(u), webhook.ErrAddress, u)
	}
	require.NoError(t, webhook.CheckURL("https://example.com:8443/hook?shop=1"))
	inside := netip.MustParsePrefix("10.1.0.0/16")
	require.NoError(t, webhook.CheckURL("http://10.1.0.7/hook", inside))
	require.ErrorIs(t, webhook.CheckURL("http://93.184.216.34/hook", inside), webhook.ErrAddress, "http goes to allowed addresses only")
}

// FuzzURL: whatever is registered, no URL with a forbidden literal address gets through, and nothing panics.
func FuzzURL(f *testing.F) {
	for _, s := range []string{"https://example.com/", "https://127.0.0.1/", "https://[::ffff:7f00:1]:1/", "http://10.1.0.1", "https://a@b/", "https://[fe80::1%25eth0]/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if webhook.CheckURL(s) == nil {
			require.True(t, strings.HasPrefix(strings.ToLower(s), "https://"), s)
		}
	})
}

func TestTheTableOfStates(t *testing.T) {
	moves := map[webhook.State]map[webhook.Event]webhook.State{}
	for _, a := range webhook.Arrows() {
		if moves[a.From] == nil {
			moves[a.From] = map[webhook.Event]webhook.State{}
		}
		require.NotContains(t, moves[a.From], a.On, "one state has one move on an event")
		moves[a.From][a.On] = a.To
	}
	for _, s := range webhook.States {
		for _, e := range webhook.Events {
			to, err := webhook.Next(s, e)
			if want, is := moves[s][e]; is {
				require.NoError(t, err)
				require.Equal(t, want, to)
				continue
			}
			require.ErrorIs(t, err, webhook.ErrState)
			require.Equal(t, s, to)
		}
	}
}
