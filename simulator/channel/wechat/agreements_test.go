package wechat_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/wechat"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/wechat"
)

// agreed is an agreement that a payer has signed, and WeChat Pay's number of it.
func agreed(t *testing.T, s *wechat.Simulator, c *adapter.Channel, number string, p wechat.Payer) string {
	t.Helper()
	got, err := c.Sign(t.Context(), channel.SignRequest{Number: number, Plan: "auto-reload", NotifyURL: notifyURL})
	require.NoError(t, err)
	require.NoError(t, s.Sign(got.Action.URL, p))
	signed, err := c.QueryAgreement(t.Context(), number, "")
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, signed.Outcome)
	return signed.Agreement
}

func debit(number, agreement string, minor int64) channel.PayRequest {
	r := request(number, minor, channel.Agreement)
	r.Payer = channel.Payer{Agreement: agreement}
	return r
}

// hears collects notifications and what they say.
func hears(t *testing.T, s *wechat.Simulator, c *adapter.Channel) (raw *[]channel.Notification, events *[]channel.Event) {
	raw, events = &[]channel.Notification{}, &[]channel.Event{}
	s.Notices.Receive(func(ctx context.Context, _ string, n channel.Notification) channel.Reply {
		*raw = append(*raw, n)
		got, err := c.Notified(ctx, n)
		require.NoError(t, err)
		*events = append(*events, got...)
		return c.Answer(err)
	})
	return raw, events
}

// changed is a notification of API v2 with some of it changed, signed anew with a key.
func changed(t *testing.T, n channel.Notification, key string, change map[string]string) channel.Notification {
	t.Helper()
	f, err := adapter.ParseXML(n.Body)
	require.NoError(t, err)
	maps.Copy(f, change)
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if name != "sign" && f[name] != "" {
			pairs = append(pairs, name+"="+f[name])
		}
	}
	sum := md5.Sum([]byte(strings.Join(pairs, "&") + "&key=" + key))
	f["sign"] = strings.ToUpper(hex.EncodeToString(sum[:]))
	var b bytes.Buffer
	b.WriteString("<xml>")
	for name, value := range f {
		b.WriteString("<" + name + "><![CDATA[" + value + "]]></" + name + ">")
	}
	n.Body = append(b.Bytes(), "</xml>"...)
	return n
}

// TestASigningIsBelievedWhenWeChatPaySaysTheSame: a message has no time of its own, so one that was true may be sent again.
func TestASigningIsBelievedWhenWeChatPaySaysTheSame(t *testing.T) {
	s, c, _ := open(t, wechat.ByPublicKey, nil)
	raw, events := hears(t, s, c)
	agreement := agreed(t, s, c, number, wechat.Payer{})
	s.Run(t.Context())
	require.Len(t, *events, 1)
	require.Equal(t, channel.Succeeded, (*events)[0].Result.Outcome)
	genuine, key := (*raw)[0], s.Settings().Agreements.V2Key

	for name, n := range map[string]channel.Notification{
		"another key":        changed(t, genuine, "0123456789abcdef0123456789abcdef", nil),
		"the API v3 key":     changed(t, genuine, s.Settings().V3Key, nil),
		"another number":     {Header: genuine.Header, Body: bytes.Replace(genuine.Body, []byte(number), []byte(number[:19]+"9"), 1)},
		"an end of the same": {Header: genuine.Header, Body: bytes.Replace(genuine.Body, []byte(">ADD<"), []byte(">DELETE<"), 1)},
		"a field more":       {Header: genuine.Header, Body: bytes.Replace(genuine.Body, []byte("</xml>"), []byte("<tenant>7</tenant></xml>"), 1)},
		"no sign":            {Header: genuine.Header, Body: []byte("<xml><change_type>DELETE</change_type></xml>")},
		"no XML":             {Header: genuine.Header, Body: []byte("<html")},
	} {
		got, err := c.Notified(t.Context(), n)
		var forged *channel.ForgedError
		require.ErrorAs(t, err, &forged, name)
		require.Empty(t, got, name)
	}
	for name, change := range map[string]map[string]string{"of another template": {"plan_id": "1"}, "that failed": {"result_code": "FAIL"}, "of a kind of tomorrow": {"change_type": "PAUSE"}} {
		got, err := c.Notified(t.Context(), changed(t, genuine, key, change))
		require.NoError(t, err, name)
		require.Empty(t, got, name)
	}
	for name, change := range map[string]map[string]string{"of another merchant": {"mch_id": "1900000110"}, "of another app": {"appid": "wx1"}, "without its number": {"contract_id": ""}, "of a number that WeChat Pay does not say": {"contract_code": number[:19] + "9"}} {
		got, err := c.Notified(t.Context(), changed(t, genuine, key, change))
		require.Error(t, err, name)
		require.Empty(t, got, name)
	}

	require.NoError(t, s.EndInWeChat(number))
	got, err := c.Notified(t.Context(), genuine)
	require.NoError(t, err)
	require.Equal(t, channel.Closed, got[0].Result.Outcome, "sent again after the end")
	require.Equal(t, agreement, got[0].Agreement)
}

// TestADebitIsToldExactly: what was taken, and why nothing was.
func TestADebitIsToldExactly(t *testing.T) {
	s, c, at := open(t, wechat.ByCertificate, nil)
	raw, events := hears(t, s, c)
	rich, poor := agreed(t, s, c, number+"A", wechat.Payer{Bank: "CMB_DEBIT"}), agreed(t, s, c, number+"B", wechat.Payer{Short: true})
	s.Run(t.Context())
	*raw, *events = nil, nil
	for n, agreement := range map[string]string{number + "C": rich, number + "D": poor} {
		got, err := c.Pay(t.Context(), debit(n, agreement, 1234))
		require.NoError(t, err)
		require.Equal(t, channel.Pending, got.Outcome)
	}
	now, err := c.Query(t.Context(), channel.Ref{Number: number + "C"})
	require.NoError(t, err)
	require.Equal(t, channel.Pending, now.Outcome)
	at.Advance(wechat.DebitTakes)
	s.Run(t.Context())
	require.Len(t, *events, 2)
	paid, refused := (*events)[0].Result, (*events)[1].Result
	require.Equal(t, number+"C", paid.Number)
	require.Equal(t, channel.Succeeded, paid.Outcome)
	require.Equal(t, request("", 1234, channel.QR).Money, paid.Money)
	require.Equal(t, "CMB_DEBIT", paid.Bank)
	require.True(t, at.Now().Equal(paid.At))
	asked, err := c.Query(t.Context(), channel.Ref{Number: number + "C"})
	require.NoError(t, err)
	require.Equal(t, paid.Money, asked.Money)
	require.Equal(t, paid.ChannelID, asked.ChannelID)
	require.Equal(t, channel.Failed, refused.Outcome)
	require.Equal(t, "NOTENOUGH", refused.Code)
	require.Equal(t, channel.ByPayer, refused.Class)

	// A word that it has failed is not believed while WeChat Pay, asked, says that it was paid; nor an amount that is none.
	key := s.Settings().Agreements.V2Key
	got, err := c.Notified(t.Context(), changed(t, (*raw)[0], key, map[string]string{"result_code": "FAIL", "err_code": "SYSTEMERROR"}))
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, got[0].Result.Outcome)
	for _, amount := range []string{"-1", "12.34", "1e3", "0"} {
		got, err = c.Notified(t.Context(), changed(t, (*raw)[0], key, map[string]string{"total_fee": amount}))
		require.Error(t, err, amount)
		require.Empty(t, got)
	}
}

// TestADebitInDoubtIsAskedAbout: whatever a request is refused for, the same one may have been accepted before.
func TestADebitInDoubtIsAskedAbout(t *testing.T) {
	s, c, at := open(t, wechat.ByPublicKey, nil)
	agreement := agreed(t, s, c, number, wechat.Payer{})
	r := debit(number+"A", agreement, 100)
	s.Weather.Next(sim.Pay, sim.Fate{Cut: sim.CutAfter}, sim.Fate{Error: "RULELIMIT"}, sim.Fate{Error: "SYSTEMERROR"})
	_, err := c.Pay(t.Context(), r)
	require.ErrorIs(t, err, sim.ErrBroken)
	for _, want := range []channel.Outcome{channel.Pending, channel.Unknown} {
		got, err := c.Pay(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, want, got.Outcome)
	}
	at.Advance(wechat.DebitTakes)
	got, err := c.Pay(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, got.Outcome)
	r.Money.Amount = request("", 101, channel.QR).Money.Amount
	_, err = c.Pay(t.Context(), r)
	require.ErrorContains(t, err, "one number was used for two things")
	back, err := c.Refund(t.Context(), channel.RefundRequest{Number: number + "R", Of: channel.Ref{Number: number + "A", Money: request("", 100, channel.QR).Money}, Money: request("", 40, channel.QR).Money, NotifyURL: notifyURL})
	require.NoError(t, err)
	require.Equal(t, channel.Pending, back.Outcome)
}

func TestADebitThatWaitsIsClosed(t *testing.T) {
	s, c, at := open(t, wechat.ByPublicKey, nil)
	agreement := agreed(t, s, c, number, wechat.Payer{})
	_, err := c.Pay(t.Context(), debit(number+"A", agreement, 100))
	require.NoError(t, err)
	got, err := c.Close(t.Context(), channel.Ref{Number: number + "A"})
	require.NoError(t, err)
	require.Equal(t, channel.Closed, got.Outcome)
	at.Advance(time.Minute)
	times, _, _ := s.Booked(number + "A")
	require.Zero(t, times)
}

// TestTheAPIv2KeyIsNamed: with another key neither the page nor a request is taken, and nothing that comes is believed.
func TestTheAPIv2KeyIsNamed(t *testing.T) {
	s, right, _ := open(t, wechat.ByPublicKey, nil)
	agreement := agreed(t, s, right, number, wechat.Payer{})
	c := adapterOf(t, s, func(set *adapter.Settings) { set.Agreements.V2Key = "0123456789abcdef0123456789abcdef" })
	got, err := c.Sign(t.Context(), channel.SignRequest{Number: number + "A", Plan: "p", NotifyURL: notifyURL})
	require.NoError(t, err)
	require.ErrorIs(t, s.Sign(got.Action.URL, wechat.Payer{}), wechat.ErrNotSigned)
	_, err = c.QueryAgreement(t.Context(), number, agreement)
	require.ErrorContains(t, err, "签名错误")
	paid, err := c.Pay(t.Context(), debit(number+"B", agreement, 100))
	require.Error(t, err)
	require.Zero(t, paid.Outcome)
	require.NotErrorIs(t, err, channel.ErrNotSent)
}

// TestOnePayerSignsATemplateOnce at a time, and each page once.
func TestOnePayerSignsATemplateOnce(t *testing.T) {
	s, c, _ := open(t, wechat.ByPublicKey, nil)
	ann := wechat.Payer{OpenID: "o-ann"}
	first := agreed(t, s, c, number+"A", ann)
	second, err := c.Sign(t.Context(), channel.SignRequest{Number: number + "B", Plan: "p", NotifyURL: notifyURL})
	require.NoError(t, err)
	require.ErrorIs(t, s.Sign(second.Action.URL, ann), wechat.ErrNotSigned)
	require.ErrorIs(t, s.Sign(strings.Replace(second.Action.URL, number+"B", number+"C", 1), wechat.Payer{}), wechat.ErrNotSigned, "the number was changed")
	over, err := c.Unsign(t.Context(), number+"A", first)
	require.NoError(t, err)
	require.Equal(t, channel.Closed, over.Outcome)
	require.NoError(t, s.Sign(second.Action.URL, ann))
	require.NotEqual(t, first, func() string { got, _ := c.QueryAgreement(t.Context(), number+"B", ""); return got.Agreement }(), "a new number for each signing")
}
