package keys_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/keys"
)

// fakeSAM is a SAM that fails as a test says. It finds out whether two purchases ever have it at once.
type fakeSAM struct {
	number byte

	mu     sync.Mutex
	fault  error // of every command
	probe  error
	probes int
	serial uint32
	inside bool
	hang   bool
}

func (s *fakeSAM) TerminalNumber() [6]byte { return [6]byte{s.number} }

func (s *fakeSAM) set(fault, probe error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.probe = fault, probe
}

func (s *fakeSAM) InitPurchase(ctx context.Context, _ keys.PurchaseRequest) (uint32, [4]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hang {
		<-ctx.Done()
		return 0, [4]byte{}, fmt.Errorf("reader: %w", ctx.Err())
	}
	if s.fault != nil {
		return 0, [4]byte{}, fmt.Errorf("fake: %w", s.fault)
	}
	s.serial++
	return s.serial, [4]byte{s.number}, nil
}

func (s *fakeSAM) CheckMAC2(context.Context, [4]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

func (s *fakeSAM) Probe(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.probes++
	return s.probe
}

func (s *fakeSAM) probed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.probes
}

func pool(t require.TestingT, n int) (*keys.Pool, []*fakeSAM) {
	var all []*fakeSAM
	var as []keys.ProbedSAM
	for i := range n {
		s := &fakeSAM{number: byte(i + 1)}
		all, as = append(all, s), append(as, s)
	}
	p, err := keys.NewPool(as...)
	require.NoError(t, err)
	return p, all
}

// buy holds a SAM for one purchase.
func buy(p *keys.Pool) (byte, error) {
	s, release, err := p.Acquire(context.Background())
	if err != nil {
		return 0, err
	}
	defer release()
	_, _, err = s.InitPurchase(context.Background(), keys.PurchaseRequest{})
	return s.TerminalNumber()[0], err
}

func TestAPoolWantsSAMsThatDiffer(t *testing.T) {
	_, err := keys.NewPool()
	require.ErrorContains(t, err, "no SAM")
	_, err = keys.NewPool(&fakeSAM{number: 7}, &fakeSAM{number: 7})
	require.ErrorContains(t, err, "070000000000")
}

func TestThePoolTakesTurns(t *testing.T) {
	p, _ := pool(t, 3)
	var order []byte
	for range 6 {
		n, err := buy(p)
		require.NoError(t, err)
		order = append(order, n)
	}
	require.Equal(t, []byte{1, 2, 3, 1, 2, 3}, order)
}

func TestWhoWaitsLongestIsServedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := pool(t, 1)
		_, release, err := p.Acquire(t.Context())
		require.NoError(t, err)
		served := make(chan int, 8)
		for i := range 5 {
			go func() {
				_, release, err := p.Acquire(t.Context())
				if err == nil {
					served <- i
					release()
				}
			}()
			synctest.Wait() // each is in the queue before the next comes
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err = p.Acquire(impatient)
		require.ErrorIs(t, err, keys.ErrSAMBusy)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		release()
		release() // again does nothing
		synctest.Wait()
		for i := range 5 {
			require.Equal(t, i, <-served)
		}
		_, release, err = p.Acquire(t.Context())
		require.NoError(t, err)
		release()
	})
}

// TestASAMThatFailsIsTakenOut has each fault on one SAM of two: the other goes on, and the first comes back in the table's time once it works.
func TestASAMThatFailsIsTakenOut(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault error
		first time.Duration // until it is asked for the first time; 0: never
	}{
		{"blocked", keys.ErrSAMBlocked, 5 * time.Minute},
		{"another number", keys.ErrSAMNumber, 10 * time.Second},
		{"busy", keys.ErrSAMOrder, time.Second},
		{"gone", keys.ErrSAMGone, time.Second},
		{"broken", keys.ErrSAMBroken, 10 * time.Second},
		{"no serial left", keys.ErrSAMExhausted, 5 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, sams := pool(t, 2)
				go p.Run(t.Context())
				sams[0].set(c.fault, c.fault)
				_, err := buy(p)
				require.ErrorIs(t, err, c.fault)
				for range 3 {
					n, err := buy(p)
					require.NoError(t, err)
					require.Equal(t, byte(2), n)
				}
				states := p.States()
				require.ErrorIs(t, states[0].Out, c.fault)
				require.Equal(t, time.Now().Add(c.first), states[0].Again)
				require.NoError(t, states[1].Out)

				time.Sleep(c.first - time.Nanosecond)
				synctest.Wait()
				require.Zero(t, sams[0].probed())
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				require.Equal(t, 1, sams[0].probed(), "asked once, and still not well")
				require.ErrorIs(t, p.States()[0].Out, c.fault)
				sams[0].set(nil, nil)
				time.Sleep(2 * c.first)
				synctest.Wait()
				require.Equal(t, 2, sams[0].probed(), "the second time after at most twice as long")
				require.NoError(t, p.States()[0].Out)
				served := map[byte]bool{}
				for range 2 {
					n, err := buy(p)
					require.NoError(t, err)
					served[n] = true
				}
				require.Len(t, served, 2)
			})
		})
	}
}

// TestWhatIsNotTheSAMsFaultLeavesItIn: a card that cheats, or one of another scheme, takes no SAM out of service.
func TestWhatIsNotTheSAMsFaultLeavesItIn(t *testing.T) {
	for _, fault := range []error{keys.ErrBadMAC, keys.ErrUnknownKey, errors.New("3 factors too many")} {
		p, sams := pool(t, 1)
		sams[0].set(fault, nil)
		_, err := buy(p)
		require.ErrorIs(t, err, fault)
		sams[0].set(nil, nil)
		_, err = buy(p)
		require.NoError(t, err)
	}
}

func TestNoSAMIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, sams := pool(t, 2)
		go p.Run(t.Context())
		sams[0].set(keys.ErrSAMBlocked, keys.ErrSAMBlocked)
		_, err := buy(p)
		require.ErrorIs(t, err, keys.ErrSAMBlocked)

		// One waits for the last SAM, and hears of it when that one fails too.
		s, release, err := p.Acquire(t.Context())
		require.NoError(t, err)
		heard := make(chan error)
		go func() {
			_, _, err := p.Acquire(t.Context())
			heard <- err
		}()
		synctest.Wait()
		sams[1].set(keys.ErrSAMGone, keys.ErrSAMGone)
		require.ErrorIs(t, s.CheckMAC2(t.Context(), [4]byte{}), keys.ErrSAMGone)
		release()
		for _, err := range []error{<-heard, second(buy(p))} {
			require.ErrorIs(t, err, keys.ErrSAMBlocked)
			require.ErrorIs(t, err, keys.ErrSAMGone)
			require.ErrorContains(t, err, "SAM 010000000000")
			require.NotErrorIs(t, err, keys.ErrSAMBusy)
		}
		sams[1].set(nil, nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		n, err := buy(p)
		require.NoError(t, err)
		require.Equal(t, byte(2), n)
	})
}

func second(_ byte, err error) error { return err }

// TestASilentSAM is given up after its own time, not after the visit's, and the pool does not take that for the visit's end.
func TestASilentSAM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, sams := pool(t, 1)
		sams[0].hang = true
		visit, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s, release, err := p.Acquire(visit)
		require.NoError(t, err)
		start := time.Now()
		_, _, err = s.InitPurchase(visit, keys.PurchaseRequest{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 5*time.Second, time.Since(start))
		release()
		_, _, err = p.Acquire(t.Context())
		require.ErrorIs(t, err, keys.ErrSAMGone)
		require.NotErrorIs(t, err, context.DeadlineExceeded)
	})
}

// TestASerialThatIsNotNew: a SAM that counts backwards is out for good, and its MAC1 is not handed out.
func TestASerialThatIsNotNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, sams := pool(t, 2)
		go p.Run(t.Context())
		for range 4 {
			_, err := buy(p)
			require.NoError(t, err)
		}
		sams[0].serial = 1
		_, err := buy(p)
		require.ErrorIs(t, err, keys.ErrSAMSerial)
		require.Zero(t, p.States()[0].Again)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Zero(t, sams[0].probed())
		_, err = buy(p)
		require.NoError(t, err, "the other goes on")
	})
}

// TestThePoolUnderAnyFaults runs lanes against SAMs that fail and heal at random: no two purchases have one SAM, and in the end every SAM serves.
func TestThePoolUnderAnyFaults(t *testing.T) {
	faults := []error{nil, nil, keys.ErrSAMBlocked, keys.ErrSAMGone, keys.ErrSAMOrder, keys.ErrBadMAC}
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(rt, "SAMs")
		steps := rapid.SliceOfN(rapid.IntRange(0, 4*len(faults)-1), 1, 40).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			p, sams := pool(rt, n)
			ctx, stop := context.WithCancel(t.Context())
			go p.Run(ctx)
			var mu sync.Mutex
			holders := map[byte]int{}
			var lanes sync.WaitGroup
			for range 3 {
				lanes.Go(func() {
					for range steps {
						limited, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
						s, release, err := p.Acquire(limited)
						cancel()
						if err != nil {
							time.Sleep(10 * time.Millisecond)
							continue
						}
						number := s.TerminalNumber()[0]
						mu.Lock()
						holders[number]++
						require.Equal(rt, 1, holders[number])
						mu.Unlock()
						_, _, _ = s.InitPurchase(ctx, keys.PurchaseRequest{})
						time.Sleep(7 * time.Millisecond)
						mu.Lock()
						holders[number]--
						mu.Unlock()
						release()
					}
				})
			}
			for _, step := range steps {
				f := faults[step%len(faults)]
				sams[step/len(faults)%n].set(f, f)
				time.Sleep(11 * time.Millisecond)
			}
			lanes.Wait()
			for _, s := range sams {
				s.set(nil, nil)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			served := map[byte]bool{}
			for range n {
				number, err := buy(p)
				require.NoError(rt, err)
				served[number] = true
			}
			require.Len(rt, served, n)
			stop()
			synctest.Wait()
		})
	})
}
