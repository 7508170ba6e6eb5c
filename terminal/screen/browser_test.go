package screen_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/browsertest"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/api"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/screen"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// shop is a terminal whose till waits for a card until the test presents one.
type shop struct {
	mu    sync.Mutex
	sales map[string]edge.Sale
	asked chan string // requests as they come
	card  chan tap.Outcome
	out   string
}

func (s *shop) Charge(ctx context.Context, _ int, amount money.Amount, request string) (tap.Result, error) {
	s.asked <- request
	select {
	case o := <-s.card:
		r := tap.Result{Outcome: o, Amount: amount, Balance: money.Minor(4250), Reason: "nothing taken: balance 0.50, amount 12.50"}
		states := map[tap.Outcome]wire.State{tap.Granted: wire.State_STATE_COMPLETED, tap.PresentAgain: wire.State_STATE_UNKNOWN}
		if state, kept := states[o]; kept {
			s.mu.Lock()
			s.sales[request] = edge.Sale{Request: request, State: state, Amount: amount, Balance: r.Balance, Tap: ids.TapID{Terminal: "shop-1", Epoch: 1, Tap: 1}}
			s.mu.Unlock()
		}
		return r, nil
	case <-ctx.Done():
		return tap.Result{Outcome: tap.PresentAgain}, ctx.Err()
	}
}

func (s *shop) Sale(request string) (edge.Sale, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sale, found := s.sales[request]
	return sale, found, nil
}

func (s *shop) Health() (api.Health, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return api.Health{Version: 1, Terminal: "shop-1", InUse: s.out == "", Reason: s.out}, nil
}

func (s *shop) Export(io.Writer, uint64) (uint64, error) { return 0, nil }
func (s *shop) Restart(int) error                        { return nil }

// bench is a browser before a terminal.
type bench struct {
	t    *testing.T
	ctx  context.Context
	shop *shop
	hub  *api.Hub
	door http.Handler
	url  string
	dir  string
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, ctx: browsertest.Chromium(t), hub: api.NewHub([]string{"bus-flat", "sale"}), dir: os.Getenv("PURSELANE_ARTIFACTS")}
	b.shop = &shop{sales: map[string]edge.Sale{}, asked: make(chan string, 10), card: make(chan tap.Outcome)}
	b.door = api.New(api.Options{Terminal: b.shop, Hub: b.hub, Log: slog.New(slog.DiscardHandler), Screens: screen.New(screen.Default())})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.door.ServeHTTP(w, r) }))
	t.Cleanup(server.CloseClientConnections) // open streams do not end by themselves
	b.url = server.URL
	if b.dir == "" {
		b.dir = t.TempDir()
	}
	require.NoError(t, os.MkdirAll(b.dir, 0o755))
	return b
}

func (b *bench) open(path string, width, height int64) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
	require.NoError(b.t, err)
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.Navigate(b.url+path)))
}

// see waits until the page is in a state and shows a text.
func (b *bench) see(state, text string) {
	b.t.Helper()
	want := fmt.Sprintf(`document.body.dataset.state === %q && document.body.innerText.includes(%q)`, state, text)
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool](want, chromedp.WithPollingTimeout(30*time.Second))); err != nil {
		raw, shotErr := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
		if shotErr == nil {
			_ = os.WriteFile(filepath.Join(b.dir, "screen-failed.png"), raw, 0o644)
		}
		b.t.Fatalf("the page does not come to state %s with %q: %v", state, text, err)
	}
}

// shoot keeps a picture of the page and checks that nothing on it is cut off.
func (b *bench) shoot(name string) {
	b.t.Helper()
	fits, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth <= innerWidth &&
		[...document.querySelectorAll("h1,h2,dd,button")].filter(e => e.checkVisibility()).every(e => { const r = e.getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight + 1 && r.left >= 0 && r.right <= innerWidth + 1; })`))
	require.NoError(b.t, err)
	raw, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(b.dir, "screen-"+name+".png"), raw, 0o644))
	require.True(b.t, fits, "something is cut off on %s", name)
}

func (b *bench) happens(lane int, o tap.Outcome, amount, balance int64, reason string) {
	r := tap.Result{Outcome: o, Amount: money.Minor(amount), Balance: money.Minor(balance), Reason: reason, Card: ids.CardNumber{9: 0x34}}
	if o.Pass() {
		r.Tap = ids.TapID{Terminal: "bus-1", Epoch: 1, Tap: 1}
	}
	b.hub.Show(edge.Event{Lane: lane, At: time.Now(), Result: r, Pattern: o.Pattern(firmwareconfig.Sample())})
}

func TestValidatorInABrowser(t *testing.T) {
	b := newBench(t)
	b.open("/?lang=en", 1280, 800)
	b.see("idle", "Present your card")
	b.shoot("validator-idle-en")
	b.hub.Show(edge.Event{Lane: 0, At: time.Now(), Card: true})
	b.see("card", "Hold the card still")
	b.happens(0, tap.Granted, 200, 4250, "")
	b.see("green", "42.50")
	b.shoot("validator-granted-en")
	b.see("idle", "Present your card") // by itself
	b.happens(1, tap.RefusedBlocked, 0, 0, "another lane's")
	b.happens(0, tap.PresentAgain, 0, 0, "nothing taken")
	b.see("amber", "请再刷同一张卡")
	b.shoot("validator-again-en")
	for o := tap.Granted; o < tap.OutOfService; o++ {
		b.happens(0, o, 200, 1250, "reason of "+o.String())
		b.see(o.Pattern(firmwareconfig.Sample()).Light, screen.Default()["en"][o.String()])
		b.shoot("validator-" + o.String() + "-en")
	}
	b.hub.Show(edge.Event{Lane: edge.AllLanes, At: time.Now(), Result: tap.Result{Outcome: tap.OutOfService, Reason: "SAM: card gone"}, Pattern: tap.OutOfService.Pattern(firmwareconfig.Sample())})
	b.see("off", "SAM: card gone")
	b.shoot("validator-out-en")
	b.hub.Show(edge.Event{Lane: edge.AllLanes, At: time.Now(), Ready: true})
	b.see("idle", "Present your card")

	b.open("/?lang=zh", 480, 800)
	b.see("idle", "请刷卡")
	b.happens(0, tap.GrantedLow, 200, 150, "")
	b.see("green", "1.50")
	b.shoot("validator-low-zh-narrow")
	b.happens(0, tap.RefusedBalance, 0, 0, "nothing taken: balance 0.50")
	b.see("red", "余额不足")
	b.shoot("validator-refused-zh-narrow")

	b.open("/gate?lang=zh&second=", 1024, 600)
	b.see("idle", "请刷卡")
	b.happens(0, tap.Granted, 450, 2000, "")
	b.see("green", "请通行")
	b.shoot("gate-granted-zh")
}

func TestAPageThatLostTheTerminalSaysSo(t *testing.T) {
	b := newBench(t)
	b.shop.out = "profile 3 expired"
	b.open("/?lang=en", 1280, 800)
	b.see("off", "profile 3 expired")
	b.shop.mu.Lock()
	b.shop.out = ""
	b.shop.mu.Unlock()
	b.hub.Show(edge.Event{Lane: edge.AllLanes, At: time.Now(), Ready: true})
	b.see("idle", "Present your card")
}

// press types as a cashier does: when the till takes keys, and Enter when it can be asked.
func (b *bench) press(keys string) {
	b.t.Helper()
	takes := `!asking && document.getElementById("pad").children.length > 0`
	if keys == kb.Enter {
		takes = `!document.getElementById("sell").disabled`
	}
	_, err := chromedp.Run(b.ctx, chromedp.Poll[bool](takes, chromedp.WithPollingTimeout(30*time.Second)))
	require.NoError(b.t, err, "the till does not take %q", keys)
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.KeyEvent(keys)))
}

// asked is the name of the next sale that the page asks for.
func (b *bench) asked() string {
	b.t.Helper()
	select {
	case request := <-b.shop.asked:
		return request
	case <-time.After(30 * time.Second): // else a page that does not ask would hold the whole run
		b.t.Fatal("the page has not asked for the sale")
		return ""
	}
}

// TestATillWhoseScriptIsSlow: what makes the page a till comes late, and the page does not begin without it.
func TestATillWhoseScriptIsSlow(t *testing.T) {
	b := newBench(t)
	watches := make(chan struct{}) // the page has begun
	begun := sync.OnceFunc(func() { close(watches) })
	quick := b.door
	b.door = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/static/till.js" {
			select {
			case <-watches:
			case <-time.After(time.Second): // the page waits
			}
		}
		if r.URL.Path == "/v1/events" {
			begun()
		}
		quick.ServeHTTP(w, r)
	})
	b.open("/till?lang=en&lane=1", 1280, 800)
	b.see("idle", "Present your card")
	b.press("1250")
	b.see("idle", "12.50")
}

func TestTillInABrowser(t *testing.T) {
	b := newBench(t)
	b.open("/till?lang=en&lane=1", 1280, 800)
	b.see("idle", "Present your card")
	b.press("1250")
	b.shoot("till-amount-en")
	b.press(kb.Enter)
	request := b.asked()
	b.see("card", "Waiting for a card")
	b.shoot("till-waiting-en")
	b.shop.card <- tap.Granted
	b.see("green", "Paid")
	b.see("green", "42.50")
	b.shoot("till-paid-en")

	// Refused: the next sale has another name.
	b.press("300")
	b.press(kb.Enter)
	next := b.asked()
	require.NotEqual(t, request, next)
	b.shop.card <- tap.RefusedBalance
	b.see("red", "nothing taken")
	b.shoot("till-refused-en")

	// The card leaves: whatever happens to the browser, the sale keeps its name until its outcome is known.
	b.press("999")
	b.press(kb.Enter)
	torn := b.asked()
	b.shop.card <- tap.PresentAgain
	b.see("amber", "present the same card")
	b.shoot("till-unknown-en")
	b.open("/till?lang=zh&lane=1", 600, 1024)
	b.see("amber", "9.99")
	b.shoot("till-unknown-zh-narrow")
	b.press("777") // no new amount while one is open
	b.press(kb.Enter)
	require.Equal(t, torn, b.asked())
	b.shop.mu.Lock()
	delete(b.shop.sales, torn)
	b.shop.mu.Unlock()
	b.shop.card <- tap.Granted
	b.see("green", "已支付")

	// A rider who left for good does not stop the shop.
	b.press("500")
	b.press(kb.Enter)
	gone := b.asked()
	b.shop.card <- tap.PresentAgain
	b.see("amber", "5.00")
	require.NoError(t, chromedp.Do(b.ctx, chromedp.Click(chromedp.CSS("#leave"))))
	b.see("idle", "请刷卡")
	b.press("100")
	b.press(kb.Enter)
	require.NotEqual(t, gone, b.asked())
	b.shop.card <- tap.Granted
	b.see("green", "已支付")
}
