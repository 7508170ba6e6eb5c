package store

import (
	"context"
	"fmt"

	"github.com/purselane/purselane/shadowaccount"
)

// writeFlushedAtOnce writes the claims in one statement and the cards in another.
func (t *Tx) writeFlushedAtOnce(ctx context.Context, cards []*journalCard) error {
	var card, debit [][]byte
	var terminal, merchant, rule, day []string
	var counter, epoch, tap, seq, at, amount, before, after, said, proof, flags, kind, received []int64
	numbers := make([][]byte, len(cards))
	change, complete, next, tail, missing, loadsFrom := make([]int64, len(cards)), make([]int64, len(cards)), make([]int64, len(cards)), make([]int64, len(cards)), make([]int64, len(cards)), make([]int64, len(cards))
	for i, k := range cards {
		numbers[i], change[i] = k.number[:], k.change.Minor()
		complete[i], next[i], tail[i] = int64(k.end.Complete), int64(k.end.Next), k.end.Tail.Minor()
		missing[i], loadsFrom[i] = int64(k.missing), int64(k.end.LoadsFrom)
		for j := range k.records {
			r := &k.records[j]
			c := &r.claim
			card, debit = append(card, k.number[:]), append(debit, []byte(c.Debit))
			terminal, merchant, rule, day = append(terminal, string(c.Tap.Terminal)), append(merchant, string(c.Merchant)), append(rule, r.rule), append(day, r.day)
			counter, epoch, tap, seq, at = append(counter, int64(r.counter)), append(epoch, int64(c.Tap.Epoch)), append(tap, int64(c.Tap.Tap)), append(seq, int64(c.Seq)), append(at, c.At)
			amount, before, after = append(amount, c.Amount.Minor()), append(before, c.Before.Minor()), append(after, c.After.Minor())
			said, proof, flags = append(said, int64(c.Said)), append(proof, int64(c.Proof)), append(flags, int64(c.Flags))
			kind, received = append(kind, int64(r.kind)), append(received, r.receivedMS)
		}
	}
	if _, err := t.exec(ctx, "write claims", `INSERT INTO claim (card, counter, terminal, epoch, tap, seq, at_ms, merchant, amount, before, after, said, proof, flags, debit, kind, rule, day, received_ms, spent, status)
		SELECT v.*, 0, ? FROM unnest(?::bytea[], ?::bigint[], ?::text[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::text[], ?::bigint[], ?::bigint[], ?::bigint[],
		?::bigint[], ?::bigint[], ?::bigint[], ?::bytea[], ?::bigint[], ?::text[], ?::text[], ?::bigint[]) AS v`,
		int64(shadowaccount.Stands), card, counter, terminal, epoch, tap, seq, at, merchant, amount, before, after, said, proof, flags, debit, kind, rule, day, received); err != nil {
		return err
	}
	done, err := t.exec(ctx, "move cards on", `UPDATE card SET shadow = card.shadow + v.change, complete = v.complete, next = v.next, tail = v.tail, missing = v.missing, loads_from = v.loads_from
		FROM unnest(?::bytea[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[]) AS v (number, change, complete, next, tail, missing, loads_from)
		WHERE card.number = v.number`, numbers, change, complete, next, tail, missing, loadsFrom)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n != int64(len(cards)) {
		return fmt.Errorf("store: %d cards of the journal: %d rows changed: %w", len(cards), n, ErrNotFound)
	}
	return nil
}
