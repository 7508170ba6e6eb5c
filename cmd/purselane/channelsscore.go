package main

import (
	"context"
	"errors"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/panel"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
)

// ChannelsScoreCmd is `purselane channels score`.
type ChannelsScoreCmd struct {
	schemeFolder
	Window time.Duration `default:"24h" help:"How much of the past counts, up to a week."`
}

// scorePoints divide the window for stability.
const scorePoints = 288

// Run prints for each account what it is chosen by: stability, success and how long it takes as they were, fee and limits as the plan in use has them.
func (c *ChannelsScoreCmd) Run(ctx context.Context, k *kong.Kong) error {
	if c.Window < time.Minute || c.Window > 7*24*time.Hour {
		return errors.New("want --window from 1m to 168h")
	}
	s, err := c.scheme()
	if err != nil {
		return err
	}
	if s.Gateway == nil {
		return errors.New("the scheme has no gateway")
	}
	plan, err := c.routingPlan(s)
	if err != nil {
		return err
	}
	return c.withStore(ctx, func(s *store.Store) error {
		var names []string
		for _, a := range plan.Accounts {
			names = append(names, a.Channel)
		}
		var seen panel.Panel
		if err := s.View(ctx, func(tx *store.Tx) (err error) {
			seen, err = panel.Read(ctx, tx, names, now(), c.Window, scorePoints)
			return err
		}); err != nil {
			return err
		}
		by := map[health.Cell]panel.Channel{}
		for _, x := range seen.Channels {
			by[x.Cell] = x
		}
		p := &printer{out: k.Stdout}
		for _, a := range plan.Accounts {
			x := by[health.Cell{Channel: a.Channel}]
			up := 0.0
			for _, at := range x.Points {
				up += at.Share / float64(len(x.Points))
			}
			p.line("%s", a.Name)
			p.line("  stability  takes %.2f %% of its traffic over %v", 100*up, c.Window)
			p.line("  success    %s", successOf(x))
			p.line("  answers    in %d ms, mean", x.Took.Milliseconds())
			p.line("  fee        %v and %.2f %%", money.Minor(a.FeeFlat), float64(a.FeePPM)/10_000)
			p.line("  priority   %d", a.Priority)
			p.line("  limits     a payment %s, a day %s", limitText(a.Max), limitText(a.PerDay))
		}
		return p.err
	})
}

func limitText(minor int64) string {
	if minor == 0 {
		return "none"
	}
	return money.Minor(minor).String()
}
