package kiosk_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/api"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/terminal/kiosk"
)

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func reply(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

// answering is a host whose backend always answers the same; tries counts the calls.
func answering(t require.TestingT, status int, body string, header ...string) (h *kiosk.HTTPHost, tries *int) {
	h, err := kiosk.NewHTTPHost("https://backend.example/purse", "pl1_token")
	require.NoError(t, err)
	tries = new(int)
	h.Wait = func(int) time.Duration { return 0 }
	h.Client = &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		*tries++
		r := reply(status, body, header...)
		r.Request = req
		return r, nil
	})}
	return h, tries
}

func TestBackendAddresses(t *testing.T) {
	for _, good := range []string{"https://backend.example", "https://10.0.0.1:8443/purse/", "http://127.0.0.1:8080", "http://[::1]:80", "http://localhost"} {
		_, err := kiosk.NewHTTPHost(good, "pl1_token")
		require.NoError(t, err, good)
	}
	for _, bad := range []string{"", "backend.example", "ftp://backend.example", "https://", "http://backend.example", "http://10.0.0.1:8080", "http://localhost.example",
		"http://127.0.0.1.example", "https://me:secret@backend.example", "https://backend.example?x=secret", "https://backend.example#secret", "http://me:secret@x", "https://secret\x00"} {
		_, err := kiosk.NewHTTPHost(bad, "pl1_token")
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "secret")
	}
	for _, token := range []string{"", "two words", "line\nbreak"} {
		_, err := kiosk.NewHTTPHost("https://backend.example", token)
		require.Error(t, err)
	}
}

// notOfLoads are codes of settlement, of what operators alone do with cards that end, of balances, and of cases.
var notOfLoads = []string{"not-closed", "unknown-acquirer", "target-card", "same-person", "not-idle", "unknown-merchant", "unknown-account", "external-account", "unknown-case", "unknown-tap", "nothing-to-decide", "too-much", "running-case"}

// TestOneListOfCodes: what the API can answer an agent with is what the kiosk knows.
func TestOneListOfCodes(t *testing.T) {
	known := kiosk.Problems()
	for _, k := range api.Kinds() {
		if k.Status >= 500 || slices.Contains(notOfLoads, k.Code) { // not decided; and of operations that no kiosk calls
			require.NotContains(t, known, k.Code)
			continue
		}
		require.Contains(t, known, k.Code)
		delete(known, k.Code)
	}
	require.Empty(t, known, "the API never says these")
}

func TestProblems(t *testing.T) {
	for code, want := range kiosk.Problems() {
		h, tries := answering(t, 422, fmt.Sprintf(`{"code":%q,"detail":"what is wrong","remedy":"what to do"}`, code))
		_, err := h.Order(t.Context(), "L1")
		require.ErrorIs(t, err, want, code)
		require.True(t, kiosk.Decided(err))
		require.ErrorContains(t, err, "what is wrong")
		require.ErrorContains(t, err, "what to do")
		require.Equal(t, 1, *tries, "a decision is not asked for again")
	}
	for name, body := range map[string]string{"a code newer than the kiosk": `{"code":"eclipse"}`, "no code": `{}`, "no JSON": `<html>`, "nothing": ``} {
		h, tries := answering(t, 409, body)
		_, err := h.Order(t.Context(), "L1")
		require.ErrorIs(t, err, kiosk.ErrRequest, name)
		require.Equal(t, 1, *tries)
	}
}

const goodOrder = `{"id":"L1","amount":"50.00","state":"paid"}`

// TestBadAnswers are none: the call is made again, and what it did is not known.
func TestBadAnswers(t *testing.T) {
	order := func(h *kiosk.HTTPHost) error { _, err := h.Order(t.Context(), "L1"); return err }
	authorise := func(h *kiosk.HTTPHost) error { _, err := h.Authorise(t.Context(), "L1", kiosk.CardInit{}); return err }
	lookup := func(h *kiosk.HTTPHost) error { _, err := h.Lookup(t.Context(), kiosk.CardInit{}); return err }
	resolve := func(h *kiosk.HTTPHost) error { _, err := h.Resolve(t.Context(), "L1", kiosk.Evidence{}); return err }
	authoriseCash := func(h *kiosk.HTTPHost) error {
		_, err := h.AuthoriseCash(t.Context(), "L1", kiosk.CashRequest{})
		return err
	}
	lookupCash := func(h *kiosk.HTTPHost) error {
		_, err := h.LookupCash(t.Context(), kiosk.CashRequest{})
		return err
	}
	end := func(h *kiosk.HTTPHost) error { _, err := h.End(t.Context(), "E1"); return err }
	cases := []struct {
		name   string
		status int
		body   string
		call   func(*kiosk.HTTPHost) error
	}{
		{"a fault", 500, `{"code":"internal"}`, order},
		{"out of service", 503, `{"code":"unavailable"}`, order},
		{"too many", 429, ``, order},
		{"a gateway's page", 502, `<html>`, order},
		{"a portal's page", 200, `<html>please log in</html>`, order},
		{"nothing", 200, ``, order},
		{"half", 200, goodOrder[:20], order},
		{"null", 200, `null`, order},
		{"an empty order", 200, `{}`, order},
		{"a state nobody knows", 200, `{"id":"L1","amount":"50.00","state":"lost"}`, order},
		{"an amount that is a number", 200, `{"id":"L1","amount":50,"state":"paid"}`, order},
		{"no amount", 200, `{"id":"L1","state":"paid"}`, order},
		{"too long", 200, goodOrder[:len(goodOrder)-1] + `,"x":"` + strings.Repeat("x", 1<<16) + `"}`, order},
		{"no MAC2", 200, `{}`, authorise},
		{"a short MAC2", 200, `{"date_time":"20261124120000","mac2":"0011","challenge":"112233445566"}`, authorise},
		{"MAC2 that is not hexadecimal", 200, `{"date_time":"20261124120000","mac2":"0011223X","challenge":"112233445566"}`, authorise},
		{"no challenge", 200, `{"date_time":"20261124120000","mac2":"00112233"}`, authorise},
		{"a card without a token", 200, `{}`, lookup},
		{"an open load without a challenge", 200, `{"token":"0123456789abcdef","open_load":{"order":"L1","amount":"50.00","online_counter":1}}`, lookup},
		{"no issuer's answer", 200, `{}`, authoriseCash},
		{"an answer without a script", 200, `{"issuer_authentication":"00112233445566773030"}`, authoriseCash},
		{"a script without a command", 200, `{"issuer_authentication":"00112233445566773030","script":"72079F180401020304"}`, authoriseCash},
		{"half a byte of a script", 200, `{"issuer_authentication":"00112233445566773030","script":"720"}`, authoriseCash},
		{"cash without a balance", 200, `{"token":"0123456789abcdef"}`, lookupCash},
		{"cash without a token", 200, `{"balance":"1.00"}`, lookupCash},
		{"an end without a state", 200, `{"id":"E1","card":"0123456789abcdef","due_at":"2026-12-01T12:00:00Z"}`, end},
		{"an end that tells no card", 200, `{"id":"E1","state":"requested","due_at":"2026-12-01T12:00:00Z"}`, end},
		{"a released end without its order", 200, `{"id":"E1","state":"released","card":"0123456789abcdef","amount":"1.00"}`, end},
		{"a released end of nothing", 200, `{"id":"E1","state":"released","card":"0123456789abcdef","amount":"0.00","load_order":"L1"}`, end},
		{"an outcome without a state", 200, `{"id":"L1"}`, resolve},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h, tries := answering(t, c.status, c.body)
			err := c.call(h)
			require.ErrorIs(t, err, kiosk.ErrUnavailable)
			require.False(t, kiosk.Decided(err))
			if c.name != "no amount" {
				require.Equal(t, 4, *tries)
			}
			require.NotContains(t, err.Error(), "log in", "what came back is not the kiosk's to repeat")
		})
	}
}

// TestNoRedirect: neither token nor card number goes to another address.
func TestNoRedirect(t *testing.T) {
	for _, status := range []int{301, 302, 307, 308} {
		h, tries := answering(t, status, "", "Location", "https://elsewhere.example/v1/cards/lookup")
		_, err := h.Lookup(t.Context(), kiosk.CardInit{})
		require.ErrorIs(t, err, kiosk.ErrRequest)
		require.ErrorContains(t, err, "check the backend's address")
		require.Equal(t, 1, *tries)
	}
}

// TestWhatIsSent looks at one request.
func TestWhatIsSent(t *testing.T) {
	h, _ := answering(t, 200, goodOrder)
	next := h.Client.Transport
	var seen *http.Request
	h.Client.Transport = roundTrip(func(req *http.Request) (*http.Response, error) { seen = req; return next.RoundTrip(req) })
	_, err := h.CreateOrder(t.Context(), "sale-1", fifty)
	require.NoError(t, err)
	require.Equal(t, "https://backend.example/purse/v1/loads", seen.URL.String())
	require.Equal(t, "Bearer pl1_token", seen.Header.Get("Authorization"))
	require.Equal(t, "sale-1", seen.Header.Get("Idempotency-Key"))
	require.Equal(t, "application/json", seen.Header.Get("Content-Type"))
	body, err := io.ReadAll(seen.Body)
	require.NoError(t, err)
	require.JSONEq(t, `{"amount":"50.00"}`, string(body))
}

// TestPausesGrow: the default pause doubles.
func TestPausesGrow(t *testing.T) {
	h, err := kiosk.NewHTTPHost("https://backend.example", "pl1_token")
	require.NoError(t, err)
	require.Equal(t, []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second}, []time.Duration{h.Wait(2), h.Wait(3), h.Wait(4)})
	require.Less(t, h.Wait(1000), time.Minute)
}

// FuzzAnswer gives the host any answer: it is an error, or it holds what the caller needs.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{goodOrder, `{}`, `{"token":"0123456789abcdef","open_load":{"order":"L1","amount":"50.00","online_counter":1,"challenge":"112233445566"}}`,
		`{"date_time":"20261124120000","mac2":"00112233","challenge":"112233445566"}`, `{"token":"0123456789abcdef","balance":"1.00","open_load":"L1"}`,
		`{"issuer_authentication":"00112233445566773030","script":"720F9F1804010203048606841E00000401"}`, `{"code":"state"}`,
		`{"payment":"O01M89HQRXEXCYXMR9HQ673JQ02","amount":"50.00","way":"wechat","state":"waiting","qr":"weixin://1","expires_at":"2026-11-25T12:00:00Z"}`, `{"payment":"O1","amount":"1.00","state":"paid","load":"../x"}`,
		`{"id":"E1","kind":"cash","state":"released","card":"0123456789abcdef","amount":"1.00","load_order":"L1"}`, `{"id":"E1","state":"released","card":"0","amount":"1.00","load_order":"../x"}`,
		`{"currency":"CNY","max_amount":"500.00","max_balance":"1000.00","ways":["wechat"]}`} {
		f.Add(200, []byte(seed))
		f.Add(422, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		h, _ := answering(t, status, string(body))
		h.Tries = 1
		if o, err := h.Order(t.Context(), "L1"); err == nil {
			require.NotEmpty(t, o.ID)
			require.Positive(t, o.Amount.Sign())
			require.NotEmpty(t, o.State)
		}
		if a, err := h.Authorise(t.Context(), "L1", kiosk.CardInit{}); err == nil {
			require.NotZero(t, a.DateTime)
			require.NotZero(t, a.Challenge)
		}
		if i, err := h.Lookup(t.Context(), kiosk.CardInit{}); err == nil {
			require.NotEmpty(t, i.Token)
		}
		if i, err := h.LookupCash(t.Context(), kiosk.CashRequest{}); err == nil {
			require.NotEmpty(t, i.Token)
		}
		if a, err := h.AuthoriseCash(t.Context(), "L1", kiosk.CashRequest{}); err == nil {
			_, commands, err := ec.ParseScript(a.Script)
			require.NoError(t, err)
			require.NotEmpty(t, commands)
		}
		if e, err := h.End(t.Context(), "E1"); err == nil {
			require.NotEmpty(t, e.Token)
			require.False(t, e.State == kiosk.EndReleased && (e.Load == "" || e.Amount.Sign() <= 0))
			require.NotContains(t, e.Load, "/")
		}
		if s, err := h.Sale(t.Context(), "O1"); err == nil {
			require.NotEmpty(t, s.Payment)
			require.Positive(t, s.Amount.Sign())
			require.False(t, s.State == kiosk.SaleWaiting && s.QR == "" || s.State == kiosk.SalePaid && s.Load == "")
			require.NotContains(t, s.Load+s.Payment, "/")
		}
		if o, err := h.Offer(t.Context()); err == nil {
			require.NotEmpty(t, o.Ways)
			require.Positive(t, o.MaxAmount.Sign())
		}
	})
}
