package city

import (
	"context"
	"errors"
	"fmt"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/uplink/wire"
)

// mostDoubled bounds the records of the doubled upload.
const mostDoubled = 50

// doubleUpload sends bus-1's newest records a second time, signed as the first time, over the broker: what a terminal does
// that has lost a receipt. It waits until the backend has looked at each, and counts what it ignored.
func (c *City) doubleUpload(ctx context.Context) error {
	if err := c.drain(ctx); err != nil {
		return err
	}
	s := c.places[bus1]
	j := s.term.Journal()
	last := j.LastSeq()
	if last == 0 {
		return nil
	}
	first := max(1, int64(last)-mostDoubled+1)
	records, err := j.Read(uint64(first), mostDoubled, 60<<10)
	if err != nil {
		return err
	}
	before, err := c.duplicates(ctx)
	if err != nil {
		return err
	}
	raw, err := wire.SealEnvelope(s.key, &wire.EnvelopeHeader{
		Terminal: string(s.id), Epoch: j.Epoch(), Batch: 1, FirstSeq: uint64(first), SentAtMs: c.clock.Now().UnixMilli(), ProfileVersion: c.profile.Version,
	}, records)
	if err != nil {
		return err
	}
	url, err := c.node.BrokerURL(ctx)
	if err != nil {
		return err
	}
	// The broker knows one client of a device, so its own link gives way for the moment.
	s.modem.set(false)
	defer s.modem.set(true)
	link := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID(string(s.id)).SetUsername(string(s.id)).
		SetPassword(s.password).SetProtocolVersion(4).SetConnectTimeout(10 * time.Second))
	for _, do := range []func() mqtt.Token{link.Connect, func() mqtt.Token { return link.Publish(wire.Topic(s.id, wire.KindUp), 1, false, raw) }} {
		token := do()
		if !token.WaitTimeout(20 * time.Second) {
			return errors.New("the broker does not answer")
		}
		if err := token.Error(); err != nil {
			return err
		}
	}
	defer link.Disconnect(100)
	c.tally.duplicatesSent = len(records)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		now, err := c.duplicates(ctx)
		if err != nil {
			return err
		}
		if c.tally.duplicatesIgnored = now - before; c.tally.duplicatesIgnored >= len(records) {
			c.note(c.tally.taps, c.cfg.Taps, fmt.Sprintf("%s uploads its last %d records a second time: the backend ignores them", s.id, len(records)))
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("of %d records sent twice the backend saw %d: %w", len(records), c.tally.duplicatesIgnored, ctx.Err())
		}
	}
}

// duplicates is how many records the backend has been sent that it had.
func (c *City) duplicates(ctx context.Context) (n int, err error) {
	err = c.node.Store().View(ctx, func(tx *store.Tx) error {
		n, err = tx.Tally(ctx, "duplicates")
		return err
	})
	return n, err
}
