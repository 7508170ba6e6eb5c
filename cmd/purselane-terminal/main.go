// Command purselane-terminal is one terminal: a bus validator, a gate, or a till. It sells with no network and uploads when there is
// one.
//
//	purselane-terminal kiosk --config FILE               top up cards that riders pay for by QR code, until SIGTERM
//	purselane-terminal check --config FILE               say everything that is wrong with a configuration
//	purselane-terminal run --config FILE                 sell until SIGTERM
//	purselane-terminal journal verify --config FILE      walk the whole journal
//	purselane-terminal device-key --file FILE            make the key that signs what this terminal sends
//
// It stays small: no database and no broker are linked in, and without the tag pcsc no C. docs/terminal.md is its page.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // a terminal's system may have none

	"github.com/alecthomas/kong"
)

// commands is the command line.
type commands struct {
	Run       RunCmd       `cmd:"" help:"Sell until SIGTERM or SIGINT; a tap in progress is finished first."`
	Kiosk     KioskCmd     `cmd:"" help:"Top up riders' cards that they pay for by QR code, with a page for a browser on this machine (docs/kiosk.md)."`
	Check     CheckCmd     `cmd:"" help:"Say everything that is wrong with a configuration, at once."`
	Journal   JournalCmd   `cmd:"" help:"Look at the journal, or move a damaged one aside. The terminal must not be running."`
	DeviceKey DeviceKeyCmd `cmd:"" help:"Make the key that signs what this terminal sends, and print its public half for the backend."`
	Version   VersionCmd   `cmd:"" help:"Say what this program is and which formats it reads."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program as signals do
	var cli commands
	k := kong.Parse(&cli, kong.Name("purselane-terminal"), kong.Description("Runs one terminal of a stored-value card scheme."), kong.UsageOnError())
	k.BindTo(ctx, (*context.Context)(nil))
	k.FatalIfErrorf(k.Run())
}
