package city

import (
	"fmt"
	"math/rand/v2"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
)

// rider is a card and the person who carries it: what was intended, and what the card itself says was taken.
type rider struct {
	card    *epcard.Card
	debits  []debit // one a counter value, from the counter the card started with
	loaded  money.Amount
	visits  int
	openAt  map[int]bool // places where a tap of this rider has no known outcome
	nothing bool         // no money to go on with: the kiosk is next
}

// debit is one committed debit as the card's own log shows it.
type debit struct {
	counter uint16 // before the increment
	amount  money.Amount
	visit   int // the rider's visit that it was made in
}

// look reads from the card's own log what was debited since the last look.
func (r *rider) look() error {
	fresh := int(r.card.OfflineCounter()) - len(r.debits)
	if fresh == 0 {
		return nil
	}
	log, err := r.card.Log()
	if err != nil {
		return err
	}
	// Newest first. Loads stand between the debits.
	var found []ep.LogRecord
	for _, l := range log {
		if l.Type == ep.TypePurchase || l.Type == ep.TypeComposite {
			found = append(found, l)
		}
	}
	if fresh < 0 || fresh > len(found) {
		return fmt.Errorf("card %v: its counter moved by %d, its log shows %d debits", r.card.Number(), fresh, len(found))
	}
	for i := fresh - 1; i >= 0; i-- {
		r.debits = append(r.debits, debit{uint16(len(r.debits)), found[i].Amount, r.visits})
	}
	return nil
}

// spent sums what the card itself was debited.
func (r *rider) spent() (money.Amount, error) {
	sum := money.Amount{}
	for _, d := range r.debits {
		var err error
		if sum, err = sum.Add(d.amount); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// inVisit lists the debits of a visit.
func (r *rider) inVisit(n int) []debit {
	var out []debit
	for _, d := range r.debits {
		if d.visit == n {
			out = append(out, d)
		}
	}
	return out
}

// pull draws whether, and where, the card is pulled out too early. A tap has about a dozen commands; half of those pulled
// leave around DEBIT, where it matters.
func pull(rng *rand.Rand, perMille int) epcard.Tear {
	if rng.IntN(1000) >= perMille {
		return epcard.Tear{}
	}
	at := 1 + rng.IntN(14)
	if rng.IntN(2) == 0 {
		at = 6 + rng.IntN(4)
	}
	return epcard.Tear{At: at, After: rng.IntN(2) == 0, Noticed: rng.IntN(2) == 0}
}
