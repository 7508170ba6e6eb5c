package identity_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/risk"
	"github.com/purselane/purselane/backend/risk/identity"
	"github.com/purselane/purselane/internal/money"
)

var (
	key = []byte("0123456789abcdef0123456789abcdef")
	li  = people["110101199003070011"]
	han = people["110101199003070038"]
)

func settings(change ...func(*identity.Settings)) identity.Settings {
	s := identity.Defaults()
	s.Two, s.Three, s.Four, s.Budget = money.Minor(500), money.Minor(600), money.Minor(800), money.Minor(100_000)
	for _, f := range change {
		f(&s)
	}
	return s
}

func service(t require.TestingT, v identity.Verifier, change ...func(*identity.Settings)) *identity.Service {
	s, err := identity.New(settings(change...), v, key)
	require.NoError(t, err)
	return s
}

// nobody is the n-th person that no database has.
func nobody(n int) identity.Person { return identity.Person{Name: "x", Number: fmt.Sprint("no-", n)} }

func TestThreeAnswersOfTwoToFourElements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := service(t, &provider{latency: 200 * time.Millisecond})
		for name, row := range map[string]struct {
			person   identity.Person
			elements int
			answer   identity.Answer
			cost     int64
		}{
			"two":             {identity.Person{Name: li.Name, Number: li.Number}, 2, identity.Match, 500},
			"three":           {identity.Person{Name: li.Name, Number: li.Number, Card: li.Card}, 3, identity.Match, 600},
			"four":            {li, 4, identity.Match, 800},
			"another name":    {identity.Person{Name: han.Name, Number: li.Number}, 2, identity.Mismatch, 500},
			"another card":    {identity.Person{Name: li.Name, Number: li.Number, Card: han.Card}, 3, identity.Mismatch, 600},
			"another phone":   {identity.Person{Name: li.Name, Number: li.Number, Card: li.Card, Phone: han.Phone}, 4, identity.Mismatch, 800},
			"in no database":  {nobody(1), 2, identity.NotInDatabase, 500},
			"nor with a card": {identity.Person{Name: "x", Number: "y", Card: "z"}, 3, identity.NotInDatabase, 600},
		} {
			start := time.Now()
			r, err := s.Verify(t.Context(), row.person)
			require.NoError(t, err, name)
			require.Equal(t, identity.Result{Answer: row.answer, Elements: row.elements, Cost: money.Minor(row.cost)}, r, name)
			require.Equal(t, 200*time.Millisecond, time.Since(start), name)

			start = time.Now()
			r, err = s.Verify(t.Context(), row.person)
			require.NoError(t, err, name)
			require.Equal(t, identity.Result{Answer: row.answer, Elements: row.elements, Known: true}, r, "%s: again costs nothing", name)
			require.Zero(t, time.Since(start), name)
		}
		require.Equal(t, identity.Spending{Day: "2000-01-01", Calls: 8, Saved: 8, Answers: [4]int{0, 3, 3, 2}, Spent: money.Minor(4900), Budget: money.Minor(100_000)}, s.Spending())
	})
}

func TestWhoCannotBeAskedAboutIsNot(t *testing.T) {
	v := &provider{}
	s := service(t, v)
	for name, p := range map[string]identity.Person{
		"nobody":               {},
		"no number":            {Name: "x"},
		"no name":              {Number: "x"},
		"phone without a card": {Name: "x", Number: "y", Phone: "z"},
		"a long name":          {Name: strings.Repeat("x", 201), Number: "y"},
	} {
		_, err := s.Verify(t.Context(), p)
		require.ErrorIs(t, err, identity.ErrPerson, name)
	}
	require.Zero(t, v.asked())
}

// TestASlowProvider: 200 ms to 10 s. Who asks is answered within the time-out; an answer that comes later was paid for and is kept.
func TestASlowProvider(t *testing.T) {
	for _, latency := range []time.Duration{200 * time.Millisecond, time.Second, 2999 * time.Millisecond, 3001 * time.Millisecond, 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			v := &provider{latency: latency, deaf: true}
			s := service(t, v)
			start := time.Now()
			r, err := s.Verify(t.Context(), li)
			require.Equal(t, min(latency, 3*time.Second), time.Since(start))
			if latency > 3*time.Second {
				require.ErrorIs(t, err, identity.ErrTimeout)
				require.Zero(t, r.Answer)
				time.Sleep(latency - 3*time.Second + 1)
				require.Equal(t, 1, s.Spending().Silent)
				r, err = s.Verify(t.Context(), li)
				require.True(t, r.Known)
			}
			require.NoError(t, err)
			require.Equal(t, identity.Match, r.Answer)
			require.Equal(t, 1, v.asked())
			require.Equal(t, money.Minor(800), s.Spending().Spent)
		})
	}
}

func TestAProviderThatHangsUpWithUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &provider{latency: 10 * time.Second}
		s := service(t, v)
		_, err := s.Verify(t.Context(), li)
		require.ErrorIs(t, err, identity.ErrTimeout)
		synctest.Wait()
		_, err = s.Verify(t.Context(), li)
		require.ErrorIs(t, err, identity.ErrTimeout)
		synctest.Wait() // we are answered at the moment that the provider is told to stop
		require.Equal(t, 2, v.asked(), "nothing is known, so it is asked again")
		require.Equal(t, 2, s.Spending().Silent)
	})
}

func TestTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &provider{latency: time.Millisecond, fault: errLine}
		s := service(t, v)
		for n := range 5 {
			_, err := s.Verify(t.Context(), nobody(n))
			require.ErrorIs(t, err, identity.ErrSilent)
		}
		spent := s.Spending().Spent
		for n := range 20 {
			_, err := s.Verify(t.Context(), nobody(n))
			require.ErrorIs(t, err, identity.ErrOpen)
		}
		require.Equal(t, 5, v.asked())
		require.Equal(t, spent, s.Spending().Spent, "what is not asked costs nothing")
		require.Equal(t, 20, s.Spending().Refusals)
		require.True(t, s.Open())

		time.Sleep(30 * time.Second)
		_, err := s.Verify(t.Context(), nobody(1))
		require.ErrorIs(t, err, identity.ErrSilent, "one is let through to see")
		_, err = s.Verify(t.Context(), nobody(1))
		require.ErrorIs(t, err, identity.ErrOpen)
		require.Equal(t, 6, v.asked())

		v.set(func(v *provider) { v.fault = nil; v.latency = time.Second })
		time.Sleep(30 * time.Second)
		var wg sync.WaitGroup
		var mu sync.Mutex
		got := map[bool]int{}
		for n := range 10 {
			wg.Go(func() {
				_, err := s.Verify(t.Context(), nobody(n))
				mu.Lock()
				defer mu.Unlock()
				got[err == nil]++
			})
		}
		wg.Wait()
		require.Equal(t, map[bool]int{true: 1, false: 9}, got, "of many at once one is let through")
		require.False(t, s.Open())
		_, err = s.Verify(t.Context(), nobody(100))
		require.NoError(t, err)
	})
}

func TestCallsThatAreLateOpenTheBreakerWhileTheyHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &provider{latency: time.Hour, deaf: true}
		s := service(t, v)
		var wg sync.WaitGroup
		for n := range 5 {
			wg.Go(func() {
				_, err := s.Verify(t.Context(), nobody(n))
				assert.ErrorIs(t, err, identity.ErrTimeout)
			})
		}
		wg.Wait()
		synctest.Wait()
		_, err := s.Verify(t.Context(), nobody(9))
		require.ErrorIs(t, err, identity.ErrOpen)
		require.Equal(t, 5, v.asked())
		time.Sleep(time.Hour)
		r, err := s.Verify(t.Context(), nobody(3))
		require.NoError(t, err)
		require.Equal(t, identity.NotInDatabase, r.Answer)
	})
}

func TestTheBudgetOfADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shanghai, err := time.LoadLocation("Asia/Shanghai")
		require.NoError(t, err)
		v := &provider{latency: time.Millisecond}
		s := service(t, v, func(s *identity.Settings) { s.Budget, s.Zone = money.Minor(1200), shanghai })
		for n := range 2 {
			_, err := s.Verify(t.Context(), nobody(n))
			require.NoError(t, err)
		}
		_, err = s.Verify(t.Context(), nobody(2))
		require.ErrorIs(t, err, identity.ErrBudget)
		r, err := s.Verify(t.Context(), nobody(1))
		require.NoError(t, err, "what is known costs nothing")
		require.True(t, r.Known)
		require.Equal(t, money.Minor(1000), s.Spending().Spent)

		restarted := service(t, v, func(s *identity.Settings) { s.Budget, s.Zone = money.Minor(1200), shanghai })
		restarted.Restore(s.Spending())
		_, err = restarted.Verify(t.Context(), nobody(2))
		require.ErrorIs(t, err, identity.ErrBudget, "a restart is no new day")

		time.Sleep(16 * time.Hour) // past midnight there, not here
		_, err = s.Verify(t.Context(), nobody(2))
		require.NoError(t, err)
		require.Equal(t, money.Minor(500), s.Spending().Spent)
		require.Equal(t, "2000-01-02", s.Spending().Day)
		_, err = restarted.Verify(t.Context(), nobody(3))
		require.NoError(t, err)
		require.Equal(t, 4, v.asked())
	})
}

func TestWhatWasNotSentCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := service(t, &provider{fault: fmt.Errorf("dial: %w", identity.ErrNotSent)})
		r, err := s.Verify(t.Context(), li)
		require.ErrorIs(t, err, identity.ErrSilent)
		require.ErrorIs(t, err, identity.ErrNotSent)
		require.True(t, r.Cost.IsZero())
		require.True(t, s.Spending().Spent.IsZero())
		require.Zero(t, s.Spending().Calls)
	})
}

func TestWhatYesterdayGivesBackIsNotTodays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &provider{latency: 2 * time.Second, fault: identity.ErrNotSent}
		s := service(t, v)
		time.Sleep(24*time.Hour - time.Second)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := s.Verify(t.Context(), li)
			assert.ErrorIs(t, err, identity.ErrNotSent)
		})
		time.Sleep(1500 * time.Millisecond)
		v.set(func(v *provider) { v.latency, v.fault = 0, nil })
		_, err := s.Verify(t.Context(), han)
		require.NoError(t, err)
		wg.Wait()
		require.Equal(t, money.Minor(800), s.Spending().Spent)
		require.Equal(t, 1, s.Spending().Calls)
	})
}

func TestManyWhoAskTheSameMakeOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &provider{latency: time.Second}
		s := service(t, v)
		var wg sync.WaitGroup
		var mu sync.Mutex
		paid := 0
		for range 50 {
			wg.Go(func() {
				r, err := s.Verify(t.Context(), li)
				assert.NoError(t, err)
				assert.Equal(t, identity.Match, r.Answer)
				mu.Lock()
				defer mu.Unlock()
				if !r.Cost.IsZero() {
					paid++
				}
			})
		}
		wg.Wait()
		require.Equal(t, 1, v.asked())
		require.Equal(t, 1, paid)
		require.Equal(t, 49, s.Spending().Saved)
	})
}

func TestNoMoreCallsAtOnceThanSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &provider{latency: time.Second}
		s := service(t, v, func(s *identity.Settings) { s.AtOnce = 3 })
		var wg sync.WaitGroup
		var mu sync.Mutex
		busy := 0
		for n := range 10 {
			wg.Go(func() {
				if _, err := s.Verify(t.Context(), nobody(n)); errors.Is(err, identity.ErrBusy) {
					mu.Lock()
					defer mu.Unlock()
					busy++
				}
			})
		}
		wg.Wait()
		require.Equal(t, 7, busy)
		require.Equal(t, 3, v.most)
		_, err := s.Verify(t.Context(), nobody(20))
		require.NoError(t, err, "there is room again")
	})
}

func TestWhoDoesNotWaitLeavesTheAnswerBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &provider{latency: time.Second}
		s := service(t, v)
		ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer stop()
		_, err := s.Verify(ctx, li)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(time.Second)
		r, err := s.Verify(t.Context(), li)
		require.NoError(t, err)
		require.True(t, r.Known)
		require.Equal(t, 1, v.asked())
	})
}

func TestAnswersAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &provider{}
		s := service(t, v, func(s *identity.Settings) { s.Remember = 2; s.KeepNotInDatabase = 0 })
		wrong := identity.Person{Name: "x", Number: li.Number}
		ask := func(p identity.Person, calls int) {
			t.Helper()
			_, err := s.Verify(t.Context(), p)
			require.NoError(t, err)
			require.Equal(t, calls, v.asked())
		}
		ask(li, 1)
		ask(wrong, 2)
		time.Sleep(10*time.Minute - 1)
		ask(wrong, 2)
		time.Sleep(1)
		ask(wrong, 3) // a mismatch may have been typed wrongly
		ask(nobody(1), 4)
		ask(nobody(1), 5) // not kept at all
		ask(li, 5)
		ask(han, 6) // one too many: the mismatch was asked for longest ago
		ask(li, 6)
		ask(wrong, 7)
		time.Sleep(30 * 24 * time.Hour)
		ask(li, 8)
	})
}

// TestNothingOfAPersonIsTold by printing, logs, JSON or errors, whatever the provider puts into its own.
func TestNothingOfAPersonIsTold(t *testing.T) {
	hidden := func(text string) {
		t.Helper()
		require.NotEmpty(t, text)
		for _, secret := range []string{"Li", "Lei", "1101", "6222", "1380"} {
			require.NotContains(t, text, secret)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		hidden(fmt.Sprintf(verb, li))
		hidden(fmt.Sprintf(verb, &li))
		hidden(fmt.Sprintf(verb, []identity.Person{li}))
		hidden(fmt.Sprintf(verb, struct{ P identity.Person }{li}))
	}
	var logs bytes.Buffer
	slog.New(slog.NewJSONHandler(&logs, nil)).Info("asked", "person", li, "all", []any{li})
	slog.New(slog.NewTextHandler(&logs, nil)).Info("asked", "person", li)
	for _, line := range strings.Split(strings.TrimSpace(logs.String()), "\n") {
		_, said, found := strings.Cut(line, "asked") // behind the time, whose digits may be any
		require.True(t, found)
		hidden(said)
	}
	raw, err := json.Marshal(map[string]any{"person": li})
	require.NoError(t, err)
	hidden(string(raw))

	for _, row := range []struct {
		fault error
		code  string
	}{
		{errLine, ""},
		{fmt.Errorf("%w of %s", identity.Fault("E1101"), li.Name), "E1101"},
		{identity.Fault(li.Number), ""},
		{identity.Fault("bad-" + li.Phone), ""},
		{identity.Fault("no " + li.Name), ""},
		{identity.Fault(""), ""},
		{fmt.Errorf("%s: %w", li.Number, identity.ErrNotSent), ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, err := service(t, &provider{fault: row.fault}).Verify(t.Context(), li)
			require.ErrorIs(t, err, identity.ErrSilent)
			if row.code == "" {
				hidden(err.Error())
				var f identity.Fault
				require.False(t, errors.As(err, &f))
				return
			}
			require.Contains(t, err.Error(), row.code)
			require.NotContains(t, err.Error(), li.Name)
		})
	}
}

type wrong struct{}

func (wrong) Verify(context.Context, identity.Person) (identity.Answer, error) { return 9, nil }

func TestAnAnswerThatIsNoneIsSilence(t *testing.T) {
	_, err := service(t, wrong{}).Verify(t.Context(), li)
	require.ErrorIs(t, err, identity.ErrSilent)
}

// TestAnswersAreFactsOfRisk: the third answer is a step-up in the example's rules, and never a mismatch.
func TestAnswersAreFactsOfRisk(t *testing.T) {
	e := risk.New()
	require.NoError(t, e.Use(risk.Set{Form: 1, Version: 1, Rules: []risk.Rule{
		{Name: "mismatch", When: "identity == 'mismatch'", Then: risk.Block, Why: "w"},
		{Name: "absent", When: "identity == 'not-in-database'", Then: risk.StepUp, Why: "w"},
	}}))
	for answer, want := range map[identity.Answer]risk.Outcome{identity.Match: risk.Pass, identity.Mismatch: risk.Block, identity.NotInDatabase: risk.StepUp} {
		d, err := e.Decide(&risk.Facts{Identity: answer.String()})
		require.NoError(t, err)
		require.Equal(t, want, d.Outcome, answer)
	}
}

// TestNoSettingPanics: a setting is refused with words, or works.
func TestNoSettingPanics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SampledFrom([]time.Duration{-1, 0, 1, time.Second, 48 * time.Hour})
		n := rapid.SampledFrom([]int{-1, 0, 1, 5, 2000, 20_000_000})
		m := rapid.SampledFrom([]int64{-1, 0, 1, 1000})
		s := identity.Settings{
			Timeout: some.Draw(t, "time-out"), AtOnce: n.Draw(t, "at once"), Failures: uint(max(0, n.Draw(t, "failures"))), OpenFor: some.Draw(t, "open"),
			Two: money.Minor(m.Draw(t, "two")), Three: money.Minor(m.Draw(t, "three")), Four: money.Minor(m.Draw(t, "four")), Budget: money.Minor(m.Draw(t, "budget")),
			Zone: rapid.SampledFrom([]*time.Location{nil, time.UTC}).Draw(t, "zone"), KeepMatch: some.Draw(t, "match"), KeepMismatch: some.Draw(t, "mismatch"),
			KeepNotInDatabase: some.Draw(t, "absent"), Remember: n.Draw(t, "remember"),
		}
		v, err := identity.New(s, &provider{}, key)
		if err != nil {
			require.Error(t, s.Check())
			return
		}
		require.False(t, v.Open())
	})
	_, err := identity.New(identity.Defaults(), &provider{}, key)
	require.Error(t, err, "a budget must be set")
	_, err = identity.New(settings(), nil, key)
	require.Error(t, err)
	_, err = identity.New(settings(), &provider{}, key[:31])
	require.Error(t, err)
}
