package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/keeper"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
)

// ChannelsCmd is `purselane channels`.
type ChannelsCmd struct {
	List      ChannelsListCmd      `cmd:"" help:"List the payment channels of the gateway and their health."`
	Off       ChannelsOffCmd       `cmd:"" help:"Take a channel out: no new payment goes there. A running backend follows at its next look, four times a second."`
	On        ChannelsOnCmd        `cmd:"" help:"Bring a channel back in full."`
	Moves     ChannelsMovesCmd     `cmd:"" help:"List what moved channels, the newest first."`
	Incidents ChannelsIncidentsCmd `cmd:"" help:"List faults of channels, the newest first."`
	Close     ChannelsCloseCmd     `cmd:"" help:"Note the cause of a fault that is over."`
	Bill      ChannelsBillCmd      `cmd:"" help:"Fetch the channels' bills of a day and match them with what we hold."`
	Returns   ChannelsReturnsCmd   `cmd:"" help:"Read a channel's file of pay-outs that came back, and book them back. A backend that serves does it by itself."`
	Seal      ChannelsSealCmd      `cmd:"" help:"Seal a secret of a channel under the scheme's key file."`
	SignBins  ChannelsSignBinsCmd  `cmd:"" help:"Sign a BIN table."`
	Reload    ChannelsReloadCmd    `cmd:"" help:"Have running backends read rules, routing plan and BIN table anew, and say what each of them makes of it."`
	Watch     ChannelsWatchCmd     `cmd:"" help:"Show channels live in the terminal: state, share and success over the last minutes."`
	Score     ChannelsScoreCmd     `cmd:"" help:"Say of each account what it is chosen by: stability, success, time, fee and limits, as they were."`
	Explain   ChannelsExplainCmd   `cmd:"" help:"Say why an order's payments went to the channels they went to."`
	DryRun    ChannelsDryRunCmd    `cmd:"" help:"Say what a routing plan would have changed for the orders of a day."`

	Experiments   ChannelsExperimentsCmd `cmd:"" help:"List experiments with a second routing plan, and what came of both sides."`
	EndExperiment ChannelsEndCmd         `cmd:"" help:"End an experiment."`

	Fallback ChannelsFallbackCmd `cmd:"" help:"Show the signed file that payments are routed by when nothing else can be reached, and how old it is."`
	Route    ChannelsRouteCmd    `cmd:"" help:"Say which accounts would take a payment and why, by the fall-back file alone."`
}

// channelCell names a channel, or one bank's cards on it.
type channelCell struct {
	Channel string `arg:"" help:"The channel, as the routing names it: with rules in scheme.yaml the account's id."`
	Bank    string `help:"Only the cards of this bank."`
	Card    string `help:"Only cards of this kind: debit or credit."`
}

func (c channelCell) cell() health.Cell {
	return health.Cell{Channel: c.Channel, Bank: c.Bank, Card: c.Card}
}

// ChannelsListCmd is `purselane channels list`.
type ChannelsListCmd struct {
	schemeFolder
	JSON bool `name:"json" help:"Print JSON, one channel a line."`
}

// Run lists.
func (c *ChannelsListCmd) Run(ctx context.Context, k *kong.Kong) error {
	names, err := c.channelNames()
	if err != nil {
		return err
	}
	return c.withStore(ctx, func(s *store.Store) error {
		var all []health.Status
		if err := s.View(ctx, func(tx *store.Tx) (err error) { all, err = tx.ChannelStates(ctx); return err }); err != nil {
			return err
		}
		if all = withQuiet(all, names); len(all) == 0 && !c.JSON {
			_, err := io.WriteString(k.Stdout, noChannels)
			return err
		}
		return printChannels(k, c.JSON, all...)
	})
}

// noChannels is all there is to tell of a scheme that pays over none.
const noChannels = "the scheme's routing names no channel: scheme.yaml says which in its section gateway\n"

// channelNames lists the channels that the scheme's routing names.
func (f schemeFolder) channelNames() ([]string, error) {
	s, err := f.scheme()
	if err != nil || s.Gateway == nil {
		return nil, err
	}
	var names []string
	if s.Gateway.Plan != "" {
		p, err := readPlan(f.path(s.Gateway.Plan))
		if err != nil {
			return nil, fmt.Errorf("scheme: gateway.plan: %w", err)
		}
		for _, a := range p.Accounts {
			names = append(names, a.Channel)
		}
		return names, nil
	}
	for _, a := range s.Gateway.Accounts {
		names = append(names, a.ID)
	}
	return names, nil
}

// withQuiet adds the channels that never moved: they are available.
func withQuiet(all []health.Status, names []string) []health.Status {
	have := map[health.Cell]bool{}
	for _, s := range all {
		have[s.Cell] = true
	}
	for _, n := range names {
		if c := (health.Cell{Channel: n}); !have[c] {
			have[c] = true
			all = append(all, health.Status{Cell: c, Share: 1})
		}
	}
	return all
}

// shownChannel is the JSON form.
type shownChannel struct {
	Channel  string     `json:"channel"`
	Bank     string     `json:"bank,omitempty"`
	Card     string     `json:"card,omitempty"`
	State    string     `json:"state"`
	Share    float64    `json:"share"`
	Version  uint64     `json:"version"`
	Incident uint64     `json:"incident,omitempty"`
	Since    *time.Time `json:"since,omitempty"`
}

func printChannels(k *kong.Kong, asJSON bool, all ...health.Status) error {
	p := &printer{out: k.Stdout}
	for _, s := range all {
		if asJSON {
			shown := shownChannel{Channel: s.Cell.Channel, Bank: s.Cell.Bank, Card: s.Cell.Card, State: s.State.String(), Share: s.Share, Version: s.Version, Incident: s.Incident}
			if !s.Since.IsZero() {
				shown.Since = &s.Since
			}
			if err := json.NewEncoder(k.Stdout).Encode(shown); err != nil {
				return err
			}
			continue
		}
		since := ""
		if !s.Since.IsZero() {
			since = ", since " + s.Since.Format(time.DateTime)
		}
		p.line("%v  %v, takes %.0f %% of its payments%s; version %d", s.Cell, s.State, 100*s.Share, since, s.Version)
	}
	return p.err
}

// channelSwitch is what both switches take.
type channelSwitch struct {
	schemeFolder
	channelCell
	By      string  `required:"" help:"Who does it."`
	Reason  string  `required:"" help:"Why, for people."`
	Version *uint64 `help:"The version that was looked at: the switch is refused where it moved since. Default: whatever it is now."`
	JSON    bool    `name:"json" help:"Print JSON."`
}

func (c channelSwitch) do(ctx context.Context, k *kong.Kong, e health.Event) error {
	if strings.TrimSpace(c.By) == "" || strings.TrimSpace(c.Reason) == "" {
		return health.ErrReason
	}
	names, err := c.channelNames()
	if err != nil {
		return err
	}
	scheme, err := c.scheme()
	if err != nil {
		return err
	}
	return c.withStore(ctx, func(s *store.Store) error {
		var all []health.Status
		if err := s.View(ctx, func(tx *store.Tx) (err error) { all, err = tx.ChannelStates(ctx); return err }); err != nil {
			return err
		}
		now, err := statusOf(withQuiet(all, names), c.cell())
		if err != nil {
			return err
		}
		version := now.Version
		if c.Version != nil {
			version = *c.Version
		}
		keep := keeper.New(s, keeper.Config{Settings: scheme.Gateway.HealthOf, Clock: clock.System{}, Sinks: scheme.Gateway.Sinks(), Log: slog.Default()})
		if err := keep.Load(ctx); err != nil {
			return err
		}
		after, err := keep.Switch(ctx, c.cell(), e, version, c.By, c.Reason)
		if err != nil {
			return err
		}
		return printChannels(k, c.JSON, after)
	})
}

// statusOf finds a cell among those known. One bank of a known channel may be new; a channel that nobody knows is a typing error.
func statusOf(all []health.Status, c health.Cell) (health.Status, error) {
	known := false
	for _, s := range all {
		if s.Cell == c {
			return s, nil
		}
		known = known || s.Cell.Channel == c.Channel
	}
	if !known {
		return health.Status{}, fmt.Errorf("channel %s: the scheme's routing names none of that name (`purselane channels list` lists them)", c.Channel)
	}
	return health.Status{Cell: c, Share: 1}, nil
}

// ChannelsOffCmd is `purselane channels off`.
type ChannelsOffCmd struct{ channelSwitch }

// Run switches.
func (c *ChannelsOffCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.do(ctx, k, health.SwitchedOff)
}

// ChannelsOnCmd is `purselane channels on`.
type ChannelsOnCmd struct{ channelSwitch }

// Run switches.
func (c *ChannelsOnCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.do(ctx, k, health.SwitchedOn)
}

// ChannelsMovesCmd is `purselane channels moves`.
type ChannelsMovesCmd struct {
	schemeFolder
	Channel string `arg:"" optional:"" help:"Only of this channel."`
	Limit   int    `default:"100" help:"At most so many."`
}

// Run lists.
func (c *ChannelsMovesCmd) Run(ctx context.Context, k *kong.Kong) error {
	if c.Limit < 1 {
		return fmt.Errorf("--limit %d: want 1 or more", c.Limit)
	}
	return c.withStore(ctx, func(s *store.Store) error {
		var all []store.ChannelMove
		if err := s.View(ctx, func(tx *store.Tx) (err error) { all, err = tx.ChannelMoves(ctx, c.Channel, c.Limit); return err }); err != nil {
			return err
		}
		p := &printer{out: k.Stdout}
		for _, m := range all {
			why := fmt.Sprintf("%d of %d payments failed", m.Failed, m.Payments)
			switch {
			case m.By != "":
				why = "by " + m.By + ": " + m.Reason
			case m.Payments == 0:
				why = "by itself"
			}
			p.line("%s  %v  version %d, %s: %s, takes %.0f %%; %s", m.At.Format(time.DateTime), m.Cell, m.Version, m.Event, m.State, 100*m.Share, why)
		}
		return p.err
	})
}

// ChannelsIncidentsCmd is `purselane channels incidents`.
type ChannelsIncidentsCmd struct {
	schemeFolder
	Open  bool `help:"Only those that are not closed."`
	Limit int  `default:"100" help:"At most so many."`
}

// Run lists.
func (c *ChannelsIncidentsCmd) Run(ctx context.Context, k *kong.Kong) error {
	if c.Limit < 1 {
		return fmt.Errorf("--limit %d: want 1 or more", c.Limit)
	}
	return c.withStore(ctx, func(s *store.Store) error {
		var all []store.ChannelIncident
		if err := s.View(ctx, func(tx *store.Tx) (err error) { all, err = tx.ChannelIncidents(ctx, c.Open, c.Limit); return err }); err != nil {
			return err
		}
		p := &printer{out: k.Stdout}
		for _, i := range all {
			end, cause := "LASTS", "not closed"
			if !i.Ended.IsZero() {
				end = "until " + i.Ended.Format(time.DateTime)
			}
			if i.Cause != "" {
				cause = i.Cause + ", says " + i.ClosedBy + ": " + i.Note
			}
			p.line("%v  incident %d, from %s, %s; %s", i.Cell, i.Incident, i.Began.Format(time.DateTime), end, cause)
		}
		return p.err
	})
}

// ChannelsCloseCmd is `purselane channels close`.
type ChannelsCloseCmd struct {
	schemeFolder
	channelCell
	Incident uint64 `required:"" help:"Its number, as incidents prints it."`
	Cause    string `required:"" enum:"channel-down,bank-down,network,our-fault,maintenance,false-alarm,unknown" help:"channel-down, bank-down, network, our-fault, maintenance, false-alarm or unknown."`
	By       string `required:"" help:"Who does it."`
	Reason   string `required:"" help:"What it was, for people."`
}

// Run closes.
func (c *ChannelsCloseCmd) Run(ctx context.Context, k *kong.Kong) error {
	if strings.TrimSpace(c.Reason) == "" {
		return errors.New("--reason: want what it was")
	}
	return c.withStore(ctx, func(s *store.Store) error {
		if err := s.Update(ctx, func(tx *store.Tx) error {
			return tx.CloseIncident(ctx, c.cell(), c.Incident, c.Cause, c.Reason, c.By, time.Now())
		}); err != nil {
			return err
		}
		_, err := fmt.Fprintf(k.Stdout, "%v  incident %d is closed: %s\n", c.cell(), c.Incident, c.Cause)
		return err
	})
}
