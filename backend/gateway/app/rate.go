package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/store"
)

// Rate is what an app's merchants pay at a channel, in millionths of the amount, or the id of a fee standard in its place. A channel that the app's terms do not
// name, and an app that is none, cost nothing.
func Rate(ctx context.Context, tx *store.Tx, id, channel string) (ppm int64, standard string, _ error) {
	a, err := tx.App(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return 0, "", nil
	}
	if err != nil {
		return 0, "", err
	}
	var t Terms
	if err := json.Unmarshal(a.Terms, &t); err != nil {
		return 0, "", fmt.Errorf("terms of app %s: %w", id, err)
	}
	c, _ := t.Channel(channel)
	return int64(c.BasisPoints) * 100, c.Fee, nil
}
