package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/history"
	"github.com/purselane/purselane/backend/store"
)

// HistoryCmd is `purselane history`.
type HistoryCmd struct {
	Days   HistoryDaysCmd   `cmd:"" help:"Count orders by day and app."`
	Orders HistoryOrdersCmd `cmd:"" help:"List the orders of a day."`
	Order  HistoryOrderCmd  `cmd:"" help:"Say what happened to one order."`
	Lag    HistoryLagCmd    `cmd:"" help:"Say how far the history is behind the database."`
}

// HistoryDaysCmd is `purselane history days`.
type HistoryDaysCmd struct {
	schemeFolder
	From string `help:"First day, as 2026-11-01; else a week ago."`
	To   string `help:"Last day; else today."`
	App  string `help:"Of this app only."`
}

// HistoryOrdersCmd is `purselane history orders`.
type HistoryOrdersCmd struct {
	schemeFolder
	Day   string `help:"On which they were made; else today."`
	App   string `help:"Of this app only."`
	Limit int    `default:"1000" help:"At most so many."`
}

// HistoryOrderCmd is `purselane history order`.
type HistoryOrderCmd struct {
	schemeFolder
	Order string `arg:"" help:"The order's number."`
}

// HistoryLagCmd is `purselane history lag`.
type HistoryLagCmd struct {
	schemeFolder
	Most time.Duration `help:"End with 1 where it is further behind, as a check for a monitor."`
}

// withHistory opens the history's file to read it.
func (f schemeFolder) withHistory(ctx context.Context, do func(*history.History, *time.Location) error) error {
	s, err := f.scheme()
	if err != nil {
		return err
	}
	path := s.Gateway.HistoryPath(f.path(folderData))
	if path == "" {
		return history.ErrNone
	}
	h, err := history.Look(ctx, path)
	if err != nil {
		return err
	}
	return errors.Join(do(h, s.Location()), h.Close())
}

// dayOr is a day that was typed, or one so many days from today.
func dayOr(text string, from int, at *time.Location) (string, error) {
	if text == "" {
		return now().In(at).AddDate(0, 0, from).Format(time.DateOnly), nil
	}
	if _, err := time.Parse(time.DateOnly, text); err != nil {
		return "", fmt.Errorf("%q: want a day such as 2026-11-24", text)
	}
	return text, nil
}

// Run counts.
func (c *HistoryDaysCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withHistory(ctx, func(h *history.History, at *time.Location) error {
		from, err1 := dayOr(c.From, -6, at)
		to, err2 := dayOr(c.To, 0, at)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		all, err := h.Days(ctx, from, to, c.App)
		if err != nil {
			return err
		}
		p := &printer{out: k.Stdout}
		p.line("%-10s  %-24s %8s %8s  %14s %14s %12s %10s", "day", "app", "orders", "paid", "amount", "received", "given back", "fees")
		for _, d := range all {
			p.line("%-10s  %-24s %8d %8d  %14v %14v %12v %10v %s", d.Day, d.App, d.Orders, d.Paid, d.Amount, d.Received, d.Refunded, d.Fee, d.Currency)
		}
		return p.err
	})
}

// Run lists.
func (c *HistoryOrdersCmd) Run(ctx context.Context, k *kong.Kong) error {
	if c.Limit < 1 {
		return errors.New("want --limit of 1 at least")
	}
	return c.withHistory(ctx, func(h *history.History, at *time.Location) error {
		on, err := dayOr(c.Day, 0, at)
		if err != nil {
			return err
		}
		all, err := h.Orders(ctx, on, c.App, c.Limit)
		if err != nil {
			return err
		}
		p := &printer{out: k.Stdout}
		for _, o := range all {
			p.line("%s  %s  %-24s %-16s %-14s %12v %s received %v given back %v", o.Created.In(at).Format(time.TimeOnly), o.ID, o.App, o.Merchant, o.State, o.Amount, o.Currency, o.Received, o.Refunded)
		}
		if len(all) == c.Limit {
			p.line("There may be more: raise --limit.")
		}
		return p.err
	})
}

// Run tells.
func (c *HistoryOrderCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withHistory(ctx, func(h *history.History, at *time.Location) error {
		all, err := h.Events(ctx, c.Order)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return fmt.Errorf("the history has no order %s: look with 'purselane history lag' whether it is behind", c.Order)
		}
		p := &printer{out: k.Stdout}
		for _, e := range all {
			p.line("%s  %-24s %-14s %s", e.At.In(at).Format("2006-01-02 15:04:05.000"), e.Type, e.State, e.About)
		}
		return p.err
	})
}

// Run measures.
func (c *HistoryLagCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withHistory(ctx, func(h *history.History, at *time.Location) error {
		return c.withStore(ctx, func(s *store.Store) error {
			l, err := history.LagOf(ctx, s, h, now())
			if err != nil {
				return err
			}
			p := &printer{out: k.Stdout}
			p.line("events %d", l.Events)
			p.line("behind %s", l.Waited())
			p.line("read   %s", map[bool]string{true: "never", false: l.Read.In(at).Format(time.RFC3339)}[l.Read.IsZero()])
			if c.Most > 0 && l.Behind > c.Most {
				return errors.Join(p.err, fmt.Errorf("the history is behind by %s, more than %v", l.Waited(), c.Most))
			}
			return p.err
		})
	})
}
