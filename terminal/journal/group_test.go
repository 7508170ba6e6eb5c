package journal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/purselane/purselane/uplink/wire"
)

// grouped is a journal whose commits can be made to wait, so that what comes meanwhile shares the next one.
type grouped struct {
	*Journal
	mu      sync.Mutex
	blocked chan struct{}            // nil: nothing waits
	cut     func(point string) error // nil: no power cut
	commits []string                 // points before which each commit was
}

func newGrouped(t *testing.T) *grouped {
	g := &grouped{}
	o := options()
	o.Fault = g.fault
	g.Journal, _ = fresh(t, o)
	return g
}

func (g *grouped) fault(point string) error {
	g.mu.Lock()
	blocked, cut := g.blocked, g.cut
	if name, before := strings.CutSuffix(point, ":before"); before {
		g.commits = append(g.commits, name)
	}
	g.mu.Unlock()
	if blocked != nil {
		<-blocked
	}
	if cut != nil {
		return cut(point)
	}
	return nil
}

// together lets one commit wait, does all of do at once, and then lets them go. It returns their errors. It runs in the journal's own bubble.
func (g *grouped) together(t *testing.T, do ...func() error) []error {
	errs := make([]error, len(do))
	release := make(chan struct{})
	g.mu.Lock()
	g.blocked = release
	g.mu.Unlock()
	var all sync.WaitGroup
	all.Go(func() { require.NoError(t, g.commit("wait", func(*bolt.Tx, *meta) error { return nil })) })
	synctest.Wait()
	g.mu.Lock()
	g.blocked, g.commits = nil, nil
	g.mu.Unlock()
	for i, f := range do {
		all.Go(func() { errs[i] = f() })
		synctest.Wait() // one after the other into the queue
	}
	close(release)
	all.Wait()
	return errs
}

// txid is the number of the newest transaction.
func (g *grouped) txid(t *testing.T) (n int) {
	require.NoError(t, g.view(func(tx *bolt.Tx) error { n = tx.ID(); return nil }))
	return n
}

func TestWhatWaitsSharesOneCommit(t *testing.T) { synctest.Test(t, whatWaitsSharesOneCommit) }

func whatWaitsSharesOneCommit(t *testing.T) {
	g := newGrouped(t)
	sell(t, g.Journal, 1, 3)
	first, err := g.Begin(draft(10))
	require.NoError(t, err)
	before := g.txid(t)
	var second, third uint64
	errs := g.together(t,
		func() error { return g.Finish(first, final(10, wire.State_STATE_COMPLETED)) },
		func() (err error) { second, err = g.Begin(draft(11)); return err },
		func() (err error) { third, err = g.Begin(draft(12)); return err },
		func() error { return g.Ack(2) },
	)
	require.Equal(t, make([]error, 4), errs)
	require.Equal(t, before+2, g.txid(t), "one for the change that was waited for, one for all the others")
	require.Equal(t, []string{"finish", "begin", "begin", "ack"}, g.commits)
	require.Equal(t, []uint64{first + 1, first + 2}, []uint64{second, third})
	require.Equal(t, []uint64{4, 2}, []uint64{g.LastSeq(), g.AckedSeq()})
	require.NoError(t, g.Verify())
	open, err := g.OpenIntents()
	require.NoError(t, err)
	require.Len(t, open, 2)
}

func TestAMemberThatFailsDoesNotFailTheOthers(t *testing.T) {
	synctest.Test(t, aMemberThatFailsDoesNotFailTheOthers)
}

func aMemberThatFailsDoesNotFailTheOthers(t *testing.T) {
	g := newGrouped(t)
	var taps [3]uint64
	errs := g.together(t,
		func() (err error) { taps[0], err = g.Begin(draft(1)); return err },
		func() (err error) { _, err = g.Begin(draft(1)); return err },
		func() error { return g.Drop(77) },
		func() (err error) { taps[1], err = g.Begin(draft(2)); return err },
		func() error { return g.Ack(5) },
		func() (err error) { taps[2], err = g.Begin(draft(3)); return err },
	)
	require.NoError(t, errs[0])
	require.ErrorContains(t, errs[1], "the card has an open intent")
	require.ErrorIs(t, errs[2], ErrNoIntent)
	require.NoError(t, errs[3])
	require.ErrorContains(t, errs[4], "receipt through 5")
	require.NoError(t, errs[5])
	require.Equal(t, [3]uint64{1, 2, 3}, taps, "numbers are given to those alone that stand")
	open, err := g.OpenIntents()
	require.NoError(t, err)
	require.Len(t, open, 3)
	require.NoError(t, g.Verify())
}

// TestAPowerCutTakesAWholeGroup: before the commit nothing of it is there, after it all of it, whichever member's point the cut is at; and nobody
// is told that it was done.
func TestAPowerCutTakesAWholeGroup(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		for member := range 3 {
			t.Run(fmt.Sprintf("%s, member %d", when, member), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := newGrouped(t)
					sell(t, g.Journal, 1, 3)
					done, err := g.Begin(draft(10))
					require.NoError(t, err)
					lost, err := g.Begin(draft(11))
					require.NoError(t, err)
					off := false
					names := []string{"finish", "begin", "unknown"}
					points := 0
					g.cut = func(point string) error {
						if slices.Contains(names, strings.TrimSuffix(point, ":"+when)) {
							points++
							off = off || points > member
						}
						if off {
							return errCut
						}
						return nil
					}
					errs := g.together(t,
						func() error { return g.Finish(done, final(10, wire.State_STATE_COMPLETED)) },
						func() error { _, err := g.Begin(draft(12)); return err },
						func() error { return g.MarkUnknown(lost) },
					)
					for i, err := range errs {
						if when == "before" || i >= member { // who was told before the cut that it stands was told the truth
							require.ErrorIs(t, err, errCut)
						}
					}
					o := options()
					g.cut = nil
					j := reopen(t, g.Journal, o)
					require.NoError(t, j.Verify())
					open, err := j.OpenIntents()
					require.NoError(t, err)
					if when == "before" {
						require.Len(t, open, 2)
						require.EqualValues(t, 3, j.LastSeq())
					} else {
						require.Len(t, open, 2)
						require.EqualValues(t, 5, j.LastSeq())
						_, _, found, err := j.OpenIntent(card(10))
						require.NoError(t, err)
						require.False(t, found)
					}
				})
			})
		}
	}
}

// TestACommitThatHangsHoldsUpNobodyWhoOnlyLooks but Stats, which is how a disk that hangs is noticed.
func TestACommitThatHangsHoldsUpNobodyWhoOnlyLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrouped(t)
		sell(t, g.Journal, 1, 3)
		release := make(chan struct{})
		g.mu.Lock()
		g.blocked = release
		g.mu.Unlock()
		var all sync.WaitGroup
		all.Go(func() { require.NoError(t, g.Ack(1)) })
		synctest.Wait()
		require.EqualValues(t, 3, g.LastSeq())
		require.Zero(t, g.AckedSeq())
		n, oldest, err := g.Backlog()
		require.NoError(t, err)
		require.EqualValues(t, 3, n)
		require.EqualValues(t, 1000, oldest.UnixMilli())
		told := false
		all.Go(func() {
			s, err := g.Stats()
			told = true
			require.NoError(t, err)
			require.EqualValues(t, 2, s.Backlog)
			require.EqualValues(t, 2000, s.Oldest.UnixMilli())
		})
		synctest.Wait()
		require.False(t, told)
		close(release)
		all.Wait()
		require.True(t, told)
		require.NoError(t, g.Ack(3))
		n, oldest, err = g.Backlog()
		require.NoError(t, err)
		require.Zero(t, n)
		require.True(t, oldest.IsZero())
	})
}

// TestManyReadersAtOnce sells on eight lanes at once, with receipts, new files and pruning between: all numbers are given once, and the chain holds.
func TestManyReadersAtOnce(t *testing.T) {
	o := options()
	o.Keep = 50
	j, _ := fresh(t, o)
	const lanes, each = 8, 60
	var selling, house sync.WaitGroup
	errs := make(chan error, lanes+1)
	for lane := range lanes {
		selling.Go(func() {
			for n := range each {
				card := 1000*lane + n
				tap, err := j.Begin(draft(card))
				if err == nil && n%5 == 4 {
					err = j.MarkUnknown(tap)
				}
				if err == nil {
					err = j.Finish(tap, final(card, wire.State_STATE_COMPLETED))
				}
				errs <- err
			}
		})
	}
	stop := make(chan struct{})
	house.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			err := j.Ack(j.LastSeq())
			_, pruned := j.Prune(100)
			_, _, backlog := j.Backlog()
			errs <- errors.Join(err, pruned, backlog, j.Roll())
		}
	})
	go func() { selling.Wait(); close(stop); house.Wait(); close(errs) }()
	for err := range errs {
		require.NoError(t, err)
	}
	require.EqualValues(t, lanes*(each+each/5), j.LastSeq())
	require.NoError(t, j.Verify())
	open, err := j.OpenIntents()
	require.NoError(t, err)
	require.Empty(t, open)
}
