package intake

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	uplink "github.com/purselane/purselane/uplink/intake"
	"github.com/purselane/purselane/uplink/wire"
)

// Accept keeps a batch and its records in one transaction. Records that cannot be read are kept too and count as committed,
// so that they do not block the terminal's queue; a number that is taken by other bytes is kept apart, as an alarm.
func (p *Pipeline) Accept(ctx context.Context, a uplink.Accepted) (uplink.Committed, error) {
	var unreadable []uplink.Unreadable
	if reason := badRange(a); reason != "" {
		return p.keepUnread(ctx, a, reason)
	}
	lanes := make([]int, len(a.Records))
	for i, body := range a.Records {
		seq := a.FirstSeq + uint64(i)
		d, err := read(p.readers, body, a.Terminal, a.Epoch, seq)
		if err != nil {
			unreadable = append(unreadable, uplink.Unreadable{Seq: seq, Reason: err.Error()})
		}
		lanes[i] = store.LaneOf(d.called)
	}
	return p.commit(ctx, a, unreadable, func(tx *store.Tx, day string) (store.Kept, error) {
		kept := arrived(a, day)
		kept.Lanes = lanes
		return tx.Keep(ctx, kept)
	})
}

// Quarantine keeps a batch that is signed by its terminal and cannot be read. Its numbers are marked as quarantined, so that the
// terminal may go on; a readable record under one of them, should it come, takes the mark's place.
func (p *Pipeline) Quarantine(ctx context.Context, a uplink.Accepted, reason string) (uplink.Committed, error) {
	if bad := badRange(a); bad != "" {
		return p.keepUnread(ctx, a, reason+"; "+bad)
	}
	return p.commit(ctx, a, []uplink.Unreadable{{Reason: reason}}, func(tx *store.Tx, day string) (store.Kept, error) {
		return tx.Quarantine(ctx, arrived(a, day), a.LastSeq, reason)
	})
}

// keepUnread keeps a batch whose range means nothing. No number of it is marked: the terminal is faulty, and is told so.
func (p *Pipeline) keepUnread(ctx context.Context, a uplink.Accepted, reason string) (uplink.Committed, error) {
	a.Records, a.FirstSeq, a.LastSeq = nil, 0, 0
	return p.commit(ctx, a, []uplink.Unreadable{{Reason: reason}}, func(tx *store.Tx, day string) (store.Kept, error) {
		return tx.Keep(ctx, arrived(a, day))
	})
}

// badRange says what is wrong with a batch's numbers, "" for nothing. They come from a device, and the next step counts
// with them.
func badRange(a uplink.Accepted) string {
	switch {
	case a.FirstSeq == 0 || a.LastSeq < a.FirstSeq || a.LastSeq > math.MaxInt64:
		return fmt.Sprintf("records %d to %d are no range", a.FirstSeq, a.LastSeq)
	case a.LastSeq-a.FirstSeq >= wire.MaxRecords:
		return fmt.Sprintf("records %d to %d are more than %d", a.FirstSeq, a.LastSeq, wire.MaxRecords)
	case a.Records != nil && uint64(len(a.Records)) != a.LastSeq-a.FirstSeq+1:
		return fmt.Sprintf("%d records for the range %d to %d", len(a.Records), a.FirstSeq, a.LastSeq)
	}
	return ""
}

func arrived(a uplink.Accepted, day string) store.Arrived {
	return store.Arrived{Terminal: a.Terminal, Epoch: a.Epoch, FirstSeq: a.FirstSeq, Records: a.Records, Envelope: a.Envelope, At: a.ReceivedAt, Day: day}
}

// commit runs keep in one transaction and says what the epoch has and lacks now.
func (p *Pipeline) commit(ctx context.Context, a uplink.Accepted, unreadable []uplink.Unreadable, keep func(*store.Tx, string) (store.Kept, error)) (uplink.Committed, error) {
	var c uplink.Committed
	var kept store.Kept
	err := p.store.Apart(ctx, func(tx *store.Tx) error {
		c = uplink.Committed{Unreadable: unreadable}
		day, err := tx.ArrivalDay(ctx, a.Terminal, a.ReceivedAt, p.opt.Location)
		if err != nil {
			return err
		}
		if kept, err = keep(tx, day); err != nil {
			return err
		}
		c.Through = kept.Through
		if a.NewestSeq > 0 { // else it did not come by the link
			if err := tx.TerminalSeen(ctx, a.Terminal, a.ReceivedAt, waiting(a.NewestSeq, c.Through)); err != nil {
				return err
			}
		}
		return fill(ctx, tx, &c, a.Terminal, a.Epoch, 0)
	})
	if err != nil {
		return uplink.Committed{}, fmt.Errorf("accept batch %d of %s: %w", a.Batch, a.Terminal, err)
	}
	for _, seq := range kept.Conflicts {
		p.opt.Log.WarnContext(ctx, "intake: one number, two records", "terminal", a.Terminal, "epoch", a.Epoch, "seq", seq)
		c.Unreadable = append(c.Unreadable, uplink.Unreadable{Seq: seq, Reason: "another record with this number is kept; this one is kept apart"})
	}
	for _, u := range unreadable {
		p.opt.Log.WarnContext(ctx, "intake: not readable", "terminal", a.Terminal, "epoch", a.Epoch, "seq", u.Seq, "reason", u.Reason)
	}
	p.wake()
	c.RetryAfter = p.holdBack(ctx, a.Terminal, a.ReceivedAt)
	return c, nil
}

// Hello notes what a terminal holds, and answers with what is committed of its epoch and what is missing: also what the
// terminal has a receipt for and we do not have, after a backup was restored. What it no longer holds is lost. A terminal with
// a long backlog is told when its slot is.
func (p *Pipeline) Hello(ctx context.Context, h *wire.Hello, at time.Time) (uplink.Committed, error) {
	terminal := ids.TerminalID(h.GetTerminal())
	var c uplink.Committed
	var lost []store.SeqRange
	err := p.store.Apart(ctx, func(tx *store.Tx) error {
		c, lost = uplink.Committed{}, nil
		var err error
		if first, acked := h.GetFirstSeq(), min(h.GetAckedSeq(), math.MaxInt64); first > 1 && first-1 <= acked { // only what has a receipt is ever pruned
			if lost, err = tx.GiveUp(ctx, terminal, h.GetEpoch(), first-1, at); err != nil {
				return err
			}
		}
		if c.Through, err = tx.Through(ctx, terminal, h.GetEpoch()); err != nil {
			return err
		}
		// Not the hello's own word: the terminal counts what we have and could not tell it.
		if err := tx.TerminalSeen(ctx, terminal, at, waiting(h.GetLastSeq(), c.Through)); err != nil {
			return err
		}
		return fill(ctx, tx, &c, terminal, h.GetEpoch(), min(h.GetAckedSeq(), math.MaxInt64))
	})
	if err != nil {
		return uplink.Committed{}, fmt.Errorf("hello of %s: %w", terminal, err)
	}
	for _, r := range lost {
		p.opt.Log.ErrorContext(ctx, "intake: records lost: had a receipt, are missing here, and pruned there", "terminal", terminal, "epoch", h.GetEpoch(),
			"first", r.First, "last", r.Last)
	}
	c.RetryAfter = p.slots.ask(terminal, waiting(h.GetLastSeq(), c.Through), at)
	return c, nil
}

// waiting is how many records up to the newest have not come.
func waiting(newest, through uint64) int {
	if newest <= through {
		return 0
	}
	return int(min(newest-through, math.MaxInt32))
}

// State notes whether a terminal's link is up. It is the State of an uplink Processor.
func (p *Pipeline) State(ctx context.Context, t ids.TerminalID, s *wire.DeviceState, at time.Time) error {
	err := p.store.Apart(ctx, func(tx *store.Tx) error {
		if s.GetAtMs() != 0 { // else it is a last will, which knows no backlog
			if err := tx.TerminalSeen(ctx, t, at, int(s.GetBacklog())); err != nil {
				return err
			}
		}
		if s.GetOnline() {
			return nil
		}
		return tx.TerminalGone(ctx, t)
	})
	if err != nil {
		return fmt.Errorf("state of %s: %w", t, err)
	}
	return nil
}

// fill adds to a watermark the hash of its record, by which a terminal knows that it is its own, and what is missing: the
// holes of the epoch, and up to the number the terminal holds a receipt for.
func fill(ctx context.Context, tx *store.Tx, c *uplink.Committed, t ids.TerminalID, epoch, acked uint64) error {
	var err error
	if c.ThroughHash, err = tx.RecordHash(ctx, t, epoch, c.Through); err != nil {
		return err
	}
	holes, err := tx.Missing(ctx, t, epoch, acked, maxHoles)
	for _, h := range holes {
		c.Wanted = append(c.Wanted, uplink.SeqRange{First: h.First, Last: h.Last})
	}
	return err
}

// clearingDay is the day in which something that comes at a moment is cleared.
func (p *Pipeline) clearingDay(ctx context.Context, tx *store.Tx, at time.Time) (string, error) {
	return tx.ClearingDay(ctx, at.In(p.opt.Location))
}
