package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Version of the proof's report (docs/books-proof.md).
const Version = 1

// Proof is what one look at the books found.
type Proof struct {
	Version int     `json:"version"`
	Day     string  `json:"day"` // the day it is the proof of: the last one that was over
	At      string  `json:"at"`  // RFC 3339, in the scheme's time zone
	Passed  bool    `json:"passed"`
	Checks  []Check `json:"checks"`
}

// Check is one thing that must hold.
type Check struct {
	Name    string   `json:"name"`
	Says    string   `json:"says"` // what must hold, for people
	Passed  bool     `json:"passed"`
	Figures []Figure `json:"figures,omitempty"`
	Faults  []string `json:"faults,omitempty"`
	Do      string   `json:"do,omitempty"` // what to do, of one that failed
}

// Figure is an amount with its name. Debits are positive unless the name says otherwise.
type Figure struct {
	Name   string       `json:"name"`
	Amount money.Amount `json:"amount"`
}

// Prove proves the books as they stand, for the day that at falls on or another that is over. The books are read in the transaction given, so that
// all checks see one state.
func Prove(ctx context.Context, tx *store.Tx, day string, at time.Time) (Proof, error) {
	p := Proof{Version: Version, Day: day, At: at.Format(time.RFC3339), Passed: true}
	b, err := read(ctx, tx)
	if err != nil {
		return p, fmt.Errorf("prove the books: %w", err)
	}
	for _, c := range []func(context.Context, *store.Tx, bookState) (Check, error){
		trialBalance, entries, accounts, holds, shadows, floatIdentity, clearing, online, sides, aside, groups,
	} {
		check, err := c(ctx, tx, b)
		if err != nil {
			return p, fmt.Errorf("prove the books: %s: %w", check.Name, err)
		}
		check.Passed = len(check.Faults) == 0
		if check.Passed {
			check.Do = ""
		}
		p.Passed = p.Passed && check.Passed
		p.Checks = append(p.Checks, check)
	}
	return p, nil
}

// bookState is the balances that checks share.
type bookState struct {
	all []books.Balance
	of  map[books.Account]money.Amount
}

func read(ctx context.Context, tx *store.Tx) (bookState, error) {
	all, err := tx.TrialBalance(ctx)
	b := bookState{all: all, of: map[books.Account]money.Amount{}}
	for _, x := range all {
		b.of[x.Account] = x.Amount
	}
	return b, err
}

// ProveDay proves the books for a day that is over and keeps the report, or gives the report that was kept: the same bytes. A day whose
// last proof failed is proved anew.
func ProveDay(ctx context.Context, s *store.Store, day string, at time.Time) (Proof, error) {
	var p Proof
	if err := mustBeOver(day, at); err != nil {
		return p, err
	}
	kept := false
	err := s.View(ctx, func(tx *store.Tx) error {
		last, found, err := tx.LastProof(ctx, day)
		if err != nil {
			return err
		}
		if kept = found && last.Passed; kept {
			return json.Unmarshal(last.Body, &p)
		}
		p, err = Prove(ctx, tx, day, at)
		return err
	})
	if err != nil || kept {
		return p, err
	}
	body, err := p.JSON()
	if err != nil {
		return p, err
	}
	// The proof read one state; what is posted meanwhile waits for nobody.
	return p, s.Update(ctx, func(tx *store.Tx) error {
		return tx.KeepProof(ctx, store.KeptProof{Day: day, Passed: p.Passed, Body: body})
	})
}

func mustBeOver(day string, at time.Time) error {
	if _, err := time.Parse(time.DateOnly, day); err != nil {
		return fmt.Errorf("day %q: want YYYY-MM-DD", day)
	}
	if today := at.Format(time.DateOnly); day >= today {
		return fmt.Errorf("day %s is not over: its proof is kept when it is, today is %s", day, today)
	}
	return nil
}
