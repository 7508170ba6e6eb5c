package cardacquirer_test

import (
	"context"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/cardacquirer"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/pgtest"
	"github.com/purselane/purselane/simulator/channel/channeltest"
)

var _ channel.Journal = store.ChannelJournal{}

// TestWhatIsOwedStandsInTheDatabase: a process ends with a reversal owed, and the next one finds it in the database.
func TestWhatIsOwedStandsInTheDatabase(t *testing.T) {
	where := pgtest.Store(t, filepath.Join(t.TempDir(), "gateway.db"))
	s := open(t, false, adapter.Binary2)
	timeIsUp := make(chan time.Time)
	process := func(work func(*adapter.Adapter)) {
		db, err := store.Open(t.Context(), where, store.Options{NoSync: pgtest.Postgres})
		require.NoError(t, err)
		a, err := adapter.New(func() adapter.Settings {
			set := s.set
			set.Journal = db.ChannelJournal("card-1")
			set.After = func(time.Duration) <-chan time.Time { return timeIsUp }
			return set
		}())
		require.NoError(t, err)
		work(a)
		require.NoError(t, a.SignOff(context.Background()))
		require.NoError(t, db.Close())
	}
	process(func(a *adapter.Adapter) {
		require.NoError(t, a.Recover(t.Context()))
		s.sim.Withhold(1)
		go func() {
			for s.sim.Withheld() == 0 {
				runtime.Gosched()
			}
			timeIsUp <- time.Time{}
		}()
		got, err := a.Pay(t.Context(), s.pay(number, 2000, channeltest.Pays))
		require.Error(t, err)
		require.Equal(t, channel.Unknown, got.Outcome)
	})
	s.sim.Withhold(0)
	process(func(a *adapter.Adapter) {
		require.NoError(t, a.Recover(t.Context()))
		s.flush(t, a, 0)
	})
	require.EqualValues(t, 100_000_00, s.sim.Card(rich).Balance)
	process(func(a *adapter.Adapter) {
		got, err := a.Query(t.Context(), s.ref())
		require.NoError(t, err)
		require.Equal(t, channel.Failed, got.Outcome)
		require.Equal(t, adapter.Reversed, got.Code)
	})
}
