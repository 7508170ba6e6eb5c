package page_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/kiosk/page"
	"github.com/purselane/purselane/terminal/kiosk/session"
)

// deaf is a kiosk that shows one view and notes what is said.
type deaf struct{ said []session.Choice }

func (d *deaf) Now() (session.View, <-chan struct{}) { return session.View{State: session.Idle}, nil }
func (d *deaf) Say(c session.Choice)                 { d.said = append(d.said, c) }

func TestWhoMayChoose(t *testing.T) {
	for _, c := range []struct {
		name, host, origin, kind, body string
		status                         int
	}{
		{"the page", "127.0.0.1:8811", "http://127.0.0.1:8811", "application/json", `{"seq":3,"choice":"amount-chosen","amount":"50.00"}`, 204},
		{"a tool of this machine", "localhost:8811", "", "application/json", `{"seq":3,"choice":"amount-chosen","amount":"50.00"}`, 204},
		{"a page of another site", "127.0.0.1:8811", "https://evil.example", "application/json", `{"choice":"finish"}`, 403},
		{"a name that points here", "evil.example", "http://evil.example", "application/json", `{"choice":"finish"}`, 403},
		{"a form", "127.0.0.1:8811", "", "application/x-www-form-urlencoded", `choice=finish`, 415},
		{"no choice", "127.0.0.1:8811", "", "application/json", `{}`, 400},
		{"an unknown field", "127.0.0.1:8811", "", "application/json", `{"choice":"finish","card":"1"}`, 400},
		{"an amount that is none", "127.0.0.1:8811", "", "application/json", `{"choice":"amount-chosen","amount":5}`, 400},
		{"two", "127.0.0.1:8811", "", "application/json", `{"choice":"finish"}{"choice":"finish"}`, 400},
		{"too long", "127.0.0.1:8811", "", "application/json", `{"choice":"` + strings.Repeat("f", 2000) + `"}`, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := &deaf{}
			h, err := page.New(k, "en", page.Default())
			require.NoError(t, err)
			r := httptest.NewRequest(http.MethodPost, "/choice", strings.NewReader(c.body))
			r.Host = c.host
			r.Header.Set("Content-Type", c.kind)
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, c.status, w.Code)
			if c.status != 204 {
				require.Empty(t, k.said)
				return
			}
			require.Equal(t, []session.Choice{{Seq: 3, Choice: session.AmountChosen, Amount: money.Minor(50_00)}}, k.said)
		})
	}
}

func TestThePageIsOfThisMachineAlone(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", "192.0.2.1:80", "kiosk.example:80", "8811"} {
		_, err := page.Listen(address)
		require.Error(t, err, address)
	}
	l, err := page.Listen("127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = page.New(&deaf{}, "fr", page.Default())
	require.ErrorContains(t, err, `"fr"`)
}

// TestEveryScreenHasItsWords: in each language, for each state, place of money and choice.
func TestEveryScreenHasItsWords(t *testing.T) {
	all := page.Default()
	for language, words := range all {
		for _, s := range session.States() {
			require.NotEmpty(t, words["title."+string(s)], "%s: %s", language, s)
			require.NotEmpty(t, words["text."+string(s)], "%s: %s", language, s)
			require.NotEmpty(t, words["money."+string(session.PlaceOf(s))], "%s: %s", language, s)
			for _, c := range session.Choices(s) {
				if c != session.AmountChosen && c != session.WayChosen {
					require.NotEmpty(t, words["choice."+string(c)], "%s: %s", language, c)
				}
			}
		}
		for key := range words {
			require.NotEmpty(t, all["en"][key], "only in %s: %s", language, key)
		}
		require.Len(t, words, len(all["en"]), language)
	}
}

// FuzzChoice: whatever a page sends, it is one choice or refused.
func FuzzChoice(f *testing.F) {
	for _, s := range []string{`{"seq":1,"choice":"finish"}`, `{"choice":"amount-chosen","amount":"50.00"}`, `{"choice":"way-chosen","way":"wechat"}`, `{"amount":null}`, `[]`, "{\"choice\":\"\x00\"}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		k := &deaf{}
		h, err := page.New(k, "zh", page.Default())
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodPost, "/choice", strings.NewReader(body))
		r.Host = "127.0.0.1"
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, w.Code == http.StatusNoContent, len(k.said) == 1, body)
	})
}
