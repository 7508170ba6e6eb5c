package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/bankfile"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
)

// bankOptions are the scheme's, for what goes through the bank.
func (f schemeFolder) bankOptions() (settlement.BankOptions, error) {
	s, err := f.scheme()
	if err != nil {
		return settlement.BankOptions{}, err
	}
	return settlement.BankOptions{Now: now(), Location: s.Location(), Initiator: s.Name, Currency: s.Currency}, nil
}

// partyName is KIND:ID, as flags name a party.
func partyName(s string) (kind, id string, err error) {
	kind, id, ok := strings.Cut(s, ":")
	if !ok || kind == "" || id == "" {
		return "", "", fmt.Errorf("--party %q: want KIND:ID, such as acquirer:bus-company", s)
	}
	return kind, id, nil
}

// SettleAccountCmd is `purselane settle account`.
type SettleAccountCmd struct {
	schemeFolder
	Party  string `required:"" placeholder:"KIND:ID" help:"Whose: acquirer:ID, channel:ID, scheme:trust for the scheme's own that parties are paid from, or scheme:NAME for another own account."`
	Name   string `required:"" help:"Of the account's owner."`
	Number string `required:"" help:"IBAN, or a number of another kind, without spaces."`
	Bank   string `required:"" help:"BIC, or CNAPS number of 12 digits."`
}

// Run notes the account.
func (c *SettleAccountCmd) Run(ctx context.Context, k *kong.Kong) error {
	kind, id, err := partyName(c.Party)
	if err != nil {
		return err
	}
	return c.withStore(ctx, func(s *store.Store) error {
		if err := settlement.SetBankAccount(ctx, s, kind, id, bankfile.Account{Name: c.Name, Number: c.Number, Bank: c.Bank}, now()); err != nil {
			return err
		}
		fmt.Fprintf(k.Stdout, "%s has account %s at %s\n", c.Party, c.Number, c.Bank)
		return nil
	})
}

// SettleInstructCmd is `purselane settle instruct`.
type SettleInstructCmd struct {
	schemeFolder
	Day string `required:"" placeholder:"YYYY-MM-DD" help:"A closed clearing day."`
	Out string `placeholder:"FOLDER" type:"path" help:"Where the files go. Default: settlement/DAY in the scheme's folder."`
}

// Run orders the payments once, and writes the file: the same bytes each time.
func (c *SettleInstructCmd) Run(ctx context.Context, k *kong.Kong) error {
	o, err := c.bankOptions()
	if err != nil {
		return err
	}
	return c.withStore(ctx, func(s *store.Store) error {
		order, err := settlement.Instruct(ctx, s, c.Day, o)
		if err != nil {
			return err
		}
		if err := writeOrder(k.Stdout, c.schemeFolder, c.Out, c.Day, order); err != nil {
			return err
		}
		return c.printLevels(ctx, k, s) // what is left may be too little
	})
}

func writeOrder(w io.Writer, f schemeFolder, out, day string, order settlement.Order) error {
	if out == "" {
		out = f.path(filepath.Join("settlement", day))
	}
	if order.Name != "" {
		if err := os.MkdirAll(out, 0o755); err != nil {
			return err
		}
		if err := writeOnce(filepath.Join(out, order.Name), order.Body); err != nil {
			return fmt.Errorf("the payments are ordered, their file was not written: %w", err)
		}
		fmt.Fprintf(w, "give %s to the bank\n", filepath.Join(out, order.Name))
	}
	for _, c := range order.Collections {
		if err := os.MkdirAll(out, 0o755); err != nil {
			return err
		}
		if err := writeOnce(filepath.Join(out, c.Name), c.Body); err != nil {
			return fmt.Errorf("the debits are ordered, their file was not written: %w", err)
		}
		fmt.Fprintf(w, "give %s to the bank\n", filepath.Join(out, c.Name))
		for _, p := range c.Debits {
			fmt.Fprintf(w, "debit   %s  %s:%s  %v\n", p.ID, p.Kind, p.Party, p.Amount)
		}
	}
	for _, p := range order.Payments {
		fmt.Fprintf(w, "pay     %s  %s:%s  %v\n", p.ID, p.Kind, p.Party, p.Amount)
	}
	for _, p := range order.Expected {
		fmt.Fprintf(w, "expect  %s  %s:%s  %v, %s\n", p.ID, p.Kind, p.Party, p.Amount, p.State)
	}
	if len(order.Payments)+len(order.Expected)+len(order.Collections) == 0 {
		fmt.Fprintln(w, "nothing is due")
	}
	return nil
}

// SettleBankImportCmd is `purselane settle bank-import`.
type SettleBankImportCmd struct {
	schemeFolder
	Files []string `arg:"" type:"existingfile" help:"pain.002 and camt.053 files, in the order in which the bank made them."`
}

// errAlarms makes the program's exit code say that somebody must look.
var errAlarms = errors.New("there are alarms: look at each; `purselane settle bank` lists them again")

// Run takes the files in, one by one. A file that is not taken in ends it; those before it stand.
func (c *SettleBankImportCmd) Run(ctx context.Context, k *kong.Kong) error {
	o, err := c.bankOptions()
	if err != nil {
		return err
	}
	return c.withStore(ctx, func(s *store.Store) error {
		alarmed := false
		for _, path := range c.Files {
			got, err := importBankFile(ctx, s, path, o)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			fmt.Fprintf(k.Stdout, "%s: %d new, %d known, %d unmatched\n", filepath.Base(path), got.New, got.Same, got.Unmatched)
			for _, a := range got.Alarms {
				alarmed = true
				fmt.Fprintf(k.Stdout, "ALARM %s %s: %s\n", a.What, a.About, a.Text)
			}
		}
		if alarmed {
			return errAlarms
		}
		return nil
	})
}

// importBankFile tells the two messages apart by their form: each reader refuses the other's.
func importBankFile(ctx context.Context, s *store.Store, path string, o settlement.BankOptions) (settlement.Imported, error) {
	file, err := os.Open(path)
	if err != nil {
		return settlement.Imported{}, err
	}
	defer file.Close()
	message, err := bankfile.MessageOf(file)
	if err != nil {
		return settlement.Imported{}, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return settlement.Imported{}, err
	}
	switch message {
	case "pain.002":
		return settlement.ImportStatus(ctx, s, file, o)
	case "camt.053":
		return settlement.ImportStatement(ctx, s, file, o)
	}
	return settlement.Imported{}, fmt.Errorf("it is a %s: want pain.002 or camt.053", message)
}

// SettleBankCmd is `purselane settle bank`.
type SettleBankCmd struct {
	schemeFolder
	Day string `placeholder:"YYYY-MM-DD" help:"List this day's payments too."`
}

// Run lists payments, lines that nothing explains, and alarms.
func (c *SettleBankCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withStore(ctx, func(s *store.Store) error {
		b, err := settlement.BankStateOf(ctx, s, c.Day)
		if err != nil {
			return err
		}
		for _, p := range b.Payments {
			way := "pay   "
			if p.Incoming {
				way = "expect"
			}
			if p.Mandate != "" {
				way = "debit "
			}
			fmt.Fprintf(k.Stdout, "%s  %s  %s:%s  %v  attempt %d  %s %s\n", way, p.ID, p.Kind, p.Party, p.Amount, p.Attempt, p.State, p.Reason)
		}
		for _, e := range b.Unmatched {
			side := "debit"
			if e.Credit {
				side = "credit"
			}
			fmt.Fprintf(k.Stdout, "UNMATCHED %s %s line %s: %s %v %s, of it %v unexplained: %s\n", e.Day, e.Statement, e.Ref, side, e.Amount, e.Currency, e.Unmatched, e.Text)
		}
		for _, a := range b.Alarms {
			fmt.Fprintf(k.Stdout, "ALARM %s %s %s: %s\n", a.At.UTC().Format("2006-01-02 15:04"), a.What, a.About, a.Text)
		}
		fmt.Fprintf(k.Stdout, "in transit %v\n", b.InTransit)
		return c.printLevels(ctx, k, s)
	})
}

// SettleResendCmd is `purselane settle resend`.
type SettleResendCmd struct {
	schemeFolder
	proposer
	Day   string `required:"" placeholder:"YYYY-MM-DD" help:"The clearing day."`
	Party string `required:"" placeholder:"KIND:ID" help:"Whose payment was rejected or came back."`
}

// Run proposes to order the payment again.
func (c *SettleResendCmd) Run(ctx context.Context, k *kong.Kong) error {
	kind, id, err := partyName(c.Party)
	if err != nil {
		return err
	}
	return c.withStore(ctx, func(s *store.Store) error {
		p, err := settlement.ProposeResend(ctx, s, c.Day, kind, id, c.By, c.Reason, now())
		if err != nil {
			return err
		}
		proposed(k.Stdout, p)
		return nil
	})
}

// proposer is who proposes something, and why.
type proposer struct {
	By     string `required:"" placeholder:"NAME" help:"Your name. Somebody else approves."`
	Reason string `required:"" placeholder:"TEXT" help:"Why. It stands in the trail."`
}

func proposed(w io.Writer, p store.Proposal) {
	fmt.Fprintf(w, "proposed as %s; another person approves it: purselane settle approve --proposal %s --by NAME\n", p.ID, p.ID)
}

// SettleApproveCmd is `purselane settle approve`.
type SettleApproveCmd struct {
	schemeFolder
	Proposal string `required:"" placeholder:"ID" help:"The proposal."`
	By       string `required:"" placeholder:"NAME" help:"Your name: not the one who proposed it."`
}

// Run does what was proposed.
func (c *SettleApproveCmd) Run(ctx context.Context, k *kong.Kong) error {
	o, err := c.bankOptions()
	if err != nil {
		return err
	}
	return c.withStore(ctx, func(s *store.Store) error {
		p, order, err := settlement.Approve(ctx, s, c.Proposal, c.By, o)
		if err != nil {
			return err
		}
		if p.Action == "pay" {
			fmt.Fprintf(k.Stdout, "%s is paid, reference %s\n", p.Day, p.Ref)
			return nil
		}
		return writeOrder(k.Stdout, c.schemeFolder, "", p.Day, order)
	})
}

// SettleRefuseCmd is `purselane settle refuse`.
type SettleRefuseCmd struct {
	schemeFolder
	proposer
	Proposal string `required:"" placeholder:"ID" help:"The proposal."`
}

// Run notes that the proposal is not done.
func (c *SettleRefuseCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withStore(ctx, func(s *store.Store) error {
		p, err := settlement.Refuse(ctx, s, c.Proposal, c.By, c.Reason, now())
		if err != nil {
			return err
		}
		fmt.Fprintf(k.Stdout, "%s is refused\n", p.ID)
		return nil
	})
}

// SettleProposalsCmd is `purselane settle proposals`.
type SettleProposalsCmd struct {
	schemeFolder
	Day string `placeholder:"YYYY-MM-DD" help:"All of this day, with what was done about them. Default: those of all days that wait."`
}

// Run lists proposals, each with its trail.
func (c *SettleProposalsCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withStore(ctx, func(s *store.Store) error {
		all, err := settlement.ProposalsOf(ctx, s, c.Day)
		for _, p := range all {
			what := "pay under reference " + p.Ref
			if p.Action != "pay" {
				what = p.Action + " " + p.Kind + ":" + p.Party
			}
			fmt.Fprintf(k.Stdout, "%s  %s  %s\n", p.ID, p.State, what)
			for _, step := range p.Steps {
				fmt.Fprintf(k.Stdout, "    %s  %s %s  %s\n", step.At.UTC().Format("2006-01-02 15:04:05"), step.Who, step.What, step.Text)
			}
		}
		return err
	})
}
