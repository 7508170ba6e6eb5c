package code_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
)

func registry(t require.TestingT) *code.Registry {
	r, err := code.NewRegistry(map[code.Product]string{12: "fare top-up"}, map[code.Company]string{1: "wechat", 2: "acquirer"})
	require.NoError(t, err)
	return r
}

func TestTheLayoutIsFixed(t *testing.T) {
	c := code.Context{Product: 12, Mode: code.Escrow, Action: code.Refund, Channel: code.ChannelOf(2, 8), Number: 77}
	require.Equal(t, "00120211002008000077", c.String())
	back, err := code.Parse(c.String())
	require.NoError(t, err)
	require.Equal(t, c, back)
	require.Equal(t, code.Company(2), back.Channel.Company())
	require.Equal(t, "card", back.Channel.Way().String())
	require.Equal(t, "escrow refund", back.Mode.String()+" "+back.Action.String())
}

func TestWhatIsNo20DigitsIsRefused(t *testing.T) {
	for _, s := range []string{"", "1", "0012021100200800007", "001202110020080000770", "0012021100200800007x", "００１２０２", "-0120211002008000077"} {
		_, err := code.Parse(s)
		require.ErrorIs(t, err, code.ErrForm, s)
	}
}

func TestEveryUnknownPartIsRefused(t *testing.T) {
	r := registry(t)
	ch := code.ChannelOf(1, 1)
	require.NoError(t, r.Serve(77, ch))
	good := code.Context{Product: 12, Mode: code.Instant, Action: code.Pay, Channel: ch, Number: 77}
	back, err := r.Parse(good.String())
	require.NoError(t, err)
	require.Equal(t, good, back)
	require.NoError(t, r.Check(good.Over(0, 0)), "nothing chosen yet")
	for name, change := range map[string]func(*code.Context){
		"product": func(c *code.Context) { c.Product = 13 }, "mode": func(c *code.Context) { c.Mode = 9 }, "action": func(c *code.Context) { c.Action = 99 },
		"company": func(c *code.Context) { c.Channel = code.ChannelOf(3, 1) }, "way": func(c *code.Context) { c.Channel = code.ChannelOf(1, 99) },
		"number": func(c *code.Context) { c.Number = 78 }, "number that serves another": func(c *code.Context) { c.Channel = code.ChannelOf(2, 8) },
		"channel without a number": func(c *code.Context) { c.Number = 0 }, "number without a channel": func(c *code.Context) { c.Channel = 0 },
		"product that does not fit": func(c *code.Context) { c.Product = 10012 }, "nothing": func(c *code.Context) { *c = code.Context{} },
	} {
		c := good
		change(&c)
		_, err := r.Parse(c.String())
		require.ErrorIs(t, err, code.ErrUnknown, name)
	}
}

// TestChannelsAndNumbersFollowFromNeither: two acquirers behind one channel, and one account that serves two companies' ways.
func TestChannelsAndNumbersFollowFromNeither(t *testing.T) {
	r := registry(t)
	card, qr := code.ChannelOf(2, 8), code.ChannelOf(1, 1)
	require.NoError(t, r.Serve(1, card))
	require.NoError(t, r.Serve(2, card))
	require.NoError(t, r.Serve(2, qr))
	require.NoError(t, r.Serve(2, qr), "twice is once")
	require.Equal(t, []code.Number{1, 2}, r.Numbers(card))
	require.Equal(t, []code.Channel{qr, card}, r.Channels(2))
	require.ErrorIs(t, r.Serve(3, code.ChannelOf(9, 1)), code.ErrUnknown)
	require.Error(t, r.Serve(0, card))
	require.Error(t, r.Serve(1000000, card))
}

func TestEveryProductOfAChannelIsAWay(t *testing.T) {
	all := []channel.Product{channel.QR, channel.Code, channel.JSAPI, channel.H5, channel.App, channel.Quick, channel.NetBank, channel.Card, channel.Agreement, channel.Balance, channel.Payout, channel.Combined}
	seen := map[code.Way]bool{}
	for _, p := range all {
		w, err := code.WayOf(string(p))
		require.NoError(t, err)
		require.Equal(t, string(p), w.String())
		seen[w] = true
	}
	require.Len(t, code.Ways(), len(seen), "no way is left over")
	_, err := code.WayOf("barter")
	require.ErrorIs(t, err, code.ErrUnknown)
}

func TestNamesOfModesAndActionsReadBack(t *testing.T) {
	for _, m := range []code.Mode{code.Instant, code.Escrow, code.Deferred, code.Reserved} {
		back, err := code.ParseMode(m.String())
		require.NoError(t, err)
		require.Equal(t, m, back)
	}
	for _, a := range []code.Action{code.Pay, code.Transfer, code.TopUp, code.Withdraw, code.RedPacket, code.Refund, code.Void, code.Payout, code.Increment, code.Capture, code.Release} {
		back, err := code.ParseAction(a.String())
		require.NoError(t, err)
		require.Equal(t, a, back)
	}
	_, err := code.ParseMode("barter")
	require.ErrorIs(t, err, code.ErrUnknown)
}

func TestARegistryHasItsRanges(t *testing.T) {
	_, err := code.NewRegistry(map[code.Product]string{10000: "too far"}, nil)
	require.Error(t, err)
	_, err = code.NewRegistry(nil, map[code.Company]string{0: "nobody"})
	require.Error(t, err)
}

func TestParseAndFormatAreInverse(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := rapid.StringMatching(`[0-9]{20}`).Draw(r, "code")
		c, err := code.Parse(s)
		require.NoError(r, err)
		require.Equal(r, s, c.String())
	})
}

func FuzzParse(f *testing.F) {
	r := registry(f)
	f.Add("00120211002008000077")
	f.Add("")
	f.Add("99999999999999999999")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := r.Parse(s)
		if err != nil {
			return
		}
		require.Equal(t, s, c.String())
		require.Len(t, s, code.Len)
	})
}
