package edge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/purselane/purselane/card/keys"
)

// samLimit is the time one SAM command may take. A SAM answers in milliseconds.
const samLimit = 5 * time.Second

// lease is a terminal's only SAM, for lanes that sell at the same time. A SAM holds one purchase at a time, so a visit has it for itself
// from INITIALIZE until its MAC2 is checked, and at the latest until the visit ends. Several SAMs are a keys.Pool.
type lease struct {
	sam  keys.SAM
	gate chan struct{} // holds one token: whoever put it in has the SAM
}

var _ keys.SAMs = (*lease)(nil)

func newLease(sam keys.SAM) *lease { return &lease{sam: sam, gate: make(chan struct{}, 1)} }

// Acquire implements keys.SAMs. The SAM is waited for as long as the visit may take.
func (l *lease) Acquire(ctx context.Context) (keys.SAM, func(), error) {
	select {
	case l.gate <- struct{}{}:
		return timed{l.sam}, sync.OnceFunc(func() { <-l.gate }), nil
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("%w: %w", keys.ErrSAMBusy, ctx.Err())
	}
}

// timed is a SAM that is not asked under the visit's deadline, but under one of its own: a slow card must not look like a broken SAM.
type timed struct{ keys.SAM }

// InitPurchase implements keys.SAM.
func (s timed) InitPurchase(ctx context.Context, r keys.PurchaseRequest) (serial uint32, mac1 [4]byte, err error) {
	ctx, cancel := samTime(ctx)
	defer cancel()
	return s.SAM.InitPurchase(ctx, r)
}

// CheckMAC2 implements keys.SAM.
func (s timed) CheckMAC2(ctx context.Context, mac2 [4]byte) error {
	ctx, cancel := samTime(ctx)
	defer cancel()
	return s.SAM.CheckMAC2(ctx, mac2)
}

func samTime(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), samLimit)
}

// sams are the terminal's SAMs as its drivers draw on them.
func (c *Config) sams() keys.SAMs {
	if c.Pool != nil {
		return c.Pool
	}
	return newLease(c.SAM)
}

// probeSAM asks the terminal's SAMs whether one works, and not in the middle of a purchase. A pool asks its own, and gives none that is out.
func (t *Terminal) probeSAM(ctx context.Context) error {
	if _, ok := t.cfg.SAM.(prober); !ok && t.cfg.Pool == nil {
		return errors.New("a SAM that cannot be probed: the next sale shows whether it works")
	}
	_, release, err := t.sams.Acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	if t.cfg.Pool != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, samLimit)
	defer cancel()
	return t.cfg.SAM.(prober).Probe(ctx)
}
