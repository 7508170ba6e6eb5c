package main

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/store"
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

// What a card holds at first and what a tap takes, minor units; the records of a group; merchants, each with one terminal; the clearing day.
const (
	loaded    = 100_000_00
	fare      = 1
	size      = 1000
	merchants = 200
	day       = "2026-11-25"
)

var (
	issuer   = ep.Factor{1, 2, 3, 4, 5, 6, 7, 8}
	tacKey   = keys.ID{Purpose: keys.TAC, Version: 1}
	masters  = map[keys.ID]keys.Key{tacKey: {0: 0x11, 8: 0x22, 15: 0x33}}
	tokenKey = []byte("0123456789abcdef")
	noon     = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
)

func numberOf(card int) ids.CardNumber {
	n := ids.CardNumber{0: 0x31}
	binary.BigEndian.PutUint64(n[2:], uint64(card)*0x9e3779b97f4a7c15) // spread over the index, as real serials of many issues are
	return n
}

// scheme is a backend with cards that tap.
type scheme struct {
	ctx      context.Context
	store    *store.Store
	pipe     *intake.Pipeline
	hsm      *keys.Soft
	cards    int
	counters []uint32
	seq      map[ids.TerminalID]uint64
	turn     int
	random   *rand.Rand
	timed    timer
}

func terminalOf(i int) ids.TerminalID { return ids.TerminalID(fmt.Sprintf("t%d", i)) }

func merchantOf(i int) ids.MerchantID { return ids.MerchantID(fmt.Sprintf("m%d", i)) }

func newScheme(ctx context.Context, dir string, cards int) (*scheme, error) {
	return newSchemeAt(ctx, filepath.Join(dir, fmt.Sprintf("scheme-%d.db", rand.Uint32())), cards)
}

// newSchemeAt makes a scheme in a store that is a file, or a PostgreSQL database.
func newSchemeAt(ctx context.Context, at string, cards int) (*scheme, error) {
	s := &scheme{ctx: ctx, hsm: keys.NewSoft(masters), cards: cards, counters: make([]uint32, cards), seq: map[ids.TerminalID]uint64{}, random: rand.New(rand.NewPCG(1, 2)), timed: timed}
	var err error
	if s.store, err = store.Open(ctx, at, store.Options{}); err != nil {
		return nil, err
	}
	if s.pipe, err = intake.New(s.store, s.hsm, clock.NewManual(noon), intake.Options{TokenKey: tokenKey, Group: size, Log: slog.New(slog.DiscardHandler)}); err != nil {
		return nil, err
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutAcquirer(ctx, store.Acquirer{ID: "a"}); err != nil {
			return err
		}
		for i := range merchants {
			m := merchantOf(i)
			if err := tx.PutMerchant(ctx, store.Merchant{ID: m, Acquirer: "a"}); err != nil {
				return err
			}
			if err := tx.PutTerminal(ctx, store.Terminal{ID: terminalOf(i), Merchant: m, PSAMs: [][6]byte{{}}, PublicKey: make(ed25519.PublicKey, ed25519.PublicKeySize), Active: true}); err != nil {
				return err
			}
		}
		lines, err := books.Move(books.Trust, books.Float, money.Minor(int64(cards)*loaded))
		if err != nil {
			return err
		}
		if err := tx.Post(ctx, books.Entry{ID: "loads", Kind: "load", Day: day, Lines: lines}); err != nil {
			return err
		}
		for i := range cards {
			n := numberOf(i)
			if err := tx.IssueCard(ctx, store.Card{Number: n, Token: store.Token(tokenKey, n), Issuer: issuer, Levels: 2}); err != nil {
				return err
			}
			if err := tx.PutCardLoad(ctx, n, shadowaccount.Load{Amount: money.Minor(loaded), Loaded: true}, "loads"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for from := 0; from < cards; from += size { // each card has tapped once, as cards in use have
		var picks []int
		for i := from; i < min(from+size, cards); i++ {
			picks = append(picks, i)
		}
		b, err := s.batch(s.next(), picks)
		if err != nil {
			return nil, err
		}
		if err := s.keep(b); err != nil {
			return nil, err
		}
		if err := s.post(b); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// next is the terminal whose turn it is.
func (s *scheme) next() int {
	s.turn++
	return s.turn % merchants
}

func (s *scheme) picks() []int {
	out := make([]int, size)
	for i := range out {
		out[i] = s.random.IntN(s.cards)
	}
	return out
}

// batch is records of one terminal's taps, and their claims.
type batch struct {
	arrived  uplink.Accepted
	verified []store.Verified
	lanes    []int
}

// batch makes the records of taps by one terminal.
func (s *scheme) batch(terminal int, picks []int) (batch, error) {
	return s.batchOf(terminal, picks, func(n ids.CardNumber, input []byte) ([]byte, error) {
		tac, err := s.hsm.TAC(s.ctx, keys.Card{ID: tacKey, Factors: ep.Public{Issuer: issuer, CardNumber: n}.Factors(2)}, input)
		return tac[:], err
	})
}

// unsigned is a batch whose TACs prove nothing, for posting that takes their proof as read.
func (s *scheme) unsigned(terminal int, picks []int) (batch, error) {
	return s.batchOf(terminal, picks, func(ids.CardNumber, []byte) ([]byte, error) { return make([]byte, 4), nil })
}

func (s *scheme) batchOf(terminal int, picks []int, tac func(n ids.CardNumber, input []byte) ([]byte, error)) (batch, error) {
	id := terminalOf(terminal)
	b := batch{arrived: uplink.Accepted{Terminal: id, Epoch: 7, FirstSeq: s.seq[id] + 1, ReceivedAt: noon}}
	tapped := noon.Add(time.Duration(s.turn)*time.Minute - 60*24*time.Hour) // each batch is a minute of its own, so that no card is tapped without a pause
	at, err := ep.DateTimeOf(tapped)
	if err != nil {
		return b, err
	}
	for _, card := range picks {
		s.seq[id]++
		n, counter, seq := numberOf(card), s.counters[card], s.seq[id]
		s.counters[card]++
		before := int64(loaded) - int64(counter)*fare
		r := &wire.Record{Version: 1, Terminal: string(id), Epoch: 7, Seq: seq, PrevHash: make([]byte, 32), Tap: seq,
			Kind: wire.Kind_KIND_PURCHASE, State: wire.State_STATE_COMPLETED, Evidence: wire.Evidence_EVIDENCE_REPLY, Family: "ep",
			CardNumber: n[:], Issuer: issuer[:], KeyLevels: 2, KeyVersion: 1, TxnType: uint32(ep.TypePurchase), OfflineCounter: counter,
			Amount: fare, BalanceBefore: before, BalanceAfter: before - fare, PsamTerminal: make([]byte, 6), PsamSerial: uint32(terminal)<<20 | uint32(seq),
			PurseTime: at[:], Merchant: "m", TerminalTimeMs: tapped.UnixMilli(), ClockState: wire.ClockState_CLOCK_GOOD, ClockErrorMs: 1000}
		input := ep.PurchaseTAC(money.Minor(r.Amount), ep.Type(r.TxnType), ep.TerminalNumber(r.PsamTerminal), r.PsamSerial, ep.DateTime(r.PurseTime))
		if r.Tac, err = tac(n, input); err != nil {
			return b, err
		}
		raw, err := proto.Marshal(r)
		if err != nil {
			return b, err
		}
		b.arrived.Records = append(b.arrived.Records, raw)
		b.arrived.Envelope = append(b.arrived.Envelope, raw...)
		b.lanes = append(b.lanes, store.LaneOf(n))
		b.verified = append(b.verified, store.Verified{Pending: store.Pending{Terminal: id, Epoch: 7, Seq: seq, Body: raw, Day: day, ReceivedMS: noon.UnixMilli()},
			Card: n, Family: "ep", Issuer: issuer, Levels: 2, Counter: counter, Kind: int32(wire.Kind_KIND_PURCHASE),
			Claim: shadowaccount.Claim{Tap: ids.TapID{Terminal: id, Epoch: 7, Tap: seq}, Seq: seq, At: tapped.UnixMilli(), Merchant: merchantOf(terminal),
				Amount: money.Minor(fare), Before: money.Minor(before), After: money.Minor(before - fare), Said: shadowaccount.SaidCompleted, Proof: shadowaccount.ProofGood, Debit: string(input)}})
	}
	b.arrived.LastSeq = s.seq[id]
	return b, nil
}

// draw is a batch of random cards by the next terminal.
func (s *scheme) draw() (batch, error) { return s.batch(s.next(), s.picks()) }

func (s *scheme) keep(b batch) error {
	a := b.arrived
	return s.store.Update(s.ctx, func(tx *store.Tx) error {
		_, err := tx.Keep(s.ctx, store.Arrived{Terminal: a.Terminal, Epoch: a.Epoch, FirstSeq: a.FirstSeq, Records: a.Records, Envelope: a.Envelope, At: a.ReceivedAt, Day: day, Lanes: b.lanes})
		return err
	})
}

// read reads the records of a batch as a step of the intake does, before it verifies them.
func (s *scheme) read(b *batch) error {
	return s.store.View(s.ctx, func(tx *store.Tx) error {
		pending, err := tx.PendingRecords(s.ctx, size)
		if err == nil && (len(pending) != len(b.verified) || pending[0].Seq != b.arrived.FirstSeq) {
			err = fmt.Errorf("%d records wait: want the %d of the batch", len(pending), len(b.verified))
		}
		for i := range pending {
			b.verified[i].Pending = pending[i]
		}
		return err
	})
}

func (s *scheme) post(b batch) error {
	return s.store.Posting(s.ctx, func(tx *store.Tx) error {
		return tx.PostGroup(s.ctx, s.group(), b.verified)
	})
}

func (s *scheme) group() store.Group {
	return store.Group{Day: day, AtMS: noon.UnixMilli(), Token: func(n ids.CardNumber) string { return store.Token(tokenKey, n) }}
}

// end recomputes the books and closes them: a figure of wrong books is no figure.
func (s *scheme) end() error {
	defer s.store.Close()
	var faults []string
	err := s.store.View(s.ctx, func(tx *store.Tx) (err error) {
		faults, err = tx.VerifyBooks(s.ctx)
		return err
	})
	if err == nil && len(faults) > 0 {
		err = fmt.Errorf("the books are wrong after the run: %s", faults[0])
	}
	return err
}
