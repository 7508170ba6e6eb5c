package client_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/app/sign"
	"github.com/purselane/purselane/backend/gateway/client"
	"github.com/purselane/purselane/internal/clock"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// TestTheGatewayTakesWhatIsSigned: every kind of request, each sent twice, and never one that somebody else signs.
func TestTheGatewayTakesWhatIsSigned(t *testing.T) {
	address, keyID, text, stop, err := verifier(t.TempDir())
	require.NoError(t, err)
	defer stop()
	secret, err := sign.ParseSecret(text)
	require.NoError(t, err)
	c := &http.Client{Transport: &client.Signer{App: "shop", KeyID: keyID, Key: secret}}
	for _, r := range []struct{ method, path, body string }{
		{"", "", ""}, {"GET", "/orders/a%2Fb?at=x+y&at=%E6%B7%B1", ""}, {"POST", "/orders", `{"a":1}`}, {"DELETE", "/a~b/(c)?", ""}, {"PUT", "/%7Ea?a=&b", "\x00\xff"},
	} {
		for range 2 {
			var body io.Reader
			if r.body != "" {
				body = io.MultiReader(strings.NewReader(r.body)) // of unknown length
			}
			req, err := http.NewRequest(r.method, address+r.path, body)
			require.NoError(t, err)
			resp, err := c.Do(req)
			require.NoError(t, err)
			said, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			resp.Body.Close()
			require.Equal(t, http.StatusOK, resp.StatusCode, string(said))
			require.Empty(t, req.Header.Get("Authorization"), "the caller's request stays as it is")
		}
	}
	c.Transport = &client.Signer{App: "shop", KeyID: keyID, Key: sign.NewSecret()}
	resp, err := c.Get(address)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
}

type failing struct{ closed bool }

func (f *failing) Read([]byte) (int, error) { return 0, errors.New("torn") }
func (f *failing) Close() error             { f.closed = true; return nil }

func TestWhatCannotBeSignedIsNotSent(t *testing.T) {
	sent := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent++
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	s := &client.Signer{App: "shop", KeyID: "K1", Key: sign.NewSecret(), MaxBody: 4, Clock: clock.NewManual(noon)}
	c := &http.Client{Transport: s}
	post := func(body io.Reader) error {
		resp, err := c.Post(server.URL, "text/plain", body)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	require.ErrorIs(t, post(strings.NewReader("12345")), client.ErrBody)
	torn := &failing{}
	require.ErrorContains(t, post(torn), "torn")
	require.True(t, torn.closed)
	s.App = "two words"
	require.ErrorIs(t, post(strings.NewReader("1")), sign.ErrRequest)
	s.App, s.Key = "shop", nil
	require.ErrorIs(t, post(strings.NewReader("1")), sign.ErrKey)
	require.Zero(t, sent)
	s.Key = sign.NewSecret()
	require.ErrorIs(t, post(strings.NewReader("1234")), client.ErrRedirect)
	require.Equal(t, 1, sent)
}

const (
	oldSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	newSecret = "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
)

func signed(t *testing.T, secret string, at time.Time, body string) http.Header {
	w, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	signature, err := w.Sign("evt_1", at, []byte(body))
	require.NoError(t, err)
	h := http.Header{}
	h.Set("webhook-id", "evt_1")
	h.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set("webhook-signature", signature)
	return h
}

func TestAWebhookIsVerified(t *testing.T) {
	r, err := client.NewReceiver(clock.NewManual(noon), oldSecret, newSecret)
	require.NoError(t, err)
	body := `{"type":"payment.paid","timestamp":"2026-11-25T11:00:00Z","data":{"order":"1"}}`
	for _, secret := range []string{oldSecret, newSecret} {
		for _, off := range []time.Duration{-5 * time.Minute, 0, 5 * time.Minute} {
			e, err := r.Verify(signed(t, secret, noon.Add(off), body), []byte(body))
			require.NoError(t, err)
			require.Equal(t, client.Event{ID: "evt_1", Type: "payment.paid", Timestamp: noon.Add(-time.Hour), Data: []byte(`{"order":"1"}`)}, e)
		}
	}
	for _, off := range []time.Duration{-5*time.Minute - time.Second, 5*time.Minute + time.Second} {
		_, err := r.Verify(signed(t, oldSecret, noon.Add(off), body), []byte(body))
		require.ErrorIs(t, err, client.ErrWebhookTime)
	}
	good := signed(t, oldSecret, noon, body)
	_, err = r.Verify(good, bytes.Replace([]byte(body), []byte("1"), []byte("2"), 1))
	require.ErrorIs(t, err, client.ErrWebhook)
	for _, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
		for _, v := range []string{"", "1", "v1,AAAA"} {
			h := good.Clone()
			h.Set(name, v)
			_, err := r.Verify(h, []byte(body))
			require.ErrorIs(t, err, client.ErrWebhook, name)
		}
	}
	_, err = r.Verify(signed(t, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", noon, body), []byte(body))
	require.ErrorIs(t, err, client.ErrWebhook)
	for _, odd := range []string{"", "[]", `{"data":1}`} {
		_, err = r.Verify(signed(t, oldSecret, noon, odd), []byte(odd))
		require.ErrorIs(t, err, client.ErrWebhookBody, odd)
	}
	for _, bad := range [][]string{nil, {""}, {"whsec_"}, {"whsec_AAAA"}, {oldSecret[6:]}, {oldSecret, "whsec_!"}} {
		_, err := client.NewReceiver(nil, bad...)
		require.Error(t, err, bad)
	}
}

func FuzzReceiver(f *testing.F) {
	f.Add("evt_1", "1795608000", "v1,AAAA", []byte(`{"type":"a","data":1}`))
	f.Add("", "x", "v1", []byte(nil))
	r, err := client.NewReceiver(clock.NewManual(noon), oldSecret)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, id, at, signature string, body []byte) {
		h := http.Header{}
		h.Set("webhook-id", id)
		h.Set("webhook-timestamp", at)
		h.Set("webhook-signature", signature)
		_, err := r.Verify(h, body)
		require.ErrorIs(t, err, client.ErrWebhook)
	})
}
