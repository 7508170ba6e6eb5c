package main

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// The day, and what is in it: the records of a posting group, taps of each card, merchants, and their acquirers. What a card holds and what a tap takes are minor
// units.
const (
	clearing  = "2026-11-25"
	group     = 5000
	perCard   = 10
	merchants = 60
	loaded    = 100_00
	fare      = 2_00
)

var (
	acquirers = []ids.AcquirerID{"bus", "metro", "ferry"}
	tokenKey  = []byte("0123456789abcdef")
	noon      = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
)

func merchantOf(i int) ids.MerchantID { return ids.MerchantID("m" + strconv.Itoa(i)) }

func terminalOf(i int) ids.TerminalID { return ids.TerminalID("t" + strconv.Itoa(i)) }

func numberOf(card int) ids.CardNumber {
	n := ids.CardNumber{0: 0x31}
	binary.BigEndian.PutUint64(n[2:], uint64(card)*0x9e3779b97f4a7c15) // spread over the index, as real serials of many issues are
	return n
}

// fill writes a scheme and posts a day of taps: each card taps once a round, at one merchant after the other.
func fill(ctx context.Context, s *store.Store, taps int) error {
	if err := s.Update(ctx, func(tx *store.Tx) error { return parties(ctx, tx) }); err != nil {
		return err
	}
	cards := max(1, taps/perCard)
	for from := 0; from < cards; from += group {
		if err := s.Update(ctx, func(tx *store.Tx) error { return issue(ctx, tx, from, min(from+group, cards)) }); err != nil {
			return err
		}
	}
	for from := 0; from < taps; from += group {
		var records []store.Verified
		for i := from; i < min(from+group, taps); i++ {
			records = append(records, tapOf(i, cards))
		}
		err := s.Update(ctx, func(tx *store.Tx) error {
			return tx.PostGroup(ctx, store.Group{Day: clearing, AtMS: noon.UnixMilli(), Token: func(n ids.CardNumber) string { return store.Token(tokenKey, n) }}, records)
		})
		if err != nil {
			return fmt.Errorf("post taps from %d: %w", from, err)
		}
	}
	return nil
}

func parties(ctx context.Context, tx *store.Tx) error {
	for _, a := range acquirers {
		fees := `[{"name":"usual","side":"inside","charges":[{"kind":"service","model":"rate","ppm":5000}]}]`
		if err := tx.PutAcquirer(ctx, store.Acquirer{ID: a, Name: string(a), Fees: fees}); err != nil {
			return err
		}
	}
	for i := range merchants {
		if err := tx.PutMerchant(ctx, store.Merchant{ID: merchantOf(i), Acquirer: acquirers[i%len(acquirers)], Name: "merchant " + strconv.Itoa(i)}); err != nil {
			return err
		}
		if err := tx.PutTerminal(ctx, store.Terminal{ID: terminalOf(i), Merchant: merchantOf(i), PSAMs: [][6]byte{{}},
			PublicKey: make(ed25519.PublicKey, ed25519.PublicKeySize), Active: true}); err != nil {
			return err
		}
	}
	return nil
}

func issue(ctx context.Context, tx *store.Tx, from, to int) error {
	lines, err := books.Move(books.Trust, books.Float, money.Minor(int64(to-from)*loaded))
	if err != nil {
		return err
	}
	entry := "loads:" + strconv.Itoa(from)
	if err := tx.Post(ctx, books.Entry{ID: entry, Kind: "load", Day: clearing, Lines: lines}); err != nil {
		return err
	}
	for i := from; i < to; i++ {
		n := numberOf(i)
		if err := tx.IssueCard(ctx, store.Card{Number: n, Token: store.Token(tokenKey, n), Issuer: [8]byte{1}, Levels: 2}); err != nil {
			return err
		}
		if err := tx.PutCardLoad(ctx, n, shadowaccount.Load{Amount: money.Minor(loaded), Loaded: true}, entry); err != nil {
			return err
		}
	}
	return nil
}

// tapOf is the day's tap of that number.
func tapOf(i, cards int) store.Verified {
	card, counter, m := i%cards, i/cards, i%merchants
	before := int64(loaded - counter*fare)
	seq := uint64(i/merchants + 1)
	at := noon.UnixMilli()
	return store.Verified{Pending: store.Pending{Terminal: terminalOf(m), Epoch: 7, Seq: seq, Day: clearing, ReceivedMS: at},
		Card: numberOf(card), Family: "ep", Issuer: [8]byte{1}, Levels: 2, Counter: uint32(counter), Kind: 1,
		Claim: shadowaccount.Claim{Tap: ids.TapID{Terminal: terminalOf(m), Epoch: 7, Tap: seq}, Seq: seq, At: at, Merchant: merchantOf(m),
			Amount: money.Minor(fare), Before: money.Minor(before), After: money.Minor(before - fare), Said: shadowaccount.SaidCompleted,
			Proof: shadowaccount.ProofGood, Debit: strconv.Itoa(i)}}
}
