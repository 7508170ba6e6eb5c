package watch_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/backend/watch"
	"github.com/purselane/purselane/shadowaccount"
)

func start(t *testing.T, opt store.Options) *scheme {
	s := newScheme(t, emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")), opt)
	t.Cleanup(func() { s.store.Close() })
	return s
}

const epoch = "f000000000000007"

// badDay is one day of a scheme with a copy of card 1, a till gone wrong, a denied card and a clock that was set.
var badDay = []tap{
	{terminal: "gate-1", seq: 1, card: 1, counter: 0, before: 100_00, amount: 2_00, second: -7200, spot: true},
	{terminal: "bus-2", seq: 1, card: 1, counter: 1, before: 98_00, amount: 2_00, second: -6600},
	{terminal: "gate-1", seq: 2, card: 1, counter: 1, before: 98_00, amount: 2_00, second: -6500, spot: true},
	{terminal: "gate-1", seq: 3, card: 2, counter: 0, before: 100_00, amount: 60_00, second: -6000},
	{terminal: "gate-1", seq: 4, card: 3, counter: 0, before: 100_00, amount: 2_00, second: -5000, list: 4},
	{terminal: "gate-1", seq: 5, card: 3, counter: 1, before: 98_00, amount: 2_00, second: -4000, list: 5},
	{terminal: "gate-1", seq: 6, card: 2, counter: 1, before: 40_00, amount: 1_00, second: -4600},
	{terminal: "bus-2", seq: 2, card: 2, counter: 2, before: 39_00, amount: 1_00, second: 600},
}

var ofBadDay = []string{
	"bus-2 CLOCK_AHEAD " + epoch + "/2026-11-24", "gate-1 CLOCK_BACK " + epoch + "/6", "card 1 CLONE 1", "card 3 DENIED_ACQUIRER 1@gate-1/" + epoch + "/5",
	"card 3 DENIED_ISSUER 0@gate-1/" + epoch + "/4", "card 1 IMPOSSIBLE_TRAVEL 1@bus-2/" + epoch + "/1", "card 1 IMPOSSIBLE_TRAVEL 1@gate-1/" + epoch + "/2",
	"card 2 OVER_LIMIT 0@gate-1/" + epoch + "/3",
}

func (s *scheme) deny(card byte) {
	require.NoError(s.t, s.store.Update(s.ctx, func(tx *store.Tx) error {
		return tx.PutDenial(s.ctx, number(card), shadowaccount.Denial{Version: 5, AtMS: noon.Add(-100 * time.Minute).UnixMilli()})
	}))
}

func TestABadDay(t *testing.T) {
	s := start(t, store.Options{})
	s.send(badDay...)
	s.deny(3)
	r := s.pass()
	require.Equal(t, len(ofBadDay), r.Opened)
	require.Equal(t, len(badDay), r.Records)
	open := s.codes(store.FindingOpen)
	require.ElementsMatch(t, ofBadDay, open)
	before := s.findings("")
	for _, f := range before {
		text := f.Subject + f.Item + f.Detail
		require.NotContains(t, strings.ToUpper(text), number(1).Reveal()[:12], "tokens only")
		require.Equal(t, noon, f.First.UTC())
	}

	s.clock.Advance(time.Hour)
	require.Zero(t, s.pass().Opened)
	require.NoError(t, s.watch.Again(s.ctx))
	again := s.pass()
	require.Equal(t, len(badDay), again.Records)
	require.Zero(t, again.Opened+again.Cleared)
	require.Equal(t, before, s.findings(""), "looking again finds the same, and writes nothing")

	// The card leaves the list: what was taken by older ones stays.
	require.NoError(t, s.store.Update(s.ctx, func(tx *store.Tx) error {
		return tx.PutDenial(s.ctx, number(3), shadowaccount.Denial{Version: 2, Until: 5, AtMS: noon.Add(-100 * time.Minute).UnixMilli()})
	}))
	s.pass()
	require.Contains(t, s.codes(store.FindingOpen), "card 3 DENIED_ACQUIRER 0@gate-1/"+epoch+"/4", "list 4 denied it")
	require.Contains(t, s.codes(store.FindingCleared), "card 3 DENIED_ACQUIRER 1@gate-1/"+epoch+"/5", "list 5 no longer did")
	require.Error(t, s.store.Update(s.ctx, func(tx *store.Tx) error {
		return tx.PutDenial(s.ctx, number(3), shadowaccount.Denial{Version: 5, Until: 5})
	}))
}

// TestWhatComesLateExplains: gaps, unknown taps, and holes in journals and PSAMs age into findings, which the missing records clear and
// nothing deletes.
func TestWhatComesLateExplains(t *testing.T) {
	s := start(t, store.Options{})
	late := tap{terminal: "gate-1", seq: 2, card: 1, counter: 1, before: 98_00, amount: 2_00, second: -6950}
	s.send(
		tap{terminal: "gate-1", seq: 1, card: 1, counter: 0, before: 100_00, amount: 2_00, second: -7000},
		tap{terminal: "gate-1", seq: 3, tap: 9, card: 1, counter: 2, before: 96_00, amount: 2_00, second: -5000},
		tap{terminal: "bus-2", seq: 1, card: 2, counter: 0, before: 100_00, amount: 2_00, second: -5000, unknown: true},
	)
	s.pass()
	require.Empty(t, s.findings(""), "young")
	s.clock.Advance(7*24*time.Hour - time.Second)
	s.pass()
	require.Empty(t, s.findings(""), "young still")
	s.clock.Advance(time.Second)
	s.pass()
	want := []string{
		"card 1 AGED_GAP 1-1", "card 2 AGED_UNKNOWN 0@bus-2/" + epoch + "/1", "gate-1 RECORDS_MISSING " + epoch + "/2-2", "000000000031 SAM_HOLE 2-8",
	}
	require.ElementsMatch(t, want, s.codes(store.FindingOpen))
	opened := s.clock.Now()

	s.clock.Advance(time.Hour)
	s.send(late, tap{terminal: "bus-2", seq: 2, card: 2, counter: 1, before: 98_00, amount: 1_00, second: 3600})
	for tap := uint64(3); tap <= 8; tap++ {
		s.send(ofTap(tap))
	}
	s.pass()
	require.Empty(t, s.codes(store.FindingOpen))
	require.ElementsMatch(t, want, s.codes(store.FindingCleared))
	for _, f := range s.findings("") {
		require.Equal(t, opened.UTC(), f.First.UTC())
		require.Equal(t, s.clock.Now().UTC(), f.Last.UTC())
	}
}

// ofTap is a tap of card 3 that fills PSAM number n of the gate.
func ofTap(n uint64) tap {
	return tap{terminal: "gate-1", seq: n + 10, tap: n, card: 3, counter: uint32(n - 3), before: 100_00 - int64(n-3)*1_00, amount: 1_00, second: -6900 + int64(n-3)*300}
}

func TestARecordThatIsLostAndOneThatConflicts(t *testing.T) {
	s := start(t, store.Options{})
	s.send(tap{terminal: "gate-1", seq: 1, card: 1, counter: 0, before: 100_00, amount: 2_00, second: -7000},
		tap{terminal: "gate-1", seq: 1, card: 1, counter: 0, before: 100_00, amount: 3_00, second: -7000},
		tap{terminal: "gate-1", seq: 4, card: 1, counter: 1, before: 98_00, amount: 2_00, second: -6000})
	require.NoError(t, s.store.Update(s.ctx, func(tx *store.Tx) error {
		_, err := tx.GiveUp(s.ctx, "gate-1", 0xF000000000000007, 3, noon)
		return err
	}))
	s.pass()
	require.ElementsMatch(t, []string{"gate-1 RECORDS_LOST " + epoch + "/2-3", "gate-1 RECORD_CONFLICT " + epoch + "/1"}, s.codes(store.FindingOpen))
	s.send(tap{terminal: "gate-1", seq: 2, card: 2, counter: 0, before: 100_00, amount: 2_00, second: -6500})
	s.pass()
	require.Contains(t, s.codes(store.FindingOpen), "gate-1 RECORDS_LOST "+epoch+"/2-3", "one is lost still")
	s.send(tap{terminal: "gate-1", seq: 3, card: 2, counter: 1, before: 98_00, amount: 2_00, second: -6400})
	s.pass()
	require.Equal(t, []string{"gate-1 RECORDS_LOST " + epoch + "/2-3"}, s.codes(store.FindingCleared))
}

// TestArrivalOrderLeavesNoTrace shuffles the records of a bad day, and lets the watch look in between.
func TestArrivalOrderLeavesNoTrace(t *testing.T) {
	d := &databases{dir: t.TempDir()}
	in := newScheme(t, emptystore.At(t, d.next()), store.Options{})
	defer in.store.Close()
	in.send(badDay...)
	in.deny(3)
	in.pass()
	type row struct {
		code          shadowaccount.Code
		subject, item string
		detail        string
	}
	rows := func(s *scheme) (out []row) {
		for _, f := range s.findings(store.FindingOpen) {
			out = append(out, row{f.Code, f.Subject, f.Item, f.Detail})
		}
		return out
	}
	want := rows(in)
	require.Len(t, want, len(ofBadDay))
	rapid.Check(t, func(r *rapid.T) {
		s := newScheme(r, emptystore.At(t, d.next()), store.Options{})
		defer s.store.Close()
		denied := rapid.IntRange(0, len(badDay)).Draw(r, "denied")
		for i, p := range rapid.Permutation(badDay).Draw(r, "arrival") {
			if i == denied {
				s.deny(3)
			}
			s.send(p)
			if rapid.Bool().Draw(r, "look") {
				s.pass()
			}
		}
		if denied == len(badDay) {
			s.deny(3)
		}
		s.pass()
		require.Equal(r, want, rows(s))
	})
}

// TestTheWatchDiesAnywhere: before or after each of its commits. Made again it ends where one ends that never died.
func TestTheWatchDiesAnywhere(t *testing.T) {
	died := errors.New("died")
	for point, commits := range map[string]int{"commit:before": 2, "commit:after": 1} { // one that dies before its first commit again and again gets nowhere
		armed, at := false, 0
		s := start(t, store.Options{Fault: func(p string) error {
			if !armed || p != point {
				return nil
			}
			if at--; at < 0 {
				armed = false
				return died
			}
			return nil
		}})
		for _, p := range badDay { // each a posting group
			s.send(p)
		}
		s.deny(3)
		deaths := 0
		for n := 0; ; n++ {
			armed, at = true, n%commits
			_, err := s.watch.Pass(s.ctx)
			armed = false
			if err == nil {
				break
			}
			require.ErrorIs(t, err, died)
			deaths++
			require.Less(t, n, 100, "it gets on")
		}
		require.Greater(t, deaths, 5)
		s.pass()
		require.ElementsMatch(t, ofBadDay, s.codes(store.FindingOpen))
		require.Empty(t, s.codes(store.FindingCleared))
	}
}

// TestAnOvertakenWatchWritesNothing: what it saw is old.
func TestAnOvertakenWatchWritesNothing(t *testing.T) {
	s := start(t, store.Options{})
	other, err := watch.New(s.store, s.clock, settings, nil)
	require.NoError(t, err)
	s.send(badDay...)
	_, err = s.watch.Look(s.ctx, func(*store.Tx) ([]store.Notes, error) {
		_, err := other.Pass(s.ctx)
		return []store.Notes{{Kind: store.OfTerminal, Subject: "gate-1", Mine: func(shadowaccount.Code, string) bool { return true },
			Found: []shadowaccount.Note{{Code: shadowaccount.FindClockBack, Item: "of long ago"}}}}, err
	})
	require.ErrorIs(t, err, store.ErrWatchMoved)
	require.False(t, slices.ContainsFunc(s.findings(""), func(f store.WatchedFinding) bool { return f.Item == "of long ago" }))
	require.Zero(t, s.pass().Records, "the other has seen all")
}

func TestSettingsAreChecked(t *testing.T) {
	require.NoError(t, watch.Settings{}.Check())
	require.NoError(t, settings.Check())
	err := watch.Settings{VelocityTaps: -2, MaxSpeed: 20_000, MaxAmount: noMoney, Places: []watch.Place{{}, {Name: "a", Spot: "1/2"}, {Name: "a", Latitude: 91, Radius: -1}, {Name: "b", Spot: "*/00ff"}, {Name: "c", Spot: "*/00FF"}}}.Check()
	for _, want := range []string{"watch.velocity_taps: -2", "watch.max_speed: 20000", "watch.max_amount", "places[0].name", `places[1].spot: "1/2"`, "places[2].name: a stands twice", "places[2]: latitude 91", "places[2].radius: -1", "places[4].spot: *"} {
		require.ErrorContains(t, err, want)
	}
	_, err = watch.New(nil, nil, watch.Settings{GapDays: -5}, nil)
	require.ErrorContains(t, err, "watch.gap_days: -5")
}

func TestWhereATapWas(t *testing.T) {
	where := watch.Settings{Places: []watch.Place{{Name: "harbour", Spot: "*/00ff"}, {Name: "harbour of line 2", Spot: "0002/00FF"}}}.Where()
	require.Equal(t, "harbour", where("0001/00FF", "depot"))
	require.Equal(t, "harbour of line 2", where("0002/00FF", "depot"))
	require.Equal(t, "", where("0002/00FE", "harbour"), "a stop that nobody knows is not where the bus is registered")
	require.Equal(t, "harbour", where("", "harbour"))
}
