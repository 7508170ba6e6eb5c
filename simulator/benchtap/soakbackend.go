package main

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"sync"
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/uplink/client"
	"github.com/purselane/purselane/uplink/intake"
	"github.com/purselane/purselane/uplink/wire"
)

// backend gives signed receipts for what a terminal sends, and keeps of it nothing but how far it came: what a soak measures is the terminal.
type backend struct {
	intake.Processor
	mu   sync.Mutex // a terminal has one link
	have intake.Committed
}

// newBackend makes a backend, and gives the terminal of cfg the keys of both.
func newBackend(cfg *edge.Config) (*backend, error) {
	device, deviceKey, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	cfg.DeviceKey, cfg.BackendKey = deviceKey, public
	b := &backend{}
	b.Processor = intake.Processor{
		Key: key, Handler: b,
		Device: func(context.Context, ids.TerminalID) (ed25519.PublicKey, bool, error) { return device, true, nil },
	}
	return b, nil
}

// exchange carries all that the terminal wants to send now, and the receipts back.
func (b *backend) exchange(ctx context.Context, id ids.TerminalID, s *client.Sender, now time.Time) error {
	for {
		messages, _, err := s.Due(now)
		if err != nil || len(messages) == 0 {
			return err
		}
		for _, m := range messages {
			receipt, err := b.Process(ctx, id, m.Kind, m.Raw, now)
			if err != nil {
				return err
			}
			if err := s.OnReceipt(now, receipt); err != nil {
				return err
			}
		}
	}
}

// Accept implements intake.Handler.
func (b *backend) Accept(_ context.Context, a intake.Accepted) (intake.Committed, error) {
	if a.FirstSeq > b.have.Through+1 {
		return b.have, fmt.Errorf("records %d to %d came, and %d is missing", a.FirstSeq, a.LastSeq, b.have.Through+1)
	}
	if a.LastSeq > b.have.Through {
		b.have = intake.Committed{Through: a.LastSeq, ThroughHash: wire.RecordHash(a.Records[len(a.Records)-1])}
	}
	return b.have, nil
}

// Quarantine implements intake.Handler.
func (b *backend) Quarantine(_ context.Context, a intake.Accepted, reason string) (intake.Committed, error) {
	return b.have, fmt.Errorf("batch %d cannot be read: %s", a.Batch, reason)
}

// Hello implements intake.Handler.
func (b *backend) Hello(context.Context, *wire.Hello, time.Time) (intake.Committed, error) {
	return b.have, nil
}
