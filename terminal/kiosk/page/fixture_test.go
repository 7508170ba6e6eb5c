package page_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/api"
	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	adapteralipay "github.com/purselane/purselane/backend/gateway/channel/alipay"
	adapterwechat "github.com/purselane/purselane/backend/gateway/channel/wechat"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/kiosksale"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/channel/alipay"
	"github.com/purselane/purselane/simulator/channel/wechat"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/terminal/kiosk"
	"github.com/purselane/purselane/terminal/kiosk/page"
	"github.com/purselane/purselane/terminal/kiosk/session"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/inproc"
)

var (
	masters = personalise.Masters{
		{Purpose: keys.Purchase, Version: 1}: {0: 0x11, 15: 0x1F},
		{Purpose: keys.Load, Version: 1}:     {0: 0x21, 15: 0x2F},
		{Purpose: keys.TAC, Version: 1}:      {0: 0x31, 15: 0x3F},
	}
	issuer   = ep.Factor{1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF}
	mine     = ids.CardNumber{0x31, 0x04, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88}
	yours    = ids.CardNumber{0x31, 0x04, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x99, 0x10}
	rich     = ids.CardNumber{0x31, 0x04, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x20, 0x02}
	stranger = ids.CardNumber{0x31, 0x04, 0x99, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88}
)

// Assess is risk: a test may want more proof of a payer.
func (w *town) Assess(context.Context, gateway.Assessed) (gateway.Assessment, error) {
	if w.strict.Load() {
		return gateway.Assessment{Verdict: gateway.Challenge, Why: "a test"}, nil
	}
	return gateway.Assessment{Verdict: gateway.Pass}, nil
}

// town is a backend with a gateway over a WeChat Pay and an Alipay that verify signatures, cards, and one kiosk.
type town struct {
	strict  atomic.Bool // risk wants more proof
	t       *testing.T
	ctx     context.Context
	store   *store.Store
	topup   *topup.Service
	gateway *gateway.Service
	wechat  *wechat.Simulator
	alipay  *alipay.Simulator
	network *network
	reader  *breakable
	journal string
	token   string
	off     http.RoundTripper // the same backend without a gateway
	cards   map[ids.CardNumber]*epcard.Card
	url     string // of the page
	kiosk   *session.Kiosk
	stop    func() // of the kiosk
	kill    func() // ends it, and does not wait
	sales   func() ([]session.Sale, error)
}

// network carries a kiosk's calls, or does not.
type network struct {
	next http.RoundTripper
	mu   sync.Mutex
	down bool
	cut  func(path string) (lost bool) // of one call, after it had its effect

	calls int
	at    int  // at this call, counted from 1, the program ends
	after bool // when it had its effect; otherwise the call is not made
	end   func()
}

var errLost = errors.New("the network is down")

// through carries calls by next, and returns how they went before.
func (n *network) through(next http.RoundTripper) http.RoundTripper {
	n.mu.Lock()
	defer n.mu.Unlock()
	was := n.next
	n.next = next
	return was
}

func (n *network) set(down bool) { n.mu.Lock(); defer n.mu.Unlock(); n.down = down }

// endAt ends the program at a call that is to come; 0: never.
func (n *network) endAt(call int, after bool, end func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls, n.at, n.after, n.end = 0, call, after, end
}

func (n *network) cutAt(f func(string) bool) { n.mu.Lock(); defer n.mu.Unlock(); n.cut = f }

// RoundTrip implements http.RoundTripper.
func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	n.calls++
	down, next, end := n.down, n.next, n.calls == n.at
	n.mu.Unlock()
	if end && !n.after {
		n.end()
	}
	if down || end && !n.after {
		return nil, errLost
	}
	answer, err := next.RoundTrip(r)
	if end && err == nil {
		n.end()
		answer.Body.Close()
		return nil, errLost
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil && n.cut != nil && n.cut(r.URL.Path) {
		answer.Body.Close()
		return nil, errLost
	}
	return answer, err
}

// breakable is a reader that can be unplugged.
type breakable struct {
	*inproc.Reader
	mu   sync.Mutex
	lost bool
	wake chan struct{} // closed when it is unplugged
	told bool
}

func (b *breakable) Lost() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost {
		return reader.ErrReaderLost
	}
	return nil
}

func (b *breakable) unplug() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lost, b.told = true, false
	close(b.wake)
}

func (b *breakable) plug() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lost, b.wake = false, make(chan struct{})
}

// Wait implements reader.Reader.
func (b *breakable) Wait(ctx context.Context) (reader.Card, error) {
	b.mu.Lock()
	wake := b.wake
	b.mu.Unlock()
	wait, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-wake:
			stop()
		case <-ended:
		}
	}()
	c, err := b.Reader.Wait(wait)
	if err != nil && ctx.Err() == nil && b.Lost() != nil {
		return nil, reader.ErrReaderLost
	}
	return c, err
}

func newTown(t *testing.T) *town { return newTownOf(t, money.Minor(300_00), time.Minute) }

// newTownOf makes a town whose cards hold at most that, and whose riders have so long to pay.
func newTownOf(t *testing.T, most money.Amount, expires time.Duration) *town {
	ctx := t.Context()
	w := &town{t: t, ctx: ctx, cards: map[ids.CardNumber]*epcard.Card{}, journal: filepath.Join(t.TempDir(), "kiosk.db")}
	log := slog.New(slog.DiscardHandler)
	var err error
	w.store, err = store.Open(ctx, emptystore.File(t, filepath.Join(t.TempDir(), "scheme.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { w.store.Close() })
	require.NoError(t, w.store.Update(ctx, func(tx *store.Tx) error { return tx.PutAcquirer(ctx, store.Acquirer{ID: "metro"}) }))
	for i, n := range []ids.CardNumber{mine, yours, rich, stranger} {
		spec := personalise.CardSpec{Number: n, Issuer: issuer}
		if n == rich {
			spec.Balance = money.Minor(290_00)
		}
		img, err := personalise.Card(masters, spec)
		require.NoError(t, err)
		w.cards[n], err = epcard.New(img, rand.Reader)
		require.NoError(t, err)
		if n != stranger {
			require.NoError(t, w.store.Update(ctx, func(tx *store.Tx) error {
				return tx.IssueCard(ctx, store.Card{Number: n, Token: []string{"0123456789abcdef", "fedcba9876543210", "0011223344556677"}[i], Issuer: issuer, Levels: 2})
			}))
		}
	}
	w.topup, err = topup.New(w.store, keys.NewSoft(masters), clock.System{}, topup.Config{Online: "online", MaxAmount: money.Minor(200_00), MaxBalance: most, Log: log})
	require.NoError(t, err)

	w.wechat = wechat.New(wechat.Options{Clock: clock.System{}, Seed: 1, RefundTakes: 50 * time.Millisecond})
	w.alipay = alipay.New(alipay.Options{Clock: clock.System{}, Seed: 1})
	wc, err := adapterwechat.New(w.wechat.Settings())
	require.NoError(t, err)
	ac, err := adapteralipay.New(w.alipay.Settings())
	require.NoError(t, err)
	products, companies := map[code.Product]string{1: kiosksale.ProductName}, map[code.Company]string{1: "wechat", 2: "alipay"}
	registry, err := code.NewRegistry(products, companies)
	require.NoError(t, err)
	w.gateway, err = gateway.New(w.store, clock.System{}, gateway.Config{Registry: registry, Risk: w, Router: gateway.FixedRouter{{Accounts: []string{"w", "a"}}}, Log: log,
		Accounts: []gateway.Account{{ID: "w", Company: 1, Number: 1, Channel: wc, NotifyURL: "https://gateway.example/w"}, {ID: "a", Company: 2, Number: 2, Channel: ac, NotifyURL: "https://gateway.example/a"}},
		OnPaid: func(ctx context.Context, tx *store.Tx, o gateway.Order) error {
			return w.topup.PaidOnline(ctx, tx, o.ID, o.Received)
		},
		OnRefund: func(ctx context.Context, tx *store.Tx, o gateway.Order, back money.Amount) error {
			return w.topup.GiveBackOnline(ctx, tx, o.ID, back)
		}})
	require.NoError(t, err)
	w.wechat.Notices.Receive(w.hears("w"))
	w.alipay.Notices.Receive(w.hears("a"))
	sales := kiosksale.New(kiosksale.Config{Gateway: w.gateway, Products: products, Companies: companies, Ways: []code.Company{1, 2}, Online: "online", Currency: "CNY",
		MaxAmount: money.Minor(200_00), MaxBalance: most, Expires: expires})

	var hash string
	w.token, hash = api.NewToken(rand.Reader)
	file, err := json.Marshal(map[string]any{"version": 1, "tokens": []map[string]string{{"name": "kiosk", "role": "agent", "acquirer": "metro", "sha256": hash}}})
	require.NoError(t, err)
	tokens, err := api.LoadTokens(file)
	require.NoError(t, err)
	handler, err := api.New(api.Config{Store: w.store, TopUp: w.topup, Online: sales, Tokens: tokens, Log: log})
	require.NoError(t, err)
	w.network = &network{next: handlerTrip{handler}}
	bare, err := api.New(api.Config{Store: w.store, TopUp: w.topup, Tokens: tokens, Log: log})
	require.NoError(t, err)
	w.off = handlerTrip{bare}
	w.reader = &breakable{Reader: inproc.New("desk"), wake: make(chan struct{})}

	life, stop := context.WithCancel(ctx)
	done := make(chan error, 2)
	go func() { done <- w.gateway.Run(life) }()
	go func() { done <- w.tell(life) }()
	t.Cleanup(func() {
		stop()
		for range 2 {
			if err := <-done; !errors.Is(err, context.Canceled) {
				require.NoError(t, err)
			}
		}
	})
	return w
}

// handlerTrip carries calls to a handler without a socket.
type handlerTrip struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (h handlerTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	answer := rec.Result()
	answer.Request = r
	return answer, nil
}

func (w *town) hears(account string) func(context.Context, string, channel.Notification) channel.Reply {
	return func(ctx context.Context, _ string, n channel.Notification) channel.Reply {
		answer, err := w.gateway.Notified(ctx, account, n)
		if err != nil && ctx.Err() == nil {
			w.t.Errorf("notification of %s: %v", account, err)
		}
		return answer
	}
}

// tell sends what the channels have to tell, until ctx ends.
func (w *town) tell(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			w.wechat.Run(ctx)
			w.alipay.Run(ctx)
		}
	}
}

// patience of a test: what a person would wait for is waited for by polling, and screens stay until they are left.
func patience() session.Patience {
	return session.Patience{Choose: time.Minute, Check: time.Minute, Hold: time.Minute, Refund: time.Minute, Notice: time.Minute, Poll: 50 * time.Millisecond, Keep: 100 * time.Millisecond, Give: time.Hour}
}

// start starts the kiosk, or one in its place.
func (w *town) start(p session.Patience) {
	t := w.t
	host, err := kiosk.NewHTTPHost("https://backend.example", w.token)
	require.NoError(t, err)
	host.Client = &http.Client{Transport: w.network}
	host.Wait = func(int) time.Duration { return 0 }
	journal, err := session.OpenJournal(w.journal)
	require.NoError(t, err)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	k, err := session.New(session.Config{Reader: w.reader, Host: host, Journal: journal, Patience: p, Log: log, Request: kiosk.Request{Terminal: ep.TerminalNumber{5: 7}},
		Amounts: []money.Amount{money.Minor(20_00), money.Minor(50_00), money.Minor(100_00), money.Minor(200_00)}})
	require.NoError(t, err)
	h, err := page.New(k, "en", page.Default())
	require.NoError(t, err)
	server := httptest.NewServer(h)
	w.url = server.URL
	life, stop := context.WithCancel(w.ctx)
	done := make(chan error, 1)
	go func() { done <- k.Run(life) }()
	var once sync.Once
	w.kiosk, w.kill, w.sales = k, stop, journal.Sales
	w.stop = func() {
		once.Do(func() {
			stop()
			require.NoError(t, <-done)
			server.CloseClientConnections() // open streams do not end by themselves
			server.Close()
			require.NoError(t, journal.Close())
		})
	}
	t.Cleanup(w.stop)
}

// hold puts a card on the reader.
func (w *town) hold(n ids.CardNumber) { w.reader.Present(epcard.Present(w.cards[n], epcard.Tear{})) }

// leaving is a card that leaves at an instruction: before it, or after it has done its work.
type leaving struct {
	*epcard.Field
	w     *town
	at    byte
	after bool
}

// Transmit implements apdu.Transmitter.
func (l *leaving) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if command[1] != l.at {
		return l.Field.Transmit(ctx, command)
	}
	if l.after {
		if _, err := l.Field.Transmit(ctx, command); err != nil {
			return nil, err
		}
	}
	l.w.reader.Withdraw()
	return nil, apdu.ErrNoAnswer
}

// Instructions at which cards leave.
const (
	insSelect = 0xA4
	insCredit = 0x52
)

// tear holds a card that leaves by itself.
func (w *town) tear(n ids.CardNumber, at byte, after bool) {
	w.reader.Present(&leaving{epcard.Present(w.cards[n], epcard.Tear{}), w, at, after})
}

// block blocks a card at the backend.
func (w *town) block(n ids.CardNumber) {
	require.NoError(w.t, w.store.Update(w.ctx, func(tx *store.Tx) error { return tx.BlockCard(w.ctx, n, time.Now()) }))
}

// take takes it away.
func (w *town) take() { w.reader.Withdraw() }

// payment is the gateway's last order of the kiosk.
func (w *town) payment() gateway.Order {
	all, err := w.gateway.Orders(w.ctx, kiosksale.App, "", "", 1)
	require.NoError(w.t, err)
	require.NotEmpty(w.t, all)
	o, err := w.gateway.Order(w.ctx, "", all[0].ID)
	require.NoError(w.t, err)
	return o
}

// pays is the rider with a phone.
func (w *town) pays() {
	p := w.payment().Payments[0]
	if p.Account == "w" {
		require.NoError(w.t, w.wechat.Pay(p.Number, wechat.Payer{}))
		return
	}
	require.NoError(w.t, w.alipay.Scan(p.Number))
	require.NoError(w.t, w.alipay.Pay(p.Number, alipay.Payer{}))
}

// requireBooks proves the books, and that the card holds what its shadow account says.
func (w *town) requireBooks(n ids.CardNumber, balance money.Amount) {
	w.t.Helper()
	require.Equal(w.t, balance, w.cards[n].Balance())
	require.NoError(w.t, w.store.View(w.ctx, func(tx *store.Tx) error {
		c, err := tx.CardByNumber(w.ctx, n)
		require.NoError(w.t, err)
		require.Equal(w.t, balance, c.Shadow)
		faults, err := tx.VerifyBooks(w.ctx)
		require.Empty(w.t, faults)
		return err
	}))
}

// left are the kiosk's open sales, after it has stopped.
func (w *town) left() []session.Sale {
	w.stop()
	j, err := session.OpenJournal(w.journal)
	require.NoError(w.t, err)
	defer j.Close()
	all, err := j.Sales()
	require.NoError(w.t, err)
	return all
}
