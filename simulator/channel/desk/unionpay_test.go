package desk_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/clock"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/desk"
	"github.com/purselane/purselane/simulator/channel/unionpay"
)

var unionKeys = sync.OnceValues(func() (*unionpay.PKI, error) { return unionpay.NewPKI(time.Now()) })

func unionPage(t testing.TB) http.Handler {
	pki, err := unionKeys()
	require.NoError(t, err)
	return desk.UnionPayPage(unionpay.New(unionpay.Config{PKI: pki, Merchant: "777290058110048", Clock: clock.System{}, Weather: sim.NewWeather(1)}), "6226090000000048")
}

// FuzzUnionPayPage: whatever a browser sends is answered, and nobody's text is taken for a part of the page.
func FuzzUnionPayPage(f *testing.F) {
	f.Add("orderId=1&txnAmt=5&frontUrl=https%3A%2F%2Fshop.example")
	f.Add("purselane_form=orderId%3D1&card=6226090000000048")
	f.Add("orderId=%3Cscript%3E&orderId=2")
	page := unionPage(f)
	f.Fuzz(func(t *testing.T, body string) {
		rec := httptest.NewRecorder()
		page.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/gateway/api/frontTransReq.do", strings.NewReader(body)))
		if rec.Code >= 500 || strings.Contains(rec.Body.String(), "<script") {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
	})
}

// TestUnionPayPageOfAForgery: a form that UnionPay's merchant has not signed buys nothing, and a link back that is no web address is none.
func TestUnionPayPageOfAForgery(t *testing.T) {
	for name, form := range map[string]url.Values{
		"unsigned":    {"orderId": {"1"}, "txnAmt": {"5"}, "frontUrl": {"javascript:alert(1)"}},
		"long":        {"orderId": {strings.Repeat("1", 20<<10)}},
		"twice":       {"orderId": {"1", "2"}},
		"no such one": {"card": {"1"}},
	} {
		t.Run(name, func(t *testing.T) {
			body := url.Values{"purselane_form": {form.Encode()}, "card": {"6226090000000048"}}.Encode()
			rec := httptest.NewRecorder()
			unionPage(t).ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/gateway/api/frontTransReq.do", strings.NewReader(body)))
			require.NotContains(t, rec.Body.String(), "Confirmed.")
			require.NotContains(t, rec.Body.String(), `href="javascript:`)
		})
	}
}
