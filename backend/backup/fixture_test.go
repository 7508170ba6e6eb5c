package backup_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/uplink/client"
	uplink "github.com/purselane/purselane/uplink/intake"
	"github.com/purselane/purselane/uplink/wire"
)

var (
	noon     = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	tokenKey = []byte("0123456789abcdef")
	issuer   = ep.Factor{1, 2, 3, 4, 5, 6, 7, 8}
	tacKey   = keys.ID{Purpose: keys.TAC, Version: 1}
	card     = ids.CardNumber{0: 0x31, 9: 1}
	sam      = ep.TerminalNumber{5: 1}
	device   = ed25519.NewKeyFromSeed([]byte("the seed of a device, 32 bytes.."))
	backend  = ed25519.NewKeyFromSeed([]byte("the seed of a backend, 32 bytes."))
)

// site is a backend with one card that holds 100.00, and a terminal with its journal and its sender.
type site struct {
	t     *testing.T
	ctx   context.Context
	path  string
	hsm   *keys.Soft
	clock *clock.Manual
	store *store.Store
	pipe  *intake.Pipeline

	journal *journal.Journal
	sender  *client.Sender
	spent   int64
	taps    uint16
}

func start(t *testing.T) *site {
	path := filepath.Join(t.TempDir(), "data", "purselane.db")
	require.NoError(t, mkdir(filepath.Dir(path)))
	return startAt(t, path)
}

// startAt is a site whose database is at that address.
func startAt(t *testing.T, at string) *site {
	s := &site{t: t, ctx: t.Context(), path: at, clock: clock.NewManual(noon),
		hsm: keys.NewSoft(map[keys.ID]keys.Key{tacKey: {0: 0x11, 8: 0x22, 15: 0x33}})}
	s.open()
	t.Cleanup(func() { s.store.Close() })
	require.NoError(t, s.store.Update(s.ctx, func(tx *store.Tx) error {
		require.NoError(t, tx.PutAcquirer(s.ctx, store.Acquirer{ID: "bus"}))
		require.NoError(t, tx.PutMerchant(s.ctx, store.Merchant{ID: "line1", Acquirer: "bus"}))
		require.NoError(t, tx.PutTerminal(s.ctx, store.Terminal{ID: "bus-1", Merchant: "line1", PSAMs: [][6]byte{sam}, PublicKey: device.Public().(ed25519.PublicKey), Active: true}))
		require.NoError(t, tx.IssueCard(s.ctx, store.Card{Number: card, Token: store.Token(tokenKey, card), Issuer: issuer, Levels: 2}))
		lines, err := books.Move(books.Trust, books.Float, money.Minor(100_00))
		require.NoError(t, err)
		require.NoError(t, tx.Post(s.ctx, books.Entry{ID: "load", Kind: "load", Day: "2026-11-24", Lines: lines}))
		return tx.PutCardLoad(s.ctx, card, shadowaccount.Load{Amount: money.Minor(100_00), Loaded: true}, "load")
	}))
	var err error
	s.journal, err = journal.Open(filepath.Join(t.TempDir(), "journal"), journal.Options{Terminal: "bus-1", NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { s.journal.Close() })
	s.sender, err = client.NewSender(client.SenderConfig{Terminal: "bus-1", Key: device, Backend: backend.Public().(ed25519.PublicKey), Source: s.journal, Rand: rand.New(rand.NewPCG(1, 2))})
	require.NoError(t, err)
	return s
}

// open opens the database, as a backend that starts does.
func (s *site) open() {
	var err error
	s.store, err = store.Open(s.ctx, s.path, store.Options{NoSync: true, BooksKey: []byte("the key that seals the books, ...")})
	require.NoError(s.t, err)
	s.pipe, err = intake.New(s.store, s.hsm, s.clock, intake.Options{TokenKey: tokenKey, Log: slog.New(slog.DiscardHandler)})
	require.NoError(s.t, err)
}

// tap has the card pay, and the journal keep the record.
func (s *site) tap(minor int64) {
	s.taps++
	at, err := ep.DateTimeOf(noon.Add(time.Duration(s.taps) * time.Second))
	require.NoError(s.t, err)
	before := 100_00 - s.spent
	s.spent += minor
	r := &wire.Record{
		Version: 1, Kind: wire.Kind_KIND_PURCHASE, State: wire.State_STATE_COMPLETED, Evidence: wire.Evidence_EVIDENCE_REPLY, Family: "ep",
		CardNumber: card[:], Issuer: issuer[:], KeyLevels: 2, KeyVersion: 1, TxnType: uint32(ep.TypePurchase), OfflineCounter: uint32(s.taps - 1),
		Amount: minor, BalanceBefore: before, BalanceAfter: before - minor, PsamTerminal: sam[:], PsamSerial: uint32(s.taps), PurseTime: at[:],
		Merchant: "line1", TerminalTimeMs: noon.UnixMilli() + int64(s.taps)*1000,
	}
	tac, err := s.hsm.TAC(s.ctx, keys.Card{ID: tacKey, Factors: ep.Public{Issuer: issuer, CardNumber: card}.Factors(2)},
		ep.PurchaseTAC(money.Minor(minor), ep.TypePurchase, sam, r.PsamSerial, at))
	require.NoError(s.t, err)
	r.Tac = tac[:]
	n, err := s.journal.Begin(&wire.Record{Version: 1, CardNumber: card[:], Amount: minor})
	require.NoError(s.t, err)
	require.NoError(s.t, s.journal.Finish(n, r))
}

// upload connects the terminal, lets it send all it has, and posts it.
func (s *site) upload() {
	p := &uplink.Processor{Device: s.pipe.Device, Key: backend, Handler: s.pipe}
	now := s.clock.Now()
	s.sender.OnConnect(now)
	defer s.sender.OnDisconnect()
	for range 100 {
		out, _, err := s.sender.Due(now)
		require.NoError(s.t, err)
		if len(out) == 0 {
			break
		}
		for _, m := range out {
			receipt, err := p.Process(s.ctx, "bus-1", m.Kind, m.Raw, now)
			require.NoError(s.t, err)
			require.NoError(s.t, s.sender.OnReceipt(now, receipt))
		}
		now = now.Add(time.Millisecond)
	}
	for n := 1; n > 0; {
		var err error
		n, err = s.pipe.Step(s.ctx)
		require.NoError(s.t, err)
	}
}

// state is what the backend knows: accounts, card, what became of each tap, findings, and how far the terminal's records go.
func (s *site) state() string {
	var out string
	require.NoError(s.t, s.store.View(s.ctx, func(tx *store.Tx) error {
		faults, err := tx.VerifyBooks(s.ctx)
		require.NoError(s.t, err)
		require.Empty(s.t, faults)
		all, err := tx.TrialBalance(s.ctx)
		require.NoError(s.t, err)
		for _, b := range all {
			out += fmt.Sprintf("%s %v\n", b.Account, b.Amount)
		}
		c, err := tx.CardByNumber(s.ctx, card)
		require.NoError(s.t, err)
		taps, err := tx.CardTaps(s.ctx, card)
		require.NoError(s.t, err)
		found, err := tx.Findings(s.ctx, "", 100)
		require.NoError(s.t, err)
		through, err := tx.Through(s.ctx, "bus-1", s.journal.Epoch())
		require.NoError(s.t, err)
		for _, p := range taps {
			out += fmt.Sprintf("tap %d: %v %v\n", p.Counter, p.Amount, p.Status)
		}
		out += fmt.Sprintf("shadow %v, missing %d, findings %v, through %d\n", c.Shadow, c.Missing, found, through)
		return nil
	}))
	return out
}
