package page_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/browsertest"
	"github.com/purselane/purselane/internal/money"
)

// bench is a browser before a kiosk.
type bench struct {
	*town
	browser context.Context
	dir     string
	keep    bool // pictures
}

func newBench(t *testing.T) *bench { return benchIn(t, newTown(t)) }

func benchIn(t *testing.T, w *town) *bench {
	b := &bench{town: w, browser: browsertest.Chromium(t), dir: os.Getenv("PURSELANE_ARTIFACTS")}
	b.keep = b.dir != ""
	if b.dir == "" {
		b.dir = t.TempDir()
	}
	require.NoError(t, os.MkdirAll(b.dir, 0o755))
	return b
}

// Screens that kiosks have: upright, and lying.
var upright, lying = [2]int64{1080, 1920}, [2]int64{1280, 800}

func (b *bench) open(language string, size [2]int64) {
	b.t.Helper()
	b.size(size)
	require.NoError(b.t, chromedp.Do(b.browser, chromedp.Navigate(b.url+"/?lang="+language)))
}

func (b *bench) size(size [2]int64) {
	b.t.Helper()
	_, err := chromedp.Call(b.browser, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: size[0], Height: size[1], DeviceScaleFactor: 1})
	require.NoError(b.t, err)
}

// see waits until the page is in a state and shows a text.
func (b *bench) see(state, text string) {
	b.t.Helper()
	want := fmt.Sprintf(`document.body.dataset.state === %q && document.body.innerText.includes(%q)`, state, text)
	if _, err := chromedp.Run(b.browser, chromedp.Poll[bool](want, chromedp.WithPollingTimeout(30*time.Second))); err != nil {
		raw, shotErr := chromedp.Run(b.browser, chromedp.FullScreenshot(100))
		if shotErr == nil {
			_ = os.WriteFile(filepath.Join(b.dir, "kiosk-failed.png"), raw, 0o644)
		}
		is, _ := chromedp.Run(b.browser, chromedp.Evaluate[string](`document.body.dataset.state + ": " + document.body.innerText`))
		b.t.Fatalf("the page does not come to state %s with %q, it is %q: %v", state, text, is, err)
	}
}

// shoot checks the page in both sizes, and keeps pictures of it where PURSELANE_ARTIFACTS says.
func (b *bench) shoot(name string) {
	b.t.Helper()
	for _, size := range []struct {
		name string
		of   [2]int64
	}{{"upright", upright}, {"lying", lying}} {
		b.size(size.of)
		if b.keep {
			raw, err := chromedp.Run(b.browser, chromedp.FullScreenshot(100))
			require.NoError(b.t, err)
			require.NoError(b.t, os.WriteFile(filepath.Join(b.dir, "kiosk-"+name+"-"+size.name+".png"), raw, 0o644))
		}
		faults, err := chromedp.Run(b.browser, chromedp.Evaluate[string](wellMade))
		require.NoError(b.t, err)
		require.Empty(b.t, faults, "%s, %s", name, size.name)
	}
	b.size(upright)
}

// wellMade names what is cut off, lies over something else, is too small for a finger, or too faint to be read.
const wellMade = `(() => {
	const out = [];
	if (document.documentElement.scrollWidth > innerWidth) out.push("scrolls sideways");
	const seen = [...document.querySelectorAll("h1,p,dd,dt,button,figure,img,figcaption,footer span")].filter(e => e.checkVisibility() && e.getBoundingClientRect().height > 0 && (e.textContent || e.src));
	for (const e of seen) {
		const r = e.getBoundingClientRect(), what = e.tagName + " " + (e.id || e.textContent);
		if (r.top < -1 || r.left < -1 || r.bottom > innerHeight + 1 || r.right > innerWidth + 1) out.push("cut off: " + what);
		if (e.tagName === "BUTTON" && (r.height < 60 || r.width < 60)) out.push("too small for a finger: " + what);
		for (const o of seen) {
			const q = o.getBoundingClientRect();
			if (o !== e && !o.contains(e) && !e.contains(o) && r.left < q.right - 1 && q.left < r.right - 1 && r.top < q.bottom - 1 && q.top < r.bottom - 1) out.push("lie over each other: " + what + " and " + (o.id || o.textContent));
		}
	}
	const lum = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
	const rgb = s => s.match(/[\d.]+/g).map(Number);
	for (const e of seen.filter(e => e.textContent && !e.disabled)) {
		let back = [0, 0, 0];
		const above = [];
		for (let n = e; n; n = n.parentElement) above.unshift(rgb(getComputedStyle(n).backgroundColor));
		for (const [r, g, b, a = 1] of above) back = back.map((v, i) => v * (1 - a) + [r, g, b][i] * a);
		const [x, y] = [lum(rgb(getComputedStyle(e).color).slice(0, 3)), lum(back)].sort((p, q) => q - p);
		if ((x + .05) / (y + .05) < 4.5) out.push("too faint: " + (e.id || e.textContent) + " " + ((x + .05) / (y + .05)).toFixed(1));
	}
	return out.join("; ");
})()`

// touch touches a button with a text.
func (b *bench) touch(text string) {
	b.t.Helper()
	done, err := chromedp.Run(b.browser, chromedp.Poll[bool](fmt.Sprintf(`(() => { const b = [...document.querySelectorAll("button")].find(b => b.textContent === %q && !b.disabled); b?.click(); return !!b; })()`, text),
		chromedp.WithPollingTimeout(30*time.Second)))
	require.NoError(b.t, err, "button %q", text)
	require.True(b.t, done)
}

func TestATopUpInABrowser(t *testing.T) {
	b := newBench(t)
	b.start(patience())
	b.open("en", upright)
	b.see("idle", "Hold your card on the reader")
	b.shoot("idle-en")
	b.hold(mine)
	b.see("amount", "¥0.00")
	b.shoot("amount-en")
	b.take()
	b.touch("¥50.00")
	b.see("way", "WeChat Pay")
	b.shoot("way-en")
	b.touch("WeChat Pay")
	b.see("qr", "Scan to pay")
	b.shoot("qr-en")
	b.pays()
	b.see("hold", "Paid. Hold the same card")
	b.shoot("hold-en")
	b.hold(mine)
	b.see("done", "¥50.00")
	b.see("done", "It is on your card.")
	b.shoot("done-en")
	b.take()
	b.touch("OK")
	b.see("idle", "Hold your card on the reader")
	b.requireBooks(mine, money.Minor(50_00))

	// The same rider in Chinese, with Alipay, and the card left lying on the reader.
	b.touch("中文")
	b.see("idle", "请把卡放在读卡区")
	b.shoot("idle-zh")
	b.hold(mine)
	b.see("amount", "¥50.00")
	b.shoot("amount-zh")
	b.touch("¥100.00")
	b.see("way", "支付宝")
	b.shoot("way-zh")
	b.touch("支付宝")
	b.see("qr", "请扫码付款")
	b.shoot("qr-zh")
	b.pays()
	b.see("done", "¥150.00")
	b.shoot("done-zh")
	b.touch("确定")
	b.see("idle", "请把卡放在读卡区")
	b.requireBooks(mine, money.Minor(150_00))
	require.Empty(t, b.left())
}
