package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
)

const (
	returnsEvery = time.Hour
	returnsDays  = 7 // read again after a start; a file that was read changes nothing
)

// Returns reads a channel's file of a day and books back the pay-outs that came back. Errors: as [gateway.Service.Returns] has them.
func (n *Node) Returns(ctx context.Context, account, day string) (gateway.Returned, error) {
	if n.online == nil {
		return gateway.Returned{}, fmt.Errorf("returned pay-outs of %q: the scheme has no gateway", account)
	}
	return n.online.service.Returns(ctx, account, day)
}

// returned reads the files of days that are over, each once it is there, until ctx ends.
func (n *Node) returned(ctx context.Context, service *gateway.Service) error {
	read := map[string]bool{}
	for {
		for account, ch := range n.cfg.Channels {
			if _, tells := ch.(channel.Returner); !tells {
				continue
			}
			zone := ch.Capabilities().DayZone
			for back := returnsDays; back > 0 && ctx.Err() == nil; back-- {
				day := n.cfg.Clock.Now().In(zone).AddDate(0, 0, -back).Format(time.DateOnly)
				if read[account+" "+day] {
					continue
				}
				got, err := service.Returns(ctx, account, day)
				switch {
				case errors.Is(err, channel.ErrNoBillYet):
				case err != nil && ctx.Err() == nil:
					n.cfg.Log.WarnContext(ctx, "pay-outs that came back could not be read", "account", account, "day", day, "error", err)
				case err == nil:
					read[account+" "+day] = true
					if got.Booked > 0 {
						n.cfg.Log.ErrorContext(ctx, "pay-outs came back and are booked back: two persons may send others", "account", account, "day", day, "pay_outs", got.Booked)
					}
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(returnsEvery):
		}
	}
}
