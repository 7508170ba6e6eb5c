package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/gateway"
)

// ChannelsReturnsCmd is `purselane channels returns`.
type ChannelsReturnsCmd struct {
	schemeFolder
	Account string `arg:"" optional:"" help:"Only of this account of the gateway. Default: all whose channel tells of returned pay-outs in a file."`
	Day     string `placeholder:"YYYY-MM-DD" help:"The channel's day. Default: yesterday, where the scheme is."`
}

// Run reads and books back, and fails where an account's file could not be read.
func (c *ChannelsReturnsCmd) Run(ctx context.Context, k *kong.Kong) (err error) {
	n, scheme, err := c.openGateway(ctx, k)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	if c.Day == "" {
		c.Day = yesterday(scheme)
	}
	p := &printer{out: k.Stdout}
	var faults []error
	found := false
	for _, a := range scheme.Gateway.Accounts {
		if c.Account != "" && a.ID != c.Account {
			continue
		}
		found = true
		r, err := n.Returns(ctx, a.ID, c.Day)
		switch {
		case errors.Is(err, gateway.ErrUnsupported) && c.Account == "":
		case err != nil:
			faults = append(faults, err)
		default:
			p.line("%s  %s: %d error items, %d of pay-outs of ours, %d booked back now", a.ID, c.Day, r.Rows, r.Ours, r.Booked)
		}
	}
	if !found {
		return fmt.Errorf("account %q is not among gateway.accounts", c.Account)
	}
	return errors.Join(append(faults, p.err)...)
}
