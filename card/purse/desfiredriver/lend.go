package desfiredriver

import (
	"context"
	"fmt"
	"sync"

	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
)

// Lend shares one SAM among the drivers of a terminal: one authentication at a time.
func Lend(sam desfire.SAM) SAMs { return lender{sam, make(chan struct{}, 1)} }

type lender struct {
	sam  desfire.SAM
	lent chan struct{} // holds one while the SAM is out
}

// Acquire implements SAMs.
func (l lender) Acquire(ctx context.Context) (desfire.SAM, func(), error) {
	select {
	case l.lent <- struct{}{}:
		return l.sam, sync.OnceFunc(func() { <-l.lent }), nil
	default:
	}
	select {
	case l.lent <- struct{}{}:
		return l.sam, sync.OnceFunc(func() { <-l.lent }), nil
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("%w: %w", keys.ErrSAMBusy, ctx.Err())
	}
}
