package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/gateway/bill"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/node"
)

// ChannelsBillCmd is `purselane channels bill`.
type ChannelsBillCmd struct {
	schemeFolder
	Account string `arg:"" optional:"" help:"Only of this account of the gateway. Default: all that have bills."`
	Day     string `placeholder:"YYYY-MM-DD" help:"The channel's day. Default: yesterday, where the scheme is."`
	JSON    bool   `name:"json" help:"Print JSON, one account a line."`
}

// errBill says that a bill differs.
var errBill = errors.New("the bill and our books differ")

// Run fetches and matches, and fails where an account differs or could not be matched.
func (c *ChannelsBillCmd) Run(ctx context.Context, k *kong.Kong) (err error) {
	n, scheme, err := c.openGateway(ctx, k)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	if c.Day == "" {
		c.Day = yesterday(scheme)
	}
	var faults []error
	found := false
	for _, a := range scheme.Gateway.Accounts {
		if c.Account != "" && a.ID != c.Account {
			continue
		}
		found = true
		r, err := n.Bill(ctx, a.ID, c.Day)
		switch {
		case errors.Is(err, channel.ErrUnsupported) && c.Account == "":
			continue
		case err != nil:
			faults = append(faults, fmt.Errorf("account %s: %w", a.ID, err))
			continue
		case !r.Clean():
			faults = append(faults, fmt.Errorf("account %s: %w", a.ID, errBill))
		}
		if c.JSON {
			err = json.NewEncoder(k.Stdout).Encode(r)
		} else {
			err = printBill(k.Stdout, r)
		}
		if err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("account %q is not among gateway.accounts", c.Account)
	}
	return errors.Join(faults...)
}

func printBill(w io.Writer, r bill.Report) error {
	p := &printer{out: w}
	word := "agrees"
	if !r.Clean() {
		word = "DIFFERS"
	}
	p.line("%s  %s  %s: %d matched, %d on a neighbour's bill or still to come, %d differences", r.Account, r.Day, word, r.Matched, r.Neighbours, len(r.Differences))
	for _, side := range []struct {
		name string
		s    bill.Sums
	}{{"bill", r.Bill}, {"ours", r.Ours}} {
		p.line("  %s  %d payments %v, %d given back %v, fees %v", side.name, side.s.Payments, side.s.Paid, side.s.Refunds, side.s.Back, side.s.Fees)
	}
	for _, d := range r.Differences {
		p.line("  %-7s %s %s  ours %v, bill %v  order %s, channel %s %s", d.Class, d.What, d.Number, d.Ours, d.Theirs, d.Order, d.ID, d.State)
	}
	return p.err
}

// openGateway opens the scheme's gateway for a tool, without running it.
func (f schemeFolder) openGateway(ctx context.Context, k *kong.Kong) (*node.Node, *node.Scheme, error) {
	cfg, err := f.config(ctx, slog.New(slog.NewTextHandler(k.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return nil, nil, err
	}
	if cfg.Scheme.Gateway == nil {
		return nil, nil, errors.New("the scheme has no gateway")
	}
	if err := f.gateway(&cfg); err != nil {
		return nil, nil, err
	}
	n, err := node.Open(ctx, cfg)
	return n, cfg.Scheme, err
}

// yesterday is the last day of a channel that is over, where the scheme is.
func yesterday(s *node.Scheme) string {
	return now().In(s.Location()).AddDate(0, 0, -1).Format(time.DateOnly)
}
