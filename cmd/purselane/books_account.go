package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount/books"
)

// BooksAccountCmd is `purselane books account`.
type BooksAccountCmd struct {
	schemeFolder
	Account string `arg:"" help:"Name or number of the account."`
}

// Run prints the account.
func (c *BooksAccountCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withStore(ctx, func(s *store.Store) error {
		return s.View(ctx, func(tx *store.Tx) error {
			a, err := tx.FindAccount(ctx, c.Account)
			if err != nil {
				return err
			}
			held := a.Balance.String()
			switch {
			case a.Edited:
				held += " is not to be believed: its row was edited"
			case books.External(a.Name):
				held += " by our entries; its balance is kept by somebody else"
			}
			fmt.Fprintf(k.Stdout, "%s\n  number    %s\n  holds     %s\n  switches  %v\n", a.Name, a.Number, held, a.Switches)
			if err := showHolds(ctx, k.Stdout, tx, a); err != nil {
				return err
			}
			notes, err := tx.AccountNotes(ctx, a.Name)
			for _, n := range notes {
				fmt.Fprintf(k.Stdout, "  note      %d %s by %s: %s\n", n.Version, n.Code, whoever(n.By), n.Detail)
			}
			return err
		})
	})
}

// showHolds prints what of the balance may be used and what is held, where something is.
func showHolds(ctx context.Context, w io.Writer, tx *store.Tx, a store.BooksAccount) error {
	open, err := tx.OpenHolds(ctx, a.Name)
	if err != nil || len(open) == 0 || a.Edited {
		return err
	}
	f, err := tx.Funds(ctx, a.Name)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "  may use   %v\n  held      %v\n", f.Available, f.Frozen)
	for _, h := range open {
		late := ""
		if now().After(h.Until) {
			late = "  OVERDUE"
		}
		fmt.Fprintf(w, "    %s  %v  until %s%s\n", h.ID, h.Amount, h.Until.UTC().Format(time.RFC3339), late)
	}
	return nil
}

func whoever(by string) string {
	if by == "" {
		return "the backend"
	}
	return by
}

// BooksSwitchCmd is `purselane books switch`.
type BooksSwitchCmd struct {
	schemeFolder
	Account string   `arg:"" help:"Name or number of the account."`
	On      []string `placeholder:"SWITCH" help:"Switches to turn on: load, withdraw, overdraft, pay, transfer-in, transfer-out, safeguard, active, frozen."`
	Off     []string `placeholder:"SWITCH" help:"Switches to turn off."`
	By      string   `required:"" placeholder:"WHO" help:"Who does it."`
	Reason  string   `required:"" placeholder:"TEXT" help:"Why."`
}

// Run turns the switches and prints what is on then.
func (c *BooksSwitchCmd) Run(ctx context.Context, k *kong.Kong) error {
	on, err1 := switches(c.On)
	off, err2 := switches(c.Off)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if on&off != 0 || on|off == 0 {
		return errors.New("--on and --off: want at least one switch, and none in both")
	}
	return c.withStore(ctx, func(s *store.Store) error {
		var a store.BooksAccount
		err := s.Update(ctx, func(tx *store.Tx) error {
			found, err := tx.FindAccount(ctx, c.Account)
			if err != nil {
				return err
			}
			if err := tx.SwitchAccount(ctx, found.Name, on, off, c.By, c.Reason); err != nil {
				return err
			}
			a, err = tx.FindAccount(ctx, string(found.Name))
			return err
		})
		if err == nil {
			fmt.Fprintf(k.Stdout, "%s: %v\n", a.Name, a.Switches)
		}
		return err
	})
}

func switches(names []string) (all books.Switches, err error) {
	for _, n := range names {
		one, e := books.ParseSwitch(n)
		all, err = all|one, errors.Join(err, e)
	}
	return all, err
}

// BooksReleaseCmd is `purselane books release`.
type BooksReleaseCmd struct {
	schemeFolder
	Account string `arg:"" help:"Name or number of the account."`
	By      string `required:"" placeholder:"WHO" help:"Who does it."`
	Reason  string `required:"" placeholder:"TEXT" help:"Why the account may be trusted again."`
}

// Run opens the account again and gives it what was set aside.
func (c *BooksReleaseCmd) Run(ctx context.Context, k *kong.Kong) error {
	scheme, err := c.scheme()
	if err != nil {
		return err
	}
	return c.withStore(ctx, func(s *store.Store) error {
		var a store.BooksAccount
		err := s.Update(ctx, func(tx *store.Tx) error {
			found, err := tx.FindAccount(ctx, c.Account)
			if err != nil {
				return err
			}
			day, err := tx.ClearingDay(ctx, now().In(scheme.Location()))
			if err != nil {
				return err
			}
			if err := tx.ReleaseAccount(ctx, found.Name, day, c.By, c.Reason); err != nil {
				return err
			}
			a, err = tx.FindAccount(ctx, string(found.Name))
			return err
		})
		if err == nil {
			fmt.Fprintf(k.Stdout, "%s is open and holds %v\n", a.Name, a.Balance)
		}
		return err
	})
}
