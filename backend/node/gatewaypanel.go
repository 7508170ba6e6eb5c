package node

import (
	"context"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/console"
	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/panel"
	"github.com/purselane/purselane/backend/store"
)

// panelWindow and panelPoints are what the console shows of the past.
const (
	panelWindow = 10 * time.Minute
	panelPoints = 60
)

// channelsPage is what the console's page of channels is made from.
type channelsPage struct{ n *Node }

var _ console.Channels = channelsPage{}

// Panel implements [console.Channels].
func (c channelsPage) Panel(ctx context.Context) (p panel.Panel, heard time.Time, lonely []string, err error) {
	x := c.n.online.channels
	names, lonely := x.Names(), x.Lonely()
	err = c.n.store.View(ctx, func(tx *store.Tx) (err error) {
		p, err = panel.Read(ctx, tx, names, c.n.cfg.Clock.Now(), panelWindow, panelPoints)
		return err
	})
	return p, c.n.online.channels.Keeper().Heard(), lonely, err
}

// Operator implements [console.Channels].
func (c channelsPage) Operator(token string) (string, bool) { return c.n.cfg.Tokens.Operator(token) }

// Switch implements [console.Channels].
func (c channelsPage) Switch(ctx context.Context, cell health.Cell, e health.Event, version uint64, by, reason string) error {
	known := false
	for _, s := range c.n.online.channels.Keeper().Statuses() {
		known = known || s.Cell.Channel == cell.Channel
	}
	if !known {
		return fmt.Errorf("%v: the routing names no such channel", cell)
	}
	_, err := c.n.online.channels.Keeper().Switch(ctx, cell, e, version, by, reason)
	return err
}

// Close implements [console.Channels].
func (c channelsPage) Close(ctx context.Context, cell health.Cell, incident uint64, cause, note, by string) error {
	return c.n.store.Update(ctx, func(tx *store.Tx) error {
		return tx.CloseIncident(ctx, cell, incident, cause, note, by, c.n.cfg.Clock.Now())
	})
}
