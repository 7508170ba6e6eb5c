// Package panel is what people see of payment channels: state, success with its bound, shares and success over the last minutes, and faults. It reads the store and
// changes nothing; the console's page and `purselane channels watch` draw it.
package panel

import (
	"context"
	"slices"
	"time"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/store"
)

// Point is a part of the time looked at.
type Point struct {
	Payments int
	Failed   int
	Share    float64 // at its end
}

// Channel is one cell. Counts are of the time looked at.
type Channel struct {
	health.Status
	Payments int
	Failed   int
	Success  float64 // 0 to 1; 0 where there are no payments
	Lo, Hi   float64 // in which it lies for certain to 95 %
	Took     time.Duration
	Points   []Point // the oldest first
	Incident *store.ChannelIncident
}

// Panel is all channels at a time.
type Panel struct {
	At        time.Time
	Window    time.Duration // looked at, up to At
	Channels  []Channel     // by name
	Incidents []store.ChannelIncident
}

const (
	z95          = 1.96
	maxMoves     = 2000
	maxIncidents = 50
)

// Read looks at the last window of time, in so many points. names are channels that routing knows, also such that never moved.
func Read(ctx context.Context, tx *store.Tx, names []string, now time.Time, window time.Duration, points int) (Panel, error) {
	states, err := tx.ChannelStates(ctx)
	if err != nil {
		return Panel{}, err
	}
	moves, err := tx.ChannelMoves(ctx, "", maxMoves)
	if err != nil {
		return Panel{}, err
	}
	open, err := tx.ChannelIncidents(ctx, true, maxIncidents)
	if err != nil {
		return Panel{}, err
	}
	from := now.Add(-window)
	samples, err := tx.ChannelSamples(ctx, from.Truncate(store.SampleSpan))
	if err != nil {
		return Panel{}, err
	}
	p := Panel{At: now, Window: window, Incidents: open}
	at := map[health.Cell]int{}
	add := func(s health.Status) {
		if _, there := at[s.Cell]; !there {
			at[s.Cell] = len(p.Channels)
			p.Channels = append(p.Channels, Channel{Status: s, Points: make([]Point, points)})
		}
	}
	for _, s := range states {
		add(s)
	}
	for _, n := range names {
		add(health.Status{Cell: health.Cell{Channel: n}, Share: 1})
	}
	for _, s := range samples {
		add(health.Status{Cell: s.Cell, Share: 1})
		for _, c := range []health.Cell{s.Cell, s.Cell.Whole()} {
			add(health.Status{Cell: c, Share: 1})
			x := &p.Channels[at[c]]
			x.Payments, x.Failed, x.Took = x.Payments+s.Payments, x.Failed+s.Failed, x.Took+s.Took
			i := min(max(int(int64(points)*int64(s.At.Sub(from))/int64(window)), 0), points-1)
			x.Points[i].Payments, x.Points[i].Failed = x.Points[i].Payments+s.Payments, x.Points[i].Failed+s.Failed
			if c == s.Cell.Whole() && c == s.Cell {
				break // once
			}
		}
	}
	for i := range p.Channels {
		x := &p.Channels[i]
		x.Lo, x.Hi = health.Bound(x.Payments, x.Failed, z95)
		if x.Payments > 0 {
			x.Success = float64(x.Payments-x.Failed) / float64(x.Payments)
			x.Took /= time.Duration(x.Payments)
		}
		x.shares(moves, from, window)
		for _, o := range open {
			if o.Cell == x.Cell && o.Incident == x.Status.Incident && o.Ended.IsZero() {
				x.Incident = &o
			}
		}
	}
	slices.SortFunc(p.Channels, func(a, b Channel) int { return a.Cell.Compare(b.Cell) })
	return p, nil
}

// shares fills in the share at the end of each point. moves are the newest first.
func (x *Channel) shares(moves []store.ChannelMove, from time.Time, window time.Duration) {
	share := x.Share
	i := len(x.Points) - 1
	for _, m := range moves {
		if m.Cell != x.Cell {
			continue
		}
		for ; i >= 0 && !from.Add(window*time.Duration(i+1)/time.Duration(len(x.Points))).Before(m.At); i-- {
			x.Points[i].Share = m.Share
		}
		share = 1 // before the first move
	}
	for ; i >= 0; i-- {
		x.Points[i].Share = share
	}
}
