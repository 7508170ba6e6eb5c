package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/purselane/purselane/card/keys"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/simulator/psam"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/inproc"
	"github.com/purselane/purselane/terminal/reader/pcsc"
	"github.com/purselane/purselane/terminal/reader/pn532"
	"github.com/purselane/purselane/terminal/reader/socket"
	"github.com/purselane/purselane/uplink/client"
)

// simulatedWarning is what the program says when its PSAM is a file.
const simulatedWarning = `*** SIMULATED PSAM ***
The master purchase keys lie in a plain file. Whoever copies it can take money from every card of the scheme, and nobody can
tell which terminal did. For development only: a terminal in the field needs a PSAM in a slot.`

// configFile is the flag that all commands share.
type configFile struct {
	Config string `required:"" placeholder:"FILE" type:"path" help:"The terminal's configuration."`
}

func (f configFile) read() (*config, error) {
	raw, err := os.ReadFile(f.Config)
	if err != nil {
		return nil, err
	}
	c, err := parseConfig(raw, filepath.Dir(f.Config))
	if err != nil {
		return nil, fmt.Errorf("%s:\n%w", f.Config, err)
	}
	return c, nil
}

func (c *config) journalOptions() journal.Options {
	return journal.Options{Terminal: ids.TerminalID(c.Terminal), MaxBytes: c.Journal.MaxBytes, Keep: c.Journal.Keep}
}

// settled is the part of the terminal's configuration that files give and no device is needed for, with every fault at once.
func (c *config) settled() (edge.Config, error) {
	out := edge.Config{
		Terminal: ids.TerminalID(c.Terminal), Merchant: ids.MerchantID(c.Merchant),
		JournalPath: c.path(c.Journal.Path), Journal: c.journalOptions(),
	}
	var all []error
	note := func(err error) {
		if err != nil {
			all = append(all, fmt.Errorf("config: %w", err))
		}
	}
	var err error
	out.Profile, err = c.readProfile()
	note(err)
	for _, l := range c.Lanes {
		out.Lanes = append(out.Lanes, edge.Lane{Mode: modes[l.Mode], Line: code(l.Line), Station: code(l.Station)})
	}
	if out.Profile != nil {
		note(edge.CheckLanes(out.Profile, out.Lanes))
		if until := out.Profile.ValidUntil; !until.IsZero() && time.Now().After(until) {
			note(fmt.Errorf("profile.file: profile %d expired on %s: fetch a newer one", out.Profile.Version, until.Format(time.DateOnly)))
		}
	}
	if c.DeviceKey != "" {
		if out.DeviceKey, err = readDeviceKey(c.path(c.DeviceKey)); err != nil {
			note(fmt.Errorf("device_key: %w", err))
		}
	}
	for _, p := range c.psams() {
		if p.Kind == "simulated" {
			note(c.checkSimulated(p))
		}
	}
	if c.cards, err = c.readFamilies(out.Profile); err != nil {
		all = append(all, err)
	}
	if c.Uplink == nil {
		out.DeviceKey = nil // nothing to sign for
		return out, errors.Join(all...)
	}
	out.BackendKey = publicKey(c.Uplink.BackendKey)
	out.Uplink = &client.Config{Broker: c.Uplink.Broker, ConnectJitter: c.Uplink.ConnectJitter}
	if c.Uplink.PasswordFile != "" {
		if out.Uplink.Password, err = readPassword(c.path(c.Uplink.PasswordFile)); err != nil {
			note(fmt.Errorf("uplink.password_file: %w", err))
		}
	}
	out.Uplink.TLS, err = c.tls()
	note(err)
	return out, errors.Join(all...)
}

// checkSimulated looks at the simulated PSAM's file without opening it, because a running terminal has it.
func (c *config) checkSimulated(p namedChip) error {
	if _, err := readSecret(c.path(p.File)); err != nil {
		return fmt.Errorf("%s.file: %w (\"purselane simulate psam --new\" makes one)", p.key, err)
	}
	return nil
}

// code reads a code that check has found well-formed; an empty one is zero.
func code(text string) (c fare.Code) {
	if text != "" {
		_ = c.UnmarshalText([]byte(text))
	}
	return c
}

// simulated reports whether a PSAM is a file.
func (c *config) simulated() bool {
	return slices.ContainsFunc(c.psams(), func(p namedChip) bool { return p.Kind == "simulated" })
}

// devices are the terminal's open readers and PSAMs.
type devices struct {
	psams  []*edge.PSAM
	lanes  []reader.Reader
	closes []func() error
}

// Close closes them, the last first.
func (d *devices) Close() error {
	var all []error
	for i := len(d.closes) - 1; i >= 0; i-- {
		all = append(all, d.closes[i]())
	}
	return errors.Join(all...)
}

// devices opens the readers and waits for the PSAMs until ctx ends.
func (c *config) devices(ctx context.Context, p *firmwareconfig.Profile, log *slog.Logger) (d *devices, err error) {
	d = &devices{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	for i, l := range c.Lanes {
		r, err := c.openLane(l, log)
		if err != nil {
			return d, fmt.Errorf("lanes[%d]: %w", i, err)
		}
		d.lanes = append(d.lanes, r)
		d.closes = append(d.closes, r.Close)
		log.Info("lane", "lane", i, "mode", l.Mode, "reader", r.Name())
	}
	for _, chip := range c.psams() {
		if err := c.openSAM(ctx, chip, p, d, log); err != nil {
			return d, fmt.Errorf("%s: %w", chip.key, err)
		}
	}
	return d, nil
}

// serve gives the PSAMs to the terminal, and what its further card families need of them.
func (c *config) serve(d *devices, cfg *edge.Config) error {
	if len(d.psams) == 1 {
		cfg.SAM = d.psams[0]
	} else {
		var sams []keys.ProbedSAM
		for _, s := range d.psams {
			sams = append(sams, s)
		}
		var err error
		if cfg.Pool, err = keys.NewPool(sams...); err != nil {
			return fmt.Errorf("psams: %w", err)
		}
	}
	cfg.Families = c.families(cfg.Profile, c.cards, d.psams[0].TerminalNumber())
	return nil
}

func (c *config) openLane(l laneConfig, log *slog.Logger) (reader.Reader, error) {
	if l.Kind == "pn532" {
		return pn532.Open(c.pn532(l, log))
	}
	if l.Kind == "pcsc" {
		return pcsc.Open(pcsc.Options{Name: l.Reader, Signals: l.Signals, Log: log})
	}
	return openReader(l.Kind, l.Reader, l.Listen, log)
}

// pn532 is the reader of a lane of that kind.
func (c *config) pn532(l laneConfig, log *slog.Logger) pn532.Options {
	return pn532.Options{Port: c.path(l.Port), Baud: l.Baud, Log: log}
}

func openReader(kind, name, listen string, log *slog.Logger) (reader.Reader, error) {
	if kind == "pcsc" {
		return pcsc.Open(pcsc.Options{Name: name, Log: log})
	}
	return socket.Listen(listen, socket.Options{})
}

func (c *config) openSAM(ctx context.Context, p namedChip, profile *firmwareconfig.Profile, d *devices, log *slog.Logger) error {
	application, err := hex.DecodeString(p.Application)
	if err != nil {
		return err
	}
	if len(application) == 0 {
		application = profile.Card.Variant.Application
	}
	var r reader.Reader
	if p.Kind == "simulated" {
		chip, err := psam.OpenFile(c.path(p.File))
		if err != nil {
			return err
		}
		d.closes = append(d.closes, chip.Close)
		slot := inproc.New(p.File)
		slot.Present(chip)
		r, ctx = slot, context.WithoutCancel(ctx) // it is there: nothing is waited for
	} else if r, err = openReader(p.Kind, p.Reader, p.Listen, log); err != nil {
		return err
	}
	log.Info("waiting for the PSAM", "reader", r.Name())
	slot, err := edge.OpenPSAM(ctx, r, application)
	if err != nil {
		return errors.Join(err, r.Close())
	}
	d.psams = append(d.psams, slot)
	d.closes = append(d.closes, slot.Close)
	return nil
}
