package intake_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// journalFirst lets the pipeline of a scheme post journal-first from now on.
func (s *scheme) journalFirst() {
	s.opt.Posting = intake.JournalFirst
	var err error
	s.pipe, err = intake.New(s.store, s.hsm, s.clock, s.options())
	require.NoError(s.t, err)
}

// written is a card's shadow as its row has it now.
func (s *scheme) written(card byte) string {
	var c store.Card
	require.NoError(s.t, s.store.Glance(s.ctx, func(tx *store.Tx) (err error) {
		c, err = tx.CardByNumber(s.ctx, number(card))
		return err
	}))
	return c.Shadow.String()
}

// TestAJournalFirstPipelineWritesCardsWhenItIsIdle: not with each group, and all when nothing is left to post.
func TestAJournalFirstPipelineWritesCardsWhenItIsIdle(t *testing.T) {
	s := start(t, store.Options{})
	s.journalFirst()
	s.send("bus-1", tap{tap: 1, card: 1, before: 10_00, amount: 2_00})
	n, err := s.pipe.Step(s.ctx)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, "10.00", s.written(1))
	s.send("bus-1", tap{tap: 2, card: 1, counter: 1, before: 8_00, amount: 1_00})
	n, err = s.pipe.Step(s.ctx)
	require.NoError(t, err)
	require.Equal(t, 1, n, "to accept writes nothing out")
	require.Equal(t, "10.00", s.written(1))
	n, err = s.pipe.Step(s.ctx)
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, "7.00", s.written(1))
	require.Equal(t, "OK/accepted", s.label("bus-1", 2))
	s.proveBooks()
}

// TestPostingJournalFirstEndsWhereStrictDoes: whatever comes, in whatever order.
func TestPostingJournalFirstEndsWhereStrictDoes(t *testing.T) {
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(r *rapid.T) {
		runs++
		var states []map[string]any
		var events []event
		for _, posting := range []intake.Posting{intake.Strict, intake.JournalFirst} {
			d := fmt.Sprintf("%s/%d-%s", dir, runs, posting)
			require.NoError(r, os.Mkdir(d, 0o700))
			s := newScheme(r, d, store.Options{})
			s.opt.Group = 2
			order := events
			if posting == intake.JournalFirst {
				s.journalFirst()
				order = rapid.Permutation(events).Draw(r, "order")
			} else {
				events = drawEvents(r, s)
				order = events
			}
			s.update(func(tx *store.Tx) error {
				for counter, minor := range loads[1:] {
					l := shadowaccount.Load{Counter: uint16(counter + 1), Amount: money.Minor(minor)}
					require.NoError(r, tx.PutCardLoad(s.ctx, number(1), l, "order"))
				}
				return nil
			})
			s.play(r, order)
			states = append(states, s.state())
			require.NoError(r, s.store.Close())
			require.NoError(r, os.RemoveAll(d))
		}
		require.Equal(r, states[0], states[1])
	})
}

// TestRunWritesTheJournalOutWhenItIsStopped: who stops a backend finds its cards written.
func TestRunWritesTheJournalOutWhenItIsStopped(t *testing.T) {
	s := start(t, store.Options{})
	s.journalFirst()
	ctx, stop := context.WithCancel(t.Context())
	s.send("bus-1", tap{tap: 1, card: 1, before: 10_00, amount: 2_00})
	n, err := s.pipe.Step(s.ctx)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, "10.00", s.written(1))
	stop()
	require.ErrorIs(t, s.pipe.Run(ctx), context.Canceled)
	require.Equal(t, "8.00", s.written(1))
}

// TestALaneIsGivenBackWithNothingUnwritten: the poster that takes it begins with the rows.
func TestALaneIsGivenBackWithNothingUnwritten(t *testing.T) {
	s := start(t, store.Options{})
	s.opt.Posting = intake.JournalFirst
	a, b := s.posterOn(t, s.hsm), s.posterOn(t, s.hsm)
	beat(t, a)
	s.send("bus-1", tap{tap: 1, card: 1, before: 10_00, amount: 2_00})
	n, err := a.Step(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	beat(t, a)
	require.Equal(t, "10.00", s.written(1), "a beat that gives nothing back writes nothing")
	beat(t, b, a, b)
	require.Equal(t, []int{8, 8}, s.lanes(a, b))
	require.Equal(t, "8.00", s.written(1))

	s.send("bus-1", tap{tap: 2, card: 1, counter: 1, before: 8_00, amount: 1_00}, tap{tap: 3, card: 2, before: 10_00, amount: 1_00})
	for _, o := range []intake.Poster{a, b} {
		_, err := o.Step(t.Context())
		require.NoError(t, err)
		require.NoError(t, o.Leave(t.Context()))
	}
	require.Equal(t, []string{"7.00", "9.00"}, []string{s.written(1), s.written(2)}, "who leaves writes all")
	s.proveBooks()
}

// TestTheWayToPostIsOneOfTwo: and one poster has the memory.
func TestTheWayToPostIsOneOfTwo(t *testing.T) {
	s := start(t, store.Options{})
	o := intake.Options{TokenKey: tokenKey, Posting: "sideways", Log: slog.New(slog.DiscardHandler)}
	_, err := intake.New(s.store, s.hsm, s.clock, o)
	require.ErrorContains(t, err, `posting: "sideways": want strict or journal-first`)
	o.Posting, o.Posters = intake.JournalFirst, 2
	_, err = intake.New(s.store, s.hsm, s.clock, o)
	require.ErrorContains(t, err, "2 posters")
}
