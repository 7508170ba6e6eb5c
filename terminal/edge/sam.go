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

// lease is the terminal's SAMs, for lanes that sell at the same time. A SAM holds one purchase at a time, so a visit has one for itself
// from INITIALIZE until its MAC2 is checked, and at the latest until the visit ends.
type lease struct{ free chan keys.SAM }

var _ keys.SAMs = (*lease)(nil)

func newLease(all []keys.SAM) *lease {
	l := &lease{free: make(chan keys.SAM, len(all))}
	for _, s := range all {
		l.free <- s
	}
	return l
}

// Acquire implements keys.SAMs. A SAM is waited for as long as the visit may take.
func (l *lease) Acquire(ctx context.Context) (keys.SAM, func(), error) {
	select {
	case s := <-l.free:
		return timed{s}, sync.OnceFunc(func() { l.free <- s }), nil
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

// probe asks the SAMs whether they work, and none in the middle of a purchase. One that works is enough to sell.
func (l *lease) probe(ctx context.Context) error {
	var all []error
	for range cap(l.free) {
		s, release, err := l.Acquire(ctx)
		if err != nil {
			return errors.Join(append(all, err)...)
		}
		defer release() // at the end: so each is asked once
		p, ok := s.(timed).SAM.(prober)
		if !ok {
			all = append(all, errors.New("a SAM that cannot be probed: the next sale shows whether it works"))
			continue
		}
		limited, cancel := context.WithTimeout(ctx, samLimit)
		err = p.Probe(limited)
		cancel()
		if err == nil {
			return nil
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}
