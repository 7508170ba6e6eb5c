package kiosk_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/api"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/eccard"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/terminal/kiosk"
)

var (
	noon    = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	masters = personalise.Masters{
		{Purpose: keys.Purchase, Version: 1}: {0: 0x11, 15: 0x1F},
		{Purpose: keys.Load, Version: 1}:     {0: 0x21, 15: 0x2F},
		{Purpose: keys.TAC, Version: 1}:      {0: 0x31, 15: 0x3F},
	}
	issuer   = ep.Factor{1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF}
	number   = ids.CardNumber{0x31, 0x04, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88}
	stranger = ids.CardNumber{0x31, 0x04, 0x99, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88}
	terminal = ep.TerminalNumber{5: 7}
	fifty    = money.Minor(50_00)
)

// bank is an issuer of electronic cash and an empty card of it: its keys take a while to make.
var bank = sync.OnceValue(func() (b struct {
	issuer *eccard.Issuer
	blank  *eccard.Card
	pan    ec.PAN
}) {
	var err error
	if b.issuer, err = eccard.NewIssuer(rand.Reader, "621094"); err != nil {
		panic(err)
	}
	if b.pan, err = ec.NewPAN("6210947315926483"); err != nil {
		panic(err)
	}
	if b.blank, err = b.issuer.Card(b.pan, 1, money.Amount{}); err != nil {
		panic(err)
	}
	return b
})

func cashNumber() ids.CardNumber { return ids.CardNumber(bank().pan) }

// scheme is a backend behind its API, and a card of each family that it issued.
type scheme struct {
	t          *testing.T
	store      *store.Store
	topup      *topup.Service
	clock      *clock.Manual
	handler    http.Handler
	bus, metro string // tokens
	card       *epcard.Card
	cash       *eccard.Card
	steps      []string // all that kiosks said
}

var (
	made         sync.Once
	templateFile []byte
)

func start(t *testing.T) *scheme {
	s := &scheme{t: t, clock: clock.NewManual(noon)}
	ctx := t.Context()
	dir := t.TempDir()
	made.Do(func() { // to make the schema takes longer than most tests do
		at := filepath.Join(dir, "template.db")
		st, err := store.Open(ctx, at, store.Options{NoSync: true})
		require.NoError(t, err)
		require.NoError(t, st.Update(ctx, func(tx *store.Tx) error {
			for _, a := range []ids.AcquirerID{"bus", "metro"} {
				require.NoError(t, tx.PutAcquirer(ctx, store.Acquirer{ID: a}))
			}
			if err := tx.IssueCard(ctx, store.Card{Number: cashNumber(), Token: "fedcba9876543210", Family: "ec"}); err != nil {
				return err
			}
			return tx.IssueCard(ctx, store.Card{Number: number, Token: "0123456789abcdef", Issuer: issuer, Levels: 2})
		}))
		require.NoError(t, st.Close())
		templateFile, err = os.ReadFile(at)
		require.NoError(t, err)
	})
	path := filepath.Join(dir, "scheme.db")
	require.NoError(t, os.WriteFile(path, templateFile, 0o600))
	var err error
	s.store, err = store.Open(ctx, path, store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { s.store.Close() })
	log := slog.New(slog.DiscardHandler)
	s.topup, err = topup.New(s.store, keys.NewSoft(masters), s.clock, topup.Config{MaxAmount: money.Minor(500_00), MaxBalance: money.Minor(900_00),
		EC: bank().issuer.Door(), ECLogRecords: 10, Online: "online", Log: log})
	require.NoError(t, err)
	var hashes [2]string
	s.bus, hashes[0] = api.NewToken(rand.Reader)
	s.metro, hashes[1] = api.NewToken(rand.Reader)
	file, err := json.Marshal(map[string]any{"version": 1, "tokens": []map[string]string{
		{"name": "bus", "role": "agent", "acquirer": "bus", "sha256": hashes[0]},
		{"name": "metro", "role": "agent", "acquirer": "metro", "sha256": hashes[1]},
	}})
	require.NoError(t, err)
	tokens, err := api.LoadTokens(file)
	require.NoError(t, err)
	s.handler, err = api.New(api.Config{Store: s.store, TopUp: s.topup, Tokens: tokens, Log: log, Clock: s.clock})
	require.NoError(t, err)
	s.card = newCard(t, number)
	s.cash = bank().blank.Clone()
	return s
}

func newCard(t require.TestingT, n ids.CardNumber) *epcard.Card {
	img, err := personalise.Card(masters, personalise.CardSpec{Number: n, Issuer: issuer})
	require.NoError(t, err)
	c, err := epcard.New(img, rand.Reader)
	require.NoError(t, err)
	return c
}

// fault is what the network does to a kiosk's calls, counted from 1.
type fault struct {
	from, to int  // calls that are hit; none if from is 0
	after    bool // the backend gets the call, and its answer is lost; otherwise the call is lost
}

// network carries calls to the backend's handler, or does not.
type network struct {
	handler http.Handler
	fault   fault
	calls   int
	urls    []string
}

var errLost = errors.New("the network is down")

// RoundTrip implements http.RoundTripper.
func (n *network) RoundTrip(req *http.Request) (*http.Response, error) {
	n.calls++
	n.urls = append(n.urls, req.URL.String())
	hit := n.fault.from > 0 && n.calls >= n.fault.from && n.calls <= n.fault.to
	if hit && !n.fault.after {
		return nil, errLost
	}
	rec := httptest.NewRecorder()
	n.handler.ServeHTTP(rec, req)
	if hit {
		return nil, errLost
	}
	resp := rec.Result()
	resp.Request = req
	return resp, nil
}

// host is a kiosk's way to the backend, without pauses.
func (s *scheme) host(token string, f fault) (*kiosk.HTTPHost, *network) {
	h, err := kiosk.NewHTTPHost("https://backend.example", token)
	require.NoError(s.t, err)
	n := &network{handler: s.handler, fault: f}
	h.Client = &http.Client{Transport: n}
	h.Wait = func(int) time.Duration { return 0 }
	return h, n
}

func (s *scheme) request(key string) kiosk.Request {
	return kiosk.Request{IdempotencyKey: key, Amount: fifty, Terminal: terminal, Step: func(text string) { s.steps = append(s.steps, text) }}
}

// load is one presentation at a kiosk whose network is fine.
func (s *scheme) load(token string, card apdu.Transmitter, r kiosk.Request) (kiosk.Result, error) {
	h, _ := s.host(token, fault{})
	return kiosk.Load(s.t.Context(), card, h, r)
}

func (s *scheme) present() *epcard.Field { return epcard.Present(s.card, epcard.Tear{}) }

// shadow is the EP card's shadow balance.
func (s *scheme) shadow() money.Amount { return s.shadowOf(number) }

func (s *scheme) shadowOf(n ids.CardNumber) money.Amount {
	var c store.Card
	s.view(func(tx *store.Tx) error {
		var err error
		c, err = tx.CardByNumber(s.t.Context(), n)
		return err
	})
	return c.Shadow
}

// findings are the codes of the findings on loads.
func (s *scheme) findings() (codes []string) {
	s.view(func(tx *store.Tx) error {
		all, err := tx.LoadFindings(s.t.Context(), "", 1000)
		for _, f := range all {
			codes = append(codes, f.Code)
		}
		return err
	})
	return codes
}

func (s *scheme) view(f func(*store.Tx) error) { require.NoError(s.t, s.store.View(s.t.Context(), f)) }

func (s *scheme) state(order string) topup.State {
	o, err := s.topup.Order(s.t.Context(), "", order)
	require.NoError(s.t, err)
	return o.State
}

// accounts are the balances that are not zero, after the books were proved, as "float -50.00 …".
func (s *scheme) accounts() string {
	var out []string
	s.view(func(tx *store.Tx) error {
		faults, err := tx.VerifyBooks(s.t.Context())
		require.NoError(s.t, err)
		require.Empty(s.t, faults)
		all, err := tx.TrialBalance(s.t.Context())
		for _, b := range all {
			if !b.Amount.IsZero() {
				out = append(out, fmt.Sprint(b.Account, " ", b.Amount))
			}
		}
		return err
	})
	return strings.Join(out, ", ")
}

// requireOnce asserts that the bus's load is on the card exactly once, and that order, shadow and books say so.
func (s *scheme) requireOnce(order string) {
	s.t.Helper()
	require.Equal(s.t, fifty, s.card.Balance())
	require.Equal(s.t, uint16(1), s.card.OnlineCounter())
	require.Equal(s.t, topup.Loaded, s.state(order))
	require.Equal(s.t, fifty, s.shadow())
	require.Equal(s.t, "acquirer:bus:sold-loads 50.00, float -50.00", s.accounts())
	for _, text := range s.steps {
		require.NotContains(s.t, text, number.Reveal()[4:16])
	}
}

// tamper is a card whose answers to some commands are changed. change gets the instruction byte and the card's answer,
// after the card has carried the command out; before, if set, answers in the card's place.
type tamper struct {
	apdu.Transmitter
	before func(ins byte) (answer []byte, instead bool)
	change func(ins byte, answer []byte) []byte
}

// Transmit implements apdu.Transmitter.
func (t *tamper) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if t.before != nil {
		if answer, instead := t.before(command[1]); instead {
			return answer, nil
		}
	}
	answer, err := t.Transmitter.Transmit(ctx, command)
	if err == nil && t.change != nil {
		answer = t.change(command[1], answer)
	}
	return answer, err
}

// Instructions that tests tamper with.
const (
	insInitialize = 0x50
	insCredit     = 0x52
	insProve      = 0x5A
)

// presentTorn presents the EP card, which leaves when CREDIT has been carried out.
func (s *scheme) presentTorn() *epcard.Field {
	return epcard.Present(s.card, epcard.Tear{At: 5, After: true})
}
