package channel_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	gateway "github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/clock"
	sim "github.com/purselane/purselane/simulator/channel"
)

var start = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

func TestSameSeedSameFaults(t *testing.T) {
	draw := func(seed uint64) []sim.Fate {
		w := sim.NewWeather(seed)
		w.Set(sim.Faults{CutBefore: 0.2, CutAfter: 0.3, Jitter: time.Second, Errors: map[string]map[string]float64{"": {"A": 0.2, "B": 0.3}, "ICBC": {"C": 1}}})
		var out []sim.Fate
		for i := range 200 {
			bank := "CMB"
			if i%2 == 1 {
				bank = "ICBC"
			}
			out = append(out, w.Draw(sim.Pay, bank))
		}
		return out
	}
	all := draw(1)
	require.Equal(t, all, draw(1))
	require.NotEqual(t, all, draw(2))
	seen := map[string]int{}
	for i, f := range all {
		seen[f.Error]++
		seen[fmt.Sprint(f.Cut)]++
		if i%2 == 1 {
			require.Equal(t, "C", f.Error, "a bank that is named has a mix of its own")
		}
	}
	for _, k := range []string{"", "A", "B", "0", "1", "2"} {
		require.NotZero(t, seen[k], k)
	}
}

func TestAPlannedFateComesBeforeChance(t *testing.T) {
	w := sim.NewWeather(1)
	w.Set(sim.Faults{CutBefore: 1})
	w.Next(sim.Query, sim.Fate{Error: "BUSY"}, sim.Fate{})
	require.Equal(t, sim.Fate{Cut: sim.CutBefore}, w.Draw(sim.Pay, ""), "it was for queries")
	require.Equal(t, sim.Fate{Error: "BUSY"}, w.Draw(sim.Query, ""))
	require.Equal(t, sim.Fate{}, w.Draw(sim.Query, ""))
	require.Equal(t, sim.CutBefore, w.Draw(sim.Query, "").Cut)
}

func TestDoerIsAConnection(t *testing.T) {
	w := sim.NewWeather(1)
	calls := 0
	h := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fate := w.Draw(sim.Pay, "")
		w.Begin(r.Context(), fate)
		calls++
		fate.End()
		fmt.Fprintf(rw, "%s %s %s %s", r.Method, r.RequestURI, r.Host, body)
	})
	d := sim.Doer(h, w)
	post := func(ctx context.Context) (string, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://channel.example/pay?a=1", strings.NewReader("body"))
		require.NoError(t, err)
		answer, err := d.Do(r)
		if err != nil {
			return "", err
		}
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return string(body), nil
	}
	got, err := post(t.Context())
	require.NoError(t, err)
	require.Equal(t, "POST /pay?a=1 channel.example body", got)

	w.Next(sim.Pay, sim.Fate{Cut: sim.CutBefore}, sim.Fate{Cut: sim.CutAfter})
	_, err = post(t.Context())
	require.ErrorIs(t, err, sim.ErrBroken)
	require.Equal(t, 1, calls)
	_, err = post(t.Context())
	require.ErrorIs(t, err, sim.ErrBroken)
	require.Equal(t, 2, calls, "done, and the answer lost")

	w.Unreachable(true)
	_, err = post(t.Context())
	var op *net.OpError
	require.ErrorAs(t, err, &op)
	require.Equal(t, "dial", op.Op)
	w.Unreachable(false)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = post(ended)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 2, calls)

	waited := time.Duration(0)
	w.Wait = func(_ context.Context, d time.Duration) error { waited += d; return nil }
	w.Set(sim.Faults{Latency: time.Second})
	_, err = post(t.Context())
	require.NoError(t, err)
	require.Equal(t, time.Second, waited)
}

// listener keeps what it was sent, and accepts from a try on.
type listener struct {
	clock  clock.Clock
	at     []time.Duration
	bodies []string
	accept int
}

func (l *listener) receive(_ context.Context, _ string, n gateway.Notification) gateway.Reply {
	l.at, l.bodies = append(l.at, l.clock.Now().Sub(start)), append(l.bodies, string(n.Body))
	if len(l.at) >= l.accept {
		return gateway.Reply{Status: 200}
	}
	return gateway.Reply{Status: 500}
}

func notified(f sim.Faults, accept int) (*listener, *sim.Notifier) {
	c := clock.NewManual(start)
	w := sim.NewWeather(1)
	w.Set(f)
	n := sim.NewNotifier(c, w, []time.Duration{15 * time.Second, time.Minute, time.Hour})
	l := &listener{clock: c, accept: accept}
	n.Receive(l.receive)
	n.Send(sim.Notice{URL: "http://here/", Make: func(at time.Time) gateway.Notification {
		return gateway.Notification{Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"id":"a1","n":2}`), At: at}
	}})
	for {
		n.Run(context.Background())
		due, more := n.Next()
		if !more {
			return l, n
		}
		c.Set(due)
	}
}

func TestNotificationsKeepTheSchedule(t *testing.T) {
	l, _ := notified(sim.Faults{}, 99)
	require.Equal(t, []time.Duration{0, 15 * time.Second, 75 * time.Second, time.Hour + 75*time.Second}, l.at, "one try more than gaps, then it gives up")
	l, _ = notified(sim.Faults{}, 2)
	require.Equal(t, []time.Duration{0, 15 * time.Second}, l.at, "accepted")
	l, _ = notified(sim.Faults{NotifyLost: 1}, 1)
	require.Empty(t, l.at)
	l, _ = notified(sim.Faults{NotifyDoubled: 1}, 1)
	require.Equal(t, []time.Duration{0, 0}, l.at)
	l, _ = notified(sim.Faults{NotifyLate: 1, NotifyLateBy: time.Hour}, 1)
	require.Equal(t, []time.Duration{time.Hour}, l.at)
	l, _ = notified(sim.Faults{NotifyForged: 1}, 1)
	require.Equal(t, []string{`{"id":"a2","n":2}`, `{"id":"a1","n":2}`}, l.bodies, "a changed copy comes first")
	l, _ = notified(sim.Faults{NotifyReencoded: 1}, 1)
	require.NotEqual(t, `{"id":"a1","n":2}`, l.bodies[0])
	require.JSONEq(t, `{"id":"a1","n":2}`, l.bodies[0])
}

func TestNotificationsComeInTheOrderOfTheirTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := clock.NewManual(start)
		w := sim.NewWeather(rapid.Uint64().Draw(t, "seed"))
		w.Set(sim.Faults{NotifyLost: 0.3, NotifyLate: 0.3, NotifyLateBy: 40 * time.Second})
		n := sim.NewNotifier(c, w, []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, time.Minute, time.Minute, time.Minute, time.Minute, time.Minute})
		last := time.Time{}
		n.Receive(func(_ context.Context, _ string, m gateway.Notification) gateway.Reply {
			require.False(t, m.At.Before(last))
			require.Equal(t, c.Now(), m.At, "made at the moment of sending")
			last = m.At
			return gateway.Reply{Status: 200}
		})
		for range rapid.IntRange(1, 20).Draw(t, "notices") {
			n.Send(sim.Notice{URL: "http://here/", Make: func(at time.Time) gateway.Notification { return gateway.Notification{At: at} }})
			if rapid.Bool().Draw(t, "wait") {
				c.Advance(5 * time.Second)
				n.Run(t.Context())
			}
		}
		for due, more := n.Next(); more; due, more = n.Next() {
			if due.After(c.Now()) {
				c.Set(due)
			}
			require.NotZero(t, n.Run(t.Context()))
		}
	})
}

func TestReencodingAForm(t *testing.T) {
	m := gateway.Notification{Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}}, Body: []byte("b=%e4%bd%a0&a=1+2")}
	require.Equal(t, "a=1+2&b=%E4%BD%A0", string(sim.Reencode(m).Body))
	require.Equal(t, "b=%e4%bd%a0&a=1+2", string(m.Body))
}

func TestNotificationsOverHTTP(t *testing.T) {
	got := make(chan string, 1)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.Header.Get("Mac") + r.URL.RawQuery + string(body)
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, "success")
	})
	to := sim.HTTPReceiver(sim.Doer(h, nil))
	reply := to(t.Context(), "http://here/notify", gateway.Notification{Header: http.Header{"Mac": {"m"}}, Query: "q=1", Body: []byte("b")})
	require.Equal(t, "mq=1b", <-got)
	require.Equal(t, gateway.Reply{Status: 200, Type: "text/plain", Body: []byte("success")}, reply)
	require.Zero(t, to(t.Context(), "://", gateway.Notification{}))
}
