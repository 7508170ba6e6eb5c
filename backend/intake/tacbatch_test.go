package intake_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/uplink/wire"
)

// oneByOne hides that an HSM verifies many TACs at a time.
type oneByOne struct{ keys.HSM }

// TestABatchPostsWhatSinglesPost: one backend verifies records in lanes, the other each by itself, and both end in one state. Lanes are
// filled by many records of two cards and of one that nobody knows, with forged TACs, versions that we have no key of, records without a TAC, and terminals that are not ours.
func TestABatchPostsWhatSinglesPost(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		d, err := os.MkdirTemp(dir, "")
		require.NoError(r, err)
		defer os.RemoveAll(d)
		workers := rapid.IntRange(1, 5).Draw(r, "workers")
		var states []map[string]any
		var records [][]byte
		for _, name := range []string{"lanes", "singles"} {
			require.NoError(r, os.Mkdir(filepath.Join(d, name), 0o700))
			s := newScheme(r, filepath.Join(d, name), store.Options{})
			if records == nil {
				records = drawRecords(r, s)
			}
			var hsm keys.HSM = s.hsm
			if name == "singles" {
				hsm = oneByOne{s.hsm}
			}
			o := s.options()
			o.Workers = workers
			s.pipe, err = intake.New(s.store, hsm, s.clock, o)
			require.NoError(r, err)
			_, err = s.accept("bus-1", 1, records...)
			require.NoError(r, err)
			s.drain()
			state := s.state()
			for i := range records {
				state["record "+string(rune('0'+i))] = s.label("bus-1", uint64(i)+1)
			}
			states = append(states, state)
			require.NoError(r, s.store.Close())
		}
		require.Equal(r, states[1], states[0])
	})
}

func drawRecords(r *rapid.T, s *scheme) (records [][]byte) {
	var counters [10]uint16
	for i := range rapid.IntRange(1, 80).Draw(r, "records") {
		card := rapid.SampledFrom([]byte{1, 2, 9}).Draw(r, "card")
		p := tap{terminal: "bus-1", tap: uint64(i) + 1, card: card, counter: counters[card], before: 1000 - int64(counters[card]), amount: 1, forged: rapid.IntRange(0, 4).Draw(r, "forged") == 0}
		counters[card]++
		switch rapid.IntRange(0, 9).Draw(r, "odd") {
		case 0:
			p.change = func(w *wire.Record) { w.KeyVersion = 7 }
		case 1:
			p.change = func(w *wire.Record) { w.KeyLevels = 1 } // and the TAC is made with two
		case 2:
			p.change = func(w *wire.Record) { w.KeyLevels = 3 } // unreadable
		case 3:
			p.evidence = wire.Evidence_EVIDENCE_CARD_LOG // none comes with it
		case 4:
			p.state = wire.State_STATE_UNKNOWN
		}
		records = append(records, s.record(p))
	}
	return records
}
