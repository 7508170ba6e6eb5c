package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/store"
)

func TestChannelSamplesAddUp(t *testing.T) {
	s, _ := fresh(t)
	noon := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	a, b := health.Cell{Channel: "a"}, health.Cell{Channel: "a", Bank: "icbc"}
	add := func(all ...store.ChannelSample) {
		require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error { return tx.AddChannelSamples(t.Context(), all) }))
	}
	samples := func(since time.Time) (out []store.ChannelSample) {
		require.NoError(t, s.View(t.Context(), func(tx *store.Tx) (err error) { out, err = tx.ChannelSamples(t.Context(), since); return err }))
		return out
	}
	add(store.ChannelSample{At: noon.Add(time.Second), Cell: b, Payments: 3, Failed: 1, Took: 90 * time.Millisecond}, store.ChannelSample{At: noon, Cell: a, Payments: 1, Took: time.Millisecond})
	add(store.ChannelSample{At: noon.Add(4999 * time.Millisecond), Cell: b, Payments: 2, Failed: 2, Took: 10 * time.Millisecond}, store.ChannelSample{At: noon.Add(store.SampleSpan), Cell: b, Payments: 1})
	require.Equal(t, []store.ChannelSample{
		{At: noon, Cell: a, Payments: 1, Took: time.Millisecond},
		{At: noon, Cell: b, Payments: 5, Failed: 3, Took: 100 * time.Millisecond},
		{At: noon.Add(store.SampleSpan), Cell: b, Payments: 1},
	}, samples(noon))
	require.Len(t, samples(noon.Add(time.Millisecond)), 1)
	require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error { return tx.PruneChannelSamples(t.Context(), noon.Add(store.SampleSpan)) }))
	require.Len(t, samples(time.Time{}), 1)
}
