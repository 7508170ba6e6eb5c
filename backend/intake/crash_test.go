package intake_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/uplink/wire"
)

var errDied = errors.New("the backend died")

// TestTheBackendMayDieAtAnyCommit kills the store before or after its nth commit, for every n there is, opens it again, and
// lets the terminals send everything once more, as they do without a receipt. It must end where a backend ends that
// never died.
func TestTheBackendMayDieAtAnyCommit(t *testing.T) {
	mayDieAtAnyCommit(t, intake.Strict, 12) // three batches, three groups, before and after each commit
}

// TestAJournalFirstBackendMayDieAtAnyCommit: there are two commits more, one that writes the journal out, and one for the records that were put off until then.
func TestAJournalFirstBackendMayDieAtAnyCommit(t *testing.T) {
	mayDieAtAnyCommit(t, intake.JournalFirst, 16)
}

func mayDieAtAnyCommit(t *testing.T, posting intake.Posting, commits int) {
	start := func(t *testing.T, opt store.Options) *scheme {
		s := newScheme(t, t.TempDir(), opt)
		t.Cleanup(func() { s.store.Close() })
		s.opt.Posting = posting
		var err error
		s.pipe, err = intake.New(s.store, s.hsm, s.clock, s.options())
		require.NoError(t, err)
		return s
	}
	type batch struct {
		terminal ids.TerminalID
		first    uint64
		raw      [][]byte
	}
	build := func(s *scheme) []batch {
		unknown := tap{terminal: "bus-1", tap: 1, card: 1, counter: 0, before: 10_00, amount: 2_00, state: wire.State_STATE_UNKNOWN}
		one := batch{"bus-1", 1, [][]byte{s.record(unknown), s.record(tap{terminal: "bus-1", tap: 2, card: 2, before: 10_00, amount: 1_00})}}
		two := batch{"gate-3", 1, [][]byte{s.record(tap{terminal: "gate-3", tap: 1, card: 1, counter: 1, before: 8_00, amount: 3_00, at: 60})}}
		three := batch{"bus-2", 1, [][]byte{s.record(tap{terminal: "bus-2", tap: 1, card: 2, before: 10_00, amount: 1_00, at: 9}), s.record(tap{terminal: "bus-2", tap: 2, card: 1, counter: 2, before: 5_00, amount: 1_00, forged: true})}}
		return []batch{one, two, three}
	}
	run := func(s *scheme, batches []batch) error {
		for _, b := range batches {
			if _, err := s.accept(b.terminal, b.first, b.raw...); err != nil {
				return err
			}
			if _, err := s.pipe.Step(s.ctx); err != nil {
				return err
			}
		}
		for {
			if n, err := s.pipe.Step(s.ctx); err != nil || n == 0 {
				return err
			}
		}
	}
	calm := start(t, store.Options{})
	require.NoError(t, run(calm, build(calm)))
	calm.drain()
	want := calm.state()

	points := 0
	for n := 1; ; n++ {
		died := false
		count := 0
		s := start(t, store.Options{Fault: func(point string) error {
			if count++; count == n {
				died = true
				return fmt.Errorf("%w: %s", errDied, point)
			}
			return nil
		}})
		batches := build(s)
		err := run(s, batches)
		if !died {
			require.NoError(t, err)
			break
		}
		points++
		require.ErrorIs(t, err, errDied)
		require.NoError(t, s.store.Close())
		s.open(store.Options{})
		require.NoError(t, run(s, batches))
		s.drain()
		s.proveBooks()
		require.Equal(t, want, s.state(), "died at point %d", n)
		require.NoError(t, s.store.Close())
	}
	require.Equal(t, commits, points)
}
