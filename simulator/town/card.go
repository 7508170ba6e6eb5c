package town

import (
	"context"
	"time"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
)

// debit is one debit that a card committed, as seen inside the card.
type debit struct {
	counter  uint16 // offline, before it
	amount   money.Amount
	at       time.Time
	terminal int
	intent   *intent
	tripOpen bool // the card's metro trip was open before it
}

// credit is one load that a card committed.
type credit struct {
	counter uint16 // online, before it
	amount  money.Amount
}

// card is a simulated card with an observer in it: the truth that terminals and backend are held against.
type card struct {
	*epcard.Card
	now func() time.Time

	terminal int     // where it is presented
	intent   *intent // and what for
	debits   []debit
	credits  []credit
	loaded   money.Amount // by all credits
	spent    money.Amount // by all debits
}

// Transmit carries out a command and notes what it changed for good.
func (c *card) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	before := c.Image()
	response, err := c.Card.Transmit(ctx, command)
	after := c.Image()
	if after.OfflineCounter != before.OfflineCounter {
		trip, parseErr := tripOf(before)
		must(parseErr)
		d := debit{counter: before.OfflineCounter, amount: less(before.Balance, after.Balance), at: c.now(), terminal: c.terminal, intent: c.intent, tripOpen: trip.Open()}
		c.debits = append(c.debits, d)
		c.spent = plus(c.spent, d.amount)
	}
	if after.OnlineCounter != before.OnlineCounter {
		d := credit{before.OnlineCounter, less(after.Balance, before.Balance)}
		c.credits = append(c.credits, d)
		c.loaded = plus(c.loaded, d.amount)
	}
	return response, err
}
