package outside_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/risk/identity"
	"github.com/purselane/purselane/backend/risk/outside"
	"github.com/purselane/purselane/backend/risk/stepup"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
)

var key = []byte("0123456789abcdef0123456789abcdef")

// answers starts a service that wants our signature and says one thing.
func answers(t *testing.T, status int, said string) (*outside.Service, *string) {
	asked := new(string)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		check, err := standardwebhooks.NewWebhookRaw(key)
		require.NoError(t, err)
		if check.Verify(body, r.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		*asked = string(body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, said)
	}))
	t.Cleanup(web.Close)
	s, err := outside.New(web.URL, key, time.Second, clock.System{})
	require.NoError(t, err)
	return s, asked
}

func TestACodeIsSent(t *testing.T) {
	s, asked := answers(t, 204, "")
	m := stepup.Message{App: "a", Order: "O", Payment: "P", Payer: "x", Amount: money.Minor(1001), Currency: "CNY", Code: "123456", Until: 7}
	require.NoError(t, s.Send(t.Context(), m))
	var got stepup.Message
	require.NoError(t, json.Unmarshal([]byte(*asked), &got))
	require.Equal(t, m, got)
	require.Contains(t, *asked, `"amount":"10.01"`)

	s, _ = answers(t, 503, "123456")
	require.EqualError(t, s.Send(t.Context(), m), "the service answered 503")
}

func TestWhoSomebodyIs(t *testing.T) {
	p := identity.Person{Name: "ann", Number: "310", Card: "6222", Phone: "139"}
	for _, c := range []struct {
		status int
		said   string
		want   identity.Answer
		says   string
	}{
		{200, `{"answer": "match"}`, identity.Match, ""},
		{200, `{"answer": "mismatch"}`, identity.Mismatch, ""},
		{200, `{"answer": "not-in-database"}`, identity.NotInDatabase, ""},
		{200, `{"fault": "QUOTA"}`, 0, "QUOTA"},
		{200, `{"answer": "perhaps"}`, 0, ""},
		{200, `ann 310`, 0, "no JSON of the agreed form"},
		{500, `{"answer": "match"}`, 0, "500"},
	} {
		s, asked := answers(t, c.status, c.said)
		a, err := s.Verify(t.Context(), p)
		require.Equal(t, c.want, a, c.said)
		require.JSONEq(t, `{"name": "ann", "number": "310", "card": "6222", "phone": "139"}`, *asked)
		if c.want != 0 {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, c.says)
		require.NotContains(t, err.Error(), "310")
	}
}

func TestAServiceThatIsNotThere(t *testing.T) {
	for _, bad := range []string{"", "codes.example.org", "ftp://codes.example.org", "http://"} {
		_, err := outside.New(bad, key, time.Second, clock.System{})
		require.Error(t, err, bad)
	}
	_, err := outside.New("https://codes.example.org", key[:8], time.Second, clock.System{})
	require.Error(t, err)
	s, err := outside.New("http://127.0.0.1:1/secret-path", key, time.Second, clock.System{})
	require.NoError(t, err)
	err = s.Send(t.Context(), stepup.Message{Code: "123456"})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "123456")
	require.NotContains(t, err.Error(), "secret-path")
}

// FuzzAnswer: whatever a service says is an answer or an error, and never a match that it did not say.
func FuzzAnswer(f *testing.F) {
	f.Add(`{"answer": "match"}`)
	f.Add(`{"answer": "MATCH", "fault": "x"}`)
	f.Add(`[`)
	said := ""
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, said) }))
	f.Cleanup(web.Close)
	s, err := outside.New(web.URL, key, time.Second, clock.System{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		said = answer
		a, err := s.Verify(t.Context(), identity.Person{Name: "n", Number: "1"})
		if (a == 0) == (err == nil) {
			t.Fatalf("answer %v, error %v", a, err)
		}
		if a == identity.Match && !strings.Contains(answer, "match") && !strings.Contains(answer, `\u`) {
			t.Fatalf("%q is no match", answer)
		}
	})
}
