package edge_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/terminal/reader/inproc"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

var errPower = errors.New("power cut")

// TestAPowerCutAtEveryCommit cuts the power before and after each commit of a bus tap, starts the terminal again and presents the
// card again. One fare is gone in the end, and the last record of the rider's trip says so.
func TestAPowerCutAtEveryCommit(t *testing.T) {
	const completed, unknown, voided = wire.State_STATE_COMPLETED, wire.State_STATE_UNKNOWN, wire.State_STATE_VOIDED
	cases := []struct {
		point   string
		after   tap.Outcome // of the card presented again
		records []wire.State
	}{
		{"begin:before", tap.Granted, []wire.State{completed}},
		{"begin:after", tap.Granted, []wire.State{unknown, voided, completed}},
		{"finish:before", tap.RecoveredGranted, []wire.State{unknown, completed}},
		{"finish:after", tap.AlreadyPaid, []wire.State{completed}},
	}
	for _, c := range cases {
		t.Run(c.point, func(t *testing.T) {
			dead := false
			w := newWorld(t, func(cfg *edge.Config) {
				cfg.Journal.Fault = func(point string) error {
					if dead || point == c.point {
						dead = true
						return errPower
					}
					return nil
				}
			})
			card := newCard(t, 1, 10_00, nil)
			r, err := w.Present(context.Background(), bus, epcard.Present(card, epcard.Tear{}))
			require.ErrorIs(t, err, errPower)
			require.Equal(t, tap.OutOfService, r.Outcome, "nobody passes on a record that is not on disk")
			require.ErrorIs(t, w.Failure(), errPower)

			w.cfg.Journal.Fault = nil
			w.kill()
			require.NoError(t, w.Failure())
			w.clock.Advance(20 * time.Second)
			r = w.tapOn(bus, card)
			require.Equal(t, c.after, r.Outcome, r.Reason)
			require.Equal(t, money.Minor(8_00), card.Balance())
			require.Equal(t, c.records, w.states())
			require.NoError(t, w.Journal().Verify())
		})
	}
}

func TestCardsThatAreRefused(t *testing.T) {
	cases := []struct {
		name string
		card func(*personalise.CardSpec)
		want tap.Outcome
	}{
		{"a key version that the SAM has not", func(s *personalise.CardSpec) { s.Keys.Version = 2 }, tap.RefusedKeyVersion},
		{"a key index that the profile has not", func(s *personalise.CardSpec) { s.Keys.Index = 2 }, tap.RefusedKeyVersion},
		{"another family", func(s *personalise.CardSpec) { s.Family = personalise.PBOC }, tap.RefusedUnknown},
		{"expired", func(s *personalise.CardSpec) { s.Expiry = [4]byte{0x20, 0x26, 0x03, 0x01} }, tap.RefusedExpired},
		{"not yet valid", func(s *personalise.CardSpec) { s.Start = [4]byte{0x20, 0x26, 0x03, 0x03} }, tap.RefusedNotYetValid},
		{"no money", func(s *personalise.CardSpec) { s.Balance = money.Minor(1_99) }, tap.RefusedBalance},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			card := newCard(t, 1, 10_00, c.card)
			before := card.Balance()
			require.Equal(t, c.want, w.tapOn(bus, card).Outcome)
			require.Equal(t, before, card.Balance())
			require.Empty(t, w.records())
			require.NoError(t, w.Failure(), "a card cannot put a terminal out of service")
		})
	}
}

// passport is a card that is no purse.
type passport struct{}

func (passport) Transmit(context.Context, []byte) ([]byte, error) { return []byte{0x6A, 0x82}, nil }

func TestACardThatIsNoPurse(t *testing.T) {
	w := newWorld(t, nil)
	r, err := w.Present(context.Background(), bus, passport{})
	require.NoError(t, err)
	require.Equal(t, tap.RefusedUnknown, r.Outcome)
}

func TestDeniedAndBlocked(t *testing.T) {
	card := newCard(t, 1, 10_00, nil)
	denied := true
	w := newWorld(t, func(cfg *edge.Config) {
		cfg.Denied = func(n ids.CardNumber) bool { return denied && n == card.Number() }
	})
	require.Equal(t, tap.RefusedDenied, w.tapOn(bus, card).Outcome)
	denied = false
	require.NoError(t, card.SetBlock(epcard.Temporary))
	require.Equal(t, tap.RefusedBlocked, w.tapOn(bus, card).Outcome)
}

// sickSAM fails while it is sick.
type sickSAM struct {
	keys.SAM
	mu   sync.Mutex
	sick bool
}

var errSick = errors.New("PSAM does not answer")

func (s *sickSAM) set(sick bool) { s.mu.Lock(); defer s.mu.Unlock(); s.sick = sick }

func (s *sickSAM) fault() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sick {
		return errSick
	}
	return nil
}

func (s *sickSAM) InitPurchase(ctx context.Context, r keys.PurchaseRequest) (serial uint32, mac1 [4]byte, err error) {
	if err := s.fault(); err != nil {
		return 0, mac1, err
	}
	return s.SAM.InitPurchase(ctx, r)
}

func (s *sickSAM) Probe(context.Context) error { return s.fault() }

func TestASAMThatFailsAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sam *sickSAM
		w := newWorld(t, func(cfg *edge.Config) {
			sam = &sickSAM{SAM: cfg.SAM}
			cfg.SAM = sam
		})
		stop := w.run()
		card := newCard(t, 1, 10_00, nil)
		sam.set(true)
		r, err := w.Present(t.Context(), bus, epcard.Present(card, epcard.Tear{}))
		require.ErrorIs(t, err, errSick)
		require.Equal(t, tap.OutOfService, r.Outcome)
		time.Sleep(10 * time.Second)
		require.ErrorIs(t, w.Failure(), errSick)
		require.Contains(t, w.Stats().OutOfUse, errSick.Error())
		w.next() // the rider's own
		e := w.next()
		require.Equal(t, edge.AllLanes, e.Lane)
		require.Equal(t, tap.OutOfService, e.Result.Outcome, "the other door is told before anyone taps there")

		sam.set(false)
		time.Sleep(3 * time.Second)
		require.NoError(t, w.Failure(), "Run has asked the SAM and found it well")
		require.True(t, w.next().Ready)
		require.Equal(t, tap.Granted, w.tapOn(bus, card).Outcome)
		require.Empty(t, w.Stats().OutOfUse)
		require.NoError(t, stop())
	})
}

func TestASAMThatFailsAfterTheDebit(t *testing.T) {
	w := newWorld(t, func(cfg *edge.Config) { cfg.SAM = deafSAM{cfg.SAM} })
	card := newCard(t, 1, 10_00, nil)
	_, err := w.Present(t.Context(), bus, epcard.Present(card, epcard.Tear{}))
	require.ErrorIs(t, err, errSick)
	require.Equal(t, []wire.State{wire.State_STATE_UNKNOWN}, w.states())
	r := w.tapOn(bus, card)
	require.Equal(t, tap.RecoveredGranted, r.Outcome, r.Reason)
	require.Equal(t, money.Minor(8_00), card.Balance())
}

// deafSAM makes MAC1 and does not check MAC2.
type deafSAM struct{ keys.SAM }

func (deafSAM) CheckMAC2(context.Context, [4]byte) error { return errSick }

// TestTwoLanesShareOneSAM presents many cards at two doors at once. The PSAM holds one purchase at a time: without a lease it
// would refuse every second MAC2, and after three it locks.
func TestTwoLanesShareOneSAM(t *testing.T) {
	w := newWorld(t, nil)
	const each = 20
	var all sync.WaitGroup
	cards := make([]*epcard.Card, 2*each)
	for i := range cards {
		cards[i] = newCard(t, byte(i+1), 10_00, nil)
	}
	for lane := range 2 {
		all.Go(func() {
			for _, c := range cards[lane*each : (lane+1)*each] {
				r, err := w.Present(context.Background(), lane, epcard.Present(c, epcard.Tear{}))
				if err != nil || r.Outcome != tap.Granted {
					t.Errorf("lane %d: %v %v %s", lane, err, r.Outcome, r.Reason)
				}
			}
		})
	}
	all.Wait()
	require.Len(t, w.records(), 2*each)
	for _, c := range cards {
		require.Equal(t, money.Minor(8_00), c.Balance())
	}
}

func TestASlowCardDoesNotHoldTheSAMForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		slow := &stuck{Field: epcard.Present(newCard(t, 1, 10_00, nil), epcard.Tear{}), ins: 0x54}
		first := make(chan tap.Result, 1)
		go func() {
			r, err := w.Present(context.Background(), bus, slow)
			if err != nil {
				t.Error(err)
			}
			first <- r
		}()
		synctest.Wait() // it hangs in DEBIT and has the SAM
		second := newCard(t, 2, 10_00, nil)
		time.Sleep(time.Second)
		short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		r, err := w.Present(short, bus2, epcard.Present(second, epcard.Tear{}))
		require.NoError(t, err)
		require.Equal(t, tap.PresentAgain, r.Outcome, "its time was over before the SAM was free")
		require.Contains(t, r.Reason, "nothing taken")
		require.Zero(t, r.Tap)
		require.Equal(t, tap.Granted, w.tapOn(bus2, second).Outcome, "the first visit ends in time for the second")
		require.Equal(t, tap.PresentAgain, (<-first).Outcome)
		require.NoError(t, w.Failure())
	})
}

// stuck is a card that takes one command and does not answer before the visit's time is over.
type stuck struct {
	*epcard.Field
	ins byte
}

func (s *stuck) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if command[1] == s.ins {
		<-ctx.Done()
		s.Leave()
	}
	return s.Field.Transmit(ctx, command)
}

func TestAFullJournalStopsSellingAndLosesNothing(t *testing.T) {
	w := newWorld(t, func(cfg *edge.Config) { cfg.Journal.MaxBytes = 256 << 10 })
	var paid int64
	full := false
	for i := 0; i < 2000 && !full; i++ {
		card := newCard(t, byte(i), 10_00, nil)
		w.clock.Advance(time.Minute)
		r, err := w.Present(context.Background(), bus, epcard.Present(card, epcard.Tear{}))
		if card.Balance() == money.Minor(8_00) {
			paid++
		}
		if err != nil {
			require.ErrorIs(t, err, journal.ErrFull)
			require.Equal(t, tap.OutOfService, r.Outcome)
			full = true
		}
	}
	require.True(t, full)
	require.ErrorIs(t, w.Failure(), journal.ErrFull)
	open, err := w.Journal().OpenIntents()
	require.NoError(t, err)
	last := w.Journal().LastSeq()
	require.EqualValues(t, paid, last+uint64(len(open)), "each card that paid has its record, or the intent that finds it")

	// A receipt makes room, even now.
	require.NoError(t, w.Journal().Ack(last))
	require.NoError(t, w.Close())
	w.cfg.Journal.Keep = 10
	w.open()
	n, err := w.Journal().Prune(1000)
	require.NoError(t, err)
	require.Positive(t, n)
	w.clock.Advance(time.Minute)
	require.Equal(t, tap.Granted, w.tapOn(bus, newCard(t, 200, 10_00, func(s *personalise.CardSpec) { s.Number[0] = 0x32 })).Outcome)
}

func TestTheProfilesLimits(t *testing.T) {
	w := newWorld(t, func(cfg *edge.Config) { cfg.Profile.Limits.MaxRecords = 2 })
	require.Equal(t, tap.Granted, w.tapOn(bus, newCard(t, 1, 10_00, nil)).Outcome)
	require.Equal(t, tap.Granted, w.tapOn(bus, newCard(t, 2, 10_00, nil)).Outcome)
	r := w.tapOn(bus, newCard(t, 3, 10_00, nil))
	require.Equal(t, tap.OutOfService, r.Outcome)
	require.Contains(t, r.Reason, "without a receipt")
	require.Contains(t, w.Stats().OutOfUse, "without a receipt")
	require.NoError(t, w.Journal().Ack(1))
	require.Equal(t, tap.Granted, w.tapOn(bus, newCard(t, 3, 10_00, nil)).Outcome)

	w = newWorld(t, func(cfg *edge.Config) { cfg.Profile.Limits.MaxAge = 24 * time.Hour })
	require.Equal(t, tap.Granted, w.tapOn(bus, newCard(t, 1, 10_00, nil)).Outcome)
	w.clock.Advance(24*time.Hour + time.Second)
	require.Equal(t, tap.OutOfService, w.tapOn(bus, newCard(t, 2, 10_00, nil)).Outcome)

	// Records of 2.00 each: the fourth is refused, and again after a restart, until receipts come.
	w = newWorld(t, func(cfg *edge.Config) { cfg.Profile.Limits.MaxValue = money.Minor(6_00) })
	sell := func(n byte) tap.Outcome { return w.tapOn(bus, newCard(t, n, 10_00, nil)).Outcome }
	for n := byte(1); n <= 3; n++ {
		require.Equal(t, tap.Granted, sell(n))
	}
	require.Equal(t, tap.OutOfService, sell(4))
	w.kill()
	require.Equal(t, tap.OutOfService, sell(4))
	require.Contains(t, w.Stats().OutOfUse, "worth 6.00")
	require.NoError(t, w.Journal().Ack(2))
	require.Equal(t, tap.Granted, sell(4))
	require.Equal(t, tap.Granted, sell(5))
	require.Equal(t, tap.OutOfService, sell(6))
	require.NoError(t, w.Journal().Ack(5))
	require.Equal(t, tap.Granted, sell(6))
}

// TestWhatHasAReceiptIsPruned looks at the journal after Run has kept house: what has a receipt goes, but for those to keep.
func TestWhatHasAReceiptIsPruned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(cfg *edge.Config) { cfg.Journal.Keep = 5 })
		for n := range byte(20) {
			require.Equal(t, tap.Granted, w.tapOn(bus, newCard(t, n, 10_00, nil)).Outcome)
		}
		stop := w.run()
		time.Sleep(10 * time.Second)
		require.EqualValues(t, 1, w.Journal().FirstSeq(), "nothing has a receipt")
		require.NoError(t, w.Journal().Ack(15))
		time.Sleep(10 * time.Second)
		require.EqualValues(t, 11, w.Journal().FirstSeq())
		require.NoError(t, stop())
		require.NoError(t, w.Journal().Verify())
	})
}

func TestTheClock(t *testing.T) {
	w := newWorld(t, nil)
	require.Equal(t, tap.Granted, w.tapOn(bus, newCard(t, 1, 10_00, nil)).Outcome)
	w.clock.Advance(-time.Hour) // set back: newer records are on disk
	require.Equal(t, tap.Granted, w.tapOn(bus, newCard(t, 2, 10_00, nil)).Outcome, "the sample profile sells by a bad clock")
	w.cfg.Profile.Limits.SellWithBadClock = false
	w.kill()
	require.Equal(t, tap.OutOfService, w.tapOn(bus, newCard(t, 3, 10_00, nil)).Outcome, "the journal remembers across a restart")
	w.clock.Advance(2 * time.Hour)
	require.Equal(t, tap.Granted, w.tapOn(bus, newCard(t, 3, 10_00, nil)).Outcome)
	var states []wire.ClockState
	for _, r := range w.records() {
		states = append(states, r.GetClockState())
		require.EqualValues(t, 2000, r.GetClockErrorMs())
	}
	require.Equal(t, []wire.ClockState{wire.ClockState_CLOCK_HOLDOVER, wire.ClockState_CLOCK_BAD, wire.ClockState_CLOCK_HOLDOVER}, states)

	w = newWorld(t, func(cfg *edge.Config) {
		cfg.Profile.Limits.SellWithBadClock = false
		cfg.ClockState = func() (wire.ClockState, time.Duration) { return wire.ClockState_CLOCK_GOOD, 0 }
	})
	w.clock.Set(time.Date(2000, 1, 1, 0, 0, 5, 0, time.UTC))
	r := w.tapOn(bus, newCard(t, 1, 10_00, func(s *personalise.CardSpec) { s.Start = [4]byte{0x19, 0x99, 0x01, 0x01} }))
	require.Equal(t, tap.OutOfService, r.Outcome, "a battery that is empty is no good clock")
}

// TestAtTheReader runs the lanes over a reader: a card pulled at DEBIT is asked for again, two cards are told to be one, and a card
// that stays is served once.
func TestAtTheReader(t *testing.T) {
	gate := inproc.New("door")
	w := newWorld(t, func(cfg *edge.Config) { cfg.Lanes[bus].Reader = gate })
	stop := w.run()
	card := newCard(t, 1, 10_00, nil)
	debit := commandOf(t, 0x54)
	gate.Present(epcard.Present(card, epcard.Tear{At: debit, After: true}))
	e := w.next()
	require.Equal(t, tap.PresentAgain, e.Result.Outcome)
	require.Equal(t, 3, e.Pattern.Beeps())
	require.Equal(t, money.Minor(8_00), card.Balance())
	gate.Present(epcard.Present(card, epcard.Tear{}))
	require.Equal(t, tap.RecoveredGranted, w.next().Result.Outcome)
	require.Equal(t, money.Minor(8_00), card.Balance())
	gate.Withdraw()

	gate.Present(epcard.Present(newCard(t, 2, 10_00, nil), epcard.Tear{}))
	require.Equal(t, tap.Granted, w.next().Result.Outcome)
	gate.Withdraw()
	one, other := newCard(t, 5, 10_00, nil), newCard(t, 6, 10_00, nil)
	gate.Present(epcard.Present(one, epcard.Tear{}))
	e = w.next()
	gate.Present(epcard.Present(other, epcard.Tear{}))
	require.Equal(t, tap.Granted, e.Result.Outcome, "it came first")
	gate.Withdraw()
	require.Equal(t, money.Minor(10_00), other.Balance(), "a card beside one that is served is not served")

	gate.Present(epcard.Present(newCard(t, 4, 10_00, nil), epcard.Tear{}))
	require.Equal(t, tap.Granted, w.next().Result.Outcome)
	gate.Withdraw()
	require.NoError(t, stop())
}

// commandOf is the number of the first command with that instruction in a bus tap.
func commandOf(t *testing.T, ins byte) int {
	w := newWorld(t, nil)
	spy := &counter{Field: epcard.Present(newCard(t, 1, 10_00, nil), epcard.Tear{}), ins: ins}
	_, err := w.Present(t.Context(), bus, spy)
	require.NoError(t, err)
	require.NotZero(t, spy.at)
	return spy.at
}

type counter struct {
	*epcard.Field
	ins byte
	at  int
}

func (c *counter) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	answer, err := c.Field.Transmit(ctx, command)
	if command[1] == c.ins && c.at == 0 {
		c.at = c.Commands()
	}
	return answer, err
}

// slotted is a PSAM that can be probed, and pulled.
type slotted struct {
	keys.SAM
	mu     sync.Mutex
	pulled bool
}

func (s *slotted) pull(out bool) { s.mu.Lock(); defer s.mu.Unlock(); s.pulled = out }

func (s *slotted) Probe(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pulled {
		return keys.ErrSAMGone
	}
	return nil
}

func (s *slotted) InitPurchase(ctx context.Context, r keys.PurchaseRequest) (serial uint32, mac1 [4]byte, err error) {
	if err := s.Probe(ctx); err != nil {
		return 0, mac1, err
	}
	return s.SAM.InitPurchase(ctx, r)
}

// twoSAMs is a terminal with two PSAMs.
func twoSAMs(t *testing.T) (w *world, first, second *slotted) {
	first, second = &slotted{SAM: psamOf(t, ep.TerminalNumber{1: 1})}, &slotted{SAM: psamOf(t, ep.TerminalNumber{1: 2})}
	pool, err := keys.NewPool(first, second)
	require.NoError(t, err)
	return newWorld(t, func(cfg *edge.Config) { cfg.SAM, cfg.Pool = nil, pool }), first, second
}

func psamOf(t *testing.T, n ep.TerminalNumber) keys.SAM {
	img, err := personalise.PSAM(masters(), personalise.PSAMSpec{Terminal: n, Issuer: factor(t), NextSerial: 1})
	require.NoError(t, err)
	chip, err := psam.New(img)
	require.NoError(t, err)
	door, err := ep.OpenPSAM(t.Context(), chip, ep.PSAMTUnion)
	require.NoError(t, err)
	return door
}

// TestTwoLanesWithTwoSAMsDoNotWait holds one lane at its DEBIT; the other lane sells meanwhile.
func TestTwoLanesWithTwoSAMsDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _, second := twoSAMs(t)
		slow := &stuck{Field: epcard.Present(newCard(t, 1, 10_00, nil), epcard.Tear{}), ins: 0x54}
		first := make(chan tap.Result, 1)
		go func() {
			r, err := w.Present(context.Background(), bus, slow)
			if err != nil {
				t.Error(err)
			}
			first <- r
		}()
		synctest.Wait() // it hangs in DEBIT and has a SAM
		started := time.Now()
		require.Equal(t, tap.Granted, w.tapOn(bus2, newCard(t, 2, 10_00, nil)).Outcome)
		require.Zero(t, time.Since(started))
		require.Equal(t, tap.PresentAgain, (<-first).Outcome)
		number := second.TerminalNumber()
		require.Equal(t, number[:], w.records()[0].GetPsamTerminal())
	})
}

// TestASAMOfTwoIsPulled: the other serves, no rider is turned away, and the one comes back when it is put back.
func TestASAMOfTwoIsPulled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, first, second := twoSAMs(t)
		stop := w.run()
		first.pull(true)
		for n := range byte(4) {
			require.Equal(t, tap.Granted, w.tapOn(bus, newCard(t, n+1, 10_00, nil)).Outcome)
		}
		require.Error(t, w.Stats().SAMs[0].Out)
		require.NoError(t, w.Failure())
		second.pull(true)
		r, err := w.present(bus, 5)
		require.ErrorIs(t, err, keys.ErrSAMGone)
		require.Equal(t, tap.OutOfService, r.Outcome)
		first.pull(false)
		time.Sleep(5 * time.Minute)
		require.NoError(t, w.Failure(), "Run has found it well")
		require.Equal(t, tap.Granted, w.tapOn(bus, newCard(t, 5, 10_00, nil)).Outcome)
		require.NoError(t, stop())
	})
}
