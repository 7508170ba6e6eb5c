package wechat_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/wechat"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/channel/wechat"
)

func out(number string, minor int64) channel.PayoutRequest {
	return channel.PayoutRequest{Number: number, Money: channel.Money{Amount: money.Minor(minor), Currency: "CNY"}, Account: payee, Name: "张三", Purpose: "提现", NotifyURL: notifyURL}
}

func TestWhatBecomesOfATransfer(t *testing.T) {
	for _, tt := range []struct {
		name    string
		payee   wechat.Payee
		outcome channel.Outcome
		code    string
		class   channel.Class
	}{
		{"confirmed", wechat.Payee{Name: "张三"}, channel.Succeeded, "", channel.NoClass},
		{"another name", wechat.Payee{Name: "李四"}, channel.Failed, "NAME_NOT_CORRECT", channel.ByPayer},
		{"frozen", wechat.Payee{Frozen: true}, channel.Failed, "ACCOUNT_FROZEN", channel.ByPayer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, c, at := open(t, wechat.ByCertificate, nil)
			s.AddPayee(payee, tt.payee)
			before := s.Fund(0)
			got, err := c.Payout(t.Context(), out(number, 250_000))
			require.NoError(t, err)
			require.Equal(t, channel.Pending, got.Outcome)
			require.Equal(t, wechat.MerchantID, got.Action.Params["mchId"])
			require.NotEmpty(t, got.Action.Params["package"], "the payee must confirm")
			require.Equal(t, before-250_000, s.Fund(0), "it is set aside")
			at.Advance(time.Minute)
			got, err = c.QueryPayout(t.Context(), channel.Ref{Number: number})
			require.NoError(t, err)
			require.Equal(t, tt.outcome, got.Outcome)
			require.Equal(t, tt.code, got.Code)
			require.Equal(t, tt.class, got.Class)
			require.Equal(t, "2500.00", got.Money.Amount.String())
			times, fen := s.Transferred(number)
			require.Equal(t, before-fen, s.Fund(0))
			require.Equal(t, tt.outcome == channel.Succeeded, times == 1)
		})
	}
}

func TestAPayeeWhoNeverConfirmsGetsNothingAfterADay(t *testing.T) {
	s, c, at := open(t, wechat.ByPublicKey, nil)
	s.AddPayee(payee, wechat.Payee{Takes: 2 * wechat.ConfirmWithin})
	_, err := c.Payout(t.Context(), out(number, 800))
	require.NoError(t, err)
	at.Advance(wechat.ConfirmWithin - time.Second)
	got, err := c.QueryPayout(t.Context(), channel.Ref{Number: number})
	require.NoError(t, err)
	require.Equal(t, channel.Pending, got.Outcome)
	at.Advance(time.Second)
	got, err = c.QueryPayout(t.Context(), channel.Ref{Number: number})
	require.NoError(t, err)
	require.Equal(t, channel.Failed, got.Outcome)
	require.Equal(t, "OVERDUE_CLOSE", got.Code)
}

func TestATransferThatCanNeverBeAskedForIsNotSent(t *testing.T) {
	_, c, _ := open(t, wechat.ByPublicKey, nil)
	for says, change := range map[string]func(*channel.PayoutRequest){
		"openid":       func(r *channel.PayoutRequest) { r.Account = "" },
		"at a bank":    func(r *channel.PayoutRequest) { r.BankCode = "102" },
		"payee's name": func(r *channel.PayoutRequest) { r.Name, r.Money.Amount = "", money.Minor(200_000) },
		"query":        func(r *channel.PayoutRequest) { r.NotifyURL += "?a=1" },
		"characters":   func(r *channel.PayoutRequest) { r.Number = "1" },
		"currency":     func(r *channel.PayoutRequest) { r.Money.Currency = "EUR" },
	} {
		r := out(number, 800)
		change(&r)
		_, err := c.Payout(t.Context(), r)
		require.ErrorIs(t, err, channel.ErrNotSent)
		require.ErrorContains(t, err, says)
	}
	_, none, _ := open(t, wechat.ByPublicKey, func(set *adapter.Settings) { set.Transfers = adapter.Transfers{} })
	require.False(t, none.Capabilities().Payout)
	require.NotContains(t, none.Capabilities().Products, channel.Payout)
	_, err := none.Payout(t.Context(), out(number, 800))
	require.ErrorIs(t, err, channel.ErrUnsupported)
	_, wrong, _ := open(t, wechat.ByPublicKey, func(set *adapter.Settings) { set.Transfers.Scene = "1000" })
	got, err := wrong.Payout(t.Context(), out(number, 800))
	require.NoError(t, err)
	require.Equal(t, channel.BySetting, got.Class, got.Code)
	require.Equal(t, channel.Failed, got.Outcome)
}
