package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/gateway/route"
	"github.com/purselane/purselane/backend/gateway/selfheal"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
)

// ChannelsExplainCmd is `purselane channels explain`.
type ChannelsExplainCmd struct {
	schemeFolder
	Order string `arg:"" help:"The order's id."`
}

// Run explains.
func (c *ChannelsExplainCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withStore(ctx, func(s *store.Store) error {
		var all []store.ChannelDecision
		var payments []store.GatewayPayment
		if err := s.View(ctx, func(tx *store.Tx) (err error) {
			if _, err = tx.GatewayOrder(ctx, c.Order); err != nil {
				return err
			}
			if payments, err = tx.GatewayPayments(ctx, c.Order); err != nil {
				return err
			}
			all, err = tx.ChannelDecisions(ctx, c.Order)
			return err
		}); err != nil {
			return err
		}
		p := &printer{out: k.Stdout}
		if len(all) == 0 {
			p.line("no decision is recorded: nobody has tried to pay it, or it is older than five weeks")
		}
		for _, d := range all {
			side := ""
			if d.Experiment != "" {
				side = "; experiment " + d.Experiment + ", the usual plan"
				if d.Variant {
					side = "; experiment " + d.Experiment + ", its plan"
				}
			}
			took := "nobody can take it"
			if len(d.Accounts) > 0 {
				took = "rule " + d.Rule + ": " + strings.Join(d.Accounts, ", then ")
			}
			p.line("%s  routing plan %d, %s%s", d.At.Format(time.DateTime), d.Plan, took, side)
			why, err := selfheal.Reasons(d)
			if err != nil {
				return fmt.Errorf("order %s: what was recorded does not read: %w", c.Order, err)
			}
			printReasons(p, why)
		}
		for _, a := range payments {
			p.line("attempt %d  %s on %s: %s %s", a.N, a.Product, a.Channel, a.State, strings.TrimSpace(a.Code+" "+a.Message))
		}
		return p.err
	})
}

// ChannelsDryRunCmd is `purselane channels dry-run`.
type ChannelsDryRunCmd struct {
	schemeFolder
	Plan string `arg:"" type:"path" help:"File with the routing plan to try."`
	Day  string `placeholder:"YYYY-MM-DD" help:"Whose orders. Default: yesterday in the scheme's time zone."`
}

// Run routes a day once more, on paper.
func (c *ChannelsDryRunCmd) Run(ctx context.Context, k *kong.Kong) error {
	s, err := c.scheme()
	if err != nil {
		return err
	}
	if s.Gateway == nil {
		return errors.New("the scheme has no gateway")
	}
	from, err := dayOf(c.Day, now().In(s.Location()))
	if err != nil {
		return err
	}
	to := from.AddDate(0, 0, 1)
	plan, err := readPlan(c.Plan)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Plan, err)
	}
	old, err := c.routingPlan(s)
	if err != nil {
		return err
	}
	var past []selfheal.Paid
	var moves []store.ChannelMove
	if err := c.withStore(ctx, func(s *store.Store) error {
		return s.View(ctx, func(tx *store.Tx) (err error) {
			past = nil
			if err := tx.GatewayPaymentsMade(ctx, from, to, func(p store.GatewayPayment) error {
				past = append(past, selfheal.Paid{GatewayPayment: p})
				return nil
			}); err != nil {
				return err
			}
			for i := range past {
				o, err := tx.GatewayOrder(ctx, past[i].Order)
				if err != nil {
					return err
				}
				past[i].App = o.App
			}
			moves, err = tx.ChannelMoves(ctx, "", math.MaxInt32)
			return err
		})
	}); err != nil {
		return err
	}
	dry, err := selfheal.DryRun(old, *plan, past, moves)
	if err != nil {
		return err
	}
	p := &printer{out: k.Stdout}
	p.line("%d orders of %s: %d would have gone the same way", dry.Payments, from.Format(time.DateOnly), dry.Same)
	for _, change := range dry.ChangesInOrder() {
		p.line("%6d  %s → %s", dry.Changes[change], orNobody(change[0]), orNobody(change[1]))
	}
	for _, side := range []struct {
		name string
		route.Plan
		selfheal.DrySide
	}{{"now", old, dry.Old}, {"then", *plan, dry.New}} {
		p.line("%-5s plan %d: fees %v, expected success %.1f %%, nobody took %d", side.name, side.Version, money.Minor(side.Fee), 100*side.Success, side.Nobody)
	}
	return p.err
}

// routingPlan is the plan that the scheme has now: its file, or what a backend has made of its rules.
func (f schemeFolder) routingPlan(s *node.Scheme) (route.Plan, error) {
	if s.Gateway.Plan != "" {
		p, err := readPlan(f.path(s.Gateway.Plan))
		if err != nil {
			return route.Plan{}, fmt.Errorf("scheme: gateway.plan: %w", err)
		}
		return *p, nil
	}
	file, _, err := fallbackFile{Dir: f.Dir, PassphraseFile: f.PassphraseFile, IdentityFile: f.IdentityFile}.read(now())
	return file.Plan, err
}

func orNobody(account string) string {
	if account == "" {
		return "nobody"
	}
	return account
}

// dayOf is the begin of a day, or of yesterday.
func dayOf(day string, now time.Time) (time.Time, error) {
	if day == "" {
		y, m, d := now.Date()
		return time.Date(y, m, d-1, 0, 0, 0, 0, now.Location()), nil
	}
	t, err := time.ParseInLocation(time.DateOnly, day, now.Location())
	if err != nil {
		return t, fmt.Errorf("--day %q: want a day such as 2026-11-25", day)
	}
	return t, nil
}

// ChannelsExperimentsCmd is `purselane channels experiments`.
type ChannelsExperimentsCmd struct {
	schemeFolder
}

// Run lists.
func (c *ChannelsExperimentsCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withStore(ctx, func(s *store.Store) error {
		p := &printer{out: k.Stdout}
		return s.View(ctx, func(tx *store.Tx) error {
			all, err := tx.ChannelExperiments(ctx)
			if err != nil {
				return err
			}
			for _, e := range all {
				base, variant, err := tx.ChannelArms(ctx, e.Name)
				if err != nil {
					return err
				}
				state := "runs"
				if !e.Ended.IsZero() {
					state = "ended " + e.Ended.Format(time.DateTime) + ", " + e.Why
				}
				f := route.Experiment{}.Judge(route.Arm{Payments: base.Orders, Succeeded: base.Good}, route.Arm{Payments: variant.Orders, Succeeded: variant.Good})
				p.line("%s  since %s; %s", e.Name, e.Began.Format(time.DateTime), state)
				p.line("  the usual plan %s, its plan %s; gain %+.1f points (%+.1f to %+.1f, sure to 95 %%)", armText(base), armText(variant), 100*f.Gain, 100*f.Lo, 100*f.Hi)
			}
			return p.err
		})
	})
}

func armText(a store.ChannelArm) string {
	if a.Orders == 0 {
		return "no orders"
	}
	return fmt.Sprintf("%.1f %% of %d", 100*float64(a.Good)/float64(a.Orders), a.Orders)
}

// ChannelsEndCmd is `purselane channels end-experiment`.
type ChannelsEndCmd struct {
	schemeFolder
	Name   string `arg:"" help:"The experiment."`
	By     string `required:"" help:"Who does it."`
	Reason string `required:"" help:"Why, for people."`
}

// Run ends it.
func (c *ChannelsEndCmd) Run(ctx context.Context, k *kong.Kong) error {
	if strings.TrimSpace(c.By) == "" || strings.TrimSpace(c.Reason) == "" {
		return errors.New("want --by and --reason")
	}
	return c.withStore(ctx, func(s *store.Store) error {
		ended := false
		if err := s.Update(ctx, func(tx *store.Tx) (err error) {
			ended, err = tx.EndChannelExperiment(ctx, c.Name, c.By+": "+c.Reason, now())
			return err
		}); err != nil {
			return err
		}
		if !ended {
			return fmt.Errorf("experiment %q: none of that name runs", c.Name)
		}
		_, err := fmt.Fprintf(k.Stdout, "%s  is ended; backends follow within ten seconds\n", c.Name)
		return err
	})
}
