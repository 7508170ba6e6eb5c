package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
)

// SettleLimitsCmd is `purselane settle limits`.
type SettleLimitsCmd struct {
	schemeFolder
	Account string `required:"" placeholder:"NAME" help:"The own account: trust, or what follows scheme: in settle account."`
	Minimum string `default:"0.00" placeholder:"AMOUNT" help:"What stays there. Less is an alarm, and no transfer takes it."`
	Once    string `default:"0.00" placeholder:"AMOUNT" help:"What one transfer takes at most. 0: no limit."`
	Day     string `default:"0.00" placeholder:"AMOUNT" help:"What the transfers of a day take at most. 0: no limit."`
}

// Run notes the limits.
func (c *SettleLimitsCmd) Run(ctx context.Context, k *kong.Kong) error {
	a := store.OwnAccount{ID: c.Account, NotedAt: now()}
	for _, f := range []struct {
		flag, text string
		to         *money.Amount
	}{{"--minimum", c.Minimum, &a.Minimum}, {"--once", c.Once, &a.MostOnce}, {"--day", c.Day, &a.MostDay}} {
		var err error
		if *f.to, err = money.Parse(f.text); err != nil {
			return fmt.Errorf("%s: %w", f.flag, err)
		}
	}
	return c.withStore(ctx, func(s *store.Store) error {
		if err := settlement.SetOwnAccount(ctx, s, a); err != nil {
			return err
		}
		return c.printLevels(ctx, k, s)
	})
}

// printLevels says how the own accounts stand.
func (f schemeFolder) printLevels(ctx context.Context, k *kong.Kong, s *store.Store) error {
	all, err := settlement.Levels(ctx, s)
	for _, l := range all {
		bank := "no balance from the bank yet"
		if l.BankDay != "" {
			bank = fmt.Sprintf("bank %v on %s", l.Bank, l.BankDay)
		}
		below := ""
		if l.Below {
			below = "  BELOW MINIMUM"
		}
		fmt.Fprintf(k.Stdout, "own account %s: %s, books %v, promised %v, free %v, minimum %v%s\n", l.ID, bank, l.Books, l.Promised, l.Free, l.Rules.Minimum, below)
	}
	return err
}

// SettleTransferCmd is `purselane settle transfer`.
type SettleTransferCmd struct {
	Propose SettleTransferProposeCmd `cmd:"" help:"Propose to move money from one own account to another."`
	Approve SettleTransferApproveCmd `cmd:"" help:"Order what somebody else proposed, as a pain.001 file."`
	Refuse  SettleTransferRefuseCmd  `cmd:"" help:"Decide that a transfer is not ordered."`
	List    SettleTransferListCmd    `cmd:"" help:"List transfers, and how the own accounts stand."`
}

// SettleTransferProposeCmd is `purselane settle transfer propose`.
type SettleTransferProposeCmd struct {
	schemeFolder
	proposer
	From   string `required:"" placeholder:"NAME" help:"The own account that gives."`
	To     string `required:"" placeholder:"NAME" help:"The own account that gets."`
	Amount string `required:"" placeholder:"AMOUNT" help:"How much, or 'surplus' for all that is free above the minimum."`
}

// Run proposes.
func (c *SettleTransferProposeCmd) Run(ctx context.Context, k *kong.Kong) error {
	o, err := c.bankOptions()
	if err != nil {
		return err
	}
	var amount money.Amount // of nothing: the surplus
	if c.Amount != "surplus" {
		if amount, err = money.Parse(c.Amount); err != nil {
			return fmt.Errorf("--amount: %w", err)
		}
		if amount.Sign() <= 0 {
			return fmt.Errorf("--amount %v: want more than nothing, or surplus", amount)
		}
	}
	return c.withStore(ctx, func(s *store.Store) error {
		x, err := settlement.ProposeTransfer(ctx, s, c.From, c.To, amount, c.By, c.Reason, o)
		if err != nil {
			return err
		}
		fmt.Fprintf(k.Stdout, "proposed as %s, %v; another person approves it: purselane settle transfer approve %s --by NAME\n", x.ID, x.Amount, x.ID)
		return nil
	})
}

// SettleTransferApproveCmd is `purselane settle transfer approve`.
type SettleTransferApproveCmd struct {
	schemeFolder
	ID string `arg:"" help:"The transfer."`
	By string `required:"" placeholder:"NAME" help:"Your name: not the one who proposed it."`
}

// Run orders.
func (c *SettleTransferApproveCmd) Run(ctx context.Context, k *kong.Kong) error {
	o, err := c.bankOptions()
	if err != nil {
		return err
	}
	return c.withStore(ctx, func(s *store.Store) error {
		order, err := settlement.ApproveTransfer(ctx, s, c.ID, c.By, o)
		if err != nil {
			return err
		}
		return writeOrder(k.Stdout, c.schemeFolder, c.path(filepath.Join("settlement", "transfers")), "", order)
	})
}

// SettleTransferRefuseCmd is `purselane settle transfer refuse`.
type SettleTransferRefuseCmd struct {
	schemeFolder
	proposer
	ID string `arg:"" help:"The transfer."`
}

// Run refuses.
func (c *SettleTransferRefuseCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withStore(ctx, func(s *store.Store) error {
		if err := settlement.RefuseTransfer(ctx, s, c.ID, c.By, c.Reason, now()); err != nil {
			return err
		}
		fmt.Fprintf(k.Stdout, "%s is refused\n", c.ID)
		return nil
	})
}

// SettleTransferListCmd is `purselane settle transfer list`.
type SettleTransferListCmd struct {
	schemeFolder
	Limit int `default:"100" help:"At most so many, the latest first."`
}

// Run lists.
func (c *SettleTransferListCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withStore(ctx, func(s *store.Store) error {
		all, err := settlement.Transfers(ctx, s, c.Limit)
		if err != nil {
			return err
		}
		for _, x := range all {
			fmt.Fprintf(k.Stdout, "%s  %s  %v from %s to %s, by %s: %s", x.ID, x.State, x.Amount, x.From, x.To, x.ProposedBy, x.Reason)
			if x.DecidedBy != "" {
				fmt.Fprintf(k.Stdout, "; decided by %s %s", x.DecidedBy, x.Note)
			}
			fmt.Fprintln(k.Stdout)
		}
		return c.printLevels(ctx, k, s)
	})
}
