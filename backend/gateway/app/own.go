package app

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/purselane/purselane/backend/store"
)

// Owners knows which channel accounts apps have for themselves. Terms are read again when anything was done to an app since; it is safe for concurrent use.
type Owners struct {
	mu    sync.Mutex
	steps int64               // that the trails had when own was read; 0: never
	own   map[string][]string // by app that is not closed: the channels that it does not share
}

// Own is which channels an app has for itself, and which other apps have for themselves and this one has not.
func (o *Owners) Own(ctx context.Context, s *store.Store, id string) (own, others []string, err error) {
	var all map[string][]string
	if err := s.View(ctx, func(tx *store.Tx) error {
		all, err = o.read(ctx, tx)
		return err
	}); err != nil {
		return nil, nil, fmt.Errorf("which channel accounts apps have for themselves: %w", err)
	}
	mine := map[string]bool{}
	for _, c := range all[id] {
		mine[c] = true
	}
	for other, channels := range all {
		for _, c := range channels {
			if other != id && !mine[c] {
				others = append(others, c)
			}
		}
	}
	return all[id], others, nil
}

func (o *Owners) read(ctx context.Context, tx *store.Tx) (map[string][]string, error) {
	steps, err := tx.AppSteps(ctx)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.own != nil && o.steps == steps {
		return o.own, nil
	}
	all, err := tx.Apps(ctx, "")
	if err != nil {
		return nil, err
	}
	own := map[string][]string{}
	for _, a := range all {
		var t Terms
		if State(a.State) == Closed {
			continue
		}
		if err := json.Unmarshal(a.Terms, &t); err != nil {
			return nil, fmt.Errorf("terms of app %s: %w", a.ID, err)
		}
		for _, c := range t.Channels {
			if !c.Shared {
				own[a.ID] = append(own[a.ID], c.Channel)
			}
		}
	}
	o.steps, o.own = steps, own
	return own, nil
}
