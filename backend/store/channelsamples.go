package store

import (
	"context"
	"time"

	"github.com/purselane/purselane/backend/gateway/health"
)

// SampleSpan is how long one sample of a channel is.
const SampleSpan = 5 * time.Second

// ChannelSample counts what became of the calls of a cell in [SampleSpan], of all processes.
type ChannelSample struct {
	At       time.Time // its begin
	Cell     health.Cell
	Payments int
	Failed   int           // by the fault of the channel or the bank
	Took     time.Duration // of all together, to the millisecond
}

// AddChannelSamples adds counts to what is there.
func (t *Tx) AddChannelSamples(ctx context.Context, all []ChannelSample) error {
	for _, s := range all {
		if _, err := t.exec(ctx, "add channel sample", `INSERT INTO channel_sample (at_ms, channel, bank, card, payments, failed, took_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (at_ms, channel, bank, card) DO UPDATE SET payments = channel_sample.payments + excluded.payments, failed = channel_sample.failed + excluded.failed,
			took_ms = channel_sample.took_ms + excluded.took_ms`,
			s.At.Truncate(SampleSpan).UnixMilli(), s.Cell.Channel, s.Cell.Bank, s.Cell.Card, s.Payments, s.Failed, s.Took.Milliseconds()); err != nil {
			return err
		}
	}
	return nil
}

// ChannelSamples lists samples that began at a time or later, the oldest first, then by name.
func (t *Tx) ChannelSamples(ctx context.Context, since time.Time) ([]ChannelSample, error) {
	var out []ChannelSample
	err := t.rows(ctx, "channel samples", func(scan func(...any) error) error {
		var s ChannelSample
		var at, took int64
		err := scan(&at, &s.Cell.Channel, &s.Cell.Bank, &s.Cell.Card, &s.Payments, &s.Failed, &took)
		s.At, s.Took = timeOf(at), time.Duration(took)*time.Millisecond
		out = append(out, s)
		return err
	}, `SELECT at_ms, channel, bank, card, payments, failed, took_ms FROM channel_sample WHERE at_ms >= ? ORDER BY at_ms, channel, bank, card`, since.UnixMilli())
	return out, err
}

// PruneChannelSamples forgets samples that began before a time.
func (t *Tx) PruneChannelSamples(ctx context.Context, before time.Time) error {
	_, err := t.exec(ctx, "prune channel samples", `DELETE FROM channel_sample WHERE at_ms < ?`, before.UnixMilli())
	return err
}
