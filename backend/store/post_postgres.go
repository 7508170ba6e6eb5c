package store

import (
	"context"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// On PostgreSQL each step of a group is one statement over all its rows, in the order of their keys: a round trip costs more than a row. Each
// statement touches one table, so that the distributed engines behind its protocol take it too.

func keysOf(numbers []ids.CardNumber) [][]byte {
	out := make([][]byte, len(numbers))
	for i := range numbers {
		out[i] = numbers[i][:]
	}
	return out
}

// eachHeadAtOnce reads heads in one statement, and locks them in the order of their numbers, so that two posters that want the same cards do not wait for each other.
func (t *Tx) eachHeadAtOnce(ctx context.Context, numbers []ids.CardNumber, each func(scan func(...any) error) error) error {
	return t.rows(ctx, "cards of a group", each, `SELECT `+headColumns+` FROM card WHERE number = ANY(?::bytea[]) ORDER BY number FOR UPDATE`, keysOf(numbers))
}

// cardsWithDebitsAtOnce is cardsWithDebits in one statement.
func (t *Tx) cardsWithDebitsAtOnce(ctx context.Context, records []Verified) (map[ids.CardNumber]bool, error) {
	var cards, debits [][]byte
	for i := range records {
		if r := &records[i]; r.Claim.Debit != "" {
			cards, debits = append(cards, r.Card[:]), append(debits, []byte(r.Claim.Debit))
		}
	}
	out := map[ids.CardNumber]bool{}
	err := t.rows(ctx, "debits of a group", func(scan func(...any) error) error {
		var card []byte
		err := scan(&card)
		if err == nil {
			out[numberFrom(card)] = true
		}
		return err
	}, `SELECT c.card FROM unnest(?::bytea[], ?::bytea[]) AS r (card, debit) JOIN claim c ON c.card = r.card AND c.debit = r.debit AND c.debit <> `+t.dialect.noBytes(), cards, debits)
	return out, err
}

func numberFrom(raw []byte) (n ids.CardNumber) {
	copy(n[:], raw)
	return n
}

// loadsOfAtOnce is loadsOf in one statement.
func (t *Tx) loadsOfAtOnce(ctx context.Context, numbers []ids.CardNumber) (map[ids.CardNumber][]shadowaccount.Load, error) {
	out := make(map[ids.CardNumber][]shadowaccount.Load, len(numbers))
	if len(numbers) == 0 {
		return out, nil
	}
	err := t.rows(ctx, "loads of a group", func(scan func(...any) error) error {
		var card []byte
		var l shadowaccount.Load
		var amount int64
		if err := scan(&card, &l.Counter, &amount, &l.Loaded); err != nil {
			return err
		}
		l.Amount = money.Minor(amount)
		n := numberFrom(card)
		out[n] = append(out[n], l)
		return nil
	}, `SELECT card, counter, amount, loaded FROM card_load WHERE card = ANY(?::bytea[]) ORDER BY card, counter`, keysOf(numbers))
	return out, err
}

// bytesOfClaim is about how long a claim is in a COPY.
const bytesOfClaim = 384

// copyClaims writes the claims of cards that were followed.
func (t *Tx) copyClaims(ctx context.Context, all []*follower) error {
	n := 0
	for _, f := range all {
		n += len(f.records)
	}
	rows := newCopyRows(n, bytesOfClaim)
	for _, f := range all {
		for _, r := range f.records {
			c := &r.Claim
			rows.begin(21)
			rows.bytea(f.number[:])
			rows.bigint(int64(r.Counter))
			rows.text(string(c.Tap.Terminal))
			rows.bigint(int64(c.Tap.Epoch), int64(c.Tap.Tap), int64(c.Seq), c.At)
			rows.text(string(c.Merchant))
			rows.bigint(c.Amount.Minor(), c.Before.Minor(), c.After.Minor(), int64(c.Said), int64(c.Proof), int64(c.Flags))
			rows.bytea([]byte(c.Debit))
			rows.bigint(0, int64(shadowaccount.Stands), int64(r.Kind))
			rows.text(r.Rule)
			rows.text(r.Day)
			rows.bigint(r.ReceivedMS)
		}
	}
	return t.copyIn(ctx, "write claims", `COPY claim (card, `+newClaimColumns+`) FROM STDIN BINARY`, rows)
}

// writeFollowersAtOnce writes the claims in one statement and the cards in another. No row of the claims is there yet.
func (t *Tx) writeFollowersAtOnce(ctx context.Context, all []*follower) error {
	if len(all) == 0 {
		return nil
	}
	if err := t.copyClaims(ctx, all); err != nil {
		return err
	}
	numbers := make([][]byte, len(all))
	change, complete, next, tail, missing, loadsFrom := make([]int64, len(all)), make([]int64, len(all)), make([]int64, len(all)), make([]int64, len(all)), make([]int64, len(all)), make([]int64, len(all))
	for i, f := range all {
		numbers[i], change[i] = f.number[:], f.change.Minor()
		complete[i], next[i], tail[i] = int64(f.audit.Complete), int64(f.audit.Next), f.audit.Tail.Minor()
		missing[i], loadsFrom[i] = int64(f.head.missing+f.missing), int64(f.audit.LoadsFrom)
	}
	_, err := t.exec(ctx, "move cards on", `UPDATE card SET shadow = card.shadow + v.change, complete = v.complete, next = v.next, tail = v.tail, missing = v.missing, loads_from = v.loads_from
		FROM unnest(?::bytea[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[]) AS v (number, change, complete, next, tail, missing, loads_from)
		WHERE card.number = v.number`, numbers, change, complete, next, tail, missing, loadsFrom)
	return err
}
