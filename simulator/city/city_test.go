package city_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/pgtest"
	"github.com/purselane/purselane/simulator/city"
)

func day(t *testing.T, seed uint64, taps int) city.Story {
	t.Helper()
	return dayOn(t, pgtest.Store(t, filepath.Join(t.TempDir(), "city.db")), seed, taps)
}

func dayOn(t *testing.T, database string, seed uint64, taps int) city.Story {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c, err := city.Open(ctx, city.Config{Dir: t.TempDir(), Database: database, Store: store.Options{NoSync: true}, Seed: seed, Taps: taps})
	require.NoError(t, err)
	story, err := c.Day(ctx)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	return story
}

// TestADayInTheCity runs the whole scheme on real parts and holds the backend against the cards.
func TestADayInTheCity(t *testing.T) {
	s := day(t, 7, 400)
	var screen bytes.Buffer
	require.NoError(t, s.Print(&screen))
	t.Log(screen.String())
	require.Empty(t, s.Faults)
	require.True(t, s.Sound())
	require.Zero(t, s.Unknown)
	require.Equal(t, 1, s.Killed)
	require.Positive(t, s.Torn)
	require.Positive(t, s.Recovered)
	require.Positive(t, s.ModemBacklog)
	require.Positive(t, s.DuplicatesIgnored)
	require.Contains(t, screen.String(), "conserved: yes")
}

// TestOneSeedOneStory runs a day twice: every figure, down to the digest of the settlement, must be the same although
// records travel in the background.
func TestOneSeedOneStory(t *testing.T) {
	first, second := day(t, 3, 120), day(t, 3, 120)
	require.Equal(t, first, second)
	require.NotEqual(t, first.Sums, day(t, 4, 120).Sums, "the seed must decide something")
	require.Equal(t, first, dayOn(t, filepath.Join(t.TempDir(), "city.db"), 3, 120), "SQLite tells the same story, whatever the others ran on")
}

// TestTheCityGoesOn closes the first day and taps on into the next.
func TestTheCityGoesOn(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	taps := 0
	more, enough := context.WithCancel(ctx)
	c, err := city.Open(ctx, city.Config{Dir: t.TempDir(), Seed: 1, Taps: 20, Page: "127.0.0.1:0", Progress: func(p city.Progress) {
		if p.Of == 0 && p.Note == "" {
			if taps++; taps == 30 {
				enough()
			}
		}
	}})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	_, err = c.Day(ctx)
	require.NoError(t, err)
	require.NoError(t, c.Keep(more, time.Millisecond))
	require.GreaterOrEqual(t, taps, 30)
	page, err := http.Get(c.URL())
	require.NoError(t, err)
	defer page.Body.Close()
	body, err := io.ReadAll(page.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, page.StatusCode)
	require.Contains(t, string(body), "bus-1")
	require.NotContains(t, string(body), "03105170", "the page shows no card number")
}

func TestWhatACityRefuses(t *testing.T) {
	_, err := city.Open(t.Context(), city.Config{Dir: t.TempDir(), Taps: -1})
	require.ErrorContains(t, err, "want 1 or more")
	_, err = city.Open(t.Context(), city.Config{Dir: t.TempDir(), Page: "127.0.0.1:99999"})
	require.ErrorContains(t, err, "address")
}
