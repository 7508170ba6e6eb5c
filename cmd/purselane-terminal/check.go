package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/terminal/reader/pn532"
)

// probeWithin is the time for the test of one reader.
const probeWithin = 10 * time.Second

// CheckCmd is `purselane-terminal check`.
type CheckCmd struct {
	configFile
	Readers bool `help:"Also open each PN532 reader, test it and close it again. The terminal must not be running."`
}

// Run reads the configuration and every file it names. Without --readers it opens no device: a terminal that runs on it is not
// disturbed.
func (c *CheckCmd) Run(ctx context.Context, k *kong.Kong) error {
	cfg, err := c.read()
	if err != nil {
		return err
	}
	settled, err := cfg.settled()
	_, localErr := cfg.readLocal()
	if err := errors.Join(err, localErr); err != nil {
		return fmt.Errorf("%s:\n%w", c.Config, err)
	}
	p := settled.Profile
	fmt.Fprintf(k.Stdout, "%s is sound: terminal %s, profile %d of %s, %d lanes\n", c.Config, settled.Terminal, p.Version, p.Scheme, len(cfg.Lanes))
	taken, says := cfg.tellFamilies(p)
	fmt.Fprintf(k.Stdout, "  cards: %s; %d PSAMs\n", taken, len(cfg.psams()))
	for i, l := range cfg.Lanes {
		fmt.Fprintf(k.Stdout, "  lane %d: %s at %s reader %s\n", i, l.Mode, l.Kind, l.place())
	}
	if cfg.API != nil {
		fmt.Fprintf(k.Stdout, "  local API at %s\n", cfg.API.Listen)
	}
	if cfg.Link != nil {
		fmt.Fprintf(k.Stdout, "  linked with %s\n", strings.Join(cfg.Link.Peers, ", "))
	}
	if cfg.Uplink == nil {
		fmt.Fprintln(k.Stdout, "  no uplink: it sells until the limits of its profile, and then stops")
	}
	fmt.Fprintf(k.Stdout, "  %v\n", cfg.clockNow())
	if cfg.simulated() {
		fmt.Fprintln(k.Stdout, simulatedWarning)
	}
	for _, line := range says {
		fmt.Fprintln(k.Stdout, line)
	}
	return cfg.checkReaders(ctx, k.Stdout, c.Readers)
}

// checkReaders says of each PN532 whether its port is there, or with test how it answers. A port that is not there is no fault of a
// configuration, but it is one of a test.
func (c *config) checkReaders(ctx context.Context, out io.Writer, test bool) error {
	var all []error
	for i, l := range c.Lanes {
		switch {
		case l.Kind != "pn532":
		case test:
			if err := c.probe(ctx, i, l, out); err != nil {
				all = append(all, fmt.Errorf("lanes[%d]: %w", i, err))
			}
		default:
			if _, err := os.Stat(c.path(l.Port)); err != nil {
				fmt.Fprintf(out, "  lane %d: the port is not there now (%v): the terminal waits for it\n", i, err)
			}
		}
	}
	return errors.Join(all...)
}

func (c *config) probe(ctx context.Context, lane int, l laneConfig, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	info, err := pn532.Probe(ctx, c.pn532(l, slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  lane %d: PN532 firmware %s at %d baud, %.1f ms a command\n", lane, info.Firmware, info.Baud, float64(info.Exchange)/float64(time.Millisecond))
	if info.Baud == pn532.StartBaud && l.Baud != pn532.StartBaud {
		fmt.Fprintf(out, "  lane %d: the line was not raised above %d baud: a tap takes about 20 ms longer; look at the cable and the adapter\n", lane, info.Baud)
	}
	if info.Held > 1 {
		fmt.Fprintf(out, "  lane %d: the adapter holds bytes for %d ms, twice in each command: have a udev rule set its latency_timer to 1\n", lane, info.Held)
	}
	return nil
}
