package sinks

import (
	"context"
	"encoding/json"

	"github.com/purselane/purselane/backend/gateway/keeper"
	"github.com/purselane/purselane/backend/gateway/outbox"
	"github.com/purselane/purselane/backend/gateway/webhook"
	"github.com/purselane/purselane/backend/store"
)

// ChannelState is the event that apps are told by: a channel, or one bank on it, goes out or is back in full. docs/channel-health.md is its page.
const ChannelState = "channel.state"

// Apps tells each app that has a webhook of a fault's begin and end, so that it takes offers down and puts them up again; whether one wants to know is its endpoint's word. What
// people said of it and how many payments failed stays here.
func Apps(st *store.Store) outbox.Handler {
	return filtered(Filter{Faults: true}, func(ctx context.Context, m store.OutboxMessage, n keeper.Notice) error {
		if n.Alarm {
			return nil // nothing has changed yet
		}
		data, err := json.Marshal(struct {
			Channel string  `json:"channel"`
			Bank    string  `json:"bank,omitempty"`
			Card    string  `json:"card,omitempty"`
			State   string  `json:"state"`
			Share   float64 `json:"share"`
		}{n.Channel, n.Bank, n.Card, n.State, n.Share})
		if err != nil {
			return err
		}
		return st.Update(ctx, func(tx *store.Tx) error {
			all, err := tx.WebhookEndpoints(ctx, "")
			if err != nil {
				return err
			}
			told := map[string]bool{}
			for _, e := range all {
				if told[e.App] || !e.Active {
					continue
				}
				told[e.App] = true
				event, err := webhook.Message(m.ID+"-"+e.App, m.Key, n.At, webhook.Notice{App: e.App, Type: ChannelState, Data: data})
				if err != nil {
					return err
				}
				if err := tx.AddOutbox(ctx, event); err != nil {
					return err
				}
			}
			return nil
		})
	})
}
