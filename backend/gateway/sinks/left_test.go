package sinks_test

import (
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/keeper"
	"github.com/purselane/purselane/backend/gateway/sinks"
	"github.com/purselane/purselane/backend/gateway/webhook"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
)

func openStore(t *testing.T) *store.Store {
	st, err := store.Open(t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { st.Close() })
	return st
}

// TestNoticesToASinkThatIsNoMore are given up after a day and are in the log; those of others, and of other topics, stay.
func TestNoticesToASinkThatIsNoMore(t *testing.T) {
	st, c := openStore(t), clock.NewManual(out.At)
	add := func(id, topic string, at time.Time) {
		require.NoError(t, st.Update(t.Context(), func(tx *store.Tx) error {
			return tx.AddOutbox(t.Context(), store.OutboxMessage{ID: id, Topic: topic, Key: "channel/wechat", Body: []byte(`{"channel":"wechat"}`), AtMS: at.UnixMilli()})
		}))
	}
	add("1", keeper.Topic("gone"), out.At)
	add("2", keeper.Topic("gone"), out.At.Add(20*time.Hour))
	add("3", keeper.Topic("ops"), out.At)
	add("4", webhook.Topic, out.At)
	var log strings.Builder
	l := sinks.Leftovers{Store: st, Sinks: []string{"ops"}, Clock: c, Log: slog.New(slog.NewTextHandler(&log, nil))}
	waiting := func() (ids []string) {
		require.NoError(t, st.View(t.Context(), func(tx *store.Tx) error {
			all, err := tx.OutboxWaiting(t.Context(), 10)
			for _, m := range all {
				ids = append(ids, m.ID)
			}
			return err
		}))
		return ids
	}
	c.Advance(24 * time.Hour)
	require.NoError(t, l.Step(t.Context()))
	require.Len(t, waiting(), 4, "another process may know the sink")
	c.Advance(time.Hour)
	require.NoError(t, l.Step(t.Context()))
	require.ElementsMatch(t, []string{"2", "3", "4"}, waiting())
	require.Equal(t, 1, strings.Count(log.String(), "dead letter"))
	require.Contains(t, log.String(), "id=1")
}

// TestAppsAreToldOfChannels: each app with a webhook, once, of what begins and ends a fault; and nothing of people.
func TestAppsAreToldOfChannels(t *testing.T) {
	st := openStore(t)
	require.NoError(t, st.Update(t.Context(), func(tx *store.Tx) error {
		for _, e := range []store.WebhookEndpoint{{ID: "e1", App: "shop", Active: true}, {ID: "e2", App: "shop", Active: true}, {ID: "e3", App: "cafe", Active: true}, {ID: "e4", App: "idle"}} {
			e.URL, e.Events, e.Created = "https://"+e.ID+".example", "channel.*", out.At
			if err := tx.PutWebhookEndpoint(t.Context(), e); err != nil {
				return err
			}
		}
		return nil
	}))
	h := sinks.Apps(st)
	back, step, alarm := out, out, out
	back.Action, back.State, back.Share, back.By, back.Reason = "set-normal", "available", 1, "ann", "they are done"
	step.Action, alarm.Action, alarm.Alarm = "continue-ramp", "", true
	for i, n := range []keeper.Notice{out, out, step, alarm, back} {
		m := message(t, n)
		m.ID = "move-" + n.Action
		require.NoError(t, h(t.Context(), m), i)
	}
	var got []webhook.Notice
	require.NoError(t, st.View(t.Context(), func(tx *store.Tx) error {
		all, err := tx.OutboxWaiting(t.Context(), 10)
		for _, m := range all {
			var n webhook.Notice
			require.NoError(t, json.Unmarshal(m.Body, &n))
			require.Equal(t, webhook.Topic, m.Topic)
			require.NotContains(t, string(m.Body), back.Reason)
			got = append(got, n)
		}
		return err
	}))
	require.Len(t, got, 4)
	apps := map[string]int{}
	for _, n := range got {
		require.Equal(t, sinks.ChannelState, n.Type)
		apps[n.App]++
	}
	require.Equal(t, map[string]int{"shop": 2, "cafe": 2}, apps)
	require.JSONEq(t, `{"channel":"wechat","state":"available","share":1}`, string(got[len(got)-1].Data))
}
