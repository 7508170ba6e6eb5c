package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/history"
	"github.com/purselane/purselane/backend/monitor"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/browsertest"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// watched is a Monitor that shows a bad morning.
type watched struct{ err error }

func (w watched) Business(context.Context) (monitor.Business, error) {
	b := monitor.Business{At: morning, Payments: store.Overdue{Count: 3, Amount: money.Minor(123_45)}, Refunds: store.Overdue{Count: 1, Amount: money.Minor(5_00)}, History: &history.Lag{Events: 12, Behind: 11 * time.Minute}}
	for i := range monitor.Hours {
		n := int64(40 + 25*(i%7))
		h := monitor.Hour{From: morning.Add(time.Duration(i-monitor.Hours) * time.Hour), Loads: 12, Loaded: 11}
		h.Count = monitor.Count{Orders: n, Paid: n * 9 / 10, Amount: money.Minor(n * 1000), Received: money.Minor(n * 900), Returned: money.Minor(n * 10), Fees: money.Minor(n), Tried: n * 9 / 10, Refused: n / 20}
		if i == monitor.Hours-1 {
			h.Paid, h.Tried, h.Refused = 20, 20, 60
		}
		b.Hours = append(b.Hours, h)
	}
	b.Kinds = []monitor.Kind{
		{Action: code.Pay, Currency: "CNY", Count: monitor.Count{Orders: 2_345, Paid: 2_100, Received: money.Minor(1_234_567_89), Returned: money.Minor(4_321_00), Fees: money.Minor(3_704_12)}},
		{Action: code.TopUp, Currency: "CNY", Count: monitor.Count{Orders: 345, Paid: 340, Received: money.Minor(34_000_00)}},
		{Action: 99, Currency: "CNY", Count: monitor.Count{Orders: 1}},
	}
	return b, w.err
}

func (w watched) Sales(context.Context) (monitor.Sales, error) {
	fine := monitor.Count{Orders: 900, Paid: 850, Tried: 850, Refused: 20, Received: money.Minor(85_000_00)}
	return monitor.Sales{At: morning, More: 7, Sellers: []monitor.Seller{
		{App: "citybus-app", Merchant: "line-1", Day: fine, Before: fine, Last: monitor.Count{Tried: 40, Refused: 1}, Pending: money.Minor(84_000_00), Available: money.Minor(12_00)},
		{App: "corner-shop-with-a-long-name", Merchant: "shop-22", Day: fine, Before: fine, Last: monitor.Count{Tried: 4, Refused: 30}, Blocked: 300, Available: money.Minor(-3_50)},
		{App: "kiosk", Day: monitor.Count{Orders: 2}},
	}}, w.err
}

func (w watched) Accounts(context.Context) (monitor.Accounts, error) {
	return monitor.Accounts{At: morning,
		Own: []settlement.Level{{ID: "trust", Books: money.Minor(12_545_00), Bank: money.Minor(12_000_00), BankDay: yesterday, Promised: money.Minor(3_000_00), Free: money.Minor(9_000_00), Below: true,
			Rules: store.OwnAccount{ID: "trust", Minimum: money.Minor(10_000_00), NotedAt: morning}}, {ID: "reserve"}},
		Channels:  []books.Balance{{Account: "channel:alipay-main", Amount: money.Minor(8_765_43)}, {Account: "channel:unionpay", Amount: money.Minor(-12_00)}},
		Clearing:  []books.Balance{{Account: "acquirer:citybus:clearing", Amount: money.Minor(-45_00)}},
		Suspense:  []books.Balance{{Account: "suspense:surplus", Amount: money.Minor(-7_00)}},
		Unmatched: 2, Unknown: money.Minor(99_00)}, w.err
}

func TestThePagesSayWhatIsWrong(t *testing.T) {
	s := httptest.NewServer(New(nil, Config{Location: time.UTC, Monitor: watched{}, Channels: &switches{}, Log: slog.New(slog.DiscardHandler)}))
	defer s.Close()
	get := func(path string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
		require.NoError(t, err)
		status, body := read(t, r)
		require.Equal(t, http.StatusOK, status)
		require.NotContains(t, body, "{count}")
		return body
	}
	for path, want := range map[string][]string{
		"/business?lang=en": {"3 payments over 123.45 are past their end", "Of the attempts of the last hour 25.0 % were paid", "1 refunds and pay-outs", "top-ups", "code 99", "1,234,567.89", "The history is ten minutes behind or more: 12 events", "12 · 11m0s", `href="./merchants?lang=en"`, `href="./channels?lang=en"`, `href="./?lang=en"`},
		"/business?lang=zh": {"3笔支付（共123.45）已过期", "近1小时支付成功率25.0 %", "充值"},
		"/merchants?lang=en": {"corner-shop-with-a-long-name / shop-22", "Of the attempts of the last hour 11.8 % were paid; before it was 97.7 %", "Risk blocked 300 attempts", "paid more than it earned: −3.50", "+ 7 more",
			`href="./accounts?lang=en"`},
		"/merchants?lang=zh": {"风控拦截300次", "kiosk"},
		"/accounts?lang=en":  {"trust</b> Less is free than should stay there: 9,000.00", "2 lines of bank statements over 99.00", "channel:unionpay</b> More went back over it than came: −12.00", "suspense:surplus", "acquirer:citybus:clearing", "10,000.00"},
		"/accounts?lang=zh":  {"可用余额低于最低要求：9,000.00", "2行对账单"},
		"/channels?lang=en":  {`href="./business?lang=en"`, `href="./accounts?lang=en"`, `href="./?lang=en"`},
	} {
		body := get(path)
		for _, w := range want {
			require.Contains(t, body, w, path)
		}
		own, _, _ := strings.Cut(path, "?")
		require.NotContains(t, body, `href=".`+own+`?lang=en">`, "%s has no way to itself", path)
	}

	broken := httptest.NewServer(New(nil, Config{Monitor: watched{err: errors.New("the disk is gone")}, Log: slog.New(slog.DiscardHandler)}))
	defer broken.Close()
	without := httptest.NewServer(New(nil, Config{}))
	defer without.Close()
	for _, path := range []string{"/business", "/merchants", "/accounts"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, broken.URL+path+"?lang=en", nil)
		require.NoError(t, err)
		status, body := read(t, r)
		require.Equal(t, http.StatusInternalServerError, status)
		require.NotContains(t, body, "disk")
		r, err = http.NewRequestWithContext(t.Context(), http.MethodGet, without.URL+path, nil)
		require.NoError(t, err)
		status, _ = read(t, r)
		require.Equal(t, http.StatusNotFound, status)
	}
}

func TestEveryAlertHasItsLine(t *testing.T) {
	for _, c := range monitor.Codes {
		require.Contains(t, texts["en"], "alert."+c)
	}
	for _, a := range []code.Action{code.Pay, code.Transfer, code.TopUp, code.Withdraw, code.RedPacket} {
		require.Contains(t, texts["en"], "action."+a.String())
	}
	require.Equal(t, "later", alertOf(monitor.Alert{Code: "later"}, texts["en"]).Text)
}

func TestThePagesInABrowser(t *testing.T) {
	ctx := browsertest.Chromium(t)
	server := httptest.NewServer(New(&picture{}, Config{Location: time.UTC, Monitor: watched{}, Channels: &switches{}}))
	t.Cleanup(server.Close)
	dir := artifacts(t)
	for _, w := range []struct {
		name       string
		wide, high int64
		lang, by   string
	}{{"wide-zh", 1280, 800, "zh", "light"}, {"narrow", 375, 740, "en", "dark"}} {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: w.by}}})
		require.NoError(t, err)
		for _, page := range []string{"business", "merchants", "accounts"} {
			require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(w.wide, w.high), chromedp.Navigate(server.URL+"/"+page+"?lang="+w.lang)))
			raw, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, page+"-"+w.name+".png"), raw, 0o644))
			fits, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth <= document.documentElement.clientWidth`))
			require.NoError(t, err)
			require.True(t, fits, "%s scrolls sideways", page)
			weak, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](weakContrast))
			require.NoError(t, err)
			require.Empty(t, weak, page)
		}
	}
}
