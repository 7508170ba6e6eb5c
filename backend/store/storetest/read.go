package storetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/reference"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

const all = 1 << 30 // no limit

// readState reads out of a store what the reference says of it: the cards and records that want names, and all accounts.
func readState(ctx context.Context, s *store.Store, want reference.State) (reference.State, error) {
	out := reference.State{Cards: map[ids.CardNumber]reference.Card{}, Balances: map[books.Account]money.Amount{},
		Records: map[reference.Key]reference.Fate{}, Through: map[reference.Epoch]uint64{}}
	err := s.View(ctx, func(tx *store.Tx) error {
		explained, err := tx.ExplainedLoads(ctx)
		if err != nil {
			return err
		}
		for n := range want.Cards {
			c, err := readCard(ctx, tx, n)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			for _, l := range explained {
				if l.Card == n {
					c.Explained = append(c.Explained, l.Counter)
				}
			}
			out.Cards[n] = c
		}
		for k := range want.Records {
			v, err := tx.RecordVerdict(ctx, k.Terminal, k.Epoch, k.Seq)
			if err != nil {
				return err
			}
			out.Records[k] = fateOf(v.Verdict)
		}
		for e := range want.Through {
			if out.Through[e], err = tx.Through(ctx, e.Terminal, e.Epoch); err != nil {
				return err
			}
		}
		balances, err := tx.TrialBalance(ctx)
		if err != nil {
			return err
		}
		for _, b := range balances {
			if !b.Amount.IsZero() {
				out.Balances[b.Account] = b.Amount
			}
		}
		found, err := tx.Findings(ctx, "", all)
		for _, f := range found {
			if f.Code == shadowaccount.FindRecordConflict {
				out.Conflicts++
			}
		}
		return err
	})
	return out, err
}

func fateOf(verdict string) reference.Fate {
	switch verdict {
	case "unreadable", "unnamed", "quarantined":
		return reference.Fate(verdict)
	case "accepted", "inferred", "unknown", "clone", "bad-tac", "void", "granted", "denied", "superseded":
		return reference.Tap
	}
	return reference.Fate(fmt.Sprintf("verdict %q", verdict))
}

func readCard(ctx context.Context, tx *store.Tx, n ids.CardNumber) (reference.Card, error) {
	row, err := tx.CardByNumber(ctx, n)
	if err != nil {
		return reference.Card{}, err
	}
	out := reference.Card{Status: row.Status, Family: row.Family, Opening: row.OpeningCounter, BlockedMS: row.BlockedMS, Shadow: row.Shadow,
		Complete: row.Complete, Next: row.Next, Tail: row.Tail, Missing: row.Missing}
	taps, err := tx.CardTaps(ctx, n)
	if err != nil {
		return out, err
	}
	for _, t := range taps {
		out.Claims = append(out.Claims, reference.Claim{Counter: t.Counter, Tap: t.Tap, Seq: t.Seq, AtMS: t.AtMS, Merchant: t.Merchant,
			Amount: t.Amount, Before: t.Before, After: t.After, Said: t.Said, Proof: t.Proof, Status: t.Status, Kind: t.Kind, Rule: t.Rule})
	}
	found, err := tx.Findings(ctx, row.Token, all)
	if err != nil {
		return out, err
	}
	for _, f := range found {
		out.Findings = append(out.Findings, shadowaccount.Finding{Code: f.Code, Counter: f.Counter, Detail: f.Detail})
	}
	gaps, err := tx.Gaps(ctx, row.Token, all)
	for _, g := range gaps {
		out.Gaps = append(out.Gaps, g.Gap)
	}
	return out, err
}
