package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/gateway/channel/balance"
	"github.com/purselane/purselane/backend/gateway/holdings"
	"github.com/purselane/purselane/backend/ledger"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
)

// BalanceCmd is `purselane balance`.
type BalanceCmd struct {
	Show      BalanceShowCmd      `cmd:"" help:"Show what a holder has."`
	Statement BalanceStatementCmd `cmd:"" help:"Print a holder's statement: the balance by clearing days, or points by time."`
	Adjust    BalanceAdjustCmd    `cmd:"" help:"Ask for more or less on a holder's balance; a second person approves."`
	Points    BalancePointsCmd    `cmd:"" help:"Ask to give points to a holder, or to take some; a second person approves."`
	Asked     BalanceAskedCmd     `cmd:"" help:"List changes that are asked for."`
	Approve   BalanceApproveCmd   `cmd:"" help:"Make the change that another person has asked for."`
	Refuse    BalanceRefuseCmd    `cmd:"" help:"End a change that is asked for."`
}

// withHoldings does a tool's work on what holders have.
func (f schemeFolder) withHoldings(ctx context.Context, do func(*holdings.Service, *store.Store, string) error) error {
	scheme, err := f.scheme()
	if err != nil {
		return err
	}
	currency := scheme.Currency
	if currency == "" {
		currency = "CNY"
	}
	return f.withStore(ctx, func(s *store.Store) error {
		h, err := holdings.New(s, holdings.Config{Currency: currency, Location: scheme.Location()})
		if err != nil {
			return err
		}
		return do(h, s, currency)
	})
}

// BalanceShowCmd is `purselane balance show`.
type BalanceShowCmd struct {
	schemeFolder
	Holder string `arg:"" help:"The holder as the books name him: APP.NAME."`
}

// Run prints the balance and the points, with when they expire.
func (c *BalanceShowCmd) Run(ctx context.Context, k *kong.Kong) error {
	account, err := balance.Account(c.Holder)
	if err != nil {
		return err
	}
	return c.withHoldings(ctx, func(_ *holdings.Service, s *store.Store, currency string) error {
		return s.View(ctx, func(tx *store.Tx) error {
			f, err1 := tx.Funds(ctx, account)
			points, err2 := tx.PointsOf(ctx, c.Holder)
			if err := errors.Join(err1, err2); err != nil {
				return err
			}
			p := &printer{out: k.Stdout}
			p.line("%v %s may be used, %v held", f.Available, currency, f.Frozen)
			for _, x := range points {
				free, err := x.Balance.Sub(x.Held)
				if err != nil {
					return err
				}
				p.line("%v %s may be used, %v held", free, x.Currency, x.Held)
				lots, err := tx.PointsLots(ctx, c.Holder, x.Currency)
				if err != nil {
					return err
				}
				for _, l := range lots {
					if l.Expires.After(now()) {
						p.line("  of %v that were given (%s), what is left expires %s", l.Amount, l.ID, l.Expires.UTC().Format(time.RFC3339))
					}
				}
			}
			return p.err
		})
	})
}

// BalanceStatementCmd is `purselane balance statement`.
type BalanceStatementCmd struct {
	schemeFolder
	Holder string `arg:"" help:"The holder as the books name him: APP.NAME."`
	From   string `placeholder:"YYYY-MM-DD" default:"0001-01-01" help:"First clearing day."`
	To     string `placeholder:"YYYY-MM-DD" default:"9999-12-31" help:"Last clearing day."`
	Points bool   `help:"Of points, all there are: they are in no books."`
	Form   string `default:"text" enum:"text,csv,json" help:"Of the balance: text, csv or json."`
}

// Run prints it.
func (c *BalanceStatementCmd) Run(ctx context.Context, k *kong.Kong) error {
	if _, err := balance.Account(c.Holder); err != nil {
		return err
	}
	return c.withStore(ctx, func(s *store.Store) error {
		if c.Points {
			return s.View(ctx, func(tx *store.Tx) error {
				all, err := tx.PointsEntries(ctx, c.Holder)
				p := &printer{out: k.Stdout}
				for _, e := range all {
					p.line("%s  %v %s  %s  %s", e.At.UTC().Format(time.RFC3339), e.Amount, e.Currency, e.ID, e.Ref)
				}
				return errors.Join(err, p.err)
			})
		}
		var st ledger.Statement
		if err := s.View(ctx, func(tx *store.Tx) (err error) {
			st, err = ledger.HolderStatement(ctx, tx, c.Holder, c.From, c.To)
			return err
		}); err != nil {
			return err
		}
		return printStatement(k, st, c.Form)
	})
}

// balanceAsk is what every change takes.
type balanceAsk struct {
	schemeFolder
	Holder string `arg:"" help:"The holder as the books name him: APP.NAME."`
	Amount string `arg:"" help:"How much more; with a minus how much less, after two dashes: -- -5.00."`
	By     string `required:"" placeholder:"WHO" help:"Who asks."`
	Reason string `required:"" placeholder:"TEXT" help:"Why, for people."`
}

func (c balanceAsk) ask(ctx context.Context, k *kong.Kong, currency string, expires time.Time) error {
	amount, err := money.Parse(c.Amount)
	if err != nil {
		return fmt.Errorf("amount: %w", err)
	}
	return c.withHoldings(ctx, func(h *holdings.Service, _ *store.Store, books string) error {
		switch {
		case currency == "":
			currency = books
		case currency == books:
			return fmt.Errorf("%s is the books' currency, and no points: use `purselane balance adjust`", currency)
		}
		asked, err := h.Ask(ctx, holdings.Wanted{Holder: c.Holder, Currency: currency, Amount: amount, Expires: expires}, c.By, c.Reason)
		if err == nil {
			_, err = fmt.Fprintf(k.Stdout, "%s: %s asks for %v %s of %s: a second person must approve\n", asked.ID, c.By, asked.Amount, currency, c.Holder)
		}
		return err
	})
}

// BalanceAdjustCmd is `purselane balance adjust`.
type BalanceAdjustCmd struct{ balanceAsk }

// Run asks.
func (c *BalanceAdjustCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.ask(ctx, k, "", time.Time{})
}

// BalancePointsCmd is `purselane balance points`.
type BalancePointsCmd struct {
	balanceAsk
	Currency string    `required:"" placeholder:"PTS" help:"The points' currency, three capital letters."`
	Expires  time.Time `format:"2006-01-02" placeholder:"YYYY-MM-DD" help:"The day, UTC, at whose begin what is left expires. Default: never."`
}

// Run asks.
func (c *BalancePointsCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.ask(ctx, k, c.Currency, c.Expires)
}

// BalanceAskedCmd is `purselane balance asked`.
type BalanceAskedCmd struct {
	schemeFolder
	All  bool `help:"Those that are decided, too."`
	Most int  `default:"100" help:"How many at most."`
}

// Run lists.
func (c *BalanceAskedCmd) Run(ctx context.Context, k *kong.Kong) error {
	state := store.ChangeAsked
	if c.All {
		state = ""
	}
	return c.withHoldings(ctx, func(h *holdings.Service, _ *store.Store, _ string) error {
		all, err := h.Changes(ctx, state, c.Most)
		p := &printer{out: k.Stdout}
		for _, x := range all {
			p.line("%s  %v %s of %s, by %s at %s: %s", x.ID, x.Amount, x.Currency, x.Holder, x.By, x.Asked.UTC().Format(time.RFC3339), x.Reason)
			if x.State != store.ChangeAsked {
				p.line("  %s by %s at %s %s", x.State, x.DecidedBy, x.Decided.UTC().Format(time.RFC3339), x.DecidedWhy)
			}
		}
		return errors.Join(err, p.err)
	})
}

// BalanceApproveCmd is `purselane balance approve`.
type BalanceApproveCmd struct {
	schemeFolder
	ID string `arg:"" help:"The change, H and 26 characters."`
	By string `required:"" placeholder:"WHO" help:"Who approves."`
}

// Run approves.
func (c *BalanceApproveCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withHoldings(ctx, func(h *holdings.Service, _ *store.Store, _ string) error {
		x, err := h.Approve(ctx, c.ID, c.By)
		if err == nil {
			_, err = fmt.Fprintf(k.Stdout, "%s: %v %s of %s is done\n", x.ID, x.Amount, x.Currency, x.Holder)
		}
		return err
	})
}

// BalanceRefuseCmd is `purselane balance refuse`.
type BalanceRefuseCmd struct {
	schemeFolder
	ID     string `arg:"" help:"The change, H and 26 characters."`
	By     string `required:"" placeholder:"WHO" help:"Who refuses."`
	Reason string `required:"" placeholder:"TEXT" help:"Why, for people."`
}

// Run refuses.
func (c *BalanceRefuseCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withHoldings(ctx, func(h *holdings.Service, _ *store.Store, _ string) error {
		x, err := h.Refuse(ctx, c.ID, c.By, c.Reason)
		if err == nil {
			_, err = fmt.Fprintf(k.Stdout, "%s is refused\n", x.ID)
		}
		return err
	})
}
