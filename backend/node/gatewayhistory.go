package node

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/purselane/purselane/backend/history"
)

// HistoryPath is where a node keeps the gateway's history in its data folder; "" where the scheme wants none.
func (g *Gateway) HistoryPath(dir string) string {
	if g == nil || g.History == "" {
		return ""
	}
	return filepath.Join(dir, g.History)
}

// openHistory opens the history and the feed that fills it; nil where the scheme wants none.
func (n *Node) openHistory(ctx context.Context) (*history.Feed, error) {
	path := n.cfg.Scheme.Gateway.HistoryPath(n.cfg.Dir)
	if path == "" {
		return nil, nil
	}
	h, err := history.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	return &history.Feed{From: n.store, To: h, Location: n.cfg.Scheme.Location(), Clock: n.cfg.Clock, Log: n.cfg.Log}, nil
}

func (n *Node) closeHistory() error {
	if n.online == nil || n.online.history == nil {
		return nil
	}
	if err := n.online.history.To.Close(); err != nil {
		return fmt.Errorf("close the history: %w", err)
	}
	return nil
}

// historyLag says how far the history is behind; nil where there is none.
func (n *Node) historyLag() func(context.Context) (history.Lag, error) {
	if n.online == nil || n.online.history == nil {
		return nil
	}
	return func(ctx context.Context) (history.Lag, error) {
		return history.LagOf(ctx, n.store, n.online.history.To, n.cfg.Clock.Now())
	}
}
