package desk_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	gateway "github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/wechat"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/desk"
	"github.com/purselane/purselane/simulator/channel/wechat"
)

// shop is a merchant of a simulated WeChat Pay that is reached over a network, and a desk for it.
type shop struct {
	*testing.T
	at    string // of the desk
	wepay *wechat.Simulator
	ch    gateway.Channel
}

func newShop(t *testing.T) *shop {
	s := &shop{T: t, wepay: wechat.New(wechat.Options{Clock: clock.System{}, Seed: 1})}
	outside := httptest.NewServer(desk.Reachable(s.wepay, s.wepay.Weather))
	t.Cleanup(outside.Close)
	set := s.wepay.Settings()
	set.Hosts, set.HTTP = []string{outside.URL}, outside.Client()
	ch, err := adapter.New(set)
	require.NoError(t, err)
	s.ch = ch
	d := desk.New(desk.Channel{Name: "wechat", Weather: s.wepay.Weather, Sick: "SYSTEM_ERROR", Payments: s.wepay.Payments,
		Pay: func(number string) error { return s.wepay.Pay(number, wechat.Payer{}) }, Refuse: s.wepay.Refuse, Code: func() string { return s.wepay.Code(wechat.Payer{Password: true}) }})
	page := httptest.NewServer(d.Handler())
	t.Cleanup(page.Close)
	s.at = page.URL
	return s
}

func (s *shop) asks(number string, p gateway.Product, code string) (gateway.Result, error) {
	return s.ch.Pay(s.Context(), gateway.PayRequest{Number: number, Product: p, Money: gateway.Money{Amount: money.Minor(2_000), Currency: "CNY"}, Subject: "a load <b>", NotifyURL: "https://shop.example/notify",
		Expires: time.Now().Add(time.Hour), Payer: gateway.Payer{Code: code}})
}

// posts does something at the desk as curl would.
func (s *shop) posts(path string, form url.Values) (int, string) {
	s.Helper()
	r, err := http.PostForm(s.at+path, form)
	require.NoError(s, err)
	defer r.Body.Close()
	said, err := io.ReadAll(r.Body)
	require.NoError(s, err)
	return r.StatusCode, strings.TrimSpace(string(said))
}

func (s *shop) page() string {
	s.Helper()
	r, err := http.Get(s.at)
	require.NoError(s, err)
	defer r.Body.Close()
	said, err := io.ReadAll(r.Body)
	require.NoError(s, err)
	return string(said)
}

// TestSomebodyPaysAtTheDesk: what was asked for is on the page until somebody pays it.
func TestSomebodyPaysAtTheDesk(t *testing.T) {
	s := newShop(t)
	require.Contains(t, s.page(), "Nobody has asked for a payment yet.")
	_, err := s.asks("20261125000000000001", gateway.QR, "")
	require.NoError(t, err)
	seen := s.page()
	require.Contains(t, seen, "20261125000000000001")
	require.Contains(t, seen, "20.00")
	require.NotContains(t, seen, "<b>", "what the merchant writes is text")
	require.Contains(t, seen, ">Pay<")

	number := url.Values{"number": {" 20261125000000000001 "}}
	status, said := s.posts("/channels/wechat/pay", number)
	require.Equal(t, http.StatusOK, status, said)
	status, said = s.posts("/channels/wechat/pay", number)
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Contains(t, said, "is paid already")
	charges, paid, _ := s.wepay.Booked("20261125000000000001")
	require.Equal(t, []int64{1, 2_000}, []int64{int64(charges), paid})
	require.NotContains(t, s.page(), ">Pay<")

	r, err := http.Get(s.at + "/payments")
	require.NoError(t, err)
	defer r.Body.Close()
	lines := bufio.NewScanner(r.Body)
	require.True(t, lines.Scan())
	var p struct {
		Channel, Number, Amount, State string
		Waits                          bool
	}
	require.NoError(t, json.Unmarshal(lines.Bytes(), &p))
	require.Equal(t, "wechat 20261125000000000001 20.00 SUCCESS false", strings.Join([]string{p.Channel, p.Number, p.Amount, p.State, map[bool]string{false: "false", true: "true"}[p.Waits]}, " "))
	require.False(t, lines.Scan())
}

// TestAPaymentCodeIsRefused: a payer shows a code, and types no password.
func TestAPaymentCodeIsRefused(t *testing.T) {
	s := newShop(t)
	status, code := s.posts("/channels/wechat/code", nil)
	require.Equal(t, http.StatusOK, status)
	result, err := s.asks("20261125000000000002", gateway.Code, code)
	require.NoError(t, err)
	require.False(t, result.Outcome.Final())
	require.Contains(t, s.page(), ">Refuse<")
	status, said := s.posts("/channels/wechat/refuse", url.Values{"number": {"20261125000000000002"}})
	require.Equal(t, http.StatusOK, status, said)
	charges, _, _ := s.wepay.Booked("20261125000000000002")
	require.Zero(t, charges)
}

// TestMoods: a channel is as somebody at the desk says, until he says something else.
func TestMoods(t *testing.T) {
	s := newShop(t)
	mood := func(name string) string {
		status, said := s.posts("/channels/wechat/mood", url.Values{"mood": {name}})
		require.Equal(t, http.StatusOK, status, said)
		require.Contains(t, s.page(), `value="`+name+`" selected`)
		return said
	}
	require.Equal(t, "wechat: no connection can be made", mood("gone"))
	_, err := s.asks("20261125000000000003", gateway.QR, "")
	require.Error(t, err)
	require.Empty(t, s.wepay.Payments())
	mood("sick")
	failed := 0
	for i := range 40 {
		if r, err := s.asks("2026112500000000001"+string(rune('A'+i%26))+string(rune('A'+i/26)), gateway.QR, ""); err != nil || r.Code != "" {
			failed++
		}
	}
	require.Greater(t, failed, 5)
	require.Less(t, failed, 35)
	for _, name := range []string{"slow", "mute", "untold", "twice", "forged", "late"} {
		mood(name)
		require.NotZero(t, s.wepay.Weather.Faults(), name)
	}
	mood("well")
	require.Zero(t, s.wepay.Weather.Faults())
	_, err = s.asks("20261125000000000004", gateway.QR, "")
	require.NoError(t, err)

	status, said := s.posts("/channels/wechat/mood", url.Values{"mood": {"angry"}})
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Contains(t, said, "want one of well, gone, sick")
}

// TestWhatNobodyCanDo says so, and what a page from elsewhere sends is not done.
func TestWhatNobodyCanDo(t *testing.T) {
	s := newShop(t)
	for path, want := range map[string]int{"/channels/nobody/pay": 404, "/channels/wechat/open": 422, "/channels/wechat/dance": 422, "/channels/wechat/pay": 422} {
		status, said := s.posts(path, url.Values{"number": {"1"}})
		require.Equal(t, want, status, "%s %s", path, said)
		require.NotEmpty(t, said)
	}
	status, _ := s.posts("/channels/wechat/pay", url.Values{"number": {strings.Repeat("1", 20<<10)}})
	require.Equal(t, http.StatusBadRequest, status)

	_, err := s.asks("20261125000000000005", gateway.QR, "")
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.at+"/channels/wechat/pay", strings.NewReader("number=20261125000000000005"))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "https://elsewhere.example")
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusForbidden, answer.StatusCode)
	charges, _, _ := s.wepay.Booked("20261125000000000005")
	require.Zero(t, charges)
}

// TestABrowserGetsThePageAgain with what was said.
func TestABrowserGetsThePageAgain(t *testing.T) {
	s := newShop(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.at+"/channels/wechat/pay", strings.NewReader("number=7"))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "text/html,*/*")
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	seen, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Contains(t, string(seen), `role="alert">there is no such order<`)
}

// TestOneThatHangsHoldsUpNoOther: each channel does what is due by itself.
func TestOneThatHangsHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ran := 0
		d := desk.New(
			desk.Channel{Name: "hangs", Weather: sim.NewWeather(1), Run: func(ctx context.Context) { <-ctx.Done() }},
			desk.Channel{Name: "runs", Weather: sim.NewWeather(1), Run: func(context.Context) { ran++ }},
			desk.Channel{Name: "idle", Weather: sim.NewWeather(1)},
		)
		ctx, stop := context.WithTimeout(t.Context(), 900*time.Millisecond)
		defer stop()
		d.Run(ctx)
		require.Equal(t, 4, ran)
		require.True(t, errors.Is(ctx.Err(), context.DeadlineExceeded))
	})
}
