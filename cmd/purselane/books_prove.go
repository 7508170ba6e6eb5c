package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/ledger"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount/books"
)

// BooksProveCmd is `purselane books prove`.
type BooksProveCmd struct {
	schemeFolder
	Day  string `placeholder:"YYYY-MM-DD" help:"A day that is over: its report is kept, and given again. Default: the books as they stand now, not kept."`
	JSON bool   `name:"json" help:"Print the report as JSON."`
}

// Run prints the report, and fails if the books are not sound.
func (c *BooksProveCmd) Run(ctx context.Context, k *kong.Kong) error {
	scheme, err := c.scheme()
	if err != nil {
		return err
	}
	at := now().In(scheme.Location())
	return c.withStore(ctx, func(s *store.Store) error {
		var p ledger.Proof
		var err error
		if c.Day != "" {
			p, err = ledger.ProveDay(ctx, s, c.Day, at)
		} else {
			err = s.View(ctx, func(tx *store.Tx) (err error) {
				p, err = ledger.Prove(ctx, tx, at.Format(time.DateOnly), at)
				return err
			})
		}
		if err != nil {
			return err
		}
		out := p.Text()
		if c.JSON {
			if out, err = p.JSON(); err != nil {
				return err
			}
		}
		if _, err := k.Stdout.Write(out); err != nil {
			return err
		}
		if !p.Passed {
			return errBooks
		}
		return nil
	})
}

// BooksBalanceCmd is `purselane books balance`.
type BooksBalanceCmd struct {
	schemeFolder
	Account string `arg:"" help:"Name or number of the account."`
	At      string `placeholder:"YYYY-MM-DD" help:"The clearing day at whose end. Default: all there is."`
}

// Run prints the balance by the journal's lines alone; of an account that somebody else keeps, the turnover.
func (c *BooksBalanceCmd) Run(ctx context.Context, k *kong.Kong) error {
	day := c.At
	if day == "" {
		day = "9999-12-31"
	}
	return c.withStore(ctx, func(s *store.Store) error {
		return s.View(ctx, func(tx *store.Tx) error {
			a, err := tx.FindAccount(ctx, c.Account)
			if err != nil {
				return err
			}
			balance, err := ledger.BalanceAt(ctx, tx, a.Name, day)
			if errors.Is(err, ledger.ErrExternal) {
				moved, err := tx.TurnoverAt(ctx, a.Name, day)
				fmt.Fprintf(k.Stdout, "%s  debits %v  credits %v  (its balance is in the statement of whoever keeps it)\n", a.Name, moved.Debits, moved.Credits)
				return err
			}
			if err == nil {
				fmt.Fprintf(k.Stdout, "%s  %v\n", a.Name, balance)
			}
			return err
		})
	})
}

// BooksStatementCmd is `purselane books statement`.
type BooksStatementCmd struct {
	schemeFolder
	Card     string `required:"" xor:"of" placeholder:"TOKEN" help:"Token of a card."`
	Merchant string `required:"" xor:"of" placeholder:"ID" help:"A merchant."`
	From     string `required:"" placeholder:"YYYY-MM-DD" help:"First clearing day."`
	To       string `required:"" placeholder:"YYYY-MM-DD" help:"Last clearing day."`
	Form     string `default:"text" enum:"text,csv,json" help:"text, csv or json."`
}

// Run prints opening balance, lines and closing balance.
func (c *BooksStatementCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withStore(ctx, func(s *store.Store) error {
		var st ledger.Statement
		err := s.View(ctx, func(tx *store.Tx) (err error) {
			if c.Card != "" {
				st, err = ledger.CardStatement(ctx, tx, c.Card, c.From, c.To)
			} else {
				st, err = ledger.MerchantStatement(ctx, tx, ids.MerchantID(c.Merchant), c.From, c.To)
			}
			return err
		})
		if err != nil {
			return err
		}
		return printStatement(k, st, c.Form)
	})
}

// printStatement prints it as text, csv or json.
func printStatement(k *kong.Kong, st ledger.Statement, form string) (err error) {
	out := st.Text()
	switch form {
	case "csv":
		out, err = st.CSV()
	case "json":
		out, err = st.JSON()
	}
	if err != nil {
		return err
	}
	_, err = k.Stdout.Write(out)
	return err
}

// BooksChartCmd is `purselane books chart`.
type BooksChartCmd struct{ schemeFolder }

// Run prints each control line with the sum of the lines below it.
func (c *BooksChartCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withStore(ctx, func(s *store.Store) error {
		var all []books.Balance
		if err := s.View(ctx, func(tx *store.Tx) (err error) { all, err = tx.TrialBalance(ctx); return err }); err != nil {
			return err
		}
		rows, err := books.RollUp(all)
		for _, r := range rows {
			code := r.Code
			if r.Account != "" {
				code = ""
			}
			fmt.Fprintf(k.Stdout, "%-4s%*s%-*s %16v\n", code, 2*r.Level, "", 50-2*r.Level, r.Name, r.Amount)
		}
		return err
	})
}
