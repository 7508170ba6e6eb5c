package epcard

import (
	"fmt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// The accessors of this file are for checkers: they look into the chip past its commands, which no terminal can.

// Image returns the card's whole memory as of now.
func (c *Card) Image() Image {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.img
}

// Number is the card number.
func (c *Card) Number() ids.CardNumber { return c.Image().Number() }

// Balance is what is on the card.
func (c *Card) Balance() money.Amount { return c.Image().Balance }

// OfflineCounter counts committed debits; the next debit's counter.
func (c *Card) OfflineCounter() uint16 { return c.Image().OfflineCounter }

// OnlineCounter counts committed loads.
func (c *Card) OnlineCounter() uint16 { return c.Image().OnlineCounter }

// Deposit is the ED purse, if the card has one.
func (c *Card) Deposit() (Purse, bool) { return c.Image().purse(purseED) }

// Log returns the written records of EF 18, newest first.
func (c *Card) Log() ([]ep.LogRecord, error) {
	img := c.Image()
	var out []ep.LogRecord
	for _, raw := range img.Log {
		if raw == "" {
			break
		}
		r, err := ep.ParseLogRecord([]byte(raw))
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// MetroTrip returns record 1 of EF 1A; all zero if the card has none.
func (c *Card) MetroTrip() (ep.MetroTrip, error) {
	raw := make([]byte, tripSize)
	copy(raw, c.Image().Trips[0])
	return ep.ParseMetroTrip(raw)
}

// History returns the written records of EF 1E, newest first.
func (c *Card) History() ([]ep.TripHistory, error) {
	img := c.Image()
	var out []ep.TripHistory
	for _, raw := range img.History {
		if raw == "" {
			break
		}
		r, err := ep.ParseTripHistory([]byte(raw))
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// SetBlock sets the block state as APPLICATION BLOCK and UNBLOCK would. The session goes on: the next command meets it.
func (c *Card) SetBlock(b Block) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.img
	next.Block = b
	if err := next.Check(); err != nil {
		return err
	}
	if s := c.commit(next); s != apdu.OK {
		return fmt.Errorf("card memory failed: %v", s)
	}
	return nil
}
