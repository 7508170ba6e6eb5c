package channeltest

import (
	"net/http"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	sim "github.com/purselane/purselane/simulator/channel"
)

func toldOfSuccess(s *stand) {
	n := s.pay(900)
	s.untilTold(n)
	for _, e := range s.told(channel.OfPayment, n) {
		if e.Result.Outcome == channel.Succeeded {
			s.check(n, e.Result, nil)
			require.EqualValues(s.t, 900, minor(e.Result.Money), "a notification of a success must say how much")
		}
	}
	require.Zero(s.t, s.forged)
}

func timeoutThenPaid(s *stand) {
	n := number()
	s.Weather.Next(sim.Pay, sim.Fate{Cut: sim.CutAfter})
	res, err := s.ask(s.request(n, 900, Waits))
	s.notKnown(res, err)
	require.NoError(s.t, s.Act(n))
	s.untilTold(n)
	require.Equal(s.t, channel.Succeeded, s.await(n).Outcome)
}

func notifiedTwice(s *stand) {
	s.Weather.Set(sim.Faults{NotifyDoubled: 1})
	n := s.pay(900)
	s.untilTold(n)
	events := s.told(channel.OfPayment, n)
	require.GreaterOrEqual(s.t, len(events), 2, "the simulator was told to send it twice")
	require.Equal(s.t, events[len(events)-2], events[len(events)-1], "the same notification must read the same")
}

func notAccepted(s *stand) {
	s.accept = false
	n := s.pay(900)
	s.notifications()
	require.NotEmpty(s.t, s.raw)
	require.Empty(s.t, s.events)
	s.accept = true
	s.untilTold(n)
}

func notificationLost(s *stand) {
	s.Weather.Set(sim.Faults{NotifyLost: 1})
	n := s.pay(900)
	s.notifications()
	require.Empty(s.t, s.raw)
	s.Weather.Set(sim.Faults{})
	s.untilTold(n)
}

func notifiedBeforeTheAnswer(s *stand) {
	n := number()
	s.Weather.Next(sim.Pay, sim.Fate{Early: true})
	r := s.request(n, 900, Pays)
	res, err := s.ask(r)
	require.NoError(s.t, err)
	require.True(s.t, s.succeeded(n), "the simulator was told to send it before its answer")
	require.Contains(s.t, []channel.Outcome{channel.Unknown, channel.Pending, channel.Succeeded}, res.Outcome)
	require.Equal(s.t, channel.Succeeded, s.query(n).Outcome)
	require.Equal(s.t, Truth{Charges: 1, Paid: 900}, s.Truth(n))
}

// forged: no changed copy of a notification says anything else than the notification itself.
func forged(s *stand) {
	n := s.pay(900)
	s.untilTold(n)
	genuine := s.raw[len(s.raw)-1]
	truly, err := s.Channel.Notified(s.ctx, genuine)
	require.NoError(s.t, err)

	copies := []Forgery{
		{Name: "one character changed", Notification: sim.Tamper(genuine)},
		{Name: "nothing in it", Notification: channel.Notification{Header: genuine.Header.Clone(), Query: genuine.Query, At: genuine.At}},
	}
	copies[0].Why = ""
	for at := range genuine.Body {
		changed := genuine
		changed.Body = append([]byte(nil), genuine.Body...)
		changed.Body[at] = letterAfter(changed.Body[at])
		copies = append(copies, Forgery{Name: "another character", Notification: changed})
	}
	refused := 0
	for _, f := range copies {
		events, err := s.Channel.Notified(s.ctx, f.Notification)
		if err == nil {
			require.Equal(s.t, truly, events, "%s: %q", f.Name, f.Notification.Body)
			continue
		}
		var not *channel.ForgedError
		require.ErrorAs(s.t, err, &not, "%s: %q", f.Name, f.Notification.Body)
		refused++
	}
	require.Greater(s.t, refused, len(genuine.Body)/2, "most of the body must be under the signature")

	bare := genuine
	bare.Header = http.Header{"Content-Type": genuine.Header.Values("Content-Type")}
	if len(genuine.Header) > 1 {
		_, err := s.Channel.Notified(s.ctx, bare)
		var not *channel.ForgedError
		if err != nil {
			require.ErrorAs(s.t, err, &not, "without its headers")
		}
	}
	if s.Forgeries == nil {
		return
	}
	for _, f := range s.Forgeries(genuine) {
		events, err := s.Channel.Notified(s.ctx, f.Notification)
		var not *channel.ForgedError
		require.ErrorAs(s.t, err, &not, f.Name)
		require.Empty(s.t, events, f.Name)
		require.Contains(s.t, not.Why, f.Why, f.Name)
	}
}

func letterAfter(c byte) byte {
	switch {
	case c >= '0' && c < '9', c >= 'a' && c < 'z', c >= 'A' && c < 'Z':
		return c + 1
	case c == '9':
		return '0'
	case c == 'z':
		return 'a'
	case c == 'Z':
		return 'A'
	}
	return 'x'
}

// reencoded: a body in other bytes is refused, or read as what it says; the query finds out all the same.
func reencoded(s *stand) {
	s.Weather.Set(sim.Faults{NotifyReencoded: 1})
	n := s.pay(900)
	s.Clock.Advance(time.Minute)
	s.notifications()
	require.NotEmpty(s.t, s.raw)
	for _, e := range s.told(channel.OfPayment, n) {
		s.check(n, e.Result, nil)
	}
	if !s.succeeded(n) {
		require.NotZero(s.t, s.forged, "neither read nor refused")
	}
	require.Equal(s.t, channel.Succeeded, s.query(n).Outcome)
}
