package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	unionadapter "github.com/purselane/purselane/backend/gateway/channel/unionpay"
	"github.com/purselane/purselane/backend/gateway/order"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/alipay"
	"github.com/purselane/purselane/simulator/channel/stripe"
	"github.com/purselane/purselane/simulator/channel/wechat"
)

// heard is a log that several write.
type heard struct {
	mu   sync.Mutex
	text strings.Builder
}

func (h *heard) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(b)
}

func (h *heard) String() string { h.mu.Lock(); defer h.mu.Unlock(); return h.text.String() }

// TestAForgedNotificationChangesNothingOverHTTP comes before each genuine one, at every account of a scheme that serves: the order's timeline knows nothing of it,
// the sender is told to come again, and the log names a key that was taken for another.
func TestAForgedNotificationChangesNothingOverHTTP(t *testing.T) {
	x := newEveryKind(t)
	log := &heard{}
	x.log = slog.New(slog.NewTextHandler(log, nil))
	ali := x.alipay(t)
	n := x.open(t)
	g := n.Gateway()
	pki, err := unionKeys()
	require.NoError(t, err)

	wechatByMerchant := func(m channel.Notification) channel.Notification {
		m.Header = m.Header.Clone()
		signature, err := utils.SignSHA256WithRSA(m.Header.Get("Wechatpay-Timestamp")+"\n"+m.Header.Get("Wechatpay-Nonce")+"\n"+string(m.Body)+"\n", x.wechat.Settings().Key)
		require.NoError(t, err)
		m.Header.Set("Wechatpay-Signature", signature)
		return m
	}
	unionByMerchant := func(m channel.Notification) channel.Notification {
		f, err := unionadapter.ParseForm(string(m.Body))
		require.NoError(t, err)
		require.NoError(t, pki.Merchant.Sign(f))
		m.Body = []byte(f.Encode())
		return m
	}
	alipayByApp := func(m channel.Notification) channel.Notification {
		v, err := url.ParseQuery(string(m.Body))
		require.NoError(t, err)
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if name != "sign" && name != "sign_type" {
				pairs = append(pairs, name+"="+v.Get(name))
			}
		}
		sum := sha256.Sum256([]byte(strings.Join(pairs, "&")))
		raw, err := rsa.SignPKCS1v15(rand.Reader, ali.Settings().Key, crypto.SHA256, sum[:])
		require.NoError(t, err)
		v.Set("sign", base64.StdEncoding.EncodeToString(raw))
		m.Body = []byte(v.Encode())
		return m
	}
	stripeByAPIKey := func(m channel.Notification) channel.Notification {
		return stripe.Sign(m.Body, "sk_test_simulated0001", m.At)
	}

	for _, c := range []struct {
		account  string
		notifier *sim.Notifier
		asks     gateway.NewPayment
		pays     func(gateway.Payment) error
		wrongKey func(channel.Notification) channel.Notification
		says     string
	}{
		{"wechat", x.wechat.Notices, gateway.NewPayment{Product: channel.QR}, func(p gateway.Payment) error { return x.wechat.Pay(p.Number, wechat.Payer{}) },
			wechatByMerchant, "verified with the merchant key instead of the platform key"},
		{"alipay", ali.Notices, gateway.NewPayment{Product: channel.H5, ReturnURL: "https://shop.example/paid"}, func(p gateway.Payment) error {
			return errors.Join(ali.Open(p.Action.URL), ali.Pay(p.Number, alipay.Payer{}))
		},
			alipayByApp, "verified with the merchant key instead of Alipay's"},
		{"union", x.union.Notifier(), gateway.NewPayment{Product: channel.NetBank, ReturnURL: "https://shop.example/paid"}, func(p gateway.Payment) error { return x.union.Visit(unionadapter.Form(p.Action.Form), bankCard) },
			unionByMerchant, "signed with the merchant key instead of UnionPay's"},
		{"stripe", x.stripe.Notifier, gateway.NewPayment{Product: channel.Quick, ReturnURL: "https://shop.example/paid", Payer: channel.Payer{Token: "pm_card_authenticationRequired"}}, func(p gateway.Payment) error { return x.stripe.Act(p.Number) },
			stripeByAPIKey, "not signed with this endpoint's secret"},
	} {
		p := pays(t, g, "forged-"+c.account, 3000, c.asks)
		require.Equal(t, c.account, p.Account)
		told := func() (by []gateway.Source) {
			line, err := g.Timeline(t.Context(), "till", p.Order)
			require.NoError(t, err)
			for _, e := range line {
				by = append(by, e.Source)
			}
			return by
		}
		post, times := sim.HTTPReceiver(x.outside.Client()), 0
		c.notifier.Receive(func(ctx context.Context, to string, m channel.Notification) channel.Reply {
			times++
			empty := m
			empty.Body = nil
			for name, forged := range map[string]channel.Notification{"changed": sim.Tamper(m), "empty": empty, "the wrong key": c.wrongKey(m)} {
				require.GreaterOrEqual(t, post(ctx, to, forged).Status, 400, "%s: %s", c.account, name)
				require.NotContains(t, told(), gateway.ByNotification, "%s: %s", c.account, name)
			}
			require.Contains(t, log.String(), c.says)
			return post(ctx, to, m)
		})
		require.NoError(t, c.pays(p))
		c.notifier.Run(t.Context())
		require.Positive(t, times)
		o, err := g.Order(t.Context(), "till", p.Order)
		require.NoError(t, err)
		require.Equal(t, order.Paid, o.State, c.account)
	}

	// These are told nothing by anybody.
	for _, account := range []string{"own", "mix", "bank"} {
		reply := sim.HTTPReceiver(x.outside.Client())(t.Context(), x.outside.URL+"/notify/"+account, channel.Notification{Body: []byte(`{"paid":true}`)})
		require.GreaterOrEqual(t, reply.Status, 400, account)
	}
}
