package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/internal/pgtest"
	"github.com/purselane/purselane/shadowaccount"
)

// postTables are all that posting writes, but for where the next audit may begin.
var postTables = []string{`SELECT * FROM claim`, `SELECT * FROM finding`, `SELECT * FROM gap`, `SELECT * FROM card_load`, `SELECT * FROM posting_group`,
	`SELECT * FROM journal_line`, `SELECT name, balance FROM account`, `SELECT * FROM record_posted`, `SELECT * FROM record_apart`, `SELECT * FROM record_waiting`,
	`SELECT number, status, shadow, complete, next, tail, missing, loads_from FROM card`}

// drawStep makes what happens to a store next: a load of a card, a block, or a group of records. Most records follow; the others collide in every way.
func drawStep(r *rapid.T, next map[byte]*[2]int64, seq *uint64) func(ctx context.Context, tx *store.Tx, post func(context.Context, store.Group, []store.Verified) error) error {
	card := rapid.SampledFrom([]byte{1, 1, 2, 3}).Draw(r, "card")
	switch rapid.IntRange(0, 9).Draw(r, "what") {
	case 0:
		n, l := ids.CardNumber{9: card}, shadowaccount.Load{Counter: uint16(rapid.IntRange(0, 5).Draw(r, "load")), Amount: money.Minor(int64(rapid.IntRange(1, 3).Draw(r, "value")) * 100)}
		l.Loaded = rapid.Bool().Draw(r, "loaded")
		if rapid.Bool().Draw(r, "shows") {
			next[card][1] += l.Amount.Minor()
		}
		return func(ctx context.Context, tx *store.Tx, _ func(context.Context, store.Group, []store.Verified) error) error {
			if _, err := tx.CardByNumber(ctx, n); err != nil {
				return nil
			}
			all, err := tx.CardLoads(ctx, n)
			for _, x := range all {
				if x.Counter == l.Counter && x.Loaded {
					return err // it cannot change any more
				}
			}
			return tx.PutCardLoad(ctx, n, l, "order")
		}
	case 1:
		n, counter, block := ids.CardNumber{9: card}, uint16(rapid.IntRange(0, 5).Draw(r, "load")), rapid.IntRange(0, 5).Draw(r, "block") == 0
		return func(ctx context.Context, tx *store.Tx, _ func(context.Context, store.Group, []store.Verified) error) error {
			if block && card == 2 {
				return tx.BlockCard(ctx, n, time.UnixMilli(3))
			}
			return tx.DropCardLoad(ctx, n, counter)
		}
	}
	var records []store.Verified
	for range rapid.IntRange(1, 4).Draw(r, "records") {
		*seq++
		card := rapid.SampledFrom([]byte{1, 1, 2, 3, 9}).Draw(r, "card")
		at := next[card]
		counter, before, amount := at[0], at[1], int64(rapid.IntRange(0, 2).Draw(r, "amount"))*100
		at[0], at[1] = at[0]+1, at[1]-amount
		v := store.Verified{Pending: store.Pending{Terminal: "bus-1", Epoch: 1, Seq: *seq, Day: "2026-11-25"}, Card: ids.CardNumber{9: card}, Family: "ep", Levels: 1, Kind: 1,
			Claim: shadowaccount.Claim{Tap: ids.TapID{Terminal: "bus-1", Epoch: 1, Tap: *seq}, Seq: *seq, At: int64(rapid.IntRange(1, 5).Draw(r, "at")), Merchant: "m",
				Amount: money.Minor(amount), Before: money.Minor(before), After: money.Minor(before - amount),
				Said: shadowaccount.SaidCompleted, Proof: shadowaccount.ProofGood, Debit: fmt.Sprintf("debit %d", *seq)}}
		if card == 3 {
			v.Family = "desfire"
		}
		switch rapid.IntRange(0, 20).Draw(r, "odd") {
		case 0:
			v.Claim.Proof, v.Claim.Debit, v.Claim.Said = shadowaccount.ProofNone, "", shadowaccount.SaidUnknown
		case 1:
			v.Claim.Proof, v.Claim.Debit, v.Claim.Flags = shadowaccount.ProofBad, "", shadowaccount.FlagBadTAC
		case 2:
			counter -= int64(rapid.IntRange(1, 3).Draw(r, "back"))
		case 3:
			at[0]++
			counter++
		case 4:
			v.Claim.Debit = fmt.Sprintf("debit %d", *seq-uint64(rapid.IntRange(1, 3).Draw(r, "replay")))
		case 5:
			v.Claim.Before = money.Minor(before + 100)
		case 6:
			v.Claim.Flags = shadowaccount.FlagWrongSAM
		case 7:
			v.Claim.Tap.Tap--
		}
		v.Counter = uint32(max(counter, 0))
		records = append(records, v)
	}
	return func(ctx context.Context, tx *store.Tx, post func(context.Context, store.Group, []store.Verified) error) error {
		for _, v := range records {
			if _, err := tx.Keep(ctx, store.Arrived{Terminal: "bus-1", Epoch: 1, FirstSeq: v.Seq, Records: [][]byte{{byte(v.Seq)}}, Envelope: []byte{byte(v.Seq)}, At: time.UnixMilli(int64(v.Seq)), Day: v.Day}); err != nil {
				return err
			}
		}
		pending, err := tx.PendingRecords(ctx, 100)
		if err != nil {
			return err
		}
		group := append([]store.Verified(nil), records...)
		for i := range group {
			group[i].Pending = pending[i]
		}
		return post(ctx, store.Group{Day: "2026-11-25", AtMS: 1, Token: func(ids.CardNumber) string { return "stranger" }}, group)
	}
}

// TestToFollowIsToGoTheLongWay: every row that posting writes is the same whether records that follow are posted from their card's row alone or from all that is
// known of the card.
func TestToFollowIsToGoTheLongWay(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.db")
	s, err := store.Open(t.Context(), emptystore.At(t, empty), store.Options{NoSync: true})
	require.NoError(t, err)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		for i, family := range []string{"ep", "ep", "desfire"} {
			require.NoError(t, tx.IssueCard(ctx, store.Card{Number: ids.CardNumber{9: byte(i + 1)}, Token: fmt.Sprint("t", i), Levels: 1, Family: family}))
			require.NoError(t, tx.PutCardLoad(ctx, ids.CardNumber{9: byte(i + 1)}, shadowaccount.Load{Amount: money.Minor(20_00), Loaded: true}, "first"))
		}
		return nil
	})
	require.NoError(t, s.Close())
	runs, followed, others := 0, 0, 0
	rapid.Check(t, func(r *rapid.T) {
		runs++
		next := map[byte]*[2]int64{}
		for _, card := range []byte{1, 2, 3, 9} {
			next[card] = &[2]int64{0, 20_00}
		}
		var seq uint64
		var short, long *store.Store
		for name, into := range map[string]**store.Store{"short": &short, "long": &long} {
			path := filepath.Join(dir, fmt.Sprintf("%s-%d.db", name, runs))
			s, err := store.Open(t.Context(), pgtest.Copy(r, empty, path), store.Options{NoSync: true})
			require.NoError(r, err)
			defer os.RemoveAll(path)
			defer s.Close()
			*into = s
		}
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			step := drawStep(r, next, &seq)
			require.NoError(r, short.Update(t.Context(), func(tx *store.Tx) error {
				return step(t.Context(), tx, func(ctx context.Context, g store.Group, all []store.Verified) error {
					f, o, err := tx.PostGroupCounting(ctx, g, all)
					followed, others = followed+f, others+o
					return err
				})
			}))
			require.NoError(r, long.Update(t.Context(), func(tx *store.Tx) error {
				return step(t.Context(), tx, tx.PostGroupTheLongWay)
			}))
			for _, query := range postTables {
				require.Equal(r, table(r, t.Context(), long, query), table(r, t.Context(), short, query), query)
			}
		}
	})
	require.Positive(t, followed, "no card was ever followed")
	require.Positive(t, others, "every card was followed")
}

func table(t require.TestingT, ctx context.Context, s *store.Store, query string) (out []string) {
	require.NoError(t, s.View(ctx, func(tx *store.Tx) (err error) {
		out, err = tx.Table(ctx, query)
		return err
	}))
	return out
}
