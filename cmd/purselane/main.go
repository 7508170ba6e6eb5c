// Command purselane runs a stored-value card scheme: its tools and its simulated hardware.
//
//	purselane demo                              a whole city in one process
//	purselane simulate card --file card.json    be a card in a virtual reader
//	purselane simulate psam --file psam.json    be a PSAM in another
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands is the command line.
type commands struct {
	Demo     DemoCmd     `cmd:"" help:"Run a whole city in this process: one compressed day, and what became of every cent."`
	Init     InitCmd     `cmd:"" help:"Make a new scheme's folder: keys, sample scheme and profile, access tokens."`
	Serve    ServeCmd    `cmd:"" help:"Run the backend: broker, intake, books, API and page."`
	Card     CardCmd     `cmd:"" help:"Issue, block and look at cards."`
	Terminal TerminalCmd `cmd:"" help:"Register, stop and list terminals."`
	Profile  ProfileCmd  `cmd:"" help:"Check, show and sign the profiles of terminals."`
	Family   FamilyCmd   `cmd:"" help:"Prepare a scheme for simulated cards of another family: electronic cash, or DESFire."`
	Kiosk    KioskCmd    `cmd:"" help:"Load cards."`
	Settle   SettleCmd   `cmd:"" help:"Close clearing days and note their payment."`
	Case     CaseCmd     `cmd:"" help:"Decide taps that nothing proves, by two persons."`
	App      AppCmd      `cmd:"" help:"Keep merchants' apps that call the gateway, by two persons."`
	Webhook  WebhookCmd  `cmd:"" help:"Where apps are told of events, and what did not arrive."`
	Channels ChannelsCmd `cmd:"" help:"Look at the gateway's payment channels, and switch them off and on."`
	Balance  BalanceCmd  `cmd:"" help:"Show what holders have beside cards, and change it by two persons: balances and points."`
	Payouts  PayoutsCmd  `cmd:"" help:"Look at what the gateway has paid out, and decide by two persons about what nobody has confirmed."`
	Risk     RiskCmd     `cmd:"" help:"Check rules that assess payments, try them on a day that was, and explain what they decided."`
	History  HistoryCmd  `cmd:"" help:"Ask what became of the gateway's orders, beside the database."`
	Books    BooksCmd    `cmd:"" help:"Prove the books."`
	Backup   BackupCmd   `cmd:"" help:"Copy the database while it is written to, prove a copy, and put it back."`
	Findings FindingsCmd `cmd:"" help:"What is suspicious, and what it means."`
	Watch    WatchCmd    `cmd:"" help:"Look for what is suspicious."`
	Evidence EvidenceCmd `cmd:"" help:"Write a clearing day as one signed file, and check such a file."`
	Scan     ScanCmd     `cmd:"" help:"Look for card numbers, verification values and keys in what was written: none may be there."`
	Keys     KeysCmd     `cmd:"" help:"Make, combine and carry keys, in a sealed file or an HSM."`
	Simulate SimulateCmd `cmd:"" help:"Stand in for hardware, and for payment channels."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var cli commands
	k := kong.Parse(&cli, kong.Name("purselane"), kong.Description("Runs a stored-value card scheme."), kong.UsageOnError())
	k.BindTo(ctx, (*context.Context)(nil))
	k.FatalIfErrorf(k.Run())
}
