package evidence_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/backend/evidence"
	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
	uplink "github.com/purselane/purselane/uplink/intake"
	"github.com/purselane/purselane/uplink/wire"
)

const day = "2026-11-24"

var (
	noon     = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	tokenKey = []byte("0123456789abcdef")
	issuer   = ep.Factor{1, 2, 3, 4, 5, 6, 7, 8}
	tacKey   = keys.ID{Purpose: keys.TAC, Version: 1}
	card     = ids.CardNumber{0: 0x31, 9: 1}
	sam      = ep.TerminalNumber{5: 1}
	device   = ed25519.NewKeyFromSeed([]byte("the seed of a device, 32 bytes.."))
	backend  = ed25519.NewKeyFromSeed([]byte("the seed of a backend, 32 bytes."))
	public   = backend.Public().(ed25519.PublicKey)
)

// site is a backend with one terminal and one card that holds 100.00.
type site struct {
	t     testing.TB
	ctx   context.Context
	hsm   *keys.Soft
	clock *clock.Manual
	store *store.Store
	pipe  *intake.Pipeline
	seq   uint64
	batch uint64
	spent int64
	taps  uint16
}

func start(t testing.TB) *site {
	s := &site{t: t, ctx: t.Context(), clock: clock.NewManual(noon), hsm: keys.NewSoft(map[keys.ID]keys.Key{tacKey: {0: 0x11, 8: 0x22, 15: 0x33}})}
	var err error
	s.store, err = store.Open(s.ctx, emptystore.At(t, filepath.Join(t.TempDir(), "x.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { s.store.Close() })
	require.NoError(t, s.store.Update(s.ctx, func(tx *store.Tx) error {
		require.NoError(t, tx.PutAcquirer(s.ctx, store.Acquirer{ID: "bus"}))
		require.NoError(t, tx.PutMerchant(s.ctx, store.Merchant{ID: "line1", Acquirer: "bus"}))
		require.NoError(t, tx.PutTerminal(s.ctx, store.Terminal{ID: "bus-1", Merchant: "line1", PSAMs: [][6]byte{sam}, PublicKey: device.Public().(ed25519.PublicKey), Active: true}))
		require.NoError(t, tx.IssueCard(s.ctx, store.Card{Number: card, Token: store.Token(tokenKey, card), Issuer: issuer, Levels: 2}))
		lines, err := books.Move(books.Trust, books.Float, money.Minor(100_00))
		require.NoError(t, err)
		require.NoError(t, tx.Post(s.ctx, books.Entry{ID: "load", Kind: "load", Day: day, Lines: lines}))
		return tx.PutCardLoad(s.ctx, card, shadowaccount.Load{Amount: money.Minor(100_00), Loaded: true}, "load")
	}))
	s.pipe, err = intake.New(s.store, s.hsm, s.clock, intake.Options{TokenKey: tokenKey, Group: 2, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return s
}

// tap is a record of the terminal; change may be nil.
func (s *site) tap(minor int64, change func(*wire.Record)) []byte {
	s.taps++
	s.seq++
	at, err := ep.DateTimeOf(noon.Add(time.Duration(s.taps) * time.Second))
	require.NoError(s.t, err)
	before := 100_00 - s.spent
	s.spent += minor
	r := &wire.Record{
		Version: 1, Terminal: "bus-1", Epoch: 0xFEDCBA9876543210, Seq: s.seq, PrevHash: make([]byte, 32), Tap: uint64(s.taps),
		Kind: wire.Kind_KIND_PURCHASE, State: wire.State_STATE_COMPLETED, Evidence: wire.Evidence_EVIDENCE_REPLY, Family: "ep",
		CardNumber: card[:], Issuer: issuer[:], KeyLevels: 2, KeyVersion: 1, TxnType: uint32(ep.TypePurchase), OfflineCounter: uint32(s.taps - 1),
		Amount: minor, BalanceBefore: before, BalanceAfter: before - minor, PsamTerminal: sam[:], PsamSerial: uint32(s.taps), PurseTime: at[:],
		Merchant: "line1", TerminalTimeMs: noon.UnixMilli() + int64(s.taps)*1000,
	}
	tac, err := s.hsm.TAC(s.ctx, keys.Card{ID: tacKey, Factors: ep.Public{Issuer: issuer, CardNumber: card}.Factors(2)},
		ep.PurchaseTAC(money.Minor(minor), ep.TypePurchase, sam, r.PsamSerial, at))
	require.NoError(s.t, err)
	r.Tac = tac[:]
	if change != nil {
		change(r)
	}
	raw, err := proto.Marshal(r)
	require.NoError(s.t, err)
	return raw
}

// send seals records as the terminal does, and posts them. It returns the envelope.
func (s *site) send(records ...[]byte) []byte {
	s.batch++
	raw, err := wire.SealEnvelope(device, &wire.EnvelopeHeader{Terminal: "bus-1", Epoch: 0xFEDCBA9876543210, Batch: s.batch, FirstSeq: s.seq - uint64(len(records)) + 1}, records)
	require.NoError(s.t, err)
	s.receive(raw)
	return raw
}

func (s *site) receive(raw []byte) {
	p := &uplink.Processor{Device: s.pipe.Device, Key: backend, Handler: s.pipe}
	_, err := p.Process(s.ctx, "bus-1", wire.KindUp, raw, s.clock.Now())
	require.NoError(s.t, err)
	s.clock.Advance(time.Second)
	for n := 1; n > 0; {
		n, err = s.pipe.Step(s.ctx)
		require.NoError(s.t, err)
	}
}

// busyDay sends five taps in two batches, one unknown and one with a bad TAC, a record that cannot be read, and a batch that cannot.
func (s *site) busyDay() {
	s.send(s.tap(1_00, nil), s.tap(2_00, nil), s.tap(3_00, nil))
	s.seq++
	junk := []byte("no record")
	s.send(junk)
	s.send(s.tap(4_00, func(r *wire.Record) { r.Tac[0]++ }), s.tap(5_00, func(r *wire.Record) {
		r.State, r.Evidence, r.Tac = wire.State_STATE_UNKNOWN, 0, nil
	}))
	s.receive(unreadable(s.t, s.seq+1))
}

// unreadable is a batch of one record that its device signed, and whose payload is none.
func unreadable(t testing.TB, seq uint64) []byte {
	payload := []byte("garbled")
	sum := sha256.Sum256(payload)
	header, err := proto.Marshal(&wire.EnvelopeHeader{Terminal: "bus-1", Epoch: 0xFEDCBA9876543210, Batch: 99, FirstSeq: seq, LastSeq: seq, Count: 1,
		Compression: wire.Compression_COMPRESSION_NONE, PayloadSha256: sum[:]})
	require.NoError(t, err)
	raw, err := proto.Marshal(&wire.Envelope{Version: 1, Signed: header, Payload: payload, Signature: ed25519.Sign(device, append([]byte("purselane-envelope-1\x00"), header...))})
	require.NoError(t, err)
	return raw
}

func (s *site) close() {
	_, err := settlement.Close(s.ctx, s.store, day, settlement.Options{Now: s.clock.Now(), Location: time.UTC})
	require.NoError(s.t, err)
}

func (s *site) export() ([]byte, evidence.Manifest) {
	var b bytes.Buffer
	m, err := evidence.Export(s.ctx, s.store, day, backend, &b)
	require.NoError(s.t, err)
	return b.Bytes(), m
}

func (s *site) verdict(seq uint64) string {
	var v store.Verdict
	require.NoError(s.t, s.store.View(s.ctx, func(tx *store.Tx) (err error) {
		v, err = tx.RecordVerdict(s.ctx, "bus-1", 0xFEDCBA9876543210, seq)
		return err
	}))
	return v.Verdict
}

// status is what the card's claim to a counter is worth.
func (s *site) status(counter uint32) string {
	out := ""
	require.NoError(s.t, s.store.View(s.ctx, func(tx *store.Tx) error {
		taps, err := tx.CardTaps(s.ctx, card)
		for _, p := range taps {
			if p.Counter == counter {
				out += p.Status.String()
			}
		}
		return err
	}))
	return out
}
