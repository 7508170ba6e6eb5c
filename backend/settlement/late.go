package settlement

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount/calendar"
	"github.com/purselane/purselane/uplink/wire"
)

// tooLate reports whether more calendar days lie between a tap and the arrival of its first record than may. What counts is the moment of arrival and not
// its clearing day, which moves on when a day is closed early. Zero days: nothing is too late.
func tooLate(tap, arrived time.Time, in *time.Location, days int) bool {
	switch gap := arrived.Sub(tap); {
	case days == 0 || gap <= 0:
		return false
	case gap > time.Duration(days+2)*24*time.Hour: // also clocks that name no year of a calendar
		return true
	}
	return calendar.DateOf(tap.In(in)).Until(calendar.DateOf(arrived.In(in))) > days
}

// expiryOf is how many days may lie between a tap of a merchant and its arrival: what the merchant's contract says on the day that closes, else its acquirer's, else the
// scheme.
func (c closing) expiryOf(ctx context.Context, u store.Unsettled) (int, error) {
	if days, known := c.expiry[u.Merchant]; known {
		return days, nil
	}
	days := c.expireAfter
	for _, party := range []struct{ kind, id string }{{partyAcquirer, string(u.Acquirer)}, {partyMerchant, string(u.Merchant)}} {
		schedule, err := contractOf(ctx, c.tx, party.kind, party.id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return 0, err
		}
		// A contract that has not begun, or has ended, says nothing here: whether the day may close without it is seen when it is charged.
		if term, err := schedule.On(calendar.Date(c.day)); err == nil && term.ExpireAfter != nil {
			days = *term.ExpireAfter
		}
	}
	c.expiry[u.Merchant] = days
	return days, nil
}

// clockKnown reports whether the record that speaks for a tap says when it was, as far as its terminal knew the time.
func (c closing) clockKnown(ctx context.Context, u store.Unsettled) (bool, error) {
	body, err := c.tx.RecordBody(ctx, u.Terminal, u.Epoch, u.Seq)
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	var r wire.Record
	if err := proto.Unmarshal(body, &r); err != nil {
		return false, fmt.Errorf("record %s/%x/%d was posted and cannot be read: %w", u.Terminal, u.Epoch, u.Seq, err)
	}
	return r.GetClockState() != wire.ClockState_CLOCK_BAD, nil
}
