package edge_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/link"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/inproc"
	"github.com/purselane/purselane/terminal/tap"
)

func TestACardIsAnnouncedBeforeItsOutcome(t *testing.T) {
	door := inproc.New("door")
	w := newWorld(t, func(cfg *edge.Config) { cfg.Lanes[bus].Reader = door })
	stop := w.run()
	door.Present(newCard(t, 1, 10_00, nil))
	e := w.next()
	require.Equal(t, tap.Granted, e.Result.Outcome)
	require.NoError(t, stop())
	require.Len(t, w.cards, 1)
	require.Equal(t, bus, w.cards[0].Lane)
	var sum time.Duration
	for _, p := range e.Phases.List() {
		require.GreaterOrEqual(t, p.Took, time.Duration(0), p.Name)
		sum += p.Took
	}
	require.NotZero(t, e.Phases.Card)
	require.NotZero(t, e.Phases.Journal)
	require.LessOrEqual(t, e.Phases.Select, e.Phases.Card)
	require.Less(t, sum, time.Minute)
}

// hangs is a reader whose Wait ignores its context: a driver that hangs.
type hangs struct{ reader.Reader }

func (hangs) Name() string { return "hung" }
func (hangs) Wait(context.Context) (reader.Card, error) {
	time.Sleep(time.Hour) // of the bubble's own clock
	return nil, reader.ErrClosed
}

func TestAReaderThatHangsIsNoProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := inproc.New("good")
		w := newWorld(t, func(cfg *edge.Config) {
			cfg.Lanes[bus].Reader = hangs{}
			cfg.Lanes[bus2].Reader = good
		})
		require.NoError(t, w.Alive(), "nothing runs yet")
		require.Equal(t, edge.LaneIdle, w.Lanes()[bus].State)
		stop := w.run()
		synctest.Wait()
		require.NoError(t, w.Alive())
		require.Equal(t, edge.LaneWaiting, w.Lanes()[bus].State)
		time.Sleep(30 * time.Second)
		require.NoError(t, w.Alive(), "a reader may be slow to notice")
		time.Sleep(20 * time.Second)
		err := w.Alive()
		require.ErrorContains(t, err, `lane 0: waiting for 50s without progress: reader "hung"`)
		require.NotContains(t, err.Error(), "lane 1", "one that nobody comes to gets on")
		go func() { _ = stop() }()
		time.Sleep(2 * time.Hour)
	})
}

func TestACardThatIsLeftLyingIsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door := inproc.New("door")
		w := newWorld(t, func(cfg *edge.Config) { cfg.Lanes[bus].Reader = door })
		stop := w.run()
		door.Present(newCard(t, 1, 10_00, nil))
		w.next()
		time.Sleep(time.Hour)
		require.Equal(t, edge.LaneRemoving, w.Lanes()[bus].State)
		require.NoError(t, w.Alive())
		door.Withdraw()
		synctest.Wait()
		require.Equal(t, edge.LaneWaiting, w.Lanes()[bus].State)
		require.NoError(t, stop())
		require.Equal(t, edge.LaneIdle, w.Lanes()[bus].State)
	})
}

// A till may be asked for nothing for hours after a sale, or after one that nobody came for. A watchdog must not take that for a reader that hangs.
func TestATillThatIsAskedForNothingIsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counter := inproc.New("counter")
		w := newWorld(t, func(cfg *edge.Config) { cfg.Lanes[till].Reader = counter })
		stop := w.run()
		idle := func() {
			synctest.Wait()
			require.Equal(t, edge.LaneIdle, w.Lanes()[till].State)
			time.Sleep(time.Hour)
			require.NoError(t, w.Alive())
		}
		idle()
		counter.Present(newCard(t, 1, 10_00, nil))
		r, err := w.Charge(t.Context(), till, money.Minor(1_00), "r-1")
		require.NoError(t, err)
		require.Equal(t, tap.Granted, r.Outcome)
		synctest.Wait()
		require.Equal(t, edge.LaneRemoving, w.Lanes()[till].State)
		counter.Withdraw()
		idle()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = w.Charge(short, till, money.Minor(1_00), "r-2")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		idle()
		require.NoError(t, stop())
	})
}

func TestAReaderIsRestartedWhenAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := inproc.New("first"), inproc.New("second")
		w := newWorld(t, func(cfg *edge.Config) {
			cfg.Lanes[bus].Reader = first
			cfg.Lanes[bus].Reopen = func() (reader.Reader, error) { return second, nil }
			cfg.Lanes[bus2].Reader = inproc.New("other")
		})
		require.ErrorIs(t, w.Restart(bus2), edge.ErrNoReopen)
		require.ErrorIs(t, w.Restart(99), edge.ErrNoLane)
		stop := w.run()
		first.Present(newCard(t, 1, 10_00, nil))
		require.Equal(t, tap.Granted, w.next().Result.Outcome)
		require.NoError(t, w.Restart(bus)) // while a card lies there: it comes between two cards
		require.NoError(t, w.Restart(bus))
		first.Withdraw()
		synctest.Wait()
		require.Equal(t, "second", w.Lanes()[bus].Reader)
		second.Present(newCard(t, 2, 10_00, nil))
		require.Equal(t, tap.Granted, w.next().Result.Outcome)
		second.Withdraw()
		require.NoError(t, stop())
	})
}

// lit is a reader's card with a light.
type lit struct {
	reader.Card
	lights *lightLog
}

type lightLog struct {
	mu   sync.Mutex
	said []reader.Signal
	fail error
}

func (l lit) Signal(_ context.Context, s reader.Signal) error {
	l.lights.mu.Lock()
	defer l.lights.mu.Unlock()
	l.lights.said = append(l.lights.said, s)
	return l.lights.fail
}

type litReader struct {
	reader.Reader
	lights *lightLog
}

func (r litReader) Wait(ctx context.Context) (reader.Card, error) {
	c, err := r.Reader.Wait(ctx)
	if err != nil {
		return nil, err
	}
	return lit{c, r.lights}, nil
}

func TestTheReadersOwnLight(t *testing.T) {
	const ms = time.Millisecond
	for _, fail := range []error{nil, reader.ErrNoSignals} {
		door, lights := inproc.New("door"), &lightLog{fail: fail}
		w := newWorld(t, func(cfg *edge.Config) {
			cfg.Lanes[bus].Reader = litReader{door, lights}
			cfg.Profile.Signals = firmwareconfig.Signals{"refused-balance": {Light: "amber", On: 300 * ms, Off: 200 * ms, Repeats: 3, Beep: 50 * ms}}
		})
		stop := w.run()
		door.Present(newCard(t, 1, 10_00, nil))
		require.Equal(t, tap.Granted, w.next().Result.Outcome)
		door.Withdraw()
		door.Present(newCard(t, 2, 1_00, nil))
		e := w.next()
		require.Equal(t, tap.RefusedBalance, e.Result.Outcome)
		require.Equal(t, 3, e.Pattern.Beeps(), "screens are told the same")
		door.Withdraw()
		require.NoError(t, stop())
		lights.mu.Lock()
		require.Equal(t, []reader.Signal{
			{Light: "green", On: 100 * ms, Off: 100 * ms, Repeats: 1, Beep: 100 * ms}, {Light: "amber", On: 300 * ms, Off: 200 * ms, Repeats: 3, Beep: 50 * ms},
		}, lights.said)
		lights.mu.Unlock()
	}
}

func TestANewDayBeginsANewFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door := inproc.New("door")
		w := newWorld(t, func(cfg *edge.Config) { cfg.Lanes[bus].Reader = door })
		serve := func(n byte) {
			door.Present(newCard(t, n, 10_00, nil))
			require.Equal(t, tap.Granted, w.next().Result.Outcome)
			door.Withdraw()
		}
		files := func() int {
			synctest.Wait()
			s, err := w.Terminal.Journal().Stats()
			require.NoError(t, err)
			return s.Files
		}
		stop := w.run()
		serve(1)
		w.clock.Advance(2 * time.Minute)
		time.Sleep(5 * time.Second)
		require.Equal(t, 1, files(), "the same day")
		w.clock.Advance(24 * time.Hour)
		time.Sleep(5 * time.Second)
		require.Equal(t, 2, files())
		w.clock.Advance(24 * time.Hour)
		time.Sleep(5 * time.Second)
		require.Equal(t, 2, files(), "nothing was sold on that day")
		serve(2)
		w.clock.Advance(-47 * time.Hour)
		time.Sleep(5 * time.Second)
		require.Equal(t, 2, files(), "a clock that went back begins no day")
		require.NoError(t, stop())
		require.Len(t, w.records(), 2)
	})
}

// friends are linked terminals: what they know is what the test says.
type friends struct {
	seen map[ids.CardNumber]link.Seen
	told []ids.CardNumber
}

func (f *friends) Note(card ids.CardNumber, _, _ [2]byte, granted bool) {
	if granted {
		f.told = append(f.told, card)
	}
}

func (f *friends) Recent(card ids.CardNumber, line [2]byte) (link.Seen, bool) {
	s, ok := f.seen[card]
	return s, ok && s.Line == line
}
func (f *friends) Peers() []link.Peer { return nil }

func TestAnotherDoorHasBeenPaid(t *testing.T) {
	f := &friends{seen: map[ids.CardNumber]link.Seen{}}
	w := newWorld(t, func(cfg *edge.Config) { cfg.Linked = f })
	paid, fresh := newCard(t, 1, 10_00, nil), newCard(t, 2, 10_00, nil)
	r := w.tapOn(bus, fresh)
	require.Equal(t, tap.Granted, r.Outcome)
	require.Equal(t, []ids.CardNumber{r.Card}, f.told)
	number := number(t, w, paid)
	f.seen[number] = link.Seen{Terminal: "door-rear", Line: w.cfg.Lanes[bus].Line, Granted: true, At: w.clock.Now()}
	r = w.tapOn(bus, paid)
	require.Equal(t, tap.AlreadyPaid, r.Outcome)
	require.Equal(t, "paid at terminal door-rear", r.Reason)
	require.Len(t, f.told, 1, "what another told is not told again")
	require.Len(t, w.records(), 1)
	delete(f.seen, number)
	require.Equal(t, tap.Granted, w.tapOn(bus, paid).Outcome, "with the link down the card decides")
}

// number reads a card's number from a tap that takes nothing.
func number(t *testing.T, w *world, c *epcard.Card) ids.CardNumber {
	cfg := w.cfg
	cfg.JournalPath = filepath.Join(t.TempDir(), fmt.Sprintf("%x", sha256.Sum256([]byte(t.Name())))[:8])
	cfg.Linked, cfg.Show, cfg.Log = nil, nil, slog.New(slog.DiscardHandler)
	cfg.Denied = func(ids.CardNumber) bool { return true }
	other, err := edge.Open(cfg)
	require.NoError(t, err)
	defer other.Close()
	r, err := other.Present(t.Context(), bus, epcard.Present(c, epcard.Tear{}))
	require.NoError(t, err)
	require.Equal(t, tap.RefusedDenied, r.Outcome)
	return r.Card
}

// unplugged is a reader that is lost until it is plugged in again, and says so.
type unplugged struct {
	*inproc.Reader
	mu   sync.Mutex
	told bool
	in   bool
}

func (u *unplugged) Wait(ctx context.Context) (reader.Card, error) {
	u.mu.Lock()
	told := u.told
	u.told = true
	u.mu.Unlock()
	if !told {
		return nil, reader.ErrReaderLost
	}
	return u.Reader.Wait(ctx)
}

func (u *unplugged) Lost() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.in {
		return nil
	}
	return reader.ErrReaderLost
}

func (u *unplugged) plug() { u.mu.Lock(); defer u.mu.Unlock(); u.in = true }

// TestAReaderThatIsBackIsTold: a door that says that it is out of service is not tried by anyone, so it says when it is in service.
func TestAReaderThatIsBackIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door := &unplugged{Reader: inproc.New("door")}
		w := newWorld(t, func(cfg *edge.Config) { cfg.Lanes[bus].Reader = door })
		stop := w.run()
		require.Equal(t, tap.OutOfService, w.next().Result.Outcome)
		time.Sleep(time.Hour)
		require.Equal(t, edge.LaneLost, w.Lanes()[bus].State)
		require.ErrorIs(t, w.Lanes()[bus].Err, reader.ErrReaderLost)
		require.NoError(t, w.Alive(), "it is waited for")
		door.plug()
		e := w.next()
		require.True(t, e.Ready)
		require.Equal(t, bus, e.Lane)
		require.Equal(t, edge.LaneWaiting, w.Lanes()[bus].State)
		require.NoError(t, stop())
	})
}
