package acceptance_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/api"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
	"github.com/purselane/purselane/simulator/city"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
	terminalapi "github.com/purselane/purselane/terminal/api"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/kiosk"
	"github.com/purselane/purselane/terminal/reader/inproc"
	"github.com/purselane/purselane/terminal/screen"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/client"
	"github.com/purselane/purselane/uplink/wire"
)

const (
	shop     = ids.AcquirerID("shops")
	cashDesk = ids.AcquirerID("metro-company") // sells loads
	till     = ids.TerminalID("shop-1")

	// patience is longer than anything here takes, on a machine with other work.
	patience = time.Minute
)

var (
	noon   = time.Date(2026, time.March, 2, 12, 0, 0, 0, time.FixedZone("CST", 8*3600))
	issuer = ep.Factor{0x01, 0x01, 0x10, 0x00, 0xFF, 0xFF, 0xFF, 0xFF}
)

// stand is a scheme of the sample city with one shop: a backend with its broker and API, a till with its local API and screen, one card.
type stand struct {
	t     testing.TB
	clock *clock.Manual
	ring  *keys.Ring

	node     *node.Node
	server   *httptest.Server          // the backend's API
	tokens   map[ids.AcquirerID]string // who may call it
	receipts ed25519.PrivateKey

	card     *epcard.Card
	reader   *inproc.Reader
	terminal *edge.Terminal
	local    *httptest.Server // the till's API and screen
	shown    chan outcome     // as the till's screen has them
}

// outcome is one that is shown, and when by the machine's clock.
type outcome struct {
	edge.Event
	at time.Time
}

// newStand starts all of it. The options are those of the backend's database; the till's journal always syncs.
func newStand(t testing.TB, o store.Options) *stand {
	s := &stand{t: t, clock: clock.NewManual(noon), tokens: map[ids.AcquirerID]string{}, shown: make(chan outcome, 64)}
	chance := rand.NewChaCha8([32]byte{1})
	var err error
	s.ring, err = keys.NewRing(chance)
	require.NoError(t, err)
	s.receipts, err = s.ring.SigningKey(keys.SecretReceipt)
	require.NoError(t, err)
	s.openBackend(chance, o)
	s.issueCard(chance)
	s.openTill(chance)
	return s
}

func (s *stand) tokenKey() []byte {
	key, err := s.ring.Secret(keys.SecretToken, 32)
	require.NoError(s.t, err)
	return key
}

// runs runs a part until the test ends.
func (s *stand) runs(run func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	s.t.Cleanup(func() { stop(); require.NoError(s.t, <-done) })
}

func (s *stand) openBackend(chance *rand.ChaCha8, o store.Options) {
	scheme, err := node.ParseScheme(city.SchemeYAML())
	require.NoError(s.t, err)
	list := []byte("version: 1\ntokens:\n")
	for _, a := range []ids.AcquirerID{shop, cashDesk} {
		token, hash := api.NewToken(chance)
		s.tokens[a] = token
		list = append(list, "  - {name: of-"+string(a)+", role: agent, acquirer: "+string(a)+", sha256: "+hash+"}\n"...)
	}
	tokens, err := api.LoadTokens(list)
	require.NoError(s.t, err)
	dir := s.t.TempDir()
	s.node, err = node.Open(s.t.Context(), node.Config{
		Dir: dir, Database: emptystore.At(s.t, node.DatabasePath(dir)), Scheme: scheme, HSM: s.ring.HSM(), TokenKey: s.tokenKey(), ReceiptKey: s.receipts,
		Tokens: tokens, Clock: s.clock, Log: slog.New(slog.DiscardHandler), Store: o,
	})
	require.NoError(s.t, err)
	s.t.Cleanup(func() { require.NoError(s.t, s.node.Close()) })
	s.runs(s.node.Run)
	s.server = httptest.NewServer(s.node.API())
	s.t.Cleanup(s.server.Close)
}

func (s *stand) issueCard(chance *rand.ChaCha8) {
	number, err := ids.ParseCardNumber("03105170000000000001")
	require.NoError(s.t, err)
	img, err := personalise.Card(s.ring.Masters, personalise.CardSpec{Number: number, Issuer: issuer, Kind: personalise.KindNormal})
	require.NoError(s.t, err)
	s.card, err = epcard.New(img, chance)
	require.NoError(s.t, err)
	require.NoError(s.t, s.node.Store().Update(s.t.Context(), func(tx *store.Tx) error {
		return tx.IssueCard(s.t.Context(), store.Card{Number: number, Token: store.Token(s.tokenKey(), number), Issuer: issuer, Levels: 2, Status: store.CardActive})
	}))
}

func (s *stand) openTill(chance *rand.ChaCha8) {
	number := ep.TerminalNumber{0, 0, 0, 0, 0, 1}
	img, err := personalise.PSAM(s.ring.Masters, personalise.PSAMSpec{Terminal: number, Issuer: issuer, NextSerial: 1})
	require.NoError(s.t, err)
	chip, err := psam.New(img)
	require.NoError(s.t, err)
	sam, err := ep.OpenPSAM(s.t.Context(), chip, ep.PSAMTUnion)
	require.NoError(s.t, err)
	_, key, err := ed25519.GenerateKey(chance)
	require.NoError(s.t, err)
	require.NoError(s.t, s.node.Store().Update(s.t.Context(), func(tx *store.Tx) error {
		return tx.PutTerminal(s.t.Context(), store.Terminal{ID: till, Merchant: "corner-shop", PSAMs: [][6]byte{number}, PublicKey: key.Public().(ed25519.PublicKey), Active: true, Place: "Corner shop"})
	}))
	broker, err := s.node.BrokerURL(s.t.Context())
	require.NoError(s.t, err)

	s.reader = inproc.New("till")
	hub := terminalapi.NewHub([]string{"sale"})
	cfg := edge.Config{
		Terminal: till, Merchant: "corner-shop", Profile: firmwareconfig.Sample(), SAM: sam, JournalPath: filepath.Join(s.t.TempDir(), "journal.db"),
		Lanes: []edge.Lane{{Reader: s.reader, Mode: tap.Sale}}, Clock: s.clock, DeviceKey: key, BackendKey: s.receipts.Public().(ed25519.PublicKey),
		ClockState: func() (wire.ClockState, time.Duration) { return wire.ClockState_CLOCK_GOOD, time.Second },
		Uplink:     &client.Config{Broker: broker, Password: node.DevicePassword(s.tokenKey(), till), ConnectJitter: time.Millisecond, Clock: clock.System{}}, // the link is real, and so is its time
		Show: func(e edge.Event) {
			hub.Show(e)
			if !e.Card {
				s.shown <- outcome{e, time.Now()}
			}
		},
	}
	s.terminal, err = edge.Open(cfg)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { require.NoError(s.t, s.terminal.Close()) })
	s.runs(s.terminal.Run)
	device := &terminalapi.Device{Terminal: s.terminal, ID: till, Program: "acceptance", Modes: []string{"sale"}, Profile: cfg.Profile, Clock: s.clock, Quality: cfg.ClockState}
	s.local = httptest.NewServer(terminalapi.New(terminalapi.Options{Terminal: device, Hub: hub, Log: slog.New(slog.DiscardHandler), Screens: screen.New(screen.Default()), Patience: patience}))
	s.t.Cleanup(s.local.Close)
}

// load puts cash on the card at the cash desk's kiosk, over the backend's API.
func (s *stand) load(amount string) {
	host, err := kiosk.NewHTTPHost(s.server.URL, s.tokens[cashDesk])
	require.NoError(s.t, err)
	field := epcard.Present(s.card, epcard.Tear{})
	defer field.Leave()
	got, err := kiosk.Load(s.t.Context(), field, host, kiosk.Request{Terminal: ep.TerminalNumber{0, 0, 0, 0, 0x99, 1}, IdempotencyKey: "load-1", Amount: amt(s.t, amount)})
	require.NoError(s.t, err)
	require.Equal(s.t, kiosk.LoadDone, got.Outcome, got.Reason)
}

func amt(t require.TestingT, text string) money.Amount {
	a, err := money.Parse(text)
	require.NoError(t, err)
	return a
}

// answer is what the till's API says of a sale.
type answer struct {
	status                                                      int
	Request, State, Outcome, Amount, Balance, Card, Tap, Reason string
	Code                                                        string // of a problem
}

// ask asks the till's API.
func (s *stand) ask(method, path, body string) answer {
	raw, status := s.fetch(method, s.local.URL+path, "", body)
	out := answer{status: status}
	require.NoError(s.t, json.Unmarshal(raw, &out), "%s", raw)
	return out
}

// key types an amount at the till and shows no card.
func (s *stand) key(request, amount string) answer {
	return s.ask(http.MethodPost, "/v1/sales", `{"request":"`+request+`","amount":"`+amount+`"}`)
}

// sell types an amount at the till, waits until the till asks for a card, and holds the card there until there is an answer.
func (s *stand) sell(request, amount string) (answer, outcome) {
	got := make(chan answer, 1)
	go func() { got <- s.key(request, amount) }()
	s.until("the till asks for a card", func() bool { return s.terminal.Lanes()[0].State == edge.LaneWaiting })
	s.reader.Present(s.card)
	a, e := <-got, <-s.shown
	s.reader.Withdraw()
	s.until("the card is gone", func() bool { return s.terminal.Lanes()[0].State == edge.LaneIdle })
	return a, e
}

func (s *stand) until(what string, so func() bool) {
	require.Eventually(s.t, so, patience, time.Millisecond, what)
}

// fetch makes a request and reads its answer.
func (s *stand) fetch(method, url, token, body string) ([]byte, int) {
	r, err := http.NewRequestWithContext(s.t.Context(), method, url, bytes.NewBufferString(body))
	require.NoError(s.t, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	defer w.Body.Close()
	raw, err := io.ReadAll(w.Body)
	require.NoError(s.t, err)
	return raw, w.StatusCode
}

// balanceOf is an account's balance, debits positive.
func (s *stand) balanceOf(a books.Account) (out string) {
	require.NoError(s.t, s.node.Store().View(s.t.Context(), func(tx *store.Tx) error {
		b, err := tx.Balance(s.t.Context(), a)
		out = b.String()
		return err
	}))
	return out
}
