package cardacquirer_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/cardacquirer"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/cardacquirer"
	"github.com/purselane/purselane/simulator/channel/channeltest"
)

const number = "20261125100000000001"

func (s *stand) ref() channel.Ref { return channel.Ref{Number: number, Money: cny(2000), Sent: noon} }

func (s *stand) flush(t *testing.T, a *adapter.Adapter, left int) {
	t.Helper()
	got, _ := a.Flush(t.Context())
	require.Equal(t, left, got)
}

// crashed is the adapter of a new process over what the journal holds at this moment.
func (s *stand) crashed(t *testing.T) *adapter.Adapter {
	t.Helper()
	s.journal.mu.Lock()
	left := &journal{all: maps.Clone(s.journal.all)}
	s.journal.mu.Unlock()
	s.journal = left
	a := s.adapter(t, func(c *adapter.Settings) { c.Journal = left })
	require.NoError(t, a.Recover(t.Context()))
	return a
}

func TestSilenceIsReversedUntilItIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, false, adapter.Binary2)
		s.sim.Withhold(1)
		start := time.Now()
		got, err := s.a.Pay(t.Context(), s.pay(number, 2000, channeltest.Pays))
		require.Error(t, err)
		require.NotErrorIs(t, err, channel.ErrNotSent)
		require.Equal(t, channel.Unknown, got.Outcome)
		require.Equal(t, 30*time.Second, time.Since(start))
		require.EqualValues(t, 99_980_00, s.sim.Card(rich).Balance, "it was taken")

		s.weather.Next(cardacquirer.Reversal, sim.Fate{Cut: sim.CutBefore}, sim.Fate{Cut: sim.CutAfter}, sim.Fate{Error: "96"})
		s.flush(t, s.a, 1)
		require.Zero(t, s.sim.Repeats(), "the first reversal is no repeat")
		s.flush(t, s.a, 1)
		s.flush(t, s.a, 1)
		require.Equal(t, 2, s.sim.Repeats())
		s.flush(t, s.a, 0)
		require.EqualValues(t, 100_000_00, s.sim.Card(rich).Balance)

		for range 2 {
			got, err = s.a.Query(t.Context(), s.ref())
			require.NoError(t, err)
			require.Equal(t, channel.Failed, got.Outcome)
			require.Equal(t, adapter.Reversed, got.Code)
			require.True(t, got.Class.TryAnother())
			got, err = s.a.Pay(t.Context(), s.pay(number, 2000, channeltest.Pays))
			require.NoError(t, err)
			require.Equal(t, channel.Failed, got.Outcome, "a number that was reversed is not tried again")
		}
		require.EqualValues(t, 100_000_00, s.sim.Card(rich).Balance)
	})
}

// slow is a journal whose next Put waits.
type slow struct {
	*journal
	at, on chan struct{}
	held   atomic.Bool
}

func (j *slow) Put(ctx context.Context, key string, value []byte) error {
	if j.held.CompareAndSwap(false, true) {
		close(j.at)
		<-j.on
	}
	return j.journal.Put(ctx, key, value)
}

// TestTwoCallsOfOneNumberAreOne: what carries a payment on asks for it while the first call has not even written it down. The second message would have made
// the reversal owed of what the first one was told is approved.
func TestTwoCallsOfOneNumberAreOne(t *testing.T) {
	s := open(t, false, adapter.Binary2)
	j := &slow{journal: s.journal, at: make(chan struct{}), on: make(chan struct{})}
	a := s.adapter(t, func(c *adapter.Settings) { c.Journal = j })
	type said struct {
		res channel.Result
		err error
	}
	first := make(chan said, 1)
	go func() {
		res, err := a.Authorise(t.Context(), s.pay(number, 2000, channeltest.Pays))
		first <- said{res, err}
	}()
	<-j.at
	for name, ask := range map[string]func() (channel.Result, error){
		"asked for again": func() (channel.Result, error) { return a.Authorise(t.Context(), s.pay(number, 2000, channeltest.Pays)) },
		"asked about":     func() (channel.Result, error) { return a.Query(t.Context(), s.ref()) },
	} {
		res, err := ask()
		require.NoError(t, err, name)
		require.Equal(t, channel.Unknown, res.Outcome, name)
	}
	close(j.on)
	got := <-first
	require.NoError(t, got.err)
	require.Equal(t, channel.Succeeded, got.res.Outcome)
	s.flush(t, a, 0)
	res, err := a.Query(t.Context(), s.ref())
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, res.Outcome, "nothing was taken back")
}

func TestAReversalThatIsOwedSurvivesACrash(t *testing.T) {
	for name, enough := range map[string]func(t *testing.T, s *stand){
		"while the answer is awaited": func(*testing.T, *stand) { synctest.Wait() },
		"after the time was up":       func(*testing.T, *stand) { time.Sleep(31 * time.Second); synctest.Wait() },
		"after a reversal was lost": func(t *testing.T, s *stand) {
			time.Sleep(31 * time.Second)
			s.weather.Next(cardacquirer.Reversal, sim.Fate{Cut: sim.CutAfter})
			s.flush(t, s.a, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := open(t, false, adapter.Binary2)
				s.sim.Withhold(1)
				go s.a.Pay(t.Context(), s.pay(number, 2000, channeltest.Pays)) //nolint:errcheck // its process dies
				enough(t, s)
				require.NotContains(t, s.journal.text(), rich)
				require.NotContains(t, s.journal.text(), "tok-rich")
				a := s.crashed(t)
				s.flush(t, a, 0)
				require.EqualValues(t, 100_000_00, s.sim.Card(rich).Balance)
				got, err := a.Query(t.Context(), s.ref())
				require.NoError(t, err)
				require.Equal(t, channel.Failed, got.Outcome)
			})
		})
	}
}

func TestALateApprovalOfWhatIsReversedIsReversedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, false, adapter.Binary2)
		s.sim.Withhold(1)
		_, err := s.a.Pay(t.Context(), s.pay(number, 2000, channeltest.Pays))
		require.Error(t, err)
		s.flush(t, s.a, 0)
		s.sim.LetGo()
		synctest.Wait()
		require.Equal(t, 1, s.a.Late())
		s.weather.Next(cardacquirer.Reversal, sim.Fate{Cut: sim.CutBefore})
		s.flush(t, s.a, 1)
		s.flush(t, s.a, 0)
		require.EqualValues(t, 100_000_00, s.sim.Card(rich).Balance)
	})
}

func TestALateApprovalIsReversedAlsoWhileTheJournalIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, false, adapter.Binary2)
		s.sim.Withhold(1)
		_, err := s.a.Pay(t.Context(), s.pay(number, 2000, channeltest.Pays))
		require.Error(t, err)
		s.flush(t, s.a, 0)
		s.journal.fill(true)
		s.sim.LetGo()
		synctest.Wait()
		require.Equal(t, 1, s.a.Late())
		s.journal.fill(false)
		s.weather.Next(cardacquirer.Reversal, sim.Fate{Cut: sim.CutBefore})
		s.flush(t, s.a, 1) // it is owed
		s.flush(t, s.a, 0)
		require.EqualValues(t, 100_000_00, s.sim.Card(rich).Balance)
	})
}

func TestAnAnswerThatCameIsRememberedOverACrash(t *testing.T) {
	s := open(t, false, adapter.Binary2)
	paid, err := s.a.Pay(t.Context(), s.pay(number, 2000, channeltest.Pays))
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, paid.Outcome)
	declined, err := s.a.Pay(t.Context(), s.pay(number+"9", 2000, channeltest.Declines))
	require.NoError(t, err)
	require.Equal(t, "51", declined.Code)

	a := s.crashed(t)
	s.flush(t, a, 0)
	got, err := a.Query(t.Context(), s.ref())
	require.NoError(t, err)
	require.Equal(t, paid.ChannelID, got.ChannelID)
	require.Equal(t, paid.Money, got.Money)
	require.True(t, paid.At.Equal(got.At))
	again, err := a.Query(t.Context(), channel.Ref{Number: number + "9", Sent: noon})
	require.NoError(t, err)
	require.Equal(t, channel.Failed, again.Outcome)
	require.Equal(t, channel.ByPayer, again.Class)

	s.clock.Advance(11 * 24 * time.Hour)
	s.flush(t, a, 0)
	got, err = a.Query(t.Context(), s.ref())
	require.NoError(t, err)
	require.Equal(t, channel.Unknown, got.Outcome, "what the journal has forgotten is not missing")
	require.Empty(t, s.journal.all)
}

func TestWhatIsNotSentIsNotOwed(t *testing.T) {
	s := open(t, false, adapter.Binary2)
	s.weather.Unreachable(true)
	_, err := s.a.Pay(t.Context(), s.pay(number, 2000, channeltest.Pays))
	require.ErrorIs(t, err, channel.ErrNotSent)
	require.Empty(t, s.journal.all)
	s.weather.Unreachable(false)
	got, err := s.a.Query(t.Context(), s.ref())
	require.NoError(t, err)
	require.Equal(t, channel.Missing, got.Outcome)

	s.journal.full = true
	_, err = s.a.Pay(t.Context(), s.pay(number, 2000, channeltest.Pays))
	require.ErrorIs(t, err, channel.ErrNotSent, "what cannot be journalled is not sent")
	_, err = s.a.Void(t.Context(), channel.RefundRequest{Number: number + "V", Of: s.ref(), Money: cny(2000)})
	require.ErrorIs(t, err, channel.ErrNotSent)
	require.Equal(t, channeltest.Truth{}, s.truth(number))
}

func TestACaptureIsSentUntilItIsAnswered(t *testing.T) {
	for _, enquiry := range []bool{true, false} {
		t.Run(fmt.Sprint("enquiry ", enquiry), func(t *testing.T) {
			s := open(t, enquiry, adapter.Binary2)
			_, err := s.a.Authorise(t.Context(), s.pay(number, 2000, channeltest.Pays))
			require.NoError(t, err)
			more := channel.RefundRequest{Number: number + "I", Of: s.ref(), Money: cny(500)}
			got, err := s.a.Increment(t.Context(), more)
			require.NoError(t, err)
			require.Equal(t, channel.Succeeded, got.Outcome)
			require.EqualValues(t, 2500, s.sim.Card(rich).Held)

			capture := channel.RefundRequest{Number: number + "C", Of: s.ref(), Money: cny(2400)}
			s.weather.Next(sim.Capture, sim.Fate{Cut: sim.CutBefore})
			_, err = s.a.Capture(t.Context(), capture)
			require.Error(t, err)
			require.Equal(t, channeltest.Truth{}, s.truth(number))
			other := capture
			other.Money = cny(2300)
			_, err = s.a.Capture(t.Context(), other)
			require.ErrorContains(t, err, "other content")

			a := s.crashed(t)
			s.flush(t, a, 0)
			require.Equal(t, channeltest.Truth{Charges: 1, Paid: 2400}, s.truth(number))
			require.Zero(t, s.sim.Card(rich).Held)
			require.Equal(t, 1, s.sim.Repeats())
			got, err = a.Capture(t.Context(), capture)
			require.NoError(t, err)
			require.Equal(t, channel.Succeeded, got.Outcome)
			require.Equal(t, channeltest.Truth{Charges: 1, Paid: 2400}, s.truth(number))
		})
	}
}

func TestManyPaymentsShareOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, true, adapter.ASCII4)
		s.sim.Withhold(50)
		var wait sync.WaitGroup
		results := make([]channel.Result, 50)
		for i := range results {
			wait.Go(func() {
				n := fmt.Sprintf("2026112510000000%04d", i)
				var err error
				results[i], err = s.a.Pay(t.Context(), s.pay(n, int64(100+i), channeltest.Pays))
				require.NoError(t, err)
			})
		}
		synctest.Wait()
		s.sim.LetGo()
		wait.Wait()
		for i, r := range results {
			require.Equal(t, channel.Succeeded, r.Outcome)
			require.EqualValues(t, 100+i, r.Money.Amount.Minor(), "each has its own answer")
		}
	})
}

func TestTheConnectionIsMadeAnewAndTheSecondEndIsTaken(t *testing.T) {
	s := open(t, true, adapter.Binary2)
	require.NoError(t, s.a.Echo(t.Context()))
	s.weather.Next(sim.Pay, sim.Fate{Cut: sim.CutAfter})
	_, err := s.a.Pay(t.Context(), s.pay(number, 2000, channeltest.Pays))
	require.Error(t, err)
	require.NoError(t, s.a.Echo(t.Context()))

	dead := func(context.Context) (net.Conn, error) { return nil, &net.OpError{Op: "dial"} }
	a := s.adapter(t, func(c *adapter.Settings) { c.Ends = []adapter.Dialer{dead, s.sim.Dial} })
	require.NoError(t, a.Echo(t.Context()))
	require.NoError(t, a.SignOff(t.Context()))
	require.NoError(t, a.SignOff(t.Context()))
}

func TestEveryFramingOverTCP(t *testing.T) {
	for _, framing := range []adapter.Framing{adapter.Binary2, adapter.Binary2Self, adapter.ASCII4, adapter.ASCII4Self} {
		s := open(t, true, framing)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		served := make(chan error, 1)
		go func() { served <- s.sim.Serve(l) }()
		a := s.adapter(t, func(c *adapter.Settings) {
			c.Ends = []adapter.Dialer{func(ctx context.Context) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
			}}
		})
		got, err := a.Pay(t.Context(), s.pay(number, 2000, channeltest.Pays))
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, got.Outcome)
		require.NoError(t, l.Close())
		require.NoError(t, <-served)
	}
}

func TestAfterTheDayAPaymentIsNotVoided(t *testing.T) {
	s := open(t, true, adapter.Binary2)
	_, err := s.a.Pay(t.Context(), s.pay(number, 2000, channeltest.Pays))
	require.NoError(t, err)
	s.clock.Advance(14 * time.Hour)
	got, err := s.a.Void(t.Context(), channel.RefundRequest{Number: number + "V", Of: s.ref(), Money: cny(2000)})
	require.NoError(t, err)
	require.Equal(t, channel.Failed, got.Outcome)
	got, err = s.a.Refund(t.Context(), channel.RefundRequest{Number: number + "R", Of: s.ref(), Money: cny(2000)})
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, got.Outcome)
}

func TestAVoidedPaymentWasPaid(t *testing.T) {
	s := open(t, true, adapter.Binary2)
	_, err := s.a.Pay(t.Context(), s.pay(number, 2000, channeltest.Pays))
	require.NoError(t, err)
	void := channel.RefundRequest{Number: number + "V", Of: s.ref(), Money: cny(2000)}
	got, err := s.a.Void(t.Context(), void)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, got.Outcome)
	got, err = s.a.Query(t.Context(), s.ref())
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, got.Outcome)
	got, err = s.a.QueryRefund(t.Context(), channel.RefundRef{Number: void.Number})
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, got.Outcome)
}

func TestTheSamePaymentAskedForTwiceAtOnceIsNotSaidToBeUnsent(t *testing.T) {
	for _, enquiry := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := open(t, enquiry, adapter.Binary2)
			s.sim.Withhold(1)
			go s.a.Pay(t.Context(), s.pay(number, 2000, channeltest.Pays)) //nolint:errcheck // the second one is what matters
			synctest.Wait()
			got, err := s.a.Pay(t.Context(), s.pay(number, 2000, channeltest.Pays))
			require.Equal(t, channel.Unknown, got.Outcome)
			require.NotErrorIs(t, err, channel.ErrNotSent)
			s.sim.LetGo()
			synctest.Wait()
			last, err := s.a.Query(t.Context(), s.ref())
			require.NoError(t, err)
			require.Equal(t, channel.Succeeded, last.Outcome)
		})
	}
}

func TestRunSendsWhatIsOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, false, adapter.Binary2)
		s.sim.Withhold(1)
		_, err := s.a.Pay(t.Context(), s.pay(number, 2000, channeltest.Pays))
		require.Error(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended, failures := make(chan struct{}), 0
		s.weather.Next(cardacquirer.Reversal, sim.Fate{Cut: sim.CutAfter})
		go func() {
			defer close(ended)
			s.a.Run(ctx, time.Minute, func(error) { failures++ })
		}()
		time.Sleep(3*time.Minute + time.Second)
		synctest.Wait()
		require.EqualValues(t, 100_000_00, s.sim.Card(rich).Balance)
		stop()
		<-ended
		require.Equal(t, 1, failures)
		got, err := s.a.Query(t.Context(), s.ref())
		require.NoError(t, err)
		require.Equal(t, channel.Failed, got.Outcome)
	})
}
