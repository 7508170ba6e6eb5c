package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
)

// plainCondition leaves the cards of whom something was found, and those about which something may be found by what is kept beside their taps: gaps, what the audit says, a denial, an unknown
// tap.
const plainCondition = `
	AND NOT EXISTS (SELECT 1 FROM watch_finding f WHERE f.kind = 'card' AND f.subject = k.token AND f.state = 'open')
	AND NOT EXISTS (SELECT 1 FROM gap g WHERE g.card = k.number)
	AND NOT EXISTS (SELECT 1 FROM finding f WHERE f.card = k.number)
	AND NOT EXISTS (SELECT 1 FROM watch_denial d WHERE d.card = k.number)
	AND NOT EXISTS (SELECT 1 FROM claim c WHERE c.card = k.number AND c.status = 3)`

// withinCondition leaves the cards of whom a tap took more than an amount.
const withinCondition = `
	AND NOT EXISTS (SELECT 1 FROM claim c WHERE c.card = k.number AND c.amount > ?)`

// lastMS is the last moment of the year 9999: what a terminal says beyond it proves nothing, and is no number to reckon with.
const lastMS = `253402300799999`

// PlainCards are those of the cards of whom [shadowaccount.WatchCard] finds nothing at any time, by facts that cost less to look up than the card's taps to read, and of whom nothing stands
// open: a look at one would change nothing. A card that is not among them may be honest all the same.
func (t *Tx) PlainCards(ctx context.Context, cards []ids.CardNumber, l shadowaccount.Limits) (map[ids.CardNumber]bool, error) {
	crowds := l.Crowds()
	enough := 1 // taps of the smallest crowd
	for i, c := range crowds {
		if n := c.Taps + 1; i == 0 || n < enough {
			enough = n
		}
	}
	condition, args := plainCondition, []any(nil)
	if least, ok := l.Least(); ok {
		condition, args = condition+withinCondition, []any{least.Minor()}
	}
	out := map[ids.CardNumber]bool{}
	var many []ids.CardNumber // that have taps enough for a crowd
	if err := t.ofCards(ctx, "plain cards", `SELECT k.number, (SELECT COUNT(*) FROM (SELECT 1 FROM claim c WHERE c.card = k.number LIMIT `+strconv.Itoa(enough)+`) AS few)
		FROM card k WHERE k.number `, condition, cards, args, func(scan func(...any) error) error {
		var raw []byte
		var taps int
		err := scan(&raw, &taps)
		n := numberFrom(raw)
		if out[n] = true; taps >= enough {
			many = append(many, n)
		}
		return err
	}); err != nil {
		return nil, err
	}
	for _, c := range crowds {
		if err := t.ofCards(ctx, "crowded cards", fmt.Sprintf(`SELECT DISTINCT card FROM (SELECT card, LAG(card, %[1]d) OVER (ORDER BY card, at_ms) AS whose, at_ms - LAG(at_ms, %[1]d) OVER (ORDER BY card, at_ms) AS span
			FROM claim WHERE at_ms >= 0 AND at_ms <= `+lastMS+` AND card `, c.Taps), `) AS spans WHERE whose = card AND span <= ?`, many, []any{c.WithinMS}, func(scan func(...any) error) error {
			var raw []byte
			err := scan(&raw)
			delete(out, numberFrom(raw))
			return err
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

var oneOfCards = `IN (` + strings.Repeat("?, ", readAtOnce-1) + `?)`

// ofCards reads what a query finds of cards, many with a statement; between its two parts stands which cards, and args are those of the second.
func (t *Tx) ofCards(ctx context.Context, what, first, second string, cards []ids.CardNumber, args []any, each func(scan func(...any) error) error) error {
	if len(cards) == 0 {
		return nil
	}
	if t.dialect == postgres {
		return t.rows(ctx, what, each, first+`= ANY(?::bytea[])`+second, append([]any{keysOf(cards)}, args...)...)
	}
	query := first + oneOfCards + second
	for part := range slices.Chunk(cards, readAtOnce) {
		all := make([]any, readAtOnce, readAtOnce+len(args))
		for i := range all {
			all[i] = part[min(i, len(part)-1)][:] // the last again where there are fewer: one text, one statement
		}
		if err := t.rows(ctx, what, each, query, append(all, args...)...); err != nil {
			return err
		}
	}
	return nil
}
