package intake_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/card/keys"
)

// lanes counts the lanes of posters.
func (s *scheme) lanes(posters ...intake.Poster) []int {
	out := make([]int, len(posters))
	s.view(func(tx *store.Tx) error {
		for i, o := range posters {
			held, err := tx.LanesOf(s.ctx, o.ID())
			require.NoError(s.t, err)
			out[i] = len(held.Lanes())
		}
		return nil
	})
	return out
}

// posterOn is a poster of another backend on the scheme's database.
func (s *scheme) posterOn(t *testing.T, hsm keys.HSM) intake.Poster {
	db, err := store.Open(t.Context(), emptystore.At(t, s.path), store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	p, err := intake.New(db, hsm, s.clock, s.options())
	require.NoError(t, err)
	return p.NewPoster()
}

func beat(t *testing.T, posters ...intake.Poster) {
	for _, o := range posters {
		require.NoError(t, o.Beat(t.Context()))
	}
}

// TestPostersShareTheLanes: who comes gets its share, who leaves or dies leaves it to the others.
func TestPostersShareTheLanes(t *testing.T) {
	s := start(t, store.Options{})
	a, b := s.posterOn(t, s.hsm), s.posterOn(t, s.hsm)
	beat(t, a)
	require.Equal(t, []int{16, 0}, s.lanes(a, b))
	beat(t, b, a, b) // b is there, a gives back, b takes
	require.Equal(t, []int{8, 8}, s.lanes(a, b))
	require.NoError(t, a.Leave(context.WithoutCancel(t.Context())))
	beat(t, b)
	require.Equal(t, []int{0, 16}, s.lanes(a, b), "what was given back is taken at once")

	c := s.posterOn(t, s.hsm)
	beat(t, c)
	s.clock.Advance(intake.Patience - time.Millisecond)
	beat(t, c)
	require.Equal(t, []int{16, 0}, s.lanes(b, c), "b may live")
	s.clock.Advance(time.Millisecond)
	beat(t, c)
	require.Equal(t, []int{0, 16}, s.lanes(b, c), "b is gone")
	beat(t, b, c, b)
	require.Equal(t, []int{8, 8}, s.lanes(b, c), "b was not gone after all")
}

// held is an HSM that waits before it answers.
type held struct {
	*keys.Soft
	asked, goOn chan struct{}
}

func (h held) TACs(ctx context.Context, all []keys.TACRequest) []keys.TACAnswer {
	h.asked <- struct{}{}
	<-h.goOn
	return h.Soft.TACs(ctx, all)
}

// TestAPosterThatWakesPostsNothing: it has read and verified its records, is taken for dead, and another posts them.
func TestAPosterThatWakesPostsNothing(t *testing.T) {
	s := start(t, store.Options{})
	s.opt.Workers = 1
	door := held{s.hsm, make(chan struct{}), make(chan struct{})}
	paused, other := s.posterOn(t, door), s.posterOn(t, s.hsm)
	s.send("bus-1", tap{tap: 1, card: 1, before: 10_00, amount: 2_00}, tap{tap: 2, card: 2, before: 10_00, amount: 3_00})
	beat(t, paused, other)
	type result struct {
		n   int
		err error
	}
	done := make(chan result)
	go func() {
		n, err := paused.Step(context.Background())
		done <- result{n, err}
	}()
	<-door.asked
	s.clock.Advance(intake.Patience)
	beat(t, other)
	require.Equal(t, []int{0, 16}, s.lanes(paused, other))
	n, err := other.Step(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, n)
	close(door.goOn)
	require.Equal(t, result{}, <-done, "it was fenced off")
	require.Equal(t, "8.00", s.card(1).Shadow.String())
	require.Equal(t, "7.00", s.card(2).Shadow.String())
	s.proveBooks()
}

// TestPostersTogetherEndWhereOneDoes: two backends post their shares of many cards, one of them leaves in the middle, and each record is posted once.
func TestPostersTogetherEndWhereOneDoes(t *testing.T) {
	const taps = 30
	story := func(s *scheme) {
		for i := range taps {
			s.send("bus-1", tap{tap: uint64(i + 1), card: byte(1 + i%9), counter: uint16(i / 9), before: 10_00 - int64(i/9)*10, amount: 10})
		}
	}
	alone := start(t, store.Options{})
	story(alone)
	alone.drain()
	s := start(t, store.Options{})
	s.opt.Group = 2
	a, b := s.posterOn(t, s.hsm), s.posterOn(t, s.hsm)
	beat(t, a, b, a, b)
	require.Equal(t, []int{8, 8}, s.lanes(a, b))
	story(s)
	posted := map[string]int{}
	for range 3 {
		for name, o := range map[string]intake.Poster{"a": a, "b": b} {
			n, err := o.Step(t.Context())
			require.NoError(t, err)
			posted[name] += n
		}
	}
	require.NotZero(t, posted["a"])
	require.NotZero(t, posted["b"])
	require.NoError(t, b.Leave(t.Context()))
	beat(t, a)
	require.Equal(t, []int{16, 0}, s.lanes(a, b))
	total := posted["a"] + posted["b"]
	for {
		n, err := a.Step(t.Context())
		require.NoError(t, err)
		if total += n; n == 0 {
			break
		}
	}
	require.Equal(t, taps, total)
	s.proveBooks()
	require.Equal(t, alone.balances(), s.balances())
	require.Equal(t, alone.codes(), s.codes())
	for card := byte(1); card <= 9; card++ {
		require.Equal(t, alone.statuses(card), s.statuses(card))
	}
}

// many is a story over nine cards, six of which nobody has issued; records come in twos.
func many(s *scheme, taps int) {
	for i := 0; i < taps; i += 2 {
		var two []tap
		for j := i; j < i+2; j++ {
			two = append(two, tap{tap: uint64(j + 1), card: byte(1 + j%9), counter: uint16(j / 9), before: 10_00 - int64(j/9)*10, amount: 10})
		}
		s.send("bus-1", two...)
	}
}

// TestBackendsWithSeveralPostersEndWhereOneDoes: two backends run as many posters as they may, and records come meanwhile.
func TestBackendsWithSeveralPostersEndWhereOneDoes(t *testing.T) {
	const taps = 60
	alone := start(t, store.Options{})
	many(alone, taps)
	alone.drain()

	s := start(t, store.Options{})
	s.opt.Group = 4
	if s.store.Shared() {
		s.opt.Posters = 3
	}
	ctx, stop := context.WithCancel(t.Context())
	var backends errgroup.Group
	for range 2 {
		db, err := store.Open(t.Context(), emptystore.At(t, s.path), store.Options{NoSync: true})
		require.NoError(t, err)
		t.Cleanup(func() { db.Close() })
		p, err := intake.New(db, s.hsm, s.clock, s.options())
		require.NoError(t, err)
		backends.Go(func() error { return p.Run(ctx) })
	}
	many(s, taps)
	require.Eventually(t, func() bool {
		var waiting []store.Pending
		s.view(func(tx *store.Tx) (err error) { waiting, err = tx.PendingRecords(t.Context(), 1); return err })
		return len(waiting) == 0
	}, time.Minute, 10*time.Millisecond)
	stop()
	require.ErrorIs(t, backends.Wait(), context.Canceled)
	s.proveBooks()
	require.Equal(t, alone.balances(), s.balances())
	require.Equal(t, alone.codes(), s.codes())
	for card := byte(1); card <= 9; card++ {
		require.Equal(t, alone.statuses(card), s.statuses(card))
	}
	s.view(func(tx *store.Tx) error {
		posters, err := tx.Posters(t.Context())
		require.NoError(t, err)
		require.Empty(t, posters, "they have given their lanes back")
		return nil
	})
}

// TestAPosterThatDiesLeavesItsRecordsToTheOther: it dies before or after the commit of a group. What it has committed stands, and nothing is posted twice.
func TestAPosterThatDiesLeavesItsRecordsToTheOther(t *testing.T) {
	const taps = 18
	for _, point := range []string{"commit:before", "commit:after"} {
		t.Run(point, func(t *testing.T) {
			alone := start(t, store.Options{})
			many(alone, taps)
			alone.drain()

			s := start(t, store.Options{})
			s.opt.Group = 2
			dead, dies := errors.New("it is dead"), false
			db, err := store.Open(t.Context(), emptystore.At(t, s.path), store.Options{NoSync: true, Fault: func(at string) error {
				if dies && at == point {
					return dead
				}
				return nil
			}})
			require.NoError(t, err)
			t.Cleanup(func() { db.Close() })
			p, err := intake.New(db, s.hsm, s.clock, s.options())
			require.NoError(t, err)
			victim, heir := p.NewPoster(), s.posterOn(t, s.hsm)
			beat(t, victim, heir, victim, heir)
			require.Equal(t, []int{8, 8}, s.lanes(victim, heir))
			many(s, taps)
			posted, err := victim.Step(t.Context())
			require.NoError(t, err)
			require.Positive(t, posted)
			dies = true
			_, err = victim.Step(t.Context())
			require.ErrorIs(t, err, dead)

			for {
				n, err := heir.Step(t.Context())
				require.NoError(t, err)
				if n == 0 {
					break
				}
			}
			s.clock.Advance(intake.Patience)
			beat(t, heir)
			require.Equal(t, []int{0, 16}, s.lanes(victim, heir))
			for {
				n, err := heir.Step(t.Context())
				require.NoError(t, err)
				if n == 0 {
					break
				}
			}
			s.proveBooks()
			require.Equal(t, alone.balances(), s.balances())
			require.Equal(t, alone.codes(), s.codes())
			for card := byte(1); card <= 9; card++ {
				require.Equal(t, alone.statuses(card), s.statuses(card))
			}
		})
	}
}

// TestAFileHasOnePoster: who asks for more learns why at the start.
func TestAFileHasOnePoster(t *testing.T) {
	s := start(t, store.Options{})
	for posters, want := range map[int]string{-1: "want 1 to 16", 17: "want 1 to 16", 2: "one writer posts all"} {
		s.opt.Posters = posters
		_, err := intake.New(s.store, s.hsm, s.clock, s.options())
		if posters == 2 && s.store.Shared() {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
	}
}
