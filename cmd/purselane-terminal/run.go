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

	"github.com/purselane/purselane/terminal/api"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/service"
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
	level := &slog.LevelVar{}
	if c.Verbose {
		level.Set(slog.LevelDebug)
	}
	log := slog.New(slog.NewTextHandler(k.Stderr, &slog.HandlerOptions{Level: level}))
	manager, err := service.FromEnvironment(os.Getenv, os.Unsetenv)
	if err != nil {
		return err
	}
	file, err := c.read()
	if err != nil {
		return err
	}
	cfg, err := file.settled()
	local, localErr := file.readLocal()
	if err := errors.Join(err, localErr); err != nil {
		return fmt.Errorf("%s:\n%w", c.Config, err)
	}
	beside, err := newServices(file, local, cfg.Profile.SameTrip, log, level, manager)
	if err != nil {
		return err
	}
	life, end := context.WithCancel(ctx)
	defer beside.wait()
	defer end()
	beside.run(life)
	if file.simulated() {
		fmt.Fprintln(k.Stderr, simulatedWarning)
	}
	_, says := file.tellFamilies(cfg.Profile)
	for _, line := range says {
		fmt.Fprintln(k.Stderr, line)
	}
	open, err := file.devices(ctx, cfg.Profile, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, open.Close()) }()
	if err := file.serve(open, &cfg); err != nil {
		return err
	}
	cfg.Log = log
	defer file.openClock(ctx, &cfg)()
	lights := startLights(k.Stdout, c.JSON, log, cfg.Profile)
	defer lights.close()
	cfg.Show = func(e edge.Event) {
		lights.show(e)
		beside.show(e)
	}
	if beside.link != nil {
		cfg.Linked = beside.link
	}
	for i := range cfg.Lanes {
		cfg.Lanes[i].Reader = open.lanes[i]
		cfg.Lanes[i].Reopen = func() (reader.Reader, error) { return file.openLane(file.Lanes[i], log) }
		lights.modes = append(lights.modes, file.Lanes[i].Mode)
	}
	in := c.in
	if in == nil {
		in = os.Stdin
	}
	device, err := file.device(cfg)
	if err != nil {
		return err
	}
	return sellOn(ctx, cfg, file.Journal.WhenDamaged == goOn, log, &till{in: in, screen: lights, log: log, patience: c.Patience, lanes: cfg.Lanes}, beside, device)
}

// reopenMost is how often in a row an uncertain journal is opened again: a disk that goes on failing needs hands.
const reopenMost = 3

// sellOn opens the terminal and runs it. A journal that must be opened again is: opening tells what its failed commit has left. A damaged one is moved aside,
// and the terminal goes on with a new one, once: a disk that damages two in a row needs hands.
func sellOn(ctx context.Context, cfg edge.Config, quarantine bool, log *slog.Logger, till *till, beside *services, device api.Device) error {
	moved, again := false, 0
	for {
		t, err := edge.Open(cfg)
		if err == nil {
			log.Info("selling", "terminal", cfg.Terminal, "profile", cfg.Profile.Version, "lanes", len(cfg.Lanes))
			device.Terminal = t
			beside.started(&device)
			began := time.Now()
			life, end := context.WithCancel(ctx)
			till.serve(life, t)
			err = t.Run(life)
			end()
			till.wait()
			beside.use(nil)
			err = errors.Join(err, t.Close())
			if time.Since(began) > time.Hour {
				again = 0
			}
		}
		switch {
		case errors.Is(err, journal.ErrDamaged) && quarantine && !moved:
			where, moveErr := journal.Quarantine(cfg.JournalPath, time.Now())
			if moveErr != nil {
				return errors.Join(err, moveErr)
			}
			moved = true
			log.Error("JOURNAL DAMAGED: moved aside, going on with a new one. Keep the files: the taps in them are money", "file", where, "err", err)
		case errors.Is(err, journal.ErrUncertain) && !errors.Is(err, journal.ErrDamaged) && again < reopenMost && ctx.Err() == nil:
			again++
			log.Error("a commit of the journal failed half way: it is opened again, which tells what stands. Look at the disk", "time", again, "err", err)
		default:
			beside.stopping()
			return err
		}
	}
}
