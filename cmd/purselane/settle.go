package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount/books"
)

// SettleCmd are the commands of clearing and settlement.
type SettleCmd struct {
	Close      SettleCloseCmd      `cmd:"" help:"Close a clearing day: freeze, charge, net, post, prove, and write its report."`
	Files      SettleFilesCmd      `cmd:"" help:"Write what each acquirer gets of a closed day: report, result and fee file, signed."`
	VerifyFile SettleVerifyFileCmd `cmd:"" help:"Check an acquirer's file: count, sum, hash and signature."`
	Deliver    SettleDeliverCmd    `cmd:"" help:"Bring a closed day's files to the acquirers' SFTP servers."`
	Account    SettleAccountCmd    `cmd:"" help:"Note whom a party is paid to."`
	Instruct   SettleInstructCmd   `cmd:"" help:"Order the payments of a closed day at the bank, as a pain.001 file."`
	BankImport SettleBankImportCmd `cmd:"" help:"Take in status reports (pain.002) and statements (camt.053) of the bank."`
	Bank       SettleBankCmd       `cmd:"" help:"List a day's payments, lines of statements that nothing explains, and alarms."`
	Resend     SettleResendCmd     `cmd:"" help:"Propose to order a payment again that the bank rejected or that came back."`
	Pay        SettlePayCmd        `cmd:"" help:"Propose to note that a closed day's positions were paid by hand."`
	Approve    SettleApproveCmd    `cmd:"" help:"Do what somebody else proposed."`
	Refuse     SettleRefuseCmd     `cmd:"" help:"Decide that a proposal is not done."`
	Proposals  SettleProposalsCmd  `cmd:"" help:"List proposals and what was done about them."`
	Days       SettleDaysCmd       `cmd:"" help:"List the closed days."`
	Contract   SettleContractCmd   `cmd:"" help:"Note what a party is charged, from when on; print it; explain a fee."`
}

// SettleCloseCmd is `purselane settle close`.
type SettleCloseCmd struct {
	schemeFolder
	Day  string `required:"" placeholder:"YYYY-MM-DD" help:"The clearing day: the day on which records arrived."`
	Out  string `placeholder:"FOLDER" type:"path" help:"Where the report goes. Default: settlement/DAY in the scheme's folder."`
	JSON bool   `name:"json" help:"Print the report as JSON."`
}

// Run closes the day, or gives the report of a closed one again: the same bytes.
func (c *SettleCloseCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withNode(ctx, func(n *node.Node) error {
		out, err := n.Settle(ctx, c.Day)
		if err != nil {
			return err
		}
		if c.Out == "" {
			c.Out = c.path(filepath.Join("settlement", c.Day))
		}
		if err := os.MkdirAll(c.Out, 0o755); err != nil {
			return err
		}
		for _, f := range out.Files() {
			if err := writeOnce(filepath.Join(c.Out, f.Name), f.Body); err != nil {
				return fmt.Errorf("the day is closed, its report was not written: %w", err)
			}
		}
		if c.JSON {
			_, err := k.Stdout.Write(out.JSON.Body)
			return err
		}
		printReport(k.Stdout, out)
		fmt.Fprintf(k.Stdout, "files in %s\n", c.Out)
		return nil
	})
}

func printReport(w io.Writer, out settlement.Output) {
	r := out.Report
	fmt.Fprintf(w, "clearing day %s, due %s (%s)\n\n", r.Day, r.Due, r.Term)
	fmt.Fprintf(w, "  %-24s %7s %12s %12s %12s %10s %12s %12s\n", "", "taps", "accepted", "rejected", "suspect", "fees", "sold loads", "net")
	for _, a := range r.Acquirers {
		fmt.Fprintf(w, "  %-24s %7d %12v %12v %12v %10v %12v %12v\n", a.Name, a.Accepted.Count, a.Accepted.Amount, a.Rejected.Amount, a.Suspect.Amount,
			a.Fees.Total, a.SoldLoads, a.Net)
	}
	for _, ch := range r.Channels {
		fmt.Fprintf(w, "  %-24s %7s %12v %12s %12s %10v %12s %12v\n", ch.Name, "", ch.Collected, "", "", ch.Fees.Total, "", ch.Net)
	}
	fmt.Fprintf(w, "\n  %s\n  zero-sum %v; report %s\n", r.Proof.Identity, r.Proof.ZeroSum, out.Digest)
}

// SettlePayCmd is `purselane settle pay`.
type SettlePayCmd struct {
	schemeFolder
	proposer
	Day string `required:"" placeholder:"YYYY-MM-DD" help:"A closed clearing day."`
	Ref string `required:"" placeholder:"TEXT" help:"The bank's reference of the payment. A day is paid under one."`
}

// Run proposes to note the payment.
func (c *SettlePayCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withStore(ctx, func(s *store.Store) error {
		p, err := settlement.ProposePay(ctx, s, c.Day, c.Ref, c.By, c.Reason, now())
		if err != nil {
			return err
		}
		proposed(k.Stdout, p)
		return nil
	})
}

// SettleDaysCmd is `purselane settle days`.
type SettleDaysCmd struct {
	schemeFolder
	Most int `default:"31" help:"How many, latest first."`
}

// Run lists the days.
func (c *SettleDaysCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withStore(ctx, func(s *store.Store) error {
		all, err := settlement.Days(ctx, s, c.Most)
		for _, d := range all {
			state := "due " + d.Due
			if d.Paid {
				state = "paid, reference " + d.BankRef
			}
			fmt.Fprintf(k.Stdout, "%s  %s  trust %v  report %.16s…\n", d.Day, state, d.Trust, d.Digest)
		}
		return err
	})
}

// BooksCmd are the commands on the books.
type BooksCmd struct {
	Verify BooksVerifyCmd `cmd:"" help:"Recompute every balance from the journal and check what must always hold."`
	Trial  BooksTrialCmd  `cmd:"" help:"Print the trial balance."`
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
