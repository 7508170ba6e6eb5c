package edge

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/client"
	"github.com/purselane/purselane/uplink/wire"
)

// Lane is one reader and what it sells.
type Lane struct {
	// Reader is waited on by Run. Nil: the lane is served by Present and Sell alone.
	Reader        reader.Reader
	Mode          tap.Mode
	Line, Station fare.Code

	// Reopen makes the reader anew when it has been closed or fails in a way that waiting does not heal. Nil: the old one is tried
	// again.
	Reopen func() (reader.Reader, error)
}

// Config of a terminal. Everything without a default is required.
type Config struct {
	Terminal ids.TerminalID
	Merchant ids.MerchantID

	Profile *firmwareconfig.Profile
	// SAM makes MAC1 and checks MAC2. All lanes share it, one purchase at a time. One that has Probe(ctx) error is asked by it
	// whether it works again after a failure.
	SAM keys.SAM
	// Pool is several SAMs, in the place of SAM: as many lanes sell at the same time, and one that fails does not stop the others. Run
	// runs it.
	Pool *keys.Pool
	// Families makes the drivers of further card families, once for each lane. They look for their purse after the EP one's. Nil: there are none.
	Families func() ([]purse.Driver, error)

	JournalPath string
	Journal     journal.Options // Terminal is filled in
	Lanes       []Lane

	Clock clock.Clock // default: the machine's
	// ClockState tells how good Clock is and the bound of its error. Default: holdover, 2 s, because a terminal that does
	// not watch its clock cannot call it good. A clock that is behind the newest record, or before 2024, is bad whatever this says.
	ClockState func() (wire.ClockState, time.Duration)
	// Time is both in one, and is told what the terminal learns of the time. Nil: there is none.
	Time Timekeeper

	Uplink     *client.Config     // nil: no link of its own; the records stay, or the caller drives Sender
	DeviceKey  ed25519.PrivateKey // signs what is sent; without it there is no Sender
	BackendKey ed25519.PublicKey  // whose receipts count
	Rand       *rand.Rand         // uplink jitter; default: seeded by the machine

	Denied func(ids.CardNumber) bool // deny list; nil: none

	// DenyVersion is the version of that list, which each record tells: it decides who bears a debit of a denied card. Nil: not told.
	DenyVersion func() uint64
	// Linked are other terminals on the same vehicle or gate line; whoever made the link runs it. Nil: none.
	Linked Linked
	// Show is told every outcome, one at a time. It must return soon: the rider of the next lane waits.
	Show func(Event)
	Log  *slog.Logger // default: none
}

// drivers are the drivers of one lane.
func (c *Config) drivers(sams keys.SAMs) ([]purse.Driver, error) {
	all := Drivers(c.Profile, sams)
	if c.Families == nil {
		return all, nil
	}
	more, err := c.Families()
	return append(all, more...), err
}

// check returns every fault of the configuration at once and fills in the defaults.
func (c *Config) check() error {
	var all []error
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf("terminal: "+format, args...)) }
	if err := ids.Check(string(c.Terminal)); err != nil {
		bad("terminal id %q: %w", c.Terminal, err)
	}
	if err := ids.Check(string(c.Merchant)); err != nil {
		bad("merchant id %q: %w", c.Merchant, err)
	}
	if c.JournalPath == "" {
		bad("journal path: want a file on a disk that keeps its promises")
	}
	switch {
	case c.Pool != nil && c.SAM != nil:
		bad("SAM: want one, or a pool of them, not both")
	case c.Pool != nil:
		for _, s := range c.Pool.States() {
			if s.TerminalNumber == [6]byte{} {
				bad("SAM: the terminal number of one is all zeros: it is not personalised")
			}
		}
	case c.SAM == nil:
		bad("SAM: want one")
	case c.SAM.TerminalNumber() == [6]byte{}:
		bad("SAM: its terminal number is all zeros: it is not personalised")
	}
	if c.Profile == nil {
		bad("profile: want one")
	} else if err := c.Profile.Check(); err != nil {
		all = append(all, err)
	} else if err := CheckLanes(c.Profile, c.Lanes); err != nil {
		bad("%w", err)
	}
	if (c.DeviceKey == nil) != (c.BackendKey == nil) {
		bad("device key and backend key: want both or none")
	}
	if c.Uplink != nil && c.DeviceKey == nil {
		bad("uplink: it needs the device key and the backend key")
	}
	if c.Time != nil {
		c.Clock, c.ClockState = c.Time, c.Time.State
	}
	if c.Clock == nil {
		c.Clock = clock.System{}
	}
	if c.ClockState == nil {
		c.ClockState = unwatchedClock
	}
	if c.Rand == nil {
		c.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if c.Show == nil {
		c.Show = func(Event) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Journal.Terminal = c.Terminal
	return errors.Join(all...)
}

// CheckLanes finds the lanes whose place has no fare in a profile, all at once: such a lane would refuse every rider.
func CheckLanes(p *firmwareconfig.Profile, lanes []Lane) error {
	if len(lanes) == 0 {
		return errors.New("lanes: want at least one")
	}
	var all []error
	for i, l := range lanes {
		var err error
		switch l.Mode {
		case tap.BusFlat:
			_, err = p.Fares.BusFlat(l.Line)
		case tap.MetroEntry, tap.MetroExit:
			_, err = p.Fares.MetroEntry(l.Station)
		case tap.Sale:
		default:
			err = fmt.Errorf("mode %d is not known", l.Mode)
		}
		if err != nil {
			all = append(all, fmt.Errorf("lanes[%d]: %w in profile %d", i, err, p.Version))
		}
	}
	return errors.Join(all...)
}

// prober is what a SAM may have besides: a test that takes nothing.
type prober interface {
	Probe(ctx context.Context) error
}
