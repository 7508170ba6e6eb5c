package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
)

// SettleCmd are the commands of clearing and settlement.
type SettleCmd struct {
	Close      SettleCloseCmd      `cmd:"" help:"Close a clearing day: freeze, charge, net, post, prove, and write its report."`
	Files      SettleFilesCmd      `cmd:"" help:"Write what each acquirer gets of a closed day: report, result and fee file, signed."`
	VerifyFile SettleVerifyFileCmd `cmd:"" help:"Check an acquirer's file: count, sum, hash and signature."`
	Deliver    SettleDeliverCmd    `cmd:"" help:"Bring a closed day's files to the acquirers' SFTP servers."`
	Account    SettleAccountCmd    `cmd:"" help:"Note whom a party is paid to."`
	Mandate    SettleMandateCmd    `cmd:"" help:"Note that a party may be debited for what it owes, or that it may no longer."`
	Instruct   SettleInstructCmd   `cmd:"" help:"Order the payments of a closed day at the bank, as pain.001 and pain.008 files."`
	BankImport SettleBankImportCmd `cmd:"" help:"Take in status reports (pain.002) and statements (camt.053) of the bank."`
	Bank       SettleBankCmd       `cmd:"" help:"List a day's payments, lines of statements that nothing explains, and alarms."`
	Limits     SettleLimitsCmd     `cmd:"" help:"Note what stays on an own account at a bank, and what transfers may take."`
	Transfer   SettleTransferCmd   `cmd:"" help:"Move money between the scheme's own accounts, by two persons."`
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
		if _, err := n.CloseDay(ctx, c.Day); err != nil {
			return err
		}
		if c.Out == "" {
			c.Out = c.path(filepath.Join("settlement", c.Day))
		}
		if err := os.MkdirAll(c.Out, 0o755); err != nil {
			return err
		}
		out, err := writeDay(ctx, n.Store(), c.Day, c.Out)
		if err != nil {
			return fmt.Errorf("the day is closed, its report was not written: %w", err)
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

// writeDay writes a closed day's files into a folder, or finds them there with the same content.
func writeDay(ctx context.Context, s *store.Store, day, folder string) (settlement.Head, error) {
	var files onceFiles
	defer files.drop()
	out, err := settlement.Write(ctx, s, day, func(name string) (io.WriteCloser, error) { return files.create(filepath.Join(folder, name)) })
	if err != nil {
		return out, err
	}
	if err := writeOnce(filepath.Join(folder, out.JSON.Name), out.JSON.Body); err != nil {
		return out, err
	}
	return out, files.keep()
}

func printReport(w io.Writer, out settlement.Head) {
	r := out.Report
	fmt.Fprintf(w, "clearing day %s, due %s (%s)\n\n", r.Day, r.Due, r.Term)
	fmt.Fprintf(w, "  %-24s %7s %12s %12s %12s %10s %12s %12s\n", "", "taps", "accepted", "rejected", "suspect", "fees", "sold loads", "net")
	for _, a := range r.Acquirers {
		fmt.Fprintf(w, "  %-24s %7d %12v %12v %12v %10v %12v %12v\n", a.Name, a.Accepted.Count, a.Accepted.Amount, a.Rejected.Amount, a.Suspect.Amount,
			a.Fees.Total, a.SoldLoads, a.Net)
		if a.Accrued != nil && !a.Accrued.Total.IsZero() {
			fmt.Fprintf(w, "    %v more in fees became due, and are taken by the first clearing day of the next month\n", a.Accrued.Total)
		}
		if !a.Collected.IsZero() {
			fmt.Fprintf(w, "    net is less %v in fees of earlier months\n", a.Collected)
		}
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
