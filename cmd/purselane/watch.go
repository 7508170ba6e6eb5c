package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/watch"
	"github.com/purselane/purselane/internal/clock"
)

// WatchCmd are the commands of the watch.
type WatchCmd struct {
	Run WatchRunCmd `cmd:"" help:"Look once for what is suspicious, beside or instead of a backend that serves."`
}

// WatchRunCmd is `purselane watch run`.
type WatchRunCmd struct {
	schemeFolder
	Again bool `help:"Look at every record again, as after a change of the settings."`
	JSON  bool `name:"json" help:"Print JSON."`
}

// Run makes one pass.
func (c *WatchRunCmd) Run(ctx context.Context, k *kong.Kong) error {
	scheme, err := c.scheme()
	if err != nil {
		return err
	}
	return c.withStore(ctx, func(s *store.Store) error {
		w, err := watch.New(s, clock.System{}, scheme.Watch, nil)
		if err != nil {
			return err
		}
		if c.Again {
			if err := w.Again(ctx); err != nil {
				return err
			}
		}
		r, err := w.Pass(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(k.Stdout).Encode(r)
		}
		fmt.Fprintf(k.Stdout, "%d records in %d groups, %d looks at a card: %d findings opened, %d cleared\n", r.Records, r.Groups, r.Cards, r.Opened, r.Cleared)
		return nil
	})
}
