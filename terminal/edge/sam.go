package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/card/keys"
)

// samLimit is the time one SAM command may take. A SAM answers in milliseconds.
const samLimit = 5 * time.Second

// errSAMBusy says that another lane's purchase held the SAM until the visit's time was over. Nothing was taken.
var errSAMBusy = errors.New("the SAM is held by another reader's purchase")

// lease is the terminal's SAM for one visit. A SAM holds one purchase at a time, so a visit has it for itself from MAC1
// until its MAC2 is checked, and at the latest until the visit ends.
type lease struct {
	keys.SAM
	gate chan struct{} // holds one token: whoever put it in has the SAM
	held bool
}

// InitPurchase implements keys.SAM. The SAM is waited for as long as the visit may take, but not asked under the visit's
// deadline: a slow card must not look like a broken SAM.
func (l *lease) InitPurchase(ctx context.Context, r keys.PurchaseRequest) (serial uint32, mac1 [4]byte, err error) {
	if !l.held {
		select {
		case l.gate <- struct{}{}:
			l.held = true
		case <-ctx.Done():
			return 0, mac1, fmt.Errorf("%w: %w", errSAMBusy, ctx.Err())
		}
	}
	ctx, cancel := samTime(ctx)
	defer cancel()
	return l.SAM.InitPurchase(ctx, r)
}

// CheckMAC2 implements keys.SAM and gives the SAM back.
func (l *lease) CheckMAC2(ctx context.Context, mac2 [4]byte) error {
	defer l.release()
	ctx, cancel := samTime(ctx)
	defer cancel()
	return l.SAM.CheckMAC2(ctx, mac2)
}

func (l *lease) release() {
	if l.held {
		l.held = false
		<-l.gate
	}
}

func samTime(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), samLimit)
}
