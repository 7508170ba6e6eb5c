package journal

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/uplink/wire"
)

// placed is a journal whose next intents go to places: its room is set aside.
func placed(t *testing.T) *Journal {
	j, _ := fresh(t, withPlaces())
	sell(t, j, 1, 1)
	return j
}

func begin(t *testing.T, j *Journal, n int) uint64 {
	tap, err := j.Begin(draft(n))
	require.NoError(t, err)
	return tap
}

// openTaps are the taps of the open intents.
func openTaps(t *testing.T, j *Journal) (out []uint64) {
	all, err := j.OpenIntents()
	require.NoError(t, err)
	for _, r := range all {
		out = append(out, r.GetTap())
	}
	return out
}

func TestAnIntentInAPlace(t *testing.T) {
	j := placed(t)
	s := j.db.Stats()
	before := s.TxStats.GetWrite()
	tap := begin(t, j, 7)
	s = j.db.Stats()
	require.Equal(t, before, s.TxStats.GetWrite(), "the tree is not written")
	require.Len(t, j.slotted(), 1)

	d, unknown, found, err := j.OpenIntent(card(7))
	require.NoError(t, err)
	require.True(t, found && !unknown)
	require.Equal(t, []any{tap, "bus-1", uint64(1)}, []any{d.GetTap(), d.GetTerminal(), d.GetEpoch()})
	require.Equal(t, []uint64{tap}, openTaps(t, j))
	stats, err := j.Stats()
	require.NoError(t, err)
	require.Equal(t, 1, stats.OpenIntents)
	_, err = j.Begin(draft(7))
	require.ErrorIs(t, err, errOpen)

	require.NoError(t, j.Finish(tap, final(7, wire.State_STATE_COMPLETED)))
	require.Empty(t, openTaps(t, j))
	require.ErrorIs(t, j.Finish(tap, final(7, wire.State_STATE_COMPLETED)), ErrNoIntent, "once")
	require.ErrorIs(t, j.MarkUnknown(tap), ErrNoIntent)
	require.ErrorIs(t, j.Drop(tap), ErrNoIntent)
	require.NoError(t, j.Verify())
	j = reopen(t, j, withPlaces())
	require.Empty(t, openTaps(t, j), "what is done with stays so")
	require.Equal(t, tap+1, begin(t, j, 7))
}

// TestWhatATerminalDiedWith: each way an intent in a place can stand when the power goes.
func TestWhatATerminalDiedWith(t *testing.T) {
	j := placed(t)
	open, done, dropped, unknown := begin(t, j, 2), begin(t, j, 3), begin(t, j, 4), begin(t, j, 5)
	require.NoError(t, j.Finish(done, final(3, wire.State_STATE_COMPLETED)))
	require.NoError(t, j.Drop(dropped))
	require.NoError(t, j.MarkUnknown(unknown))
	require.Equal(t, []uint64{open, unknown}, openTaps(t, j))
	j = reopen(t, j, withPlaces())
	require.Empty(t, j.slotted(), "it is in the tree now")
	require.Equal(t, []uint64{open, unknown}, openTaps(t, j))
	n, err := j.RecoverBoot()
	require.NoError(t, err)
	require.Equal(t, 1, n)
	for _, c := range []int{2, 5} {
		_, marked, found, err := j.OpenIntent(card(c))
		require.NoError(t, err)
		require.True(t, marked && found)
	}
	require.NoError(t, j.Finish(open, final(2, wire.State_STATE_VOIDED)))
	require.NoError(t, j.Finish(unknown, final(5, wire.State_STATE_COMPLETED)))
	var states []wire.State
	for _, r := range records(t, j)[1:] {
		states = append(states, r.GetState())
	}
	require.Equal(t, []wire.State{wire.State_STATE_COMPLETED, wire.State_STATE_UNKNOWN, wire.State_STATE_UNKNOWN, wire.State_STATE_VOIDED, wire.State_STATE_COMPLETED}, states)
	require.Greater(t, begin(t, j, 9), unknown, "no number twice")
	require.NoError(t, j.Verify())
}

func TestMoreIntentsThanPlaces(t *testing.T) {
	j := placed(t)
	var taps []uint64
	for n := range slotCount + 3 {
		taps = append(taps, begin(t, j, 10+n))
	}
	require.Len(t, j.slotted(), slotCount)
	require.Equal(t, taps, openTaps(t, j))
	j = reopen(t, j, withPlaces())
	require.Equal(t, taps, openTaps(t, j))
	for n, tap := range taps {
		require.NoError(t, j.Finish(tap, final(10+n, wire.State_STATE_COMPLETED)))
	}
	require.Empty(t, openTaps(t, j))
}

func TestADraftTooLargeForAPlaceGoesIntoTheTree(t *testing.T) {
	j := placed(t)
	d := draft(2)
	d.Attempt = make([]byte, slotSize)
	tap, err := j.Begin(d)
	require.NoError(t, err)
	require.Empty(t, j.slotted())
	require.Equal(t, []uint64{tap}, openTaps(t, j))
}

func TestANewFileKeepsWhatIsInPlaces(t *testing.T) {
	j := placed(t)
	tap := begin(t, j, 2)
	require.NoError(t, j.Roll())
	require.Equal(t, []uint64{tap}, openTaps(t, j))
	after := begin(t, j, 3)
	require.Equal(t, tap+1, after)
	j = reopen(t, j, withPlaces())
	require.Equal(t, []uint64{tap, after}, openTaps(t, j))
	require.NoError(t, j.Finish(tap, final(2, wire.State_STATE_COMPLETED)))
	require.NoError(t, j.Verify())
}

// TestATornPlace cuts the write of a place at each of its sectors: the intent is there whole or was never begun, and what the place held before was done with.
func TestATornPlace(t *testing.T) {
	j := placed(t)
	first := begin(t, j, 2)
	require.NoError(t, j.Finish(first, final(2, wire.State_STATE_COMPLETED)))
	name := PlacesPath(j.path)
	was := read(t, name)
	second := begin(t, j, 3)
	is := read(t, name)
	require.NoError(t, j.Close())
	tree := read(t, j.path)
	at := 0
	for at = range slotCount {
		if string(was[at*slotSize:(at+1)*slotSize]) != string(is[at*slotSize:(at+1)*slotSize]) {
			break
		}
	}
	for cut := 0; cut <= slotSize; cut += 64 {
		raw := append([]byte(nil), was...)
		copy(raw[at*slotSize:], is[at*slotSize:at*slotSize+cut])
		write(t, name, raw)
		write(t, j.path, tree)
		again := open(t, j.path, withPlaces())
		taps := openTaps(t, again)
		if len(taps) > 0 {
			require.Equal(t, []uint64{second}, taps, "%d bytes", cut)
		} else {
			require.Less(t, cut, slotSize)
		}
		require.NoError(t, again.Verify())
		require.NoError(t, again.Close())
	}
}

func TestTheFileOfPlacesMustBeThere(t *testing.T) {
	j := placed(t)
	begin(t, j, 2)
	require.NoError(t, j.Close())
	name := PlacesPath(j.path)
	raw, tree := read(t, name), read(t, j.path)
	require.NoError(t, os.Remove(name))
	_, err := Open(j.path, withPlaces())
	unchanged(t, j.path, tree, err)
	require.ErrorContains(t, err, "open taps, is missing")
	write(t, name, raw[:100])
	_, err = Open(j.path, withPlaces())
	unchanged(t, j.path, tree, err)
	write(t, name, raw)
	require.Len(t, openTaps(t, open(t, j.path, withPlaces())), 1)
}

func TestAJournalOfBeforeGetsPlaces(t *testing.T) {
	j, path := fresh(t, options())
	sell(t, j, 1, 2)
	old := begin(t, j, 7)
	j = reopen(t, j, withPlaces())
	require.False(t, j.meta.slotted, "nothing is written by looking")
	sell(t, j, 3, 1)
	require.True(t, j.meta.slotted)
	tap := begin(t, j, 8)
	require.Len(t, j.slotted(), 1)
	require.Equal(t, []uint64{old, tap}, openTaps(t, j))
	j = reopen(t, j, withPlaces())
	require.Equal(t, []uint64{old, tap}, openTaps(t, j))
	require.Equal(t, path, j.path)
}

func TestPlacesOfAnotherEpochAreNotRead(t *testing.T) {
	j := placed(t)
	begin(t, j, 2)
	places := read(t, PlacesPath(j.path))
	require.NoError(t, j.Close())
	o := withPlaces()
	o.Rand = &epochs{n: 5}
	other, _ := fresh(t, o)
	require.NoError(t, other.Close())
	write(t, PlacesPath(other.path), places)
	require.Empty(t, openTaps(t, open(t, other.path, o)))
}

// TestAPlaceThatCannotBeWritten: whether it is on the disk nobody knows, so nothing more is begun until the journal is opened again.
func TestAPlaceThatCannotBeWritten(t *testing.T) {
	j := placed(t)
	require.NoError(t, j.slots.close())
	_, err := j.Begin(draft(2))
	require.ErrorIs(t, err, ErrUncertain)
	_, err = j.Begin(draft(3))
	require.ErrorIs(t, err, ErrUncertain)
	require.Empty(t, openTaps(t, j))
}

func FuzzPlace(f *testing.F) {
	d := draft(3)
	d.Tap, d.Epoch = 9, 1
	raw, err := slotBytes(d)
	require.NoError(f, err)
	f.Add(raw)
	f.Add(make([]byte, slotSize))
	f.Add(raw[:slotHead-1])
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, epoch, sound := parseSlot(raw)
		if sound {
			require.NotZero(t, s.tap)
			require.Equal(t, []uint64{s.tap, epoch}, []uint64{s.draft.GetTap(), s.draft.GetEpoch()})
		}
	})
}

func TestQuarantineTakesThePlacesAlong(t *testing.T) {
	j := placed(t)
	tap := begin(t, j, 2)
	require.NoError(t, j.Close())
	moved, err := Quarantine(j.path, time.Unix(1000, 0))
	require.NoError(t, err)
	require.NoFileExists(t, PlacesPath(j.path))
	again := open(t, j.path, withPlaces())
	require.Empty(t, openTaps(t, again))
	require.NoError(t, again.Close())

	// Put together again elsewhere, it tells what was open.
	back := filepath.Join(t.TempDir(), "journal.db")
	write(t, back, read(t, moved))
	write(t, PlacesPath(back), read(t, PlacesPath(j.path)+strings.TrimPrefix(moved, j.path)))
	old := open(t, back, withPlaces())
	require.Equal(t, []uint64{tap}, openTaps(t, old))
	require.NoError(t, old.Close())
}

func TestAStartSetsRoomAside(t *testing.T) {
	j, _ := fresh(t, withPlaces())
	_, err := j.RecoverBoot()
	require.NoError(t, err)
	begin(t, j, 1)
	require.Len(t, j.slotted(), 1, "the first tap of all needs no commit of the tree")
}

// TestLanesBeginAtOnce has more lanes than places begin and end intents side by side, and receipts between.
func TestLanesBeginAtOnce(t *testing.T) {
	j, _ := fresh(t, withPlaces())
	_, err := j.RecoverBoot()
	require.NoError(t, err)
	var all sync.WaitGroup
	seen := sync.Map{}
	for lane := range slotCount + 2 {
		all.Go(func() {
			for n := range 20 {
				who := 1000*lane + n
				tap, err := j.Begin(draft(who))
				assert.NoError(t, err)
				_, twice := seen.LoadOrStore(tap, true)
				assert.False(t, twice, "tap %d", tap)
				_, _, found, err := j.OpenIntent(card(who))
				assert.True(t, found && err == nil, "%v", err)
				if n%5 == 0 {
					assert.NoError(t, j.MarkUnknown(tap))
				}
				assert.NoError(t, j.Finish(tap, final(who, wire.State_STATE_COMPLETED)))
				assert.NoError(t, j.Ack(j.AckedSeq()+1))
			}
		})
	}
	all.Wait()
	require.Empty(t, openTaps(t, j))
	require.NoError(t, j.Verify())
	j = reopen(t, j, withPlaces())
	require.Empty(t, openTaps(t, j))
	require.Len(t, records(t, j), (slotCount+2)*(20+4))
}
