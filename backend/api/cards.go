package api

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/uplink/wire"
)

// maxFindings bounds the findings that are read of one kind.
const maxFindings = 1000

// card finds a card by its token. A token that is none may be anything, so the refusal does not say it back.
func card(ctx context.Context, tx *store.Tx, token CardToken) (store.Card, error) {
	c, err := tx.CardByToken(ctx, token)
	if errors.Is(err, store.ErrNotFound) {
		return store.Card{}, refusal{codeUnknownCard, "no card has that token"}
	}
	return c, err
}

// GetCard shows a card.
func (s *server) GetCard(ctx context.Context, r GetCardRequestObject) (GetCardResponseObject, error) {
	var out Card
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		c, err := card(ctx, tx, r.Token)
		if err != nil {
			return err
		}
		out = Card{Token: c.Token, Masked: c.Number.String(), Status: c.Status, Shadow: c.Shadow, OfflineCounter: int(c.Next), Gaps: c.Missing}
		o, err := tx.OpenLoadOrder(ctx, c.Number)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		out.OpenLoad = &CardLoad{Order: o.ID, State: LoadState(o.State), Amount: o.Amount}
		return err
	})
	return GetCard200JSONResponse(out), err
}

// ListCardTransactions lists a card's taps by counter, highest first.
func (s *server) ListCardTransactions(ctx context.Context, r ListCardTransactionsRequestObject) (ListCardTransactionsResponseObject, error) {
	var taps []store.Tap
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		c, err := card(ctx, tx, r.Token)
		if err != nil {
			return err
		}
		taps, err = tx.CardTaps(ctx, c.Number)
		return err
	})
	slices.Reverse(taps)
	taps = taps[:min(len(taps), limitOf(r.Params.Limit))]
	return ListCardTransactions200JSONResponse(s.transactions(taps)), err
}

// ListTransactions lists the latest taps.
func (s *server) ListTransactions(ctx context.Context, r ListTransactionsRequestObject) (ListTransactionsResponseObject, error) {
	var taps []store.Tap
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		var err error
		taps, err = tx.LatestTaps(ctx, limitOf(r.Params.Limit))
		return err
	})
	return ListTransactions200JSONResponse(s.transactions(taps)), err
}

func (s *server) transactions(taps []store.Tap) TransactionList {
	out := TransactionList{Transactions: []Transaction{}}
	for _, p := range taps {
		kind := strings.ToLower(strings.TrimPrefix(wire.Kind(p.Kind).String(), "KIND_"))
		out.Transactions = append(out.Transactions, Transaction{Card: p.Token, Terminal: string(p.Tap.Terminal), Tap: p.Tap.String(),
			Merchant: unlessEmpty(string(p.Merchant)), Kind: kind, Amount: p.Amount, BalanceBefore: p.Before, BalanceAfter: p.After,
			OfflineCounter: p.Counter, Status: p.Status.String(), At: time.UnixMilli(p.AtMS).In(s.Location)})
	}
	return out
}

// ListCardFindings lists what is suspicious about a card: in its records, and in loads of it.
func (s *server) ListCardFindings(ctx context.Context, r ListCardFindingsRequestObject) (ListCardFindingsResponseObject, error) {
	var out []Finding
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		c, err := card(ctx, tx, r.Token)
		if err != nil {
			return err
		}
		out, err = findings(ctx, tx, c.Token, maxFindings)
		return err
	})
	return ListCardFindings200JSONResponse{Findings: out}, err
}

// ListFindings lists what is suspicious about anything.
func (s *server) ListFindings(ctx context.Context, r ListFindingsRequestObject) (ListFindingsResponseObject, error) {
	var out []Finding
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		var err error
		out, err = findings(ctx, tx, "", limitOf(r.Params.Limit))
		return err
	})
	return ListFindings200JSONResponse{Findings: out}, err
}

// findings lists findings of a card or, with an empty token, of all: alarms first, and of these loads first.
func findings(ctx context.Context, tx *store.Tx, token string, limit int) ([]Finding, error) {
	loads, err := tx.LoadFindings(ctx, token, limit)
	if err != nil {
		return nil, err
	}
	out := []Finding{}
	for _, f := range loads {
		out = append(out, Finding{Code: f.Code, Severity: FindingSeverityAlarm, Card: unlessEmpty(f.Token), Order: unlessEmpty(f.Order), Counter: int(f.Counter), Detail: f.Detail})
	}
	records, err := tx.Findings(ctx, token, maxFindings)
	for _, f := range records {
		out = append(out, Finding{Code: string(f.Code), Severity: FindingSeverity(f.Severity), Consequence: unlessEmpty(f.Remedy), Card: unlessEmpty(f.Token),
			Counter: int(f.Counter), Detail: f.Detail})
	}
	slices.SortStableFunc(out, func(a, b Finding) int { return strings.Compare(string(a.Severity), string(b.Severity)) })
	return out[:min(len(out), limit)], err
}
