package clock_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/clock"
)

var start = time.Date(2024, 1, 15, 8, 30, 0, 0, time.UTC)

func TestAManualClockMovesOnlyWhenTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock.Clock = clock.NewManual(start)
		time.Sleep(time.Hour) // of the bubble's own clock
		require.Equal(t, start, c.Now())
		m := c.(*clock.Manual)
		m.Advance(90 * time.Second)
		require.Equal(t, start.Add(90*time.Second), c.Now())
		m.Advance(-time.Hour) // a terminal's clock can be set back
		require.Equal(t, start.Add(90*time.Second-time.Hour), c.Now())
		m.Set(start)
		require.Equal(t, start, c.Now())
	})
}

func TestTheSystemClockIsTheMachines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := clock.System{}.Now()
		time.Sleep(time.Minute)
		require.Equal(t, time.Minute, clock.System{}.Now().Sub(before))
	})
}

func TestAManualClockIsSafeForConcurrentUse(t *testing.T) {
	c := clock.NewManual(start)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				c.Advance(time.Second)
				_ = c.Now()
			}
		})
	}
	all.Wait()
	require.Equal(t, start.Add(800*time.Second), c.Now(), "no step is lost")
}
