package store

import (
	"context"
	"fmt"

	"github.com/purselane/purselane/internal/ids"
)

// verdictUnnamed marks a record that waits for its card's name.
const verdictUnnamed = "unnamed"

// NameCard notes by which alias terminals name a card, and sets free the records that waited for it: they are accepted anew, in the clearing
// day given. An alias is one card's for ever; the same again changes nothing.
func (t *Tx) NameCard(ctx context.Context, alias, n ids.CardNumber, day string) error {
	have, known, err := t.CardOfAlias(ctx, alias)
	switch {
	case err != nil:
		return err
	case known && have != n:
		return fmt.Errorf("store: the alias of card %v is that of card %v already", n, have)
	case known:
		return nil
	}
	if t.beside {
		if err := t.markLane(ctx, LaneOf(alias)); err != nil {
			return err
		}
	}
	if _, err := t.exec(ctx, "name card", `INSERT INTO card_alias (alias, card) VALUES (?, ?)`, alias[:], n[:]); err != nil {
		return err
	}
	if err := t.free(ctx, alias, day); err != nil {
		return err
	}
	_, err = t.exec(ctx, "freed records", `DELETE FROM record_unnamed WHERE alias = ?`, alias[:])
	return err
}

// free has the records that waited for an alias wait to be posted, in the clearing day given.
func (t *Tx) free(ctx context.Context, alias ids.CardNumber, day string) error {
	var keys []recordKey
	came := map[recordKey]int64{}
	if err := t.rows(ctx, "records of alias", func(scan func(...any) error) error {
		var k recordKey
		var receivedMS int64
		err := scan(&k.terminal, &k.epoch, &k.seq, &receivedMS)
		keys, came[k] = append(keys, k), receivedMS
		return err
	}, `SELECT r.terminal, r.epoch, r.seq, r.received_ms FROM record_unnamed u
		JOIN record_apart a ON a.terminal = u.terminal AND a.epoch = u.epoch AND a.seq = u.seq AND a.verdict = ?
		JOIN record r ON r.terminal = u.terminal AND r.epoch = u.epoch AND r.seq = u.seq WHERE u.alias = ?`, verdictUnnamed, alias[:]); err != nil {
		return err
	}
	sortKeys(keys)
	for _, k := range keys {
		if err := t.dropApart(ctx, k); err != nil {
			return err
		}
	}
	var runs []waiting
	runsBy(keys, func(k recordKey) int64 { return came[k] }, func(r run, receivedMS int64) {
		runs = append(runs, waiting{r, LaneOf(alias), day, receivedMS})
	})
	return t.addWaiting(ctx, runs)
}

// CardOfAlias finds the card that terminals name so.
func (t *Tx) CardOfAlias(ctx context.Context, alias ids.CardNumber) (n ids.CardNumber, known bool, err error) {
	var raw []byte
	known, err = t.one(ctx, "card of alias", `SELECT card FROM card_alias WHERE alias = ?`, []any{alias[:]}, &raw)
	copy(n[:], raw)
	return n, known, err
}

// AwaitName keeps a record apart until its card's alias is known. If it is known by now the record stays as it is: accepted.
func (t *Tx) AwaitName(ctx context.Context, p Pending, alias ids.CardNumber) error {
	if err := t.lockLane(ctx, LaneOf(alias)); err != nil {
		return err
	}
	if _, known, err := t.CardOfAlias(ctx, alias); err != nil || known {
		return err
	}
	if _, err := t.exec(ctx, "await name", `INSERT INTO record_unnamed (alias, terminal, epoch, seq) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		alias[:], string(p.Terminal), int64(p.Epoch), p.Seq); err != nil {
		return err
	}
	return t.SetVerdict(ctx, p, verdictUnnamed, "its card is not known yet by the token it gives")
}
