package console

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/cases"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/browsertest"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// city is a real store with a morning in it: loads in every place money can be, taps with every outcome, a closed day, backlogs
// and findings.
type city struct {
	t       *testing.T
	store   *store.Store
	seq     map[ids.TerminalID]uint64
	counter map[byte]uint32
	balance map[byte]int64
	groups  int
}

const (
	yesterday = "2026-11-23"
	today     = "2026-11-24"
)

var morning = time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)

func (c *city) update(f func(ctx context.Context, tx *store.Tx) error) {
	c.t.Helper()
	require.NoError(c.t, c.store.Update(c.t.Context(), func(tx *store.Tx) error { return f(c.t.Context(), tx) }))
}

func (c *city) move(id string, debit, credit books.Account, minor int64) {
	lines, err := books.Move(debit, credit, money.Minor(minor))
	require.NoError(c.t, err)
	c.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.Post(ctx, books.Entry{ID: id, Kind: "load", Day: yesterday, Lines: lines})
	})
}

func cardNumber(card byte) ids.CardNumber { return ids.CardNumber{0: 0x31, 1: 0x04, 8: 0x10, 9: card} }

// tap posts one tap with what it said and what its TAC was worth; back repeats the card's counter.
func (c *city) tap(day, terminal string, card byte, minor int64, said shadowaccount.Said, proof shadowaccount.Proof, back uint32) {
	id := ids.TerminalID(terminal)
	c.seq[id]++
	c.counter[card]++
	c.groups++
	before := c.balance[card]
	if said == shadowaccount.SaidCompleted && proof == shadowaccount.ProofGood && back == 0 {
		c.balance[card] -= minor
	}
	at := morning.Add(time.Duration(c.groups) * 7 * time.Second).UnixMilli()
	v := store.Verified{Pending: store.Pending{Terminal: id, Epoch: 1, Seq: c.seq[id], Day: day, ReceivedMS: at}, Card: cardNumber(card), Levels: 1, Counter: c.counter[card] - back, Kind: 1,
		Claim: shadowaccount.Claim{Tap: ids.TapID{Terminal: id, Epoch: 1, Tap: c.seq[id]}, Seq: c.seq[id], At: at, Merchant: "line-1", Amount: money.Minor(minor),
			Before: money.Minor(before), After: money.Minor(before - minor), Said: said, Proof: proof}}
	if proof == shadowaccount.ProofBad {
		v.Claim.Flags = shadowaccount.FlagBadTAC
	}
	c.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.PostGroup(ctx, store.Group{Day: day}, []store.Verified{v})
	})
}

func (c *city) good(day, terminal string, card byte, minor int64) {
	c.tap(day, terminal, card, minor, shadowaccount.SaidCompleted, shadowaccount.ProofGood, 0)
}

func newCity(t *testing.T) *city {
	s, err := store.Open(t.Context(), emptystore.File(t, filepath.Join(t.TempDir(), "scheme.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	c := &city{t: t, store: s, seq: map[ids.TerminalID]uint64{}, counter: map[byte]uint32{}, balance: map[byte]int64{}}
	c.update(func(ctx context.Context, tx *store.Tx) error {
		require.NoError(t, tx.PutAcquirer(ctx, store.Acquirer{ID: "citybus", Name: "City Bus"}))
		require.NoError(t, tx.PutMerchant(ctx, store.Merchant{ID: "line-1", Acquirer: "citybus", Name: "Line 1"}))
		for i, place := range []string{"Line 1, bus 8801, front door", "Line 1, bus 8802, front door", "Central Station, gate 1", "Central Station, gate 2", "Market Square, kiosk", "Depot"} {
			id := ids.TerminalID([]string{"bus-8801", "bus-8802", "gate-central-1", "gate-central-2", "kiosk-market", "spare-07"}[i])
			require.NoError(t, tx.PutTerminal(ctx, store.Terminal{ID: id, Merchant: "line-1", PublicKey: make(ed25519.PublicKey, ed25519.PublicKeySize), Active: i != 5, Place: place}))
			if i < 5 {
				require.NoError(t, tx.TerminalSeen(ctx, id, morning.Add(time.Duration(i)*time.Minute), []int{0, 1284, 0, 17, 0}[i]))
			}
		}
		for card := byte(1); card <= 4; card++ {
			require.NoError(t, tx.IssueCard(ctx, store.Card{Number: cardNumber(card), Token: fmt.Sprint("t", card), Levels: 1}))
		}
		return nil
	})
	for card := byte(1); card <= 4; card++ {
		paid := []books.Account{books.AcquirerSoldLoads("citybus"), books.Trust, books.Channel("qr"), books.Trust}[card-1]
		minor := []int64{50_00, 200_00, 1_250_00, 12_345_00}[card-1]
		c.move(fmt.Sprint("load-", card), paid, books.Float, minor)
		c.balance[card] = minor
		c.update(func(ctx context.Context, tx *store.Tx) error {
			return tx.PutCardLoad(ctx, cardNumber(card), shadowaccount.Load{Amount: money.Minor(minor), Loaded: true}, fmt.Sprint("load-", card))
		})
	}
	c.move("paid", books.Channel("qr"), books.Funding, 80_00)
	c.move("on-its-way", books.Channel("qr"), books.LoadInProgress, 30_00)
	for i := range 6 {
		c.good(yesterday, "bus-8801", byte(1+i%4), 2_00)
	}
	_, err = settlement.Close(t.Context(), s, yesterday, settlement.Options{Now: morning, Location: time.UTC})
	require.NoError(t, err)
	for i := range 9 {
		c.good(today, []string{"bus-8801", "gate-central-1", "gate-central-2"}[i%3], byte(1+i%4), []int64{2_00, 4_50, 3_00}[i%3])
	}
	c.tap(today, "bus-8801", 2, 2_00, shadowaccount.SaidCompleted, shadowaccount.ProofGood, 1)
	c.tap(today, "bus-8802", 4, 2_00, shadowaccount.SaidCompleted, shadowaccount.ProofBad, 0)
	c.tap(today, "gate-central-2", 1, 4_50, shadowaccount.SaidUnknown, shadowaccount.ProofNone, 0)
	c.tap(today, "bus-8801", 3, 2_00, shadowaccount.SaidVoided, shadowaccount.ProofNone, 0)
	officers, err := cases.New(s, clock.NewManual(morning), cases.Config{})
	require.NoError(t, err)
	bad, err := officers.Open(t.Context(), ids.TapID{Terminal: "bus-8802", Epoch: 1, Tap: 1}, "ann", "the rider has a receipt")
	require.NoError(t, err)
	_, err = officers.Propose(t.Context(), bad.ID, cases.Grant, "ann", "so has the till")
	require.NoError(t, err)
	_, err = officers.Open(t.Context(), ids.TapID{Terminal: "gate-central-2", Epoch: 1, Tap: 4}, "ann", "the gate opened")
	require.NoError(t, err)
	c.update(func(ctx context.Context, tx *store.Tx) error {
		faults, err := tx.VerifyBooks(ctx)
		require.NoError(t, err)
		require.Empty(t, faults)
		return nil
	})
	return c
}

// artifacts is the folder that screenshots are kept in.
func artifacts(t *testing.T) string {
	dir := os.Getenv("PURSELANE_ARTIFACTS")
	if dir == "" {
		return t.TempDir()
	}
	require.NoError(t, os.MkdirAll(dir, 0o755))
	return dir
}

// weakContrast lists the words that stand out too little from what is behind them, and how little.
const weakContrast = `(() => {
	const rgb = (s) => { const n = s.match(/[\d.]+/g).map(Number); return n.length === 3 ? [...n, 1] : n; };
	const over = (top, under) => under.map((u, i) => i < 3 ? top[i] * top[3] + u * (1 - top[3]) : 1);
	const light = (c) => { const [r, g, b] = c.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	const behind = (e) => e ? over(rgb(getComputedStyle(e).backgroundColor), behind(e.parentElement)) : [255, 255, 255, 1];
	const weak = [];
	const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let node; node = words.nextNode();) {
		const e = node.parentElement;
		if (!node.textContent.trim() || e.closest("noscript, .fresh") || !e.checkVisibility()) continue;
		const style = getComputedStyle(e), ground = behind(e), ink = rgb(style.color);
		ink[3] *= Number(style.opacity);
		const pair = [light(over(ink, ground)), light(ground)].sort((a, b) => b - a);
		const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
		if (ratio < 4.5) weak.push(node.textContent.trim() + ": " + ratio.toFixed(2));
	}
	return weak;
})()`

// TestThePageInABrowser looks at the page as an operator does: figures, news without a reload, both languages, wide and
// narrow windows, the keyboard. Its screenshots are kept where PURSELANE_ARTIFACTS says.
func TestThePageInABrowser(t *testing.T) {
	ctx := browsertest.Chromium(t)
	c := newCity(t)
	server := httptest.NewServer(New(c.store, Config{Location: time.UTC, Poll: 50 * time.Millisecond}))
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections) // runs first: Close waits for streams to end
	dir := artifacts(t)

	do := func(steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		require.NoError(t, chromedp.Do(ctx, steps...))
	}
	text := func(selector string) string {
		t.Helper()
		s, err := chromedp.Run(ctx, chromedp.Evaluate[string](fmt.Sprintf(`document.querySelector(%q).innerText`, selector)))
		require.NoError(t, err)
		return strings.Join(strings.Fields(s), " ")
	}
	until := func(condition string) {
		t.Helper()
		_, err := chromedp.Run(ctx, chromedp.Poll[bool](condition, chromedp.WithPollingTimeout(30*time.Second)))
		require.NoError(t, err, condition)
	}
	picture := func(name string) {
		t.Helper()
		raw, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), raw, 0o644))
	}
	fits := func() {
		t.Helper()
		wide, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`[...document.querySelectorAll("body, body *")].filter(e => !e.closest(".scroll *") && e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5).map(e => e.outerHTML.slice(0, 80))`))
		require.NoError(t, err)
		require.Empty(t, wide, "wider than the window")
		scroll, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth <= document.documentElement.clientWidth`))
		require.NoError(t, err)
		require.True(t, scroll, "the page scrolls sideways")
	}

	do(chromedp.EmulateViewport(1280, 800), chromedp.Navigate(server.URL+"/?lang=en"))
	until(`document.getElementById("link").className === "link on"`)
	require.Equal(t, "Balanced", text("#state"))
	require.Contains(t, text(".equation"), "On cards 13,804.50 + In flight 30.00 + Funding 80.00 = Trust account 12,545.00 + Receivables 1,398.00 − Payables 28.50")
	require.Contains(t, text("#taps"), "did not happen")
	require.Contains(t, text("#terminals"), "1,284")
	require.Contains(t, text("#findings"), "Two debits with one counter")
	require.Contains(t, text("#days"), "closed")
	fits()
	picture("console-wide.png")

	// A tap arrives: the page shows it, and was not loaded anew.
	do(chromedp.Evaluate[chromedp.Void](`window.sameWindow = true`))
	c.good(today, "kiosk-market", 2, 7_77)
	until(`window.sameWindow && document.querySelector("#taps tbody tr").innerText.includes("7.77")`)
	until(`document.querySelector("#taps tbody tr").classList.contains("fresh")`)
	require.Contains(t, text(".equation"), "On cards 13,796.73")
	require.Equal(t, "Balanced", text("#state"))

	// By keyboard: skip the header, or change the language.
	focused := `document.activeElement.className + "|" + document.activeElement.id`
	for _, want := range []string{"skip|", "lang|"} {
		do(chromedp.KeyEvent(kb.Tab))
		got, err := chromedp.Run(ctx, chromedp.Evaluate[string](focused))
		require.NoError(t, err)
		require.Equal(t, want, got)
		shown, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`(e => getComputedStyle(e).outlineStyle === "solid" && e.getBoundingClientRect().top >= 0)(document.activeElement)`))
		require.NoError(t, err)
		require.True(t, shown, "the focus must be seen")
	}
	do(chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(chromedp.CSS(`html[lang="zh-Hans"] #link.on`)))
	require.Equal(t, "平衡", text("#state"))
	require.Contains(t, text("#taps"), "已接受")
	require.NotRegexp(t, `accepted|waiting|held`, text("main"))
	fits()
	picture("console-wide-zh.png")
	c.good(today, "kiosk-market", 3, 8_88)
	until(`document.querySelector("#taps tbody tr").innerText.includes("8.88")`)
	require.Contains(t, text("#taps"), "已接受", "news come in the page's language")

	// Narrow, in both languages.
	do(chromedp.EmulateViewport(375, 740))
	fits()
	picture("console-narrow-zh.png")
	do(chromedp.Navigate(server.URL + "/?lang=en"))
	until(`document.getElementById("link").className === "link on"`)
	fits()
	picture("console-narrow.png")

	// Books that are off are not to be overlooked.
	do(chromedp.EmulateViewport(1280, 800))
	c.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.PutCardLoad(ctx, cardNumber(1), shadowaccount.Load{Counter: 9, Amount: money.Minor(1), Loaded: true}, "no entry")
	})
	until(`document.getElementById("state").innerText.includes("Off by")`)
	require.Contains(t, text(".sums"), "≠")
	fits()

	// By day and by night every word can be read: a contrast of 4.5 to 1 at least.
	for _, scheme := range []string{"light", "dark"} {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		require.NoError(t, err)
		weak, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](weakContrast))
		require.NoError(t, err)
		require.Empty(t, weak, scheme)
		picture("console-off-" + scheme + ".png")
	}

	// Without the server it says so, and comes back with it.
	server.CloseClientConnections()
	until(`document.getElementById("link").className === "link off"`)
	until(`document.getElementById("link").className === "link on"`)
}
