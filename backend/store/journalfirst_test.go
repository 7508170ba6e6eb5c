package store_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// memory is a poster that posts journal-first by hand, in a store with cards 1 to 3.
type memory struct {
	*store.JournalFirst
	t     *testing.T
	store *store.Store
	owner string // "": of every lane, whoever has it
}

func newMemory(t *testing.T, s *store.Store, owner string) memory {
	return memory{s.JournalFirst(100), t, s, owner}
}

// look reads what waits, and fills in what the records that were drawn lack.
func (m memory) look(drawn map[uint64]store.Verified) (held store.Held, records []store.Verified) {
	ctx := m.t.Context()
	var pending []store.Pending
	require.NoError(m.t, m.store.Glance(ctx, func(tx *store.Tx) (err error) {
		if m.owner == "" {
			held, err = tx.EveryLane(ctx)
		} else {
			held, err = tx.LanesOf(ctx, m.owner)
		}
		require.NoError(m.t, err)
		pending, err = m.Pending(ctx, tx, held, 0, 100)
		return err
	}))
	for _, r := range pending {
		v := drawn[r.Seq]
		v.Pending = r
		records = append(records, v)
	}
	return held, records
}

func none(*store.Tx) error { return nil }

// post keeps records and posts them as a group, and returns how many it was given.
func (m memory) post(drawn ...store.Verified) (int, error) {
	of := map[uint64]store.Verified{}
	for _, v := range drawn {
		of[v.Seq] = v
	}
	held, records := m.look(of)
	_, err := m.Post(m.t.Context(), held, group(), records, none)
	return len(records), err
}

// arrive keeps records and leaves the journal as it is.
func arrive(t *testing.T, s *store.Store, records ...store.Verified) {
	ctx := t.Context()
	require.NoError(t, s.Apart(ctx, func(tx *store.Tx) error {
		for _, v := range records {
			if _, err := tx.Keep(ctx, arrivedOf(v)); err != nil {
				return err
			}
		}
		return nil
	}))
}

// verdictOf is what became of a record, without or with the journal written out first.
func verdictOf(t *testing.T, look func(context.Context, func(*store.Tx) error) error, seq uint64) (v store.Verdict) {
	require.NoError(t, look(t.Context(), func(tx *store.Tx) (err error) {
		v, err = tx.RecordVerdict(t.Context(), "bus-1", 1, seq)
		return err
	}))
	return v
}

func shadowOf(t *testing.T, s *store.Store, card byte) (c store.Card) {
	view(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
		c, err = tx.CardByNumber(ctx, ids.CardNumber{9: card})
		return err
	})
	return c
}

// TestAGroupIsInTheBooksBeforeItsCardsAreWritten: books at once, cards and verdicts when somebody looks.
func TestAGroupIsInTheBooksBeforeItsCardsAreWritten(t *testing.T) {
	s := together(t, store.Options{})[0]
	m := newMemory(t, s, "")
	arrive(t, s, debit(1, 1, 0, 50_00, 3_00, "m"))
	n, err := m.post(debit(1, 1, 0, 50_00, 3_00, "m"))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, 1, m.Unwritten())
	require.NoError(t, s.Glance(t.Context(), func(tx *store.Tx) error {
		c, err := tx.CardByNumber(t.Context(), ids.CardNumber{9: 1})
		require.NoError(t, err)
		require.Equal(t, int64(50_00), c.Shadow.Minor())
		b, err := tx.Balance(t.Context(), books.MerchantPending("m"))
		require.NoError(t, err)
		require.Equal(t, int64(-3_00), b.Minor())
		return nil
	}))

	arrive(t, s, debit(2, 1, 1, 47_00, 1_00, "m")) // it follows what is known by heart only
	n, err = m.post(debit(2, 1, 1, 47_00, 1_00, "m"))
	require.NoError(t, err)
	require.Equal(t, 1, n, "the first one waits no longer")
	require.Equal(t, 2, m.Unwritten())

	c := shadowOf(t, s, 1) // whoever looks has it written out
	require.Equal(t, int64(46_00), c.Shadow.Minor())
	require.Equal(t, uint32(2), c.Next)
	require.Equal(t, "accepted", verdictOf(t, s.View, 1).Verdict)
	n, err = m.post()
	require.NoError(t, err)
	require.Zero(t, n, "nothing waits")
	require.Zero(t, m.Unwritten(), "and nothing is known by heart any more")
	verifyAll(t, s)
}

// TestWhatChangesACardSeesWhatIsPosted: a change writes the journal out in its own transaction, and the poster goes on from the card as that one left it.
func TestWhatChangesACardSeesWhatIsPosted(t *testing.T) {
	s := together(t, store.Options{})[0]
	m := newMemory(t, s, "")
	arrive(t, s, debit(1, 1, 0, 50_00, 3_00, "m"))
	_, err := m.post(debit(1, 1, 0, 50_00, 3_00, "m"))
	require.NoError(t, err)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		c, err := tx.CardByNumber(ctx, ids.CardNumber{9: 1})
		require.NoError(t, err)
		require.Equal(t, int64(47_00), c.Shadow.Minor())
		return loadOn(ctx, tx, 1, 1, 5_00)
	})
	arrive(t, s, debit(2, 1, 1, 52_00, 1_00, "m"))
	_, err = m.post(debit(2, 1, 1, 52_00, 1_00, "m"))
	require.NoError(t, err)
	c := shadowOf(t, s, 1)
	require.Equal(t, int64(51_00), c.Shadow.Minor())
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		found, err := tx.Findings(ctx, "", 10)
		require.NoError(t, err)
		require.Empty(t, found, "the load explains the rise")
		return nil
	})
	verifyAll(t, s)
}

// TestAnOldOwnerPostsNothing: lanes that were given away, or posted by another, void what a poster knows by heart, and what it has in hand.
func TestAnOldOwnerPostsNothing(t *testing.T) {
	stores := together(t, store.Options{})
	one, other := newMemory(t, stores[0], "0"), newMemory(t, stores[1], "1")
	give := func(to string) {
		require.NoError(t, stores[1].Apart(t.Context(), func(tx *store.Tx) error {
			all, err := tx.AllLanes(t.Context())
			require.NoError(t, err)
			for _, l := range all {
				if err := tx.GiveLane(t.Context(), l, to); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	give("0")
	first, second := debit(1, 1, 0, 50_00, 3_00, "m"), debit(2, 1, 1, 47_00, 1_00, "m")
	arrive(t, stores[0], first)
	_, err := one.post(first)
	require.NoError(t, err)
	require.Equal(t, 1, one.Unwritten())

	arrive(t, stores[0], second)
	held, records := one.look(map[uint64]store.Verified{2: second})
	require.Len(t, records, 1)
	give("1") // it was taken for dead
	_, err = one.Post(t.Context(), held, group(), records, none)
	require.ErrorIs(t, err, store.ErrFenced)
	require.Zero(t, one.Unwritten(), "it knows nothing any more")

	n, err := other.post(second) // and the other begins with what the journal says
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, 1, other.Unwritten())
	_, records = one.look(nil)
	require.Empty(t, records, "lanes that it has not have nothing for it")

	require.Equal(t, int64(46_00), shadowOf(t, stores[0], 1).Shadow.Minor())
	verifyAll(t, stores[0])
}

// TestAPosterThatWasOvertakenPostsNothing: the mark of a lane tells that somebody else has posted or written out.
func TestAPosterThatWasOvertakenPostsNothing(t *testing.T) {
	s := together(t, store.Options{})[0]
	m := newMemory(t, s, "")
	first, second := debit(1, 1, 0, 50_00, 3_00, "m"), debit(2, 1, 1, 47_00, 1_00, "m")
	arrive(t, s, first)
	_, err := m.post(first)
	require.NoError(t, err)
	arrive(t, s, second)
	held, records := m.look(map[uint64]store.Verified{2: second})
	require.Equal(t, int64(47_00), shadowOf(t, s, 1).Shadow.Minor())
	_, err = m.Post(t.Context(), held, group(), records, none)
	require.ErrorIs(t, err, store.ErrPostedMeanwhile)
	_, err = m.post(second)
	require.NoError(t, err)
	require.Equal(t, int64(46_00), shadowOf(t, s, 1).Shadow.Minor())
	verifyAll(t, s)
}

// TestWhatIsNotPlainWaitsUntilTheJournalIsWrittenOut: a gap's late record, a debit told again and a card that nobody issued go the strict way, beside plain ones.
func TestWhatIsNotPlainWaitsUntilTheJournalIsWrittenOut(t *testing.T) {
	s := together(t, store.Options{})[0]
	m := newMemory(t, s, "")
	again := debit(4, 2, 1, 48_00, 2_00, "m")
	again.Claim.Debit = "debit 3"
	all := []store.Verified{debit(1, 1, 1, 49_00, 1_00, "m"), debit(2, 1, 0, 50_00, 1_00, "m"), debit(3, 2, 0, 50_00, 2_00, "m"), again, debit(5, 9, 0, 50_00, 2_00, "m")}
	for _, v := range all[:1] {
		arrive(t, s, v)
		_, err := m.post(v)
		require.NoError(t, err)
	}
	require.Equal(t, 1, m.Unwritten(), "a gap is plain")
	arrive(t, s, all[2])
	_, err := m.post(all[2])
	require.NoError(t, err)
	arrive(t, s, all[1], all[3], all[4])
	n, err := m.post(all...)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	require.Equal(t, 2, m.Unwritten(), "none of them is plain")
	n, err = m.post(all...)
	require.NoError(t, err)
	require.Zero(t, n, "they are not given again")
	some, err := m.Flush(t.Context())
	require.NoError(t, err)
	require.True(t, some)
	n, err = m.post(all...)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	require.Zero(t, m.Unwritten(), "they went the strict way")
	for seq, want := range map[uint64]shadowaccount.Label{1: shadowaccount.LabelOK, 2: shadowaccount.LabelLate, 3: shadowaccount.LabelOK, 5: shadowaccount.LabelOK} {
		require.Equal(t, want, verdictOf(t, s.View, seq).Label, "record %d", seq)
	}
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		found, err := tx.Findings(ctx, "t2", 10)
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.Equal(t, shadowaccount.FindReplay, found[0].Code)
		return nil
	})
	verifyAll(t, s)
}

// TestAChangedJournalIsNotWrittenOut: nothing is taken from a row that cannot be read, and everybody is told.
func TestAChangedJournalIsNotWrittenOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "scheme.db")
	s := open(t, path, store.Options{})
	require.NoError(t, s.Apart(t.Context(), func(tx *store.Tx) error { return tx.PutJournal(t.Context(), 1, []byte{1, 200}) }))
	require.ErrorContains(t, s.View(t.Context(), none), "group 1: store: a row of posting_journal cannot be read")
	require.ErrorContains(t, s.Update(t.Context(), none), "group 1: store: a row of posting_journal cannot be read")
}

func verifyAll(t *testing.T, s *store.Store) {
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		faults, err := tx.VerifyBooks(ctx)
		require.NoError(t, err)
		require.Empty(t, faults)
		return nil
	})
}

func view(t *testing.T, s *store.Store, f func(ctx context.Context, tx *store.Tx) error) {
	require.NoError(t, s.View(t.Context(), func(tx *store.Tx) error { return f(t.Context(), tx) }))
}
