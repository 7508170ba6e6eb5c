package main

import (
	"context"
	"sync"
	"time"

	"github.com/purselane/purselane/card/apdu"
)

// meter adds up time spent away from the terminal's own code.
type meter struct {
	now func() time.Time

	mu       sync.Mutex
	spent    time.Duration
	commands int
}

func (m *meter) add(d time.Duration) { m.mu.Lock(); m.spent += d; m.commands++; m.mu.Unlock() }

// start starts anew.
func (m *meter) start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spent, m.commands = 0, 0
}

// read returns what has been added up, and of how many commands.
func (m *meter) read() (time.Duration, int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.spent, m.commands
}

// timedCard is a card, with all that leads to it, with a watch in front.
type timedCard struct {
	t     apdu.Transmitter
	meter *meter
}

// Transmit implements apdu.Transmitter.
func (c *timedCard) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	start := c.meter.now()
	response, err := c.t.Transmit(ctx, command)
	c.meter.add(c.meter.now().Sub(start))
	return response, err
}

// meterKey leads from a ride's context to the meter of its lane: a SAM of a pool serves any lane.
type meterKey struct{}

// timedSAM is a SAM with a watch in front. To wait until a SAM is free is the terminal's own time.
type timedSAM struct{ t apdu.Transmitter }

// Transmit implements apdu.Transmitter.
func (s timedSAM) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	m, found := ctx.Value(meterKey{}).(*meter)
	if !found {
		return s.t.Transmit(ctx, command)
	}
	start := m.now()
	response, err := s.t.Transmit(ctx, command)
	m.add(m.now().Sub(start))
	return response, err
}
