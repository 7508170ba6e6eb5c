package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/store"
)

// Rate is what an app's merchants pay for a product at a channel, in millionths of the amount, or the id of one of the operator's rates in its place. A channel
// that the app's terms do not name, and an app that is none, cost nothing.
func Rate(ctx context.Context, tx *store.Tx, id, account string, product channel.Product) (ppm int64, rate string, _ error) {
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
	c, _ := t.Channel(account)
	for _, p := range c.Products {
		if p.Product == product {
			return int64(p.BasisPoints) * 100, p.Fee, nil
		}
	}
	return int64(c.BasisPoints) * 100, c.Fee, nil
}
