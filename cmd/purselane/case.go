package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/cases"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// CaseCmd is `purselane case`.
type CaseCmd struct {
	Open     CaseOpenCmd     `cmd:"" help:"Open a case about a tap that somebody claims."`
	Complain CaseComplainCmd `cmd:"" help:"Open a case about a tap that stands, and that its holder wants back."`
	List     CaseListCmd     `cmd:"" help:"List cases, the first to be due at the top."`
	Show     CaseShowCmd     `cmd:"" help:"Show a case and its trail."`
	Propose  CaseProposeCmd  `cmd:"" help:"Propose to grant or deny a claim."`
	Approve  CaseApproveCmd  `cmd:"" help:"Do what another person proposed: the books follow."`
	Refuse   CaseRefuseCmd   `cmd:"" help:"Send back what another person proposed."`
	Withdraw CaseWithdrawCmd `cmd:"" help:"End a case that is not decided, and leave its tap as it is."`
	Sweep    CaseSweepCmd    `cmd:"" help:"Open the cases of taps that nothing has decided for long; the backend does it by itself."`
}

// withCases does a tool's work on the folder's cases.
func (f schemeFolder) withCases(ctx context.Context, do func(*cases.Service) error) error {
	scheme, err := f.scheme()
	if err != nil {
		return err
	}
	return f.withStore(ctx, func(s *store.Store) error {
		c, err := cases.New(s, clock.System{}, scheme.Cases(slog.Default()))
		if err != nil {
			return err
		}
		return do(c)
	})
}

// caseStep is what every step of a case takes.
type caseStep struct {
	schemeFolder
	By     string `required:"" help:"Who does it."`
	Reason string `required:"" help:"Why, for people. No card number."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

func (c caseStep) do(ctx context.Context, k *kong.Kong, step func(*cases.Service) (cases.Case, error)) error {
	return c.withCases(ctx, func(s *cases.Service) error {
		one, err := step(s)
		if err != nil {
			return err
		}
		return printCases(k, c.JSON, one)
	})
}

// CaseOpenCmd is `purselane case open`.
type CaseOpenCmd struct {
	caseStep
	tapFlags
}

// tapFlags name a tap.
type tapFlags struct {
	Terminal ids.TerminalID `required:"" help:"The tap's terminal."`
	Epoch    string         `required:"" placeholder:"HEX" help:"Of the terminal's journal, hexadecimal, as reports print it."`
	Tap      uint64         `required:"" help:"The tap's number."`
}

func (f tapFlags) tapID() (ids.TapID, error) {
	epoch, err := strconv.ParseUint(f.Epoch, 16, 64)
	if err != nil {
		return ids.TapID{}, fmt.Errorf("--epoch %q: want up to 16 hexadecimal digits", f.Epoch)
	}
	return ids.TapID{Terminal: f.Terminal, Epoch: epoch, Tap: f.Tap}, nil
}

// Run opens.
func (c *CaseOpenCmd) Run(ctx context.Context, k *kong.Kong) error {
	tap, err := c.tapID()
	if err != nil {
		return err
	}
	return c.do(ctx, k, func(s *cases.Service) (cases.Case, error) { return s.Open(ctx, tap, c.By, c.Reason) })
}

// CaseComplainCmd is `purselane case complain`.
type CaseComplainCmd struct {
	caseStep
	tapFlags
}

// Run opens.
func (c *CaseComplainCmd) Run(ctx context.Context, k *kong.Kong) error {
	tap, err := c.tapID()
	if err != nil {
		return err
	}
	return c.do(ctx, k, func(s *cases.Service) (cases.Case, error) { return s.Complain(ctx, tap, c.By, c.Reason) })
}

// CaseProposeCmd is `purselane case propose`.
type CaseProposeCmd struct {
	caseStep
	ID       string         `arg:"" help:"The case."`
	Proposal cases.Proposal `arg:"" enum:"grant,deny,repay" help:"grant: the merchant is paid, at the scheme's loss, or if the tap came too late of what the card paid; deny: nothing is owed; repay, of a goodwill case: the holder gets back what the card paid, at the scheme's loss."`
	Agent    ids.AcquirerID `placeholder:"ID" help:"Of repay: the acquirer whose kiosk or desk gives it back."`
	Amount   string         `placeholder:"AMOUNT" help:"Of repay: a part. Default: all that is left of the tap."`
}

// Run proposes.
func (c *CaseProposeCmd) Run(ctx context.Context, k *kong.Kong) error {
	if c.Proposal != cases.Repay && (c.Agent != "" || c.Amount != "") {
		return errors.New("--agent and --amount belong to repay")
	}
	if c.Proposal == cases.Repay {
		r := cases.Repayment{Agent: c.Agent}
		if c.Agent == "" {
			return errors.New("repay: say with --agent at whose kiosk or desk")
		}
		if c.Amount != "" {
			var err error
			if r.Amount, err = money.Parse(c.Amount); err != nil {
				return fmt.Errorf("--amount: %w", err)
			}
			if r.Amount.Sign() <= 0 {
				return errors.New("--amount: want more than nothing")
			}
		}
		return c.do(ctx, k, func(s *cases.Service) (cases.Case, error) { return s.ProposeRepay(ctx, c.ID, r, c.By, c.Reason) })
	}
	return c.do(ctx, k, func(s *cases.Service) (cases.Case, error) { return s.Propose(ctx, c.ID, c.Proposal, c.By, c.Reason) })
}

// CaseApproveCmd is `purselane case approve`.
type CaseApproveCmd struct {
	caseStep
	ID string `arg:"" help:"The case."`
}

// Run approves.
func (c *CaseApproveCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.do(ctx, k, func(s *cases.Service) (cases.Case, error) { return s.Approve(ctx, c.ID, c.By, c.Reason) })
}

// CaseRefuseCmd is `purselane case refuse`.
type CaseRefuseCmd struct {
	caseStep
	ID string `arg:"" help:"The case."`
}

// Run refuses.
func (c *CaseRefuseCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.do(ctx, k, func(s *cases.Service) (cases.Case, error) { return s.Refuse(ctx, c.ID, c.By, c.Reason) })
}

// CaseWithdrawCmd is `purselane case withdraw`.
type CaseWithdrawCmd struct {
	caseStep
	ID string `arg:"" help:"The case."`
}

// Run withdraws.
func (c *CaseWithdrawCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.do(ctx, k, func(s *cases.Service) (cases.Case, error) { return s.Withdraw(ctx, c.ID, c.By, c.Reason) })
}

// CaseListCmd is `purselane case list`.
type CaseListCmd struct {
	schemeFolder
	State cases.State `help:"Only cases in this state."`
	Limit int         `default:"100" help:"At most so many."`
	JSON  bool        `name:"json" help:"Print JSON, one case a line."`
}

// Run lists.
func (c *CaseListCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withCases(ctx, func(s *cases.Service) error {
		all, err := s.Cases(ctx, c.State, c.Limit)
		if err != nil {
			return err
		}
		return printCases(k, c.JSON, all...)
	})
}

// CaseShowCmd is `purselane case show`.
type CaseShowCmd struct {
	schemeFolder
	ID string `arg:"" help:"The case."`
}

// Run shows.
func (c *CaseShowCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withCases(ctx, func(s *cases.Service) error {
		one, trail, err := s.Show(ctx, c.ID)
		if err != nil {
			return err
		}
		if err := printCases(k, false, one); err != nil {
			return err
		}
		p := &printer{out: k.Stdout}
		for _, e := range trail {
			p.line("  %s  %s by %s: %s", e.At.Format(time.DateTime), e.Event, e.By, e.Detail)
		}
		return p.err
	})
}

// CaseSweepCmd is `purselane case sweep`.
type CaseSweepCmd struct{ schemeFolder }

// Run sweeps.
func (c *CaseSweepCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withCases(ctx, func(s *cases.Service) error {
		did, err := s.Sweep(ctx)
		_, told := fmt.Fprintf(k.Stdout, "%d cases opened, %d ended by their taps\n", did.Opened, did.Ended)
		return errors.Join(err, told)
	})
}

// shownCase is the JSON form.
type shownCase struct {
	ID         string       `json:"id"`
	Kind       string       `json:"kind"`
	State      string       `json:"state"`
	Tap        string       `json:"tap"`
	Card       string       `json:"card_token"`
	Merchant   string       `json:"merchant"`
	Amount     money.Amount `json:"amount"`
	Worth      string       `json:"status"`
	Opened     time.Time    `json:"opened"`
	Due        time.Time    `json:"due"`
	Overdue    bool         `json:"overdue"`
	Proposal   string       `json:"proposal,omitempty"`
	ProposedBy string       `json:"proposed_by,omitempty"`
	Repay      *shownRepay  `json:"repay,omitempty"`
}

// shownRepay is what a case gives back.
type shownRepay struct {
	Agent     string       `json:"agent"`
	Amount    money.Amount `json:"amount"`
	LoadOrder string       `json:"load_order,omitempty"`
}

func repayOf(c cases.Case) *shownRepay {
	if c.Repay == (cases.Repayment{}) {
		return nil
	}
	return &shownRepay{string(c.Repay.Agent), c.Repay.Amount, c.Repay.LoadOrder}
}

func printCases(k *kong.Kong, asJSON bool, all ...cases.Case) error {
	for _, c := range all {
		if asJSON {
			if err := json.NewEncoder(k.Stdout).Encode(shownCase{c.ID, string(c.Kind), string(c.State), c.Tap.String(), c.Token, string(c.Merchant), c.Amount, c.Worth.String(), c.Opened, c.Due, c.Overdue,
				string(c.Proposal), c.ProposedBy, repayOf(c)}); err != nil {
				return err
			}
			continue
		}
		late := ""
		if c.Overdue {
			late = ", OVERDUE"
		}
		p := &printer{out: k.Stdout}
		p.line("%s  %s, %s: tap %v of card %s, %v for %s, is %v; due %s%s", c.ID, c.Kind, c.State, c.Tap, c.Token, c.Amount, c.Merchant, c.Worth, c.Due.Format(time.DateOnly), late)
		if c.Proposal != "" {
			p.line("  to %s, says %s", c.Proposal, c.ProposedBy)
		}
		if r := repayOf(c); r != nil {
			p.line("  gives back %v at %s, load order %s", r.Amount, r.Agent, cmp.Or(r.LoadOrder, "when it is approved"))
		}
		if p.err != nil {
			return p.err
		}
	}
	return nil
}
