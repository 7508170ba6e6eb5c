package alipay_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/alipay"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/channel/alipay"
)

const payee = "074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5lsNpazWYoCo6"

func out(number string, minor int64, at clock.Clock) channel.PayoutRequest {
	return channel.PayoutRequest{Number: number, Money: channel.Money{Amount: money.Minor(minor), Currency: "CNY"}, Sent: at.Now(), Account: payee, Name: "张三", Purpose: "提现", NotifyURL: notifyURL}
}

func TestWhatBecomesOfATransfer(t *testing.T) {
	for _, tt := range []struct {
		name    string
		payee   alipay.Payee
		account string
		first   channel.Outcome
		code    string
		last    channel.Outcome
	}{
		{"at once", alipay.Payee{}, payee, channel.Succeeded, "", channel.Succeeded},
		{"by user number", alipay.Payee{}, adapter.UserNumber + "2088102122524333", channel.Succeeded, "", channel.Succeeded},
		{"by telephone number", alipay.Payee{}, "13800000001", channel.Succeeded, "", channel.Succeeded},
		{"later", alipay.Payee{Takes: time.Hour}, payee, channel.Pending, "DEALING", channel.Succeeded},
		{"another name", alipay.Payee{Name: "李四"}, payee, channel.Failed, "PAYEE_USER_INFO_ERROR", channel.Missing},
		{"nobody", alipay.Payee{Gone: true}, payee, channel.Failed, "PAYEE_NOT_EXIST", channel.Missing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, c, at := open(t, alipay.Options{Mode: alipay.ByCertificate})
			s.AddPayee(payee, tt.payee)
			before := s.Fund(0)
			r := out(number, 800, at)
			r.Account = tt.account
			got, err := c.Payout(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, tt.first, got.Outcome)
			require.Equal(t, tt.code, got.Code)
			at.Advance(time.Hour)
			got, err = c.QueryPayout(t.Context(), channel.Ref{Number: number})
			require.NoError(t, err)
			require.Equal(t, tt.last, got.Outcome)
			times, fen := s.Transferred(number)
			require.Equal(t, before-fen, s.Fund(0))
			require.Equal(t, tt.last == channel.Succeeded, times == 1)
		})
	}
}

// TestATransferThatComesBack: what had arrived is sent back, the message and the query say so, and the bill of that day has it no more.
func TestATransferThatComesBack(t *testing.T) {
	s, c, at := open(t, alipay.Options{Mode: alipay.ByCertificate, Messages: notifyURL})
	var told []channel.Event
	s.Notices.Receive(func(_ context.Context, to string, n channel.Notification) channel.Reply {
		require.Equal(t, notifyURL, to)
		got, err := c.Notified(t.Context(), n)
		require.NoError(t, err)
		told = append(told, got...)
		return c.Answer(err)
	})
	for _, n := range []string{number, number + "1"} {
		got, err := c.Payout(t.Context(), out(n, 800, at))
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, got.Outcome)
	}
	at.Advance(time.Hour)
	require.NoError(t, s.Return(number))
	require.ErrorIs(t, s.Return(number), alipay.ErrNoSuchTransfer)
	s.Run(t.Context())
	require.Len(t, told, 3)
	require.Equal(t, channel.OfPayout, told[2].About)
	require.Equal(t, channel.Failed, told[2].Result.Outcome)
	require.Equal(t, "PAYEE_STATUS_ERROR", told[2].Result.Code)
	got, err := c.QueryPayout(t.Context(), channel.Ref{Number: number})
	require.NoError(t, err)
	require.Equal(t, channel.Failed, got.Outcome)
	at.Advance(48 * time.Hour)
	var rows []channel.BillRow
	require.NoError(t, c.Bill(t.Context(), "2026-03-02", func(r channel.BillRow) error { rows = append(rows, r); return nil }))
	require.Len(t, rows, 1)
	require.Equal(t, number+"1", rows[0].Number)
}

func TestATransferThatCanNeverBeAskedForIsNotSent(t *testing.T) {
	_, c, at := open(t, alipay.Options{Mode: alipay.ByCertificate})
	for says, change := range map[string]func(*channel.PayoutRequest){
		"payee is missing": func(r *channel.PayoutRequest) { r.Account = adapter.UserNumber },
		"at a bank":        func(r *channel.PayoutRequest) { r.BankCode = "102" },
		"wants a name":     func(r *channel.PayoutRequest) { r.Account, r.Name = "ann@example.com", "" },
		"character":        func(r *channel.PayoutRequest) { r.Number = "a-b" },
		"currency":         func(r *channel.PayoutRequest) { r.Money.Currency = "EUR" },
	} {
		r := out(number, 800, at)
		change(&r)
		_, err := c.Payout(t.Context(), r)
		require.ErrorIs(t, err, channel.ErrNotSent)
		require.ErrorContains(t, err, says)
	}
	s, none, _ := open(t, alipay.Options{Mode: alipay.ByKey})
	require.False(t, none.Capabilities().Payout)
	require.NotContains(t, none.Capabilities().Products, channel.Payout)
	_, err := none.Payout(t.Context(), out(number, 800, at))
	require.ErrorIs(t, err, channel.ErrUnsupported)
	set := s.Settings()
	set.Transfers = true
	_, err = adapter.New(set)
	require.ErrorContains(t, err, "certificate mode only")
}
