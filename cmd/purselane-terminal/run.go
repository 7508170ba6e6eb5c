package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/journal"
)

// RunCmd is `purselane-terminal run`.
type RunCmd struct {
	configFile
	JSON     bool          `name:"json" help:"Write outcomes as JSON lines (docs/terminal.md)."`
	Verbose  bool          `short:"v" help:"Log more."`
	Patience time.Duration `default:"60s" help:"How long a till's request waits for a card."`

	in io.Reader // of a till's requests; nil: standard input
}

// Run sells until ctx ends.
func (c *RunCmd) Run(ctx context.Context, k *kong.Kong) (err error) {
	level := slog.LevelInfo
	if c.Verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(k.Stderr, &slog.HandlerOptions{Level: level}))
	file, err := c.read()
	if err != nil {
		return err
	}
	cfg, err := file.settled()
	if err != nil {
		return fmt.Errorf("%s:\n%w", c.Config, err)
	}
	if file.PSAM.Kind == "simulated" {
		fmt.Fprintln(k.Stderr, simulatedWarning)
	}
	open, err := file.devices(ctx, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, open.Close()) }()
	cfg.SAM, cfg.Log, cfg.ClockState = open.sam, log, clockState
	screen := startLights(k.Stdout, c.JSON, log, cfg.Profile.Location())
	defer screen.close()
	cfg.Show = screen.show
	for i := range cfg.Lanes {
		cfg.Lanes[i].Reader = open.lanes[i]
		screen.modes = append(screen.modes, file.Lanes[i].Mode)
	}
	in := c.in
	if in == nil {
		in = os.Stdin
	}
	return sellOn(ctx, cfg, file.Journal.WhenDamaged == goOn, log, &till{in: in, screen: screen, log: log, patience: c.Patience, lanes: cfg.Lanes})
}

// sellOn opens the terminal and runs it. A damaged journal is moved aside, and the terminal goes on with a new one, once: a
// disk that damages two in a row needs hands.
func sellOn(ctx context.Context, cfg edge.Config, quarantine bool, log *slog.Logger, till *till) error {
	for moved := false; ; moved = true {
		t, err := edge.Open(cfg)
		if err == nil {
			log.Info("selling", "terminal", cfg.Terminal, "profile", cfg.Profile.Version, "lanes", len(cfg.Lanes))
			life, end := context.WithCancel(ctx)
			till.serve(life, t)
			err = t.Run(life)
			end()
			till.wait()
			err = errors.Join(err, t.Close())
		}
		if !errors.Is(err, journal.ErrDamaged) || !quarantine || moved {
			return err
		}
		where, moveErr := journal.Quarantine(cfg.JournalPath, time.Now())
		if moveErr != nil {
			return errors.Join(err, moveErr)
		}
		log.Error("JOURNAL DAMAGED: moved aside, going on with a new one. Keep the file: the taps in it are money", "file", where, "err", err)
	}
}
