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

// Plain is what is known of a card that is plain.
type Plain struct {
	Few bool // it has not taps enough for any crowd
}

// PlainCards are those of the cards of whom [shadowaccount.WatchCard] finds nothing at any time, by facts that cost less to look up than the card's taps to read, and of whom nothing stands
// open: a look at one would change nothing. A card that is not among them may be honest all the same.
func (t *Tx) PlainCards(ctx context.Context, cards []ids.CardNumber, l shadowaccount.Limits) (plain map[ids.CardNumber]Plain, err error) {
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
	out := map[ids.CardNumber]Plain{}
	var many []ids.CardNumber // that have taps enough for a crowd
	if err := t.ofCards(ctx, "plain cards", `SELECT k.number, (SELECT COUNT(*) FROM (SELECT 1 FROM claim c WHERE c.card = k.number LIMIT `+strconv.Itoa(enough)+`) AS few)
		FROM card k WHERE k.number `, condition, cards, args, func(scan func(...any) error) error {
		var raw []byte
		var taps int
		err := scan(&raw, &taps)
		n := numberFrom(raw)
		if out[n] = (Plain{taps < enough}); taps >= enough {
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

// standingQuery lists cards about which something stands, some of them more than once.
const standingQuery = `SELECT card FROM gap UNION ALL SELECT card FROM finding UNION ALL SELECT card FROM watch_denial UNION ALL SELECT card FROM claim WHERE status = 3
	UNION ALL SELECT k.number AS card FROM watch_finding f JOIN card k ON k.token = f.subject WHERE f.kind = 'card' AND f.state = 'open' LIMIT ?`

// StandingCards are those of the cards that are not plain whatever their taps are, by what is kept beside these. In most schemes there are few in all, and to list those costs less
// than to ask for each card.
func (t *Tx) StandingCards(ctx context.Context, cards []ids.CardNumber) (map[ids.CardNumber]bool, error) {
	few := len(cards)/2 + 10
	out, n := map[ids.CardNumber]bool{}, 0
	if err := t.rows(ctx, "standing cards", func(scan func(...any) error) error {
		var raw []byte
		err := scan(&raw)
		out[numberFrom(raw)] = true
		n++
		return err
	}, standingQuery, few+1); err != nil || n <= few {
		return out, err
	}
	clear(out)
	for _, c := range cards {
		out[c] = true
	}
	err := t.ofCards(ctx, "cards about which nothing stands", `SELECT k.number FROM card k WHERE k.number `, plainCondition, cards, nil, func(scan func(...any) error) error {
		var raw []byte
		err := scan(&raw)
		delete(out, numberFrom(raw))
		return err
	})
	return out, err
}

// Times are the times of a card's latest taps, the earliest first. Those that no crowd is made of are left out.
type Times struct {
	Latest []int64
	All    bool // it has no others
}

// LatestTimes are those of the n latest taps of cards, of which PlainCards has told; of those that have few taps it may be more.
func (t *Tx) LatestTimes(ctx context.Context, cards map[ids.CardNumber]Plain, n int) (map[ids.CardNumber]Times, error) {
	out := make(map[ids.CardNumber]Times, len(cards))
	var few []ids.CardNumber
	for c, p := range cards {
		if p.Few {
			few = append(few, c)
			out[c] = Times{All: true}
			continue
		}
		var times []int64
		if err := t.rows(ctx, "latest times", func(scan func(...any) error) error {
			var ms int64
			err := scan(&ms)
			times = append(times, ms)
			return err
		}, `SELECT at_ms FROM claim WHERE card = ? AND at_ms >= 0 AND at_ms <= `+lastMS+` ORDER BY at_ms DESC LIMIT ?`, c[:], n+1); err != nil {
			return nil, err
		}
		all := len(times) <= n
		times = times[:min(len(times), n)]
		slices.Reverse(times)
		out[c] = Times{times, all}
	}
	if err := t.ofCards(ctx, "times", `SELECT card, at_ms FROM claim WHERE at_ms >= 0 AND at_ms <= `+lastMS+` AND card `, ``, few, nil, func(scan func(...any) error) error {
		var raw []byte
		var ms int64
		err := scan(&raw, &ms)
		c := numberFrom(raw)
		out[c] = Times{append(out[c].Latest, ms), true}
		return err
	}); err != nil {
		return nil, err
	}
	for _, c := range few {
		slices.Sort(out[c].Latest)
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
