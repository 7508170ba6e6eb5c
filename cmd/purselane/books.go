package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount/books"
)

// BooksCmd are the commands on the books.
type BooksCmd struct {
	Verify    BooksVerifyCmd    `cmd:"" help:"Recompute every balance from the journal and check what must always hold."`
	Trial     BooksTrialCmd     `cmd:"" help:"Print the trial balance."`
	Chart     BooksChartCmd     `cmd:"" help:"Print the balances rolled up through the chart of accounts."`
	Prove     BooksProveCmd     `cmd:"" help:"Prove the books, with a report; of a day that is over the report is kept."`
	Balance   BooksBalanceCmd   `cmd:"" help:"Print an account's balance at the end of a clearing day."`
	Statement BooksStatementCmd `cmd:"" help:"Print the statement of a card or a merchant."`
	Account   BooksAccountCmd   `cmd:"" help:"Show an account, its switches and what was done to it."`
	Switch    BooksSwitchCmd    `cmd:"" help:"Turn switches of an account on or off."`
	Release   BooksReleaseCmd   `cmd:"" help:"Open a frozen account again, with its balance made anew from the journal."`
}

// BooksVerifyCmd is `purselane books verify`.
type BooksVerifyCmd struct{ schemeFolder }

// errBooks makes the program's exit code say what the lines before it said.
var errBooks = errors.New("the books are not sound: stop settling and find out why before anything is paid")

// Run prints every fault found.
func (c *BooksVerifyCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withStore(ctx, func(s *store.Store) error {
		var faults []string
		if err := s.View(ctx, func(tx *store.Tx) (err error) { faults, err = tx.VerifyBooks(ctx); return err }); err != nil {
			return err
		}
		for _, f := range faults {
			fmt.Fprintf(k.Stdout, "FAULT %s\n", f)
		}
		if len(faults) > 0 {
			return errBooks
		}
		fmt.Fprintln(k.Stdout, "the books are sound: every entry sums to zero, every account equals its lines, float equals the shadow accounts, the chain is unbroken")
		return nil
	})
}

// BooksTrialCmd is `purselane books trial`.
type BooksTrialCmd struct {
	schemeFolder
	JSON bool `name:"json" help:"Print it as JSON."`
}

// Run prints every account, debits positive, and the sum, which is zero.
func (c *BooksTrialCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withStore(ctx, func(s *store.Store) error {
		var all []books.Balance
		if err := s.View(ctx, func(tx *store.Tx) (err error) { all, err = tx.TrialBalance(ctx); return err }); err != nil {
			return err
		}
		total, err := books.Total(all)
		if err != nil {
			return err
		}
		if c.JSON {
			type line struct {
				Account string `json:"account"`
				Class   string `json:"class"`
				Balance string `json:"balance"`
			}
			out := struct {
				Accounts []line `json:"accounts"`
				Total    string `json:"total"`
			}{Accounts: []line{}, Total: total.String()}
			for _, b := range all {
				out.Accounts = append(out.Accounts, line{string(b.Account), string(b.Class), b.Amount.String()})
			}
			e := json.NewEncoder(k.Stdout)
			e.SetIndent("", "  ")
			return e.Encode(out)
		}
		for _, b := range all {
			fmt.Fprintf(k.Stdout, "%-40s %-10s %14v\n", b.Account, b.Class, b.Amount)
		}
		fmt.Fprintf(k.Stdout, "%-40s %-10s %14v\n", "total", "", total)
		return nil
	})
}
