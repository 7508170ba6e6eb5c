package timekeeper

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestWhatIsRecalledHoldsTheTruth: the RTC and the stopwatch go wrong by no more than they may.
func TestWhatIsRecalledHoldsTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := Settings{}.filled()
		bound := time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "bound")).Truncate(time.Millisecond)
		off := time.Duration(rapid.Int64Range(-int64(bound), int64(bound)).Draw(t, "off"))
		rtcOff := time.Duration(rapid.Int64Range(0, int64(1000*time.Hour)).Draw(t, "rtc"))
		away := time.Duration(rapid.Int64Range(0, int64(400*24*time.Hour)).Draw(t, "away"))
		shown := away + time.Duration(float64(away)*float64(rapid.IntRange(-set.DriftPPM, set.DriftPPM).Draw(t, "wrong"))/1e6)
		m := memory{
			Version: 1, AtMS: noon.Add(off).UnixMilli(), BoundMS: bound.Milliseconds(), Boot: "a", ElapsedMS: 1000,
			RTC: noon.Add(rtcOff).Unix(), GivenMS: noon.UnixMilli(),
		}
		f := machineFacts{boot: "b", elapsed: time.Second, rtc: noon.Add(rtcOff + shown).Unix(), wall: noon.Add(away)}
		if rapid.Bool().Draw(t, "same boot") {
			f.boot, f.elapsed = "a", time.Second+shown
		}
		r, err := m.recall(f, set)
		require.NoError(t, err)
		require.LessOrEqual(t, r.At.Sub(noon.Add(away)).Abs(), r.Bound)
		require.Equal(t, f.elapsed, r.Elapsed)
	})
}

// FuzzMemory reads any file: what is accepted can be recalled without harm, and is written as it was read.
func FuzzMemory(f *testing.F) {
	f.Add([]byte(`{"version":1,"at_ms":1795608000000,"bound_ms":150,"boot":"a","elapsed_ms":1000,"rtc":1795608000,"given_ms":1795608000000}`), int64(1795609000), int64(5000))
	f.Add([]byte(`{"version":1,"at_ms":1795608000000,"bound_ms":4294967294,"elapsed_ms":3153600000000,"rtc":1,"given_ms":1704067200000}`), int64(1<<36), int64(0))
	f.Add([]byte(`{"version":2}`), int64(0), int64(0))
	f.Add([]byte(`{`), int64(-1), int64(-1))
	f.Fuzz(func(t *testing.T, raw []byte, rtc, elapsedMS int64) {
		m, err := parseMemory(raw)
		if err != nil {
			require.ErrorIs(t, err, errMemory)
			return
		}
		again, err := json.Marshal(m)
		require.NoError(t, err)
		same, err := parseMemory(again)
		require.NoError(t, err)
		require.Equal(t, m, same)
		elapsed := min(max(time.Duration(elapsedMS), 0), maxElapsed/time.Millisecond) * time.Millisecond
		j := newJudge(Settings{})
		if r, err := m.recall(machineFacts{boot: m.Boot, elapsed: elapsed, rtc: rtc, wall: noon}, j.Settings); err == nil {
			require.Less(t, r.Bound, MaxBound)
			require.GreaterOrEqual(t, r.Bound, time.Duration(m.BoundMS)*time.Millisecond)
			require.False(t, r.At.Before(time.UnixMilli(m.AtMS)))
			j.hear(r)
		}
		j.notBefore(time.UnixMilli(m.GivenMS))
		g := j.give(elapsed, noon)
		require.False(t, g.At.Before(time.UnixMilli(m.GivenMS)))
		require.LessOrEqual(t, g.Bound, MaxBound)
	})
}
