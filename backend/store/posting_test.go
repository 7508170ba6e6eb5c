package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/internal/pgtest"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// together is two stores on one database, each with a lane of its own, as two posters have them.
func together(t *testing.T, opt store.Options) (stores [2]*store.Store) {
	path := filepath.Join(t.TempDir(), "scheme.db")
	for i := range stores {
		stores[i] = open(t, path, opt)
	}
	update(t, stores[0], func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.AllLanes(ctx)
		require.NoError(t, err)
		for i := range stores {
			require.NoError(t, tx.GiveLane(ctx, all[i], fmt.Sprint(i)))
		}
		for card := byte(1); card <= 3; card++ {
			require.NoError(t, tx.IssueCard(ctx, store.Card{Number: ids.CardNumber{9: card}, Token: fmt.Sprint("t", card), Levels: 1}))
			require.NoError(t, loadOn(ctx, tx, card, 0, 50_00))
		}
		return nil
	})
	return stores
}

// loadOn puts money on a card.
func loadOn(ctx context.Context, tx *store.Tx, card byte, counter uint16, minor int64) error {
	id := fmt.Sprintf("load-%d-%d", card, counter)
	if err := tx.NoteLoad(ctx, ids.CardNumber{9: card}, shadowaccount.Load{Counter: counter, Amount: money.Minor(minor), Loaded: true}, id); err != nil {
		return err
	}
	return tx.Post(ctx, books.Entry{ID: id, Kind: "load", Day: "2026-11-25", Lines: []books.Line{{Account: books.Trust, Amount: money.Minor(minor)}, {Account: books.Float, Amount: money.Minor(-minor)}}})
}

// debit is a record of a proved debit, the seq-th of its terminal.
func debit(seq uint64, card byte, counter uint32, before, amount int64, merchant ids.MerchantID) store.Verified {
	return store.Verified{Pending: store.Pending{Terminal: "bus-1", Epoch: 1, Seq: seq, Day: "2026-11-25"}, Card: ids.CardNumber{9: card}, Family: "ep", Levels: 1, Kind: 1, Counter: counter,
		Claim: shadowaccount.Claim{Tap: ids.TapID{Terminal: "bus-1", Epoch: 1, Tap: seq}, Seq: seq, At: int64(seq), Merchant: merchant, Amount: money.Minor(amount), Before: money.Minor(before),
			After: money.Minor(before - amount), Said: shadowaccount.SaidCompleted, Proof: shadowaccount.ProofGood, Debit: fmt.Sprint("debit ", seq)}}
}

// arrivedOf is a record's batch.
func arrivedOf(v store.Verified) store.Arrived {
	return store.Arrived{Terminal: "bus-1", Epoch: 1, FirstSeq: v.Seq, Records: [][]byte{{byte(v.Seq)}}, Envelope: []byte{byte(v.Seq)}, At: time.UnixMilli(int64(v.Seq)), Day: v.Day}
}

// kept accepts records.
func kept(t *testing.T, s *store.Store, records ...store.Verified) {
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		for _, v := range records {
			_, err := tx.Keep(ctx, arrivedOf(v))
			require.NoError(t, err)
		}
		return nil
	})
}

func group() store.Group {
	return store.Group{Day: "2026-11-25", AtMS: 1, Token: func(n ids.CardNumber) string { return fmt.Sprint("stranger", n[9]) }}
}

// postBy posts records as a poster does; between is called when it has its lane, and has read nothing else.
func postBy(ctx context.Context, s *store.Store, poster int, between func(), records ...store.Verified) error {
	var held store.Held
	if err := s.View(ctx, func(tx *store.Tx) (err error) {
		held, err = tx.LanesOf(ctx, fmt.Sprint(poster))
		return err
	}); err != nil {
		return err
	}
	return s.Posting(ctx, func(tx *store.Tx) error {
		if err := tx.HoldLanes(ctx, held); err != nil {
			return err
		}
		between()
		return tx.PostGroup(ctx, group(), records)
	})
}

// reviewAll decides again what loads have left to decide.
func reviewAll(t *testing.T, s *store.Store) {
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		cards, err := tx.CardsToReview(ctx, 100)
		require.NoError(t, err)
		return tx.ReviewCards(ctx, group(), cards)
	})
}

func nothing() {}

// ofRecords says something of each record that is decided, in the order of what it says.
func ofRecords(t *testing.T, s *store.Store, say func(store.PostedRecord) string) (out []string) {
	require.NoError(t, s.View(t.Context(), func(tx *store.Tx) error {
		return tx.RecordsOfDay(t.Context(), "2026-11-25", func(r store.PostedRecord) error {
			out = append(out, say(r))
			return nil
		})
	}))
	slices.Sort(out)
	return out
}

// endState is all that does not say who posted what, and when: a record keeps the verdict that it got.
var endState = []string{`SELECT * FROM claim`, `SELECT * FROM finding`, `SELECT * FROM gap`, `SELECT * FROM card_load`, `SELECT name, balance FROM account WHERE balance <> 0`,
	`SELECT * FROM record_waiting`, `SELECT * FROM record_apart`, `SELECT number, token, status, family, shadow, blocked_ms, complete, next, tail, missing FROM card`, `SELECT * FROM review`}

// TestTwoThatPostTheSameCardsAtOnceEndAsOneDoes: lanes keep posters from each other's cards, but nothing that is right depends on that. Two stores post shuffled
// batches over the same cards, two of which nobody has issued, beside loads, blocks and an issue, and the end is that of one store that posts all in order.
func TestTwoThatPostTheSameCardsAtOnceEndAsOneDoes(t *testing.T) {
	for round := range 3 {
		t.Run(fmt.Sprint("seed ", round), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(round), 1))
			var records []store.Verified
			next := map[byte][2]int64{}
			for seq := uint64(1); seq <= 60; seq++ {
				card := []byte{1, 2, 3, 8, 9}[r.IntN(5)]
				at, known := next[card]
				if !known {
					at = [2]int64{0, 50_00}
				}
				amount := int64(1 + r.IntN(3)*100)
				v := debit(seq, card, uint32(at[0]), at[1], amount, ids.MerchantID(fmt.Sprint("m", r.IntN(6))))
				switch r.IntN(12) {
				case 0: // open until its successor or a load says what it was
					v.Claim.Proof, v.Claim.Debit, v.Claim.Said = shadowaccount.ProofNone, "", shadowaccount.SaidUnknown
				case 1:
					v.Counter = uint32(max(at[0]-int64(1+r.IntN(2)), 0))
				case 2: // lost
					at[0]++
				case 3:
					v.Claim.Debit = fmt.Sprint("debit ", max(int(seq)-1-r.IntN(5), 1))
				case 4:
					v.Claim.Before = money.Minor(at[1] + 5_00)
				}
				next[card] = [2]int64{at[0] + 1, at[1] - amount}
				records = append(records, v)
			}
			beside := []func(ctx context.Context, tx *store.Tx) error{
				func(ctx context.Context, tx *store.Tx) error { return loadOn(ctx, tx, 1, 1, 5_00) },
				func(ctx context.Context, tx *store.Tx) error {
					return tx.NoteLoad(ctx, ids.CardNumber{9: 2}, shadowaccount.Load{Counter: 1, Amount: money.Minor(5_00)}, "o")
				},
				func(ctx context.Context, tx *store.Tx) error { return loadOn(ctx, tx, 3, 1, 5_00) },
				func(ctx context.Context, tx *store.Tx) error { return tx.ForgetLoad(ctx, ids.CardNumber{9: 2}, 1) },
				func(ctx context.Context, tx *store.Tx) error {
					return tx.BlockCard(ctx, ids.CardNumber{9: 3}, time.UnixMilli(20))
				},
				func(ctx context.Context, tx *store.Tx) error {
					return tx.IssueCard(ctx, store.Card{Number: ids.CardNumber{9: 8}, Token: "stranger8", Levels: 1})
				},
			}

			alone := together(t, store.Options{BooksKey: booksKey})[0]
			kept(t, alone, records...)
			require.NoError(t, postBy(t.Context(), alone, 0, nothing, records...))
			for _, f := range beside {
				update(t, alone, f)
			}
			reviewAll(t, alone)

			two := together(t, store.Options{BooksKey: booksKey})
			kept(t, two[0], records...)
			r.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
			var shares [2][][]store.Verified
			for rest := records; len(rest) > 0; {
				n := min(1+r.IntN(6), len(rest))
				i := r.IntN(2)
				shares[i] = append(shares[i], rest[:n])
				rest = rest[n:]
			}
			var g errgroup.Group
			for i, s := range two {
				g.Go(func() error {
					for _, part := range shares[i] {
						if err := postBy(t.Context(), s, i, nothing, part...); err != nil {
							return err
						}
					}
					return nil
				})
			}
			g.Go(func() error {
				for i, f := range beside {
					if err := two[i%2].Update(t.Context(), func(tx *store.Tx) error { return f(t.Context(), tx) }); err != nil {
						return err
					}
				}
				return nil
			})
			require.NoError(t, g.Wait())
			reviewAll(t, two[1])

			require.Empty(t, faults(t, two[0]))
			require.Empty(t, notes(t, two[0], ""), "a sound account was frozen")
			postedOf := func(s *store.Store) []string {
				return ofRecords(t, s, func(r store.PostedRecord) string { return fmt.Sprint(r.Terminal, " ", r.Seq, " ", r.Group > 0) })
			}
			require.Equal(t, postedOf(alone), postedOf(two[0]))
			require.Len(t, postedOf(alone), len(records))
			for _, query := range endState {
				require.Equal(t, table(t, t.Context(), alone, query), table(t, t.Context(), two[0], query), query)
			}
		})
	}
}

// TestAPosterSeesWhatCameAfterItBegan: it has its lane and has read nothing, and another poster posts debits of its card, the first of a merchant and of a card that
// nobody has issued; a load comes too. It posts on what is there by then.
func TestAPosterSeesWhatCameAfterItBegan(t *testing.T) {
	if !pgtest.Postgres {
		t.Skip("SQLite lets one transaction write at a time: nothing comes between")
	}
	two := together(t, store.Options{BooksKey: booksKey})
	first := []store.Verified{debit(1, 1, 0, 50_00, 1_00, "m"), debit(2, 9, 0, 50_00, 2_00, "m")}
	second := []store.Verified{debit(3, 1, 1, 54_00, 3_00, "m"), debit(4, 9, 1, 48_00, 4_00, "m"), debit(5, 1, 0, 50_00, 1_00, "m")}
	kept(t, two[0], append(first, second...)...)
	runs := 0
	require.NoError(t, postBy(t.Context(), two[1], 1, func() {
		if runs++; runs == 1 {
			require.NoError(t, postBy(t.Context(), two[0], 0, nothing, first...))
			update(t, two[0], func(ctx context.Context, tx *store.Tx) error { return loadOn(ctx, tx, 1, 1, 5_00) })
		}
	}, second...))
	require.Equal(t, 1, runs, "nothing collided")
	require.Empty(t, faults(t, two[0]))
	require.Empty(t, notes(t, two[0], ""))
	require.Equal(t, "-10.00", balance(t, two[0], books.MerchantPending("m")))
	require.Equal(t, []string{"[1 accepted]", "[2 accepted]", "[3 accepted]", "[4 accepted]", "[5 clone]"}, ofRecords(t, two[0], func(r store.PostedRecord) string { return fmt.Sprintf("[%d %s]", r.Seq, r.Verdict.Verdict) }))
}

// TestAChangeOfLoadsCollidesWithAPosterOfItsCard: a change that began before a poster posted the card's debits knows nothing of them. It must not end so.
func TestAChangeOfLoadsCollidesWithAPosterOfItsCard(t *testing.T) {
	if !pgtest.Postgres {
		t.Skip("SQLite lets one transaction write at a time: nothing comes between")
	}
	for name, change := range map[string]func(ctx context.Context, tx *store.Tx) error{
		"a load": func(ctx context.Context, tx *store.Tx) error {
			return tx.PutCardLoad(ctx, ids.CardNumber{9: 1}, shadowaccount.Load{Counter: 1, Amount: money.Minor(5_00)}, "o")
		},
		"a load that never was": func(ctx context.Context, tx *store.Tx) error { return tx.DropCardLoad(ctx, ids.CardNumber{9: 1}, 1) },
		"a review": func(ctx context.Context, tx *store.Tx) error {
			return tx.ReviewCards(ctx, group(), []ids.CardNumber{{9: 1}})
		},
		"a block": func(ctx context.Context, tx *store.Tx) error {
			return tx.BlockCard(ctx, ids.CardNumber{9: 1}, time.UnixMilli(9))
		},
	} {
		t.Run(name, func(t *testing.T) {
			two := together(t, store.Options{})
			v := debit(1, 1, 0, 50_00, 1_00, "m")
			kept(t, two[0], v)
			runs := 0
			update(t, two[0], func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.CardByNumber(ctx, v.Card) // its snapshot is of now
				require.NoError(t, err)
				if runs++; runs == 1 {
					require.NoError(t, postBy(ctx, two[1], 1, nothing, v))
				}
				return change(ctx, tx)
			})
			require.Equal(t, 2, runs)
			require.Empty(t, faults(t, two[0]))
		})
	}
}

// TestAnUpdateThatCollidesAgainAndAgainPostsAlone: what takes longer than groups take would never come to its end beside posters of its own process.
func TestAnUpdateThatCollidesAgainAndAgainPostsAlone(t *testing.T) {
	if !pgtest.Postgres {
		t.Skip("SQLite lets one transaction write at a time: nothing comes between")
	}
	two := together(t, store.Options{})
	s := two[0]
	stop, posted := make(chan struct{}), make(chan struct{}, 1)
	var g errgroup.Group
	g.Go(func() error {
		for seq := uint64(1); ; seq++ {
			select {
			case <-stop:
				return nil
			default:
			}
			if err := s.Posting(t.Context(), func(tx *store.Tx) error {
				return tx.Post(t.Context(), entry(fmt.Sprint("posted-", seq), 1))
			}); err != nil {
				return err
			}
			select {
			case posted <- struct{}{}:
			default:
			}
		}
	})
	runs := 0
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Balance(ctx, books.Trust)
		require.NoError(t, err)
		if runs++; runs <= 3 { // a group is posted while it works
			for range 3 { // the first two may tell of what was posted before
				<-posted
			}
		}
		return tx.Post(ctx, entry("long", 1))
	})
	require.Equal(t, 4, runs)
	close(stop)
	require.NoError(t, g.Wait())
	require.Empty(t, faults(t, s))
}

// TestAPostingThatCollidesIsRunAgain: what collisions leave is what would be there without.
func TestAPostingThatCollidesIsRunAgain(t *testing.T) {
	var pauses []time.Duration
	s := open(t, filepath.Join(t.TempDir(), "scheme.db"), collide(3, &pauses))
	require.NoError(t, s.Posting(t.Context(), func(tx *store.Tx) error { return tx.Post(t.Context(), entry("a", 100)) }))
	require.Len(t, pauses, 3)
	require.Equal(t, "1.00", balance(t, s, books.Trust))
	require.Empty(t, faults(t, s))
}

// TestAPosterFreezesAnAccountWhoseRowWasTakenAway: the row that it makes to have one to lock does not hide that.
func TestAPosterFreezesAnAccountWhoseRowWasTakenAway(t *testing.T) {
	two := together(t, store.Options{BooksKey: booksKey})
	all := []store.Verified{debit(1, 1, 0, 50_00, 1_00, "m"), debit(2, 1, 1, 49_00, 2_00, "m")}
	kept(t, two[0], all...)
	require.NoError(t, postBy(t.Context(), two[0], 0, nothing, all[0]))
	a := books.MerchantPending("m")
	edit(t, two[0], `DELETE FROM account WHERE name = ?`, string(a))
	require.NoError(t, postBy(t.Context(), two[0], 0, nothing, all[1]))
	require.True(t, account(t, two[0], a).Edited)
	require.Equal(t, "-2.00", balance(t, two[0], books.Aside(a)))
	require.Equal(t, []string{store.NoteEdited}, []string{notes(t, two[0], a)[0].Code})
	update(t, two[0], func(ctx context.Context, tx *store.Tx) error {
		return tx.ReleaseAccount(ctx, a, "2026-11-25", "officer", "row restored")
	})
	require.Equal(t, "-3.00", balance(t, two[0], a))
	require.Empty(t, faults(t, two[0]))
}
